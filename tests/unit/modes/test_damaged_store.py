"""A store that is damaged: what is wrong is named with its file and what to do; nothing outside of it is touched."""

import errno
import hashlib
import json
import os

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kraken_flow.core.errors import UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.data import store
from kraken_flow.data.store import Store
from tests.dumps import rows, text
from tests.unit.modes.past_runs import IMPORT, SYSTEM

RUN = (*SYSTEM, "data=store", "run_dir=out")


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """What one store held is read anew of the next one, which lies at the same relative path."""
    store._remembered.cache_clear()


def sealed(path, **changes):
    """Write a manifest as if an import had: with a hash of its own that is right."""
    content = json.loads(path.read_text()) | changes
    content.pop("sha256")
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    path.write_text(json.dumps(content | {"sha256": digest}))


def part(path, **changes):
    (one,) = json.loads(path.read_text())["parts"]
    return {"parts": [one | changes]}


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\0\1" * 40),
    "a list": lambda path: path.write_text("[1, 2]"),
    "null": lambda path: path.write_text("null"),
    "alien": lambda path: path.write_text('{"name": "package", "version": "1.0"}'),
    "another format": lambda path: sealed(path, format=99),
    "edited": lambda path: path.write_text(path.read_text().replace('"price_decimals": 2', '"price_decimals": 3')),
    "no files": lambda path: sealed(path, parts=[]),
    "no coverage": lambda path: sealed(path, coverage=None),
    "no time": lambda path: sealed(
        path, **part(path, coverage={"first": "x", "last": "y", "bars": 1, "longest_gaps": []})
    ),
    "gaps": lambda path: sealed(path, coverage={"first": "x", "last": "y", "bars": 1, "longest_gaps": [["a", "b"]]}),
    "no timeframe": lambda path: sealed(path, timeframe="soon"),
    "decimals": lambda path: sealed(path, price_decimals="many"),
    "size": lambda path: sealed(path, **part(path, size_bytes=-1)),
    "outside": lambda path: sealed(path, **part(path, name="../../../../secret.parquet")),
    "absolute": lambda path: sealed(path, **part(path, name="/etc/passwd")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_manifest_is_named_and_costs_no_other_series(filled, how):
    (path,) = (filled.folder / "store/kraken/BTC-USD").rglob("manifest.json")
    outside = filled.folder / "secret.parquet"
    outside.write_bytes(b"mine")
    DAMAGE[how](path)
    assert filled(*RUN) == 2, filled.out
    assert filled.err.startswith("error: store/kraken/BTC-USD/1h/manifest.json ")
    assert "Traceback" not in filled.err
    assert "import" in filled.err
    assert filled("mode=data") == 1
    assert "error: store/kraken/BTC-USD/1h/manifest.json " in filled.err
    assert "Traceback" not in filled.err
    assert [line.split()[-1] for line in filled.out.splitlines()[2:]] == ["DAMAGED", "ok"]
    assert filled(*SYSTEM[1:], "pairs=[ETH/USD]", "data=store", "run_dir=out") == 0, filled.err
    assert outside.read_bytes() == b"mine"


PARQUET = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "as long": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("how", PARQUET)
def test_a_damaged_file_is_named_with_what_to_do(filled, how):
    (path,) = (filled.folder / "store/kraken/BTC-USD").rglob("*.parquet")
    PARQUET[how](path)
    assert filled(*RUN) == 2
    assert filled.err.startswith(f"error: {path.relative_to(filled.folder)} is ")
    assert "mode=data tells what else is; remove the folder store/kraken/BTC-USD/1h and import" in filled.err
    assert filled("mode=data") == 1
    assert str(path.relative_to(filled.folder)) in filled.err
    assert "Traceback" not in filled.err
    for broken in (filled.folder / "store/kraken/BTC-USD/1h").iterdir():
        broken.rmdir() if broken.is_dir() else broken.unlink()
    (filled.folder / "store/kraken/BTC-USD/1h").rmdir()
    assert filled(*IMPORT) == 0, filled.err
    assert filled("mode=data") == 0
    assert filled(*RUN) == 0


def test_a_parquet_file_that_is_no_series_is_refused_though_the_manifest_names_it(filled):
    (path,) = (filled.folder / "store/kraken/BTC-USD").rglob("*.parquet")
    pq.write_table(pa.table({"ts_ns": ["soon"], "price": [1.0]}), path)
    manifest = path.with_name("manifest.json")
    sealed(manifest, **part(manifest, size_bytes=path.stat().st_size, sha256=file_hash(path)))
    assert filled(*RUN) == 2
    assert f"{path.relative_to(filled.folder)} is damaged: " in filled.err


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, 2), (errno.EACCES, 2), (errno.ENOSPC, 1)])
def test_a_folder_that_takes_no_file_and_a_full_disk_are_told(filled, monkeypatch, number, code):
    (filled.folder / "candles/ltcusd_60.csv").write_text(text(rows(3, 3_600, 30)))
    before = {path: path.read_bytes() for path in (filled.folder / "store").rglob("*") if path.is_file()}

    def refused(handle):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refused)
        assert filled(*IMPORT) == code
    assert filled.err.startswith("error: store")
    assert os.strerror(number) in filled.err or "the disk is full" in filled.err
    assert "is safe in the store" in filled.err
    assert "Traceback" not in filled.err
    assert {path: path.read_bytes() for path in (filled.folder / "store").rglob("*") if path.is_file()} == before
    assert filled(*IMPORT) == 0
    assert filled("mode=data") == 0


def test_a_file_that_may_not_be_read_is_told(filled, monkeypatch):
    (path,) = (filled.folder / "store/kraken/BTC-USD").rglob("*.parquet")

    def forbidden(where, **_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(where))

    monkeypatch.setattr(pq, "ParquetFile", forbidden)
    assert filled(*RUN) == 2
    assert filled.err == (
        f"error: {path.relative_to(filled.folder)} cannot be read (Permission denied); make it readable\n"
    )


def test_a_file_in_the_place_of_a_store_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").write_text("no")
    with pytest.raises(UserError, match=r"data.path: store is a file, no store"):
        Store().load(("BTC/USD",), "1h", None, None, 0)

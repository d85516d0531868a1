"""Runs whose folder is not whole: what is missing or damaged is named, and nothing is overwritten."""

import pytest

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.runs.directory import AGAIN, claim, explained, write_json
from tests.unit.modes.past_runs import SHIPPED

READERS = {
    "verify": ["mode=verify", "mode.run=out"],
    "compare": ["mode=compare", "mode.a=out", "mode.b=out"],
    "export": ["mode=export", "mode.run=out"],
    "replay": ["mode=replay", "mode.run=out"],
    "status": ["mode=status", "mode.run=out"],
    "pause": ["mode=pause", "mode.run=out"],
}


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_a_damaged_manifest_is_called_damaged(mine, words):
    (mine.folder / "out").mkdir()
    manifest = mine.folder / "out/manifest.json"
    manifest.write_text('{"made_by": "kraken-fl')
    assert mine(*words) == 2
    assert "out: its manifest.json is damaged (" in mine.err
    assert "put a copy of it back, or make the run anew in another folder" in mine.err
    manifest.write_text("[]")
    assert mine(*words) == 2
    assert "out: its manifest.json is not one of ours" in mine.err


def test_no_run_takes_the_place_of_one_with_a_damaged_manifest(mine):
    (mine.folder / "out").mkdir()
    (mine.folder / "out/manifest.json").write_text("{")
    assert mine(*SHIPPED, "run_dir=out") == 2
    assert "holds no earlier run of ours (its manifest.json is damaged (" in mine.err
    assert (mine.folder / "out/manifest.json").read_text() == "{"


@pytest.mark.parametrize("words", [READERS[name] for name in ("verify", "compare", "export")])
def test_a_run_without_a_table_is_not_complete(mine, words):
    assert mine(*SHIPPED, "run_dir=out") == 0
    (mine.folder / "out/trades.parquet").unlink()
    assert mine(*words) == 2
    assert mine.err == f"error: {words[1]}: the run is not complete: it has no trades.parquet\n"


def test_what_cannot_be_written_is_named_as_the_user_knows_it(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(CheckFailed) as caught, explained(folder):
        write_json(folder / "metrics.json", {})
    assert str(caught.value) == f"{folder / 'metrics.json'}: the disk is full; {AGAIN}"


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written"):
        claim(tmp_path / "file" / "run")

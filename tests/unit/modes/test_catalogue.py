"""The data store from the command line: filled, listed, checked, and traded on in every mode."""

import errno
import json
import os
import re
import shutil

import pytest

from kraken_flow.core.hashes import file_hash
from kraken_flow.runs.lock import hold
from tests.dumps import DAY_S, SINCE, rows, text, zipped
from tests.unit.modes.past_runs import IMPORT, ROOT, SYSTEM, candles

LOGS = ("order_log_sha256", "ledger_sha256", "data_sha256")


def hashes(folder):
    known = json.loads((folder / "metrics.json").read_text())
    return [known[name] for name in LOGS]


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
@pytest.mark.parametrize("timeframe", ["1h", "2h"])
def test_every_mode_trades_on_the_store_as_on_its_files_and_is_verified(filled, mode, timeframe):
    span = ("start=2024-01-03", "end=2024-01-09", f"timeframe={timeframe}", f"mode={mode}")
    assert filled(*SYSTEM, *span, "data=files", "data.path=candles", "run_dir=files") == 0, filled.err
    assert filled(*SYSTEM, *span, "data=store", "run_dir=store_run") == 0, filled.err
    assert hashes(filled.folder / "store_run") == hashes(filled.folder / "files")
    records = [
        r for r in json.loads((filled.folder / "store_run/manifest.json").read_text())["data"] if r["role"] == "bars"
    ]
    assert [record["pair"] for record in records] == ["BTC/USD", "ETH/USD"]
    for record in records:
        assert record["path"].startswith(f"store/kraken/{record['pair'].replace('/', '-')}/1h/2024-")
        assert file_hash(filled.folder / record["path"]) == record["sha256"]
    assert filled("mode=verify", "mode.run=store_run") == 0, filled.err


def test_a_sweep_runs_on_the_store(filled):
    assert filled("-m", *SYSTEM[:3], "data=store", "strategy.fast=3,5", "run_dir=swept") == 0, filled.err
    assert (filled.folder / "swept/leaderboard.csv").is_file()


def test_verify_names_an_edited_file_of_the_store(filled):
    assert filled(*SYSTEM, "data=store", "run_dir=out") == 0
    (data,) = (filled.folder / "store/kraken/BTC-USD").rglob("*.parquet")
    content = bytearray(data.read_bytes())
    content[len(content) // 5] ^= 1
    data.write_bytes(content)
    assert filled("mode=verify", "mode.run=out") == 1
    place = re.escape(str(data.relative_to(filled.folder)))
    assert re.search(rf"data: .*{place} \(BTC/USD\) was \w{{12}}, is \w{{12}} \(SHA-256\)", filled.err)
    assert filled("mode=data") == 1
    assert f"error: {data.relative_to(filled.folder)} is damaged: its SHA-256 was" in filled.err
    assert re.search(r"kraken +BTC/USD +1h .*DAMAGED", filled.out)
    assert re.search(r"kraken +ETH/USD +1h +2024-01-01 +2024-01-13 +300 +0 +0 ok", filled.out)


def test_a_run_of_a_span_is_verified_after_a_later_import_and_names_other_bars(filled):
    assert filled(*SYSTEM, "data=store", "end=2024-01-10", "run_dir=out") == 0
    for name, scale in (("btcusd", 100.0), ("ethusd", 20.0)):
        (filled.folder / f"candles/{name}_1h.csv").write_text(candles(scale, 310))
    assert filled(*IMPORT) == 0, filled.err
    assert filled.out == "store: files read 2, imported before 0; bars added 20, there already 600\n"
    assert filled("mode=verify", "mode.run=out") == 0, filled.err
    assert "is not there any more; the bars are read anew" in filled.out
    (filled.folder / "candles/btcusd_1h.csv").write_text(candles(101.0, 310))
    assert filled(*IMPORT) == 2
    assert "choose mode.on_conflict=keep (what is there) or replace (what is here)" in filled.err
    assert filled(*IMPORT, "mode.on_conflict=replace") == 0
    assert "replaced 310" in filled.out
    assert filled("mode=verify", "mode.run=out") == 1
    assert "data: was" in filled.err


def test_the_bad_file_of_a_dump_is_told_at_the_end_and_the_others_are_imported(mine):
    files = {f"K{i:02d}USD_60.csv": text(rows(i, 3_600, 30)) for i in range(50)}
    files["K07USD_60.csv"] = files["K07USD_60.csv"].replace(",", ",-", 3)
    zipped(mine.folder / "dump.zip", files)
    assert mine("mode=import", "mode.source=dump.zip", "data.path=mine") == 2
    assert mine.out.startswith("mine: files read 49, imported before 0, refused 1; bars added ")
    bad, last = mine.err.splitlines()[0], mine.err.splitlines()[-1]
    assert bad.startswith("error: dump.zip:K07USD_60.csv, row 1 (line 1): open -")
    assert last == "error: mode.source=dump.zip: 1 file was refused; the others are imported"
    assert mine("mode=import", "mode.source=dump.zip", "data=store", "data.path=mine", "report=json") == 2
    content = json.loads(mine.out)
    assert content["files"] == {"read": 0, "already": 49, "refused": 1}
    assert mine("mode=data", "data.path=mine", "report=json") == 0
    listed = json.loads(mine.out)["series"]
    assert len(listed) == 49
    assert {one["hash_ok"] for one in listed} == {True}
    assert listed[0]["first"] == "2021-01-01T00:00:00Z"
    assert mine("mode=data", "data.path=mine", "mode.check=false") == 0
    assert "ok" not in mine.out


def test_two_imports_at_once_are_refused(filled):
    handle = hold(filled.folder / "store")
    try:
        assert filled(*IMPORT) == 2
    finally:
        os.close(handle)
    assert filled.err == ("error: data.path=store: another import is filling this store; wait until it is done\n")
    assert filled("mode=data") == 0
    assert filled(*IMPORT) == 0


def test_a_full_disk_is_told_and_what_is_in_is_safe(mine, monkeypatch):
    original, left = os.fsync, [6]

    def full(handle):
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert mine(*IMPORT) == 1
    assert re.fullmatch(
        r"error: store\S*: the disk is full; what was imported until then \(files: 1\) is safe in the store, and the "
        r"same command goes on with the rest\n",
        mine.err,
    )
    monkeypatch.setattr(os, "fsync", original)
    assert mine(*IMPORT) == 0
    assert mine.out.startswith("store: files read 1, imported before 1;")
    assert mine("mode=data") == 0


def test_what_an_import_cannot_use_is_said_at_once(mine):
    for words, says in (
        (("mode=import",), "mode.source: must be given"),
        ((*IMPORT, "data=files"), "data=files: is no data store; write data=store"),
        ((*IMPORT, "strategy=sma_cross", "timeframe=1h"), "strategy, timeframe: leave that out"),
        ((*IMPORT, "data=store", "data.pth=x"), "data.pth=x: no such key"),
        ((*IMPORT, "data.pth=x"), "data.pth=x: no such key"),
        ((*IMPORT, "mode.on_bad=skip"), "mode.on_bad=skip: must be error, drop"),
        (("mode=import", "mode.source=candle"), "mode.source=candle: does not exist; nearest: candles"),
        (("mode=data",), "data.path=store: there is no store; fill it with mode=import"),
        ((*SYSTEM, "data=store"), "data.path: the store store does not exist; fill it with mode=import"),
    ):
        assert mine(*words) == 2, words
        assert says in mine.err, (words, mine.err)
    assert not (mine.folder / "store").exists()


def test_the_commands_of_the_page_run_one_after_the_other(mine):
    """Those that docs/store.md shows, on a dump of three pairs and one of the quarter after it."""
    shutil.rmtree(mine.folder / "candles")
    dump = {
        f"{name}_{minutes}.csv": text(rows(i, minutes * 60, 90 * 1_440 // minutes, missing=0.0))
        for i, name in enumerate(["XBTUSD", "ETHUSD", "SOLUSD"])
        for minutes in (60, 1_440)
    }
    zipped(mine.folder / "Kraken_OHLCVT.zip", dump)
    later = {"XBTUSD_60.csv": text(rows(0, 3_600, 91 * 24, SINCE + 90 * DAY_S, 0.0))}
    zipped(mine.folder / "Kraken_OHLCVT_Q2.zip", later)
    page = (ROOT / "docs/store.md").read_text("utf-8")
    commands = re.findall(r"^    python -m kraken_flow (.+)$", page, re.M)
    assert len(commands) == 6
    for command in commands:
        assert mine(*command.split()) == 0, (command, mine.err)
        if command == "mode=data":
            listed = [line.split()[:3] for line in mine.out.splitlines() if line.startswith("kraken")]
            assert listed == [
                ["kraken", f"{coin}/USD", frame] for coin in ("BTC", "ETH", "SOL") for frame in ("1d", "1h")
            ]
    assert "verified" in mine.out
    shown = re.findall(r"^    (store/.+/)(\S+)$", page, re.M)
    named = sorted(path.name for path in (mine.folder / shown[0][0]).iterdir())
    assert named[0].startswith("2021-")
    assert named[1] == shown[1][1]

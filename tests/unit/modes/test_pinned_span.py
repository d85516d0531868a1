"""A run without an end is the same run after later candles came; one candle inside its span is named."""

import json
import shutil

import pytest

from tests.unit.modes.past_runs import IMPORT, SHIPPED, SYSTEM, candles, edit
from tests.unit.modes.test_continued import interrupted

SOURCES = {"store": (*SYSTEM, "data=store"), "files": tuple(SHIPPED)}


def later(mine, source, rows=330):
    """Let later candles come, and earlier ones of another year."""
    for name, scale in (("btcusd", 100.0), ("ethusd", 20.0)):
        (mine.folder / f"candles/{name}_1h.csv").write_text(candles(scale, rows))
    if source == "store":
        assert mine(*IMPORT) == 0, mine.err
        assert "bars added 60" in mine.out


def other_candle(mine, source):
    path = mine.folder / "candles/ethusd_1h.csv"
    line = path.read_text().splitlines()[150]
    edit(path, line, line.replace(line.split(",")[-1], "7"))
    if source == "store":
        assert mine(*IMPORT, "mode.on_conflict=replace") == 0, mine.err


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", ["backtest", "paper"])
def test_a_run_without_end_is_verified_after_later_candles_and_names_another_one(filled, source, mode):
    assert filled(f"mode={mode}", *SOURCES[source], "run_dir=out") == 0, filled.err
    read = json.loads((filled.folder / "out/manifest.json").read_text())["read"]
    assert (read["start"], read["end"]) == ("2024-01-01T00:00:00Z", "2024-01-13T12:00:00Z")
    later(filled, source)
    assert filled("mode=verify", "mode.run=out") == 0, filled.err
    assert "is as it was" in filled.out or "is not there any more" in filled.out
    other_candle(filled, source)
    assert filled("mode=verify", "mode.run=out") == 1
    assert "data: was " in filled.err
    assert "2024-01-07T05:00:00Z" in filled.err


@pytest.mark.parametrize("source", SOURCES)
def test_a_killed_session_goes_on_after_later_candles_as_the_undisturbed_one(filled, source, monkeypatch):
    words = SOURCES[source]
    assert filled("mode=paper", *words, "run_dir=whole") == 0, filled.err
    interrupted(filled, monkeypatch, *words, "run_dir=out", rows=120)
    assert filled("mode=verify", "mode.run=out") == 0, filled.err
    later(filled, source)
    assert filled("mode=verify", "mode.run=out") == 0, filled.err
    shutil.copytree("out", "other")
    assert filled("mode=paper", *words, "run_dir=out") == 0, filled.err
    assert "continues after 120 instants\n" in filled.err
    for log in ("orders.log", "ledger.log", "equity.parquet"):
        assert (filled.folder / "out" / log).read_bytes() == (filled.folder / "whole" / log).read_bytes()
    assert filled("mode=verify", "mode.run=out") == 0, filled.err
    other_candle(filled, source)
    assert filled("mode=paper", *words, "run_dir=other") == 2
    assert "run_dir=other: the session there ran on other data (" in filled.err
    assert "ETH/USD: the bar that opens at 2024-01-07T05:00:00Z was another one, or missing; it is open" in filled.err

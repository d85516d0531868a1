"""The table of a sweep over strategies, under freqtrade's title."""

from tests.unit.modes.past_runs import SHIPPED


def test_a_sweep_over_strategies_ends_with_their_summary(mine, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = [word for word in SHIPPED if not word.startswith("strategy")]
    assert mine("-m", *words, "strategy=sma_cross,hold", "run_dir=sweep") == 0
    table = mine.out.partition("STRATEGY SUMMARY")[2].splitlines()
    rows = [line.split() for line in table if line.startswith(("sma_cross", "hold"))]
    assert {row[0] for row in rows} == {"sma_cross", "hold"}
    assert max(map(len, table)) <= 80
    assert "…" not in mine.out


def test_other_sweeps_have_none(mine):
    assert mine("-m", *SHIPPED, "exchange.fees.taker_bps=5,9", "run_dir=sweep") == 0
    assert "STRATEGY SUMMARY" not in mine.out

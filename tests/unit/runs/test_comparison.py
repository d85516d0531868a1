"""The screen of two runs, from what was found: which differences are marked, and what has no interval."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from kraken_flow.core.times import DAY
from kraken_flow.runs.comparison import Comparison
from kraken_flow.runs.paired import paired_intervals
from kraken_flow.runs.past import PastRun

NAMES = ("total_return", "cagr", "sharpe", "sortino", "calmar", "volatility", "max_drawdown")


def past(name, metrics):
    run = PastRun(f"mode.{name}={name}", Path(name), {"mode": "backtest", "strategy": "dip", "pairs": ["BTC/USD"]})
    run.__dict__["metrics"] = metrics
    return run


def screen(a, b, intervals, **more):
    """Return what is printed of two runs of these metrics."""
    none = {"equal": 0, "changed": [], "only_a": [], "only_b": [], "first": None}
    found = {
        **dict.fromkeys(("data", "code", "versions"), ()),
        **{"keys": {}, "counts": {}, "currencies": {"a": "USD", "b": "USD"}, "engines": {"a": "rust", "b": "rust"}},
        "equal": dict.fromkeys(("data_sha256", "order_log_sha256", "ledger_sha256"), True),
        "metrics": {name: {"a": a[name], "b": b[name]} for name in a},
        "paired": {"why": "", "intervals": intervals},
        "orders": none,
        "trades": {"a": 0, "b": 0, "first": None},
        **more,
    }
    out = io.StringIO()
    Comparison(past("a", a), past("b", b), found, False, Console(file=out, width=80, highlight=False)).show()
    return out.getvalue()


@pytest.mark.parametrize(
    ("interval", "marked"),
    [([0.1, 0.9], True), ([-0.9, -0.1], True), ([-0.1, 0.9], False), ([0.0, 0.9], False), ([-0.9, 0.0], False)],
)
def test_a_difference_is_marked_where_0_lies_outside_of_its_interval(interval, marked):
    said = screen({"sharpe": 1.0}, {"sharpe": 1.5}, {"sharpe": interval})
    row = next(line for line in said.splitlines() if line.startswith("Sharpe"))
    low, high = interval
    assert f"{low:+.3f} to {high:+.3f}".replace("+0.000", "0.000") in row
    assert row.rstrip().endswith("*") is marked
    told = "0 is not among it: luck alone does that once in ten." if marked else "0 is in it: may be luck."
    assert told in " ".join(said.split())


def test_more_than_a_screen_holds_is_counted():
    keys = {f"strategy.k{n:02}": {"a": "1", "b": "2"} for n in range(12)}
    data = [f"file {n:02} is another one" for n in range(13)]
    said = screen({"sharpe": 1.0}, {"sharpe": 1.0}, {}, keys=keys, data=data)
    assert "strategy.k09" in said
    assert "strategy.k10" not in said
    assert "(2 more keys: mode.details=true)" in said
    assert "- file 09 " in said
    assert "- file 10 " not in said
    assert "(3 more: mode.details=true)" in said


def daily(folder, days, depth):
    """Write a run of closes of days, whose drawdown of all bars is given."""
    folder.mkdir()
    times = pa.array([(n + 1) * DAY for n in range(len(days))], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": times, "equity": days}), folder / "equity.parquet")
    metrics = {"final_equity": str(days[-1]), "total_return": days[-1] / 100.0 - 1.0, "max_drawdown": depth}
    run = past(folder.name, metrics)
    return PastRun(run.name, folder, run.manifest), metrics


@pytest.mark.parametrize(("depth", "kept"), [(-0.05, True), (-0.6, False)])
def test_a_drawdown_that_day_closes_do_not_reach_has_no_interval_of_its_difference(tmp_path, depth, kept):
    levels = [[100.0 + size * (n % 5) for n in range(60)] for size in (1.0, 2.0)]
    runs = []
    for name, days, own in zip("ab", levels, (-0.04, -0.04 + depth), strict=True):
        run, metrics = daily(tmp_path / name, days, own)
        (run.folder / "metrics.json").write_text(json.dumps(metrics))
        runs.append(run)
    intervals = paired_intervals(*runs)["intervals"]
    assert set(intervals) == set(NAMES)
    assert (intervals["max_drawdown"] is not None) is kept
    assert (intervals["calmar"] is not None) is kept
    assert intervals["volatility"][0] > 0

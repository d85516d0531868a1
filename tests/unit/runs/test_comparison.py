"""The screen of two runs, from what was found: which differences are marked, and what has no interval."""

import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from kraken_flow.analysis.bootstrap import OF_TRADES
from kraken_flow.core.times import DAY
from kraken_flow.runs.comparison import Comparison
from kraken_flow.runs.figures import MONEY, change, pattern_of
from kraken_flow.runs.paired import paired_intervals
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.trade_differences import trade_differences

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


@pytest.mark.parametrize(
    ("before", "now", "pattern", "said"),
    [
        (0.1, 0.25, "{:+.2%}", "+15.00%"),
        (2.5, 1.0, "{:.3f}", "-1.500"),
        ("10.00", "12.34", MONEY, "+2.34"),
        (1, 1, "{:,.0f}", "0"),
        (0.1, 0.09999999, "{:+.2%}", "0.00%"),
        (None, 1.0, "{:.3f}", "-"),
    ],
)
def test_a_change_is_what_was_added_with_its_sign(before, now, pattern, said):
    assert change(before, now, pattern, "USD") == said


@pytest.mark.parametrize(
    ("name", "value", "pattern"),
    [
        ("intervals.sharpe.0", 1.2, "{:.3f}"),
        ("final_balances.BTC", "0.12345678", "{:,.8f}"),
        ("drawdowns.0.peak_equity", 100.5, MONEY),
        ("costs.total", "1.5", MONEY),
        ("breakdown.pair.BTC/USD.win_rate", 0.5, "{:.2%}"),
        ("max_consecutive_wins", 4, "{:,.0f}"),
        ("killed_at", "2024-01-01T00:00:00Z", None),
        ("short_sample", True, None),
    ],
)
def test_numbers_are_written_by_what_they_are(name, value, pattern):
    assert pattern_of(name, value) == pattern


def closed(folder, *pnl, reason="exit_signal"):
    folder.mkdir()
    n, prices = len(pnl), pa.decimal128(38, 8)
    times = pa.array([(k + 1) * DAY for k in range(n)], pa.timestamp("ns", "UTC"))
    money = pa.array([Decimal(value) for value in pnl], pa.decimal128(38, 16))
    one = pa.array([Decimal(1)] * n, prices)
    columns = {"pair": ["BTC/USD"] * n, "side": ["long"] * n, "entry_time": times, "exit_time": times}
    columns |= dict.fromkeys(("entry_price", "exit_price", "qty"), one) | {"pnl": money, "exit_reason": [reason] * n}
    pq.write_table(pa.table(columns), folder / "trades.parquet")
    return PastRun(f"mode.a={folder.name}", folder, {})


def test_the_first_trade_that_differs_counts_from_one(tmp_path):
    a = closed(tmp_path / "a", "1", "2", "3")
    for name, other, number in (
        ("same", closed(tmp_path / "b", "1", "2", "3"), None),
        ("profit", closed(tmp_path / "c", "1", "2.5", "3"), 2),
        ("shorter", closed(tmp_path / "d", "1", "2"), 3),
        ("reason", closed(tmp_path / "e", "1", "2", "3", reason="stop_loss"), 1),
    ):
        first = trade_differences(a, other)["first"]
        assert (first and first["number"]) == number, name
    assert trade_differences(a, closed(tmp_path / "f", "1", "2"))["first"]["b"] is None


def daily(folder, days, depth, step=DAY):
    """Write a run of closes of days, or of longer bars, whose drawdown of all bars is given; it closed no trade."""
    closed(folder)
    times = pa.array([(n + 1) * step for n in range(len(days))], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"time": times, "equity": days}), folder / "equity.parquet")
    metrics = {"final_equity": str(days[-1]), "total_return": days[-1] / 100.0 - 1.0, "max_drawdown": depth}
    run = past(folder.name, metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return PastRun(run.name, folder, run.manifest)


@pytest.mark.parametrize(("depth", "kept"), [(-0.05, True), (-0.6, False)])
def test_a_drawdown_that_day_closes_do_not_reach_has_no_interval_of_its_difference(tmp_path, depth, kept):
    levels = [[100.0 + size * (n % 5) for n in range(60)] for size in (1.0, 2.0)]
    depths = (-0.04, -0.04 + depth)
    runs = [daily(tmp_path / name, days, own) for name, days, own in zip("ab", levels, depths, strict=True)]
    intervals = paired_intervals(*runs)["intervals"]
    assert set(intervals) == {*NAMES, *OF_TRADES}
    assert (intervals["max_drawdown"] is not None) is kept
    assert (intervals["calmar"] is not None) is kept
    assert intervals["volatility"][0] > 0


def test_a_run_whose_equity_was_gone_for_a_time_has_no_interval(tmp_path):
    days = [[*[100.0, 101.0] * 30, low, 100.0, 101.0] for low in (90.0, -5.0)]
    runs = [daily(tmp_path / name, closes, -0.1) for name, closes in zip("ab", days, strict=True)]
    assert paired_intervals(runs[0], runs[0])["intervals"]["sharpe"] == [0.0, 0.0]
    found = paired_intervals(*runs)
    assert found["why"] == "equity was gone in one of the runs, or there were no bars"
    assert found["intervals"] == {}


def test_a_year_has_as_many_returns_as_bars_longer_than_a_day(tmp_path):
    levels = [[100.0 + size * (n % 5) for n in range(60)] for size in (1.0, 2.0)]
    found = {}
    for days in (1, 7):
        runs = [
            daily(tmp_path / f"{name}{days}", closes, -0.1, days * DAY)
            for name, closes in zip("ab", levels, strict=True)
        ]
        found[days] = paired_intervals(*runs)["intervals"]
    for name in ("sharpe", "sortino", "volatility"):
        assert found[7][name] == pytest.approx([end / 7**0.5 for end in found[1][name]], rel=1e-9)

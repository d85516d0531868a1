import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from kraken_flow import backtest
from kraken_flow.core.orders import Reason, State
from kraken_flow.runs import summary
from kraken_flow.runs.console import Report, print_json
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics
from tests.hand_made import BARS_A, fill, finished, market, pair_columns, s01

TITLES = (
    *("BACKTESTING REPORT", "LEFT OPEN TRADES REPORT", "ENTER TAG STATS", "EXIT REASON STATS"),
    *("SUMMARY METRICS", "COSTS", "DATA"),
)


def printed(run, notes=()) -> str:
    out = io.StringIO()
    Report(run, full_metrics(Tables(run)), notes).show(Console(file=out, width=80, highlight=False))
    return out.getvalue()


def busy(**more):
    tape = market(pair_columns("BTC/USD", BARS_A), pair_columns("DOGE/USD", BARS_A))
    orders = [
        {"side": 1, "tag": 1},
        {"side": -1, "reason": int(Reason.TRAILING_STOP)},
        {"side": 1, "pair": 1},
        {"side": 1, "state": int(State.REJECTED), "end_reason": int(Reason.BELOW_MIN_COST)},
    ]
    fills = [
        fill(0, 1, "10", "100.5", "1"),
        fill(1, 1, "10000", "0.1", pair=1, order=2),
        fill(2, -1, "10", "90", "1", order=1),
    ]
    return finished(replace(tape, **more), fills, orders, tags=("", "breakout"))


def test_the_tables_that_users_know():
    text = printed(busy(), ["something to know"])
    for word in (*TITLES, "trailing_stop", "breakout", "below_min_cost 1", "TOTAL"):
        assert word in text
    assert "note: something to know" in text
    assert "Sharpe (daily, 365)" in text
    assert "undefined (fewer than two returns)" in text
    assert "bars/s" in text


def test_it_fits_80_columns_without_colours():
    text = printed(busy(), ["a note of many words " * 10])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text
    assert "…" not in text


def test_every_table_from_the_sample_says_so():
    said = {line.rstrip() for line in printed(busy(synthetic_sample=True)).splitlines()}
    assert {f"{title} (synthetic sample market)" for title in TITLES} <= said
    plain = {line.rstrip() for line in printed(busy()).splitlines()}
    assert set(TITLES) <= plain
    assert not any("synthetic" in line for line in plain)


def test_a_run_without_trades_has_a_report():
    text = printed(finished(market(pair_columns("BTC/USD", BARS_A)), []))
    assert "undefined (no closed trades)" in text
    assert "EXIT REASON" not in text


def test_costs_say_how_large_the_system_may_become():
    words = ["strategy=sma_cross", "timeframe=4h", "risk=none", "exchange.slippage.model=sqrt_impact"]
    run = backtest([*words, "exchange.participation_cap=null"])
    size, text = run.metrics["capacity"], printed(run.tables.run)
    assert f"{size['edge_bps']:.2f} bps of what was traded; impact took {size['impact_bps']:.2f}" in text
    assert f"{float(size['equity']):,.2f} USD ({size['multiple']:.2f} times the size): impact" in text
    assert f"Impact                          {float(run.metrics['costs']['impact']):,.2f} USD" in text
    run = backtest([*words, "exchange.participation_cap=0.001"])
    less, text = run.metrics["capacity"], " ".join(printed(run.tables.run).split())
    assert (
        f"{float(less['fillable_equity']):,.2f} USD ({less['fillable_multiple']:.2f} times the size): no more" in text
    )
    assert "a fill then takes 0.1% of its bar's volume on average impact would take half the edge at" in text
    assert re.search(r"Capacity +undefined \(no impact model\)", printed(busy()))


def test_a_short_sample_is_flagged():
    assert "short sample" in printed(s01())


def test_json_prints_the_metrics_alone():
    out = io.StringIO()
    metrics = full_metrics(Tables(s01()))
    print_json(metrics, Console(file=out, width=20))
    assert json.loads(out.getvalue()) == metrics


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59 * 60, "0:59"), (19 * 3600 + 660, "19:11"), (90_000, "1d 01:00")]
)
def test_durations(seconds, text):
    assert summary.duration(seconds * 1e9) == text

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kraken_flow.analysis import breakdown
from kraken_flow.analysis.cautions import cautions
from kraken_flow.analysis.metrics import Hashes, complete, measure
from kraken_flow.core.orders import Reason
from kraken_flow.core.times import DAY
from tests.hand_made import BARS_A, HOUR, T0, fill, finished, market, pair_columns, s01

N = 24 * 400


@pytest.fixture(scope="module")
def run():
    """Trades at random times over 400 days, of two pairs."""
    rng = np.random.default_rng(4)
    pairs = [pair_columns(name, [(100, 101, 99, 100)] * N) for name in ("BTC/USD", "ETH/USD")]
    fills, rows = [], np.sort(rng.choice(N - 2, 400, replace=False)) + 1
    for place, row in enumerate(rows.tolist()):
        turn, pair = place // 2 % 2, place % 2
        price = str(round(100 + rng.normal(), 2)) if rng.random() < 0.9 else "100"
        fills.append(fill(row, -1 if turn else 1, "1", price, "0.1", pair=pair, open_phase=int(rng.random() < 0.5)))
    return finished(market(*pairs), fills, [{}])


def frame(run):
    trades = run.trades
    inside = run.result.fills["open_phase"][trades.last] == 0
    times = pd.to_datetime(run.fill_times[trades.last] - inside)
    return pd.DataFrame({"time": times, "pair": trades.pair, "pnl": trades.pnl.floats(10**16)})


@pytest.mark.parametrize(("period", "rule"), [("day", "D"), ("week", "W-SUN"), ("month", "M"), ("year", "Y")])
def test_periods_are_those_of_pandas(run, period, rule):
    table = frame(run)
    grouped = table.groupby(table.time.dt.to_period(rule)).pnl
    lines = [line for line in breakdown.by_period(run, period) if line.trades]
    assert [line.trades for line in lines] == grouped.size().tolist()
    assert [line.profit / 1e16 for line in lines] == pytest.approx(grouped.sum().tolist(), abs=1e-9)
    starts = [str(p.start_time.date())[: len(lines[0].name)] for p in grouped.size().index]
    assert [line.name for line in lines] == starts


def test_weekdays_are_seven_and_begin_on_monday(run):
    lines = breakdown.by_period(run, "weekday")
    expected = frame(run).time.dt.day_of_week.value_counts()
    assert lines[0].name == "Monday"
    assert {i: line.trades for i, line in enumerate(lines)} == {i: int(expected.get(i, 0)) for i in range(7)}


def test_every_breakdown_adds_up_to_the_total(run):
    found = breakdown.breakdowns(run)
    for name in ("pair", "enter_tag", "exit_reason", "mixed_tag", "month", "year", "weekday"):
        assert sum(row["trades"] for row in found[name]) == found["total"]["trades"] == len(run.trades)
        exact = sum(line.profit for line in breakdown.by_pair(run, run.trades))
        assert exact == run.trades.pnl.total()
    grown = np.prod([1 + row["return"] for row in found["month"]])
    assert grown == pytest.approx(run.result.equity[-1] / run.start_equity)
    assert len(found["month"]) == 14
    assert found["year"][0]["name"] == "2024"


def test_a_month_of_a_ruined_account_has_no_return():
    bars = [(100, 100, 100, 100), (100, 100, 100, 100), (100, 250, 100, 250), (250, 250, 250, 250)] + [(250,) * 4] * 40
    run = finished(market(pair_columns("BTC/USD", bars), timeframe_ns=DAY), [fill(1, -1, "100", "100")])
    assert breakdown.account_returns(run, "month") == [pytest.approx(-1.5), None]


def codes(run, **more):
    found = complete(run, measure(run), Hashes("", "", ""), **more)
    assert all(one["text"].endswith(".") for one in found["warnings"])
    return [one["code"] for one in found["warnings"]]


def test_warnings_of_a_short_run():
    found = codes(s01(), unaudited="not audited; mode=audit does it")
    assert found == ["few_trades", "no_slippage", "unaudited", "short_history", "worse_than_hold"]


def test_a_run_without_trades_says_that_there_is_nothing_to_judge():
    assert codes(finished(market(pair_columns("BTC/USD", BARS_A)), []))[0] == "no_trades"


def test_costs_that_eat_the_edge_are_told():
    bars = [(100, 100, 100, 100)] * 6
    fills = [fill(1, 1, "1", "100", "6"), fill(2, -1, "1", "110", "6")]
    assert "costs_exceed_edge" in codes(finished(market(pair_columns("BTC/USD", bars)), fills, [{}]))
    fills = [fill(1, 1, "1", "100", "3"), fill(2, -1, "1", "110", "3")]
    assert "costs_heavy" in codes(finished(market(pair_columns("BTC/USD", bars)), fills, [{}]))
    fills = [fill(1, 1, "1", "100"), fill(2, -1, "1", "110")]
    assert "no_costs" in codes(finished(market(pair_columns("BTC/USD", bars)), fills, [{}]))


def test_one_trade_that_made_the_profit_is_told():
    bars = [(100, 100, 100, 100)] * 10
    fills = [fill(1, 1, "1", "100"), fill(2, -1, "1", "190"), fill(3, 1, "1", "100"), fill(4, -1, "1", "101")]
    run = finished(market(pair_columns("BTC/USD", bars)), fills, [{}])
    assert "one_trade" in codes(run)
    open_profit = finished(market(pair_columns("BTC/USD", [*bars, (200,) * 4])), [fill(1, 1, "1", "100")], [{}])
    assert "open_profit" in codes(open_profit)


def test_exits_in_doubt_are_told_with_the_band():
    bars = [(100, 101, 99, 100), (100, 101, 99, 100), (101, 107, 95, 103)]
    legs = {"side": -1, "reduce_only": 1, "qty": 10**9}
    orders = [{"side": 1}, legs | {"type": 2, "stop_price": 97 * 10**8}, legs | {"type": 1, "limit_price": 106 * 10**8}]
    log = [{"kind": 2, "order": 2, "time": T0 + 3 * HOUR, "reason": 21}]
    fills = [fill(1, 1, "10", "100"), fill(2, -1, "10", "97", order=1, open_phase=0, ambiguous=1)]
    run = finished(market(pair_columns("BTC/USD", bars)), fills, orders, log)
    found = complete(run, measure(run), Hashes("", "", ""))
    told = {one["code"]: one["text"] for one in found["warnings"]}
    assert "-0.30%" in told["exits_ambiguous"]
    assert "+0.60%" in told["exits_ambiguous"]


@pytest.mark.parametrize(
    ("sharpe", "interval", "text"),
    [
        (0.9, (-0.35, 2.49), "The Sharpe ratio may as well be below zero: its 90 % interval is -0.35 to 2.49."),
        (
            -0.9,
            (-2.49, 0.35),
            "The Sharpe ratio is below zero, and whether the system loses is left open: "
            "its 90 % interval is -2.49 to 0.35.",
        ),
        (-0.9, (-2.49, -0.35), None),
        (0.9, (0.35, 2.49), None),
    ],
)
def test_what_a_sharpe_ratio_leaves_open_is_said_for_both_signs(sharpe, interval, text):
    run = s01()
    found = complete(run, measure(run), Hashes("", "", ""))
    metrics = found | {"sharpe": sharpe, "intervals": found["intervals"] | {"sharpe": interval}}
    told = {one.code: one.text for one in cautions(run, metrics)}
    assert told.get("sharpe_uncertain") == text


@pytest.fixture(scope="module")
def told():
    """Closed trades that won, lost and made nothing, of three pairs, tags and reasons, and two that are open."""
    rng = np.random.default_rng(12)
    bars = [(100, 100, 100, 100)] * 499 + [(104, 104, 104, 104)]
    pairs = [pair_columns(name, bars) for name in ("A/USD", "B/USD", "C/USD")]
    reasons = [Reason.EXIT_SIGNAL, Reason.ENTRY_SIGNAL, Reason.TRAILING_STOP]
    fills, orders, facts = [], [], []
    for number in range(122):
        pair, side, kind = number % 3, int(rng.choice([-1, 1])), int(rng.integers(3))
        entry, made, qty = (int(rng.choice(some)) for some in ([90, 100], [-5, 0, 0, 4, 6], [1, 2]))
        row, tag = 4 * number + 1, int(rng.integers(3))
        orders += [
            {"side": side, "pair": pair, "tag": tag},
            {"side": -side, "pair": pair, "reason": int(reasons[kind])},
        ]
        places = {"pair": pair, "order": 2 * number}
        fills.append(fill(row, side, str(qty), str(entry), **places))
        if number >= 120:
            continue
        last = row + int(rng.integers(1, 3))
        fills.append(fill(last, -side, str(qty), str(entry + side * made), **(places | {"order": 2 * number + 1})))
        word = ("exit_signal", "exit_signal", "trailing_stop")[kind]
        gain = (number, "ABC"[pair] + "/USD", ("", "x", "y")[tag], word, qty * made, made / entry, last - row)
        facts.append(gain)
    run = finished(market(*pairs), fills, orders, tags=("", "x", "y"))
    return run, pd.DataFrame(facts, columns=["n", "pair", "tag", "reason", "profit", "gain", "held"])


@pytest.mark.parametrize("by", ["pair", "tag", "reason", "mixed"])
def test_every_number_of_a_line_is_that_of_pandas(told, by):
    run, table = told
    table = table.assign(mixed=table.tag.where(table.tag != "", "-") + " / " + table.reason)
    name = {"tag": "enter_tag", "reason": "exit_reason", "mixed": "mixed_tag"}.get(by, by)
    found = {row["name"]: row for row in breakdown.breakdowns(run)[name]}
    assert set(found) == set(table[by])
    for word, part in [*table.groupby(by), (None, table)]:
        row = breakdown.breakdowns(run)["total"] if word is None else found[word]
        won, lost = part.profit[part.profit > 0], part.profit[part.profit < 0]
        assert (row["wins"], row["losses"]) == (len(won), len(lost))
        assert row["draws"] == (part.profit == 0).sum()
        assert row["win_rate"] == pytest.approx(len(won) / len(part))
        assert float(row["profit"]) == part.profit.sum()
        assert row["profit_factor"] == (pytest.approx(won.sum() / -lost.sum()) if len(lost) else None)
        assert row["mean_return"] == pytest.approx(part.gain.mean())
        assert row["mean_duration_s"] == pytest.approx(part.held.mean() * 3600)


def test_lines_stand_in_the_order_that_is_promised(told):
    run, _ = told
    found = breakdown.breakdowns(run)
    profits = [float(row["profit"]) for row in found["pair"]]
    assert profits == sorted(profits, reverse=True)
    counts = [(-row["trades"], row["name"]) for row in found["mixed_tag"]]
    assert counts == sorted(counts)
    assert found["total"]["name"] == "TOTAL"


def test_an_open_trade_is_valued_and_held_until_the_last_close(told):
    run, _ = told
    still = run.trips.where(~run.trips.closed)
    line = breakdown.total(run, still)
    rows = run.result.fills["row"][still.first]
    assert len(still) == line.trades == 2
    assert line.duration_ns == np.mean([(500 - row) * HOUR for row in rows])
    fills = run.result.fills
    made = [fills["side"][k] * fills["qty"][k] * (104 * 10**8 - fills["price"][k]) for k in still.first]
    assert line.profit == sum(map(int, made))


def test_a_line_without_trades_or_losses_says_what_is_not_defined():
    run = finished(market(pair_columns("A/USD", BARS_A), pair_columns("B/USD", BARS_A)), [], [{}])
    for row in (breakdown.total(run, run.trades).row(), breakdown.breakdowns(run)["pair"][1]):
        assert (row["trades"], row["profit"]) == (0, "0")
        assert {row[name] for name in ("win_rate", "mean_return", "profit_factor", "mean_duration_s")} == {None}
    won = finished(run.market, [fill(0, 1, "1", "100"), fill(1, -1, "1", "101")], [{}])
    assert breakdown.total(won, won.trades).profit_factor == "no_losing_trades"
    assert breakdown.total(run, run.trades).profit_factor == "no_closed_trades"


def test_pairs_without_trades_before_one_that_traded_take_nothing_from_it():
    tape = market(*(pair_columns(name, BARS_A) for name in ("A/USD", "B/USD", "C/USD")))
    run = finished(tape, [fill(0, 1, "1", "100", pair=1), fill(1, -1, "1", "103", pair=1)], [{}])
    lines = {line.name: (line.trades, line.profit, line.wins) for line in breakdown.by_pair(run, run.trades)}
    assert lines == {"B/USD": (1, 3 * 10**16, 1), "A/USD": (0, 0, 0), "C/USD": (0, 0, 0)}


@pytest.mark.parametrize(("days", "first_row"), [(1, 0), (31, 0), (32, 0), (61, 0), (400, 0), (60, 123), (60, 124)])
@pytest.mark.parametrize("period", ["month", "year"])
def test_months_and_years_are_those_in_which_the_bars_ended(days, first_row, period):
    """Row 123 is the last of January: a run that begins with it has a January of one bar."""
    worth = 100 + 40 * np.sin(np.arange(days * 4) / 7)
    bars = [(value,) * 4 for value in np.round(worth, 2).tolist()]
    tape = market(pair_columns("A/USD", bars), timeframe_ns=6 * HOUR, first_row=first_row)
    run = finished(tape, [fill(first_row, 1, "50", "100")], [{}])
    closes = pd.DatetimeIndex(run.closes) - pd.Timedelta(1, "ns")
    ends = pd.Series(run.result.equity, index=closes.to_period(period[0].upper())).groupby(level=0).last()
    expected = ends.to_numpy() / np.concatenate(([run.start_equity], ends.to_numpy()[:-1])) - 1
    assert breakdown.account_returns(run, period) == pytest.approx(expected.tolist())
    found = breakdown.breakdowns(run)[period]
    assert [row["name"] for row in found] == [str(end) for end in ends.index]
    assert [row["return"] for row in found] == pytest.approx(expected.tolist())


def test_from_the_month_on_in_which_nothing_was_left_there_is_no_return():
    levels = [100] * 20 + [200] * 31 + [100] * 40
    run = finished(
        market(pair_columns("A/USD", [(level,) * 4 for level in levels]), timeframe_ns=DAY),
        [fill(1, -1, "100", "100")],
    )
    assert breakdown.account_returns(run, "month") == [pytest.approx(-1.0), None, None]


def test_a_trade_that_was_entered_at_no_cost_has_no_return(told):
    run, _ = told
    free = replace(run.trades, entry_price=np.where(np.arange(len(run.trades)) == 3, 0, run.trades.entry_price))
    gains = breakdown.TradeColumns.of(run, run.trades).gain
    found = breakdown.TradeColumns.of(run, free).gain
    assert found[3] == 0.0
    assert np.delete(found, 3).tolist() == np.delete(gains, 3).tolist()

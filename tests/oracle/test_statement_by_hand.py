"""The statement against plain accounts of the same run: costs, benchmark, drawdowns, trades, intervals."""

import math
from dataclasses import replace

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.analysis import benchmark, bootstrap, ratios, returns, trade_ratios
from kraken_flow.analysis.excursion import initial_risk, range_at_entry
from kraken_flow.analysis.metrics import Hashes, complete, costs, measure
from kraken_flow.analysis.price_model import PriceModel
from kraken_flow.analysis.statement import cost_block, statement
from kraken_flow.core.contract import FlowKind
from kraken_flow.core.orders import Liquidity, OrderType
from kraken_flow.core.result import split128
from kraken_flow.core.terms import Slippage
from kraken_flow.core.times import DAY
from kraken_flow.core.units import UNIT, parse
from tests.hand_made import HOUR, T0, fill, finished, market, pair_columns
from tests.oracle.test_statement_goldens import plain_resample


def numbers(run):
    return complete(run, measure(run), Hashes("", "", ""))


def walk(n, seed, step=0.02):
    return np.round(100 * np.exp(np.random.default_rng(seed).normal(0, step, n).cumsum()), 2)


def bars_of(closes):
    return [(c, c, c, c) for c in closes.tolist()]


def money(value):
    """Split money as the engine's columns have it."""
    hi, lo = split128(parse(value, 16))
    return {"slip_hi": hi, "slip_lo": lo}


def flow(kind, amount):
    hi, lo = split128(parse(amount, 16))
    row = {"row": 1, "kind": int(kind), "pair": 0, "amount_hi": hi, "amount_lo": lo}
    return row | {"time": T0 + HOUR, "qty": 0, "price": 0, "rate": 0}


def costly():
    """A maker's entry and a taker's exit that made 20 before what they, funding and borrowed coins cost."""
    fills = [
        fill(0, 1, "2", "100", "0.25", liquidity=int(Liquidity.MAKER)),
        fill(2, -1, "2", "110", "0.5", liquidity=int(Liquidity.TAKER), **money("1.5")),
    ]
    run = finished(market(pair_columns("BTC/USD", [(100, 100, 100, 100)] * 3)), fills, [{}])
    flows = [flow(FlowKind.FUNDING, "-3"), flow(FlowKind.FUNDING, "1"), flow(FlowKind.BORROW_OPENING, "-0.75")]
    columns = {name: np.array([one[name] for one in flows], np.int64) for name in flows[0]}
    moved = run.result.final_cash - parse("2.75", 16)
    return replace(run, result=replace(run.result, flows=columns, final_cash=moved))


def test_every_cost_stands_in_its_own_line_and_they_add_up():
    run = costly()
    block, share = cost_block(run)
    assert block == {
        "maker_fees": "0.25",
        "taker_fees": "0.5",
        "spread": "0",
        "impact": "0",
        "slippage": "1.5",
        "funding": "2",
        "borrow": "0.75",
        "total": "5",
        # What it made, 20 less fees, funding and borrowing of 3.5, and all costs once more.
        "profit_before_costs": "21.5",
    }
    assert share == pytest.approx(5 / 21.5)
    found = {name: value / 10**16 for name, value in costs(run).items()}
    assert found == {"fees": 0.75, "slippage": 1.5, "funding": 2.0, "borrow": 0.75}
    measured = measure(run)
    assert (measured["funding_paid"], measured["funding_received"]) == ("3", "1")
    spread, same = cost_block(replace(run, prices=PriceModel(Slippage.HALF_SPREAD, 0.75)))
    assert (spread["spread"], spread["slippage"], spread["total"], same) == ("1.5", "0", "5", share)


@pytest.mark.parametrize(("exit_price", "share"), [("99", "no_profit_before_costs"), ("101", 1.0)])
def test_costs_have_no_share_of_a_profit_that_was_not_made(exit_price, share):
    fills = [fill(0, 1, "1", "100", "0.5"), fill(1, -1, "1", exit_price, "0.5")]
    run = finished(market(pair_columns("BTC/USD", [(100, 100, 100, 100)] * 2)), fills)
    assert cost_block(run)[1] == share


@given(st.integers(0, 2**32), st.integers(3, 40))
def test_comparisons_with_a_benchmark_are_those_of_numpy(seed, n):
    own, other = np.random.default_rng(seed).normal(0, 0.02, (2, n))
    assert benchmark.correlation(own, other) == pytest.approx(np.corrcoef(own, other)[0, 1], abs=1e-9)
    slope, level = np.polyfit(other, own, 1)
    assert benchmark.beta(own, other) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert benchmark.alpha(own, other, 365) == pytest.approx(365 * level, rel=1e-6, abs=1e-9)
    away = own - other
    assert benchmark.information_ratio(own, other, 52) == pytest.approx(
        away.mean() / away.std(ddof=1) * math.sqrt(52), rel=1e-9
    )


def test_correlation_of_what_never_varies_is_not_defined():
    other = np.array([0.01, -0.02, 0.03])
    assert benchmark.correlation(np.zeros(3), other) == "zero_variance"
    assert benchmark.correlation(other, np.zeros(3)) == "zero_variance_of_benchmark"
    assert benchmark.beta(other[:1], other[:1]) == "fewer_than_two_returns"
    assert benchmark.capture(other, np.abs(other), up=False) == "benchmark_never_fell"


@pytest.mark.parametrize("step", [HOUR, DAY, 7 * DAY])
def test_the_benchmark_is_measured_as_the_run_is(step):
    closes = walk(400, 3)
    tape = market(pair_columns("BTC/USD", bars_of(closes)), timeframe_ns=step)
    run = finished(tape, [fill(5, 1, "20", str(closes[5])), fill(300, -1, "20", str(closes[300]))], [{}])
    found = numbers(run)
    held = found["benchmark"]
    ends = T0 + step * np.arange(1, 401)
    days = pd.Series(closes, index=-(-ends // max(step, DAY))).groupby(level=0).last().to_numpy()
    daily = pd.Series(days / np.concatenate(([closes[0]], days[:-1])) - 1)
    year = 365 * DAY / max(step, DAY)
    assert held["total_return"] == pytest.approx(closes[-1] / closes[0] - 1)
    assert held["cagr"] == pytest.approx((closes[-1] / closes[0]) ** (365 * DAY / (400 * step)) - 1)
    assert held["sharpe"] == pytest.approx(empyrical.sharpe_ratio(daily, annualization=year))
    assert held["volatility"] == pytest.approx(empyrical.annual_volatility(daily, annualization=year))
    assert held["max_drawdown"] == pytest.approx((closes / np.maximum.accumulate(closes) - 1).min())
    assert held["excess_return"] == pytest.approx(found["total_return"] - held["total_return"])
    equity = pd.Series(run.result.equity, index=-(-ends // max(step, DAY))).groupby(level=0).last().to_numpy()
    own = equity / np.concatenate(([10_000.0], equity[:-1])) - 1
    assert held["beta"] == pytest.approx(np.cov(own, daily)[0, 1] / np.var(daily, ddof=1))
    assert held["up_capture"] == pytest.approx(own[daily > 0].mean() / daily[daily > 0].mean())
    assert held["down_capture"] == pytest.approx(own[daily < 0].mean() / daily[daily < 0].mean())
    bars = run.result.equity / np.concatenate(([10_000.0], run.result.equity[:-1])) - 1
    assert found["sharpe_bar"] == pytest.approx(bars.mean() / bars.std(ddof=1) * math.sqrt(365 * DAY / step))


def test_a_ruined_run_has_a_benchmark_and_no_comparison_with_it():
    bars = [(100,) * 4, (100,) * 4, (250,) * 4, (250,) * 4]
    found = numbers(finished(market(pair_columns("BTC/USD", bars)), [fill(1, -1, "100", "100")]))
    assert found["benchmark"]["total_return"] == 1.5
    assert found["benchmark"]["excess_return"] == -3.0
    for name in benchmark.AGAINST:
        assert found["benchmark"][name] is None
        assert found["null_reasons"][f"benchmark.{name}"] == "ruined"
    assert {found["null_reasons"][name] for name in ("volatility", "omega", "ulcer")} == {"ruined"}


@pytest.mark.parametrize(("close", "reason"), [(50, "benchmark_ruined"), (49, "benchmark_ruined"), (51, None)])
def test_a_coin_margined_benchmark_is_ruined_where_its_coin_halves(close, reason):
    bars = [(100,) * 4, (close,) * 4, (100,) * 4]
    run = finished(market(pair_columns("BTC/USD", bars)), [])
    coin = replace(run, instruments=[replace(run.instruments[0], pair="BTC/USD:BTC", settle="BTC")])
    assert coin.inverse.tolist() == [True]
    found = benchmark.against_hold(coin, np.array([0.01]), 365.0)
    if reason:
        assert found == dict.fromkeys(benchmark.NUMBERS, reason)
    else:
        assert found["total_return"] == 0.0


@settings(max_examples=25)
@given(st.lists(st.integers(60, 140), min_size=2, max_size=40))
def test_drawdowns_have_the_times_and_the_equity_of_a_walk_along_the_closes(levels):
    tape = market(pair_columns("BTC/USD", [(level,) * 4 for level in levels]))
    run = finished(tape, [fill(0, 1, "50", "100")])
    equity = [10_000.0 + 50 * (level - 100) for level in levels]
    points = [(T0, 10_000.0), *((T0 + (k + 1) * HOUR, worth) for k, worth in enumerate(equity))]
    walked, top, below = [], points[0], []
    for time, worth in points[1:]:
        if worth < top[1]:
            below.append((worth, time))
            continue
        if below:
            walked.append((top, below, time))
        top, below = (time, worth), []
    if below:
        walked.append((top, below, None))
    walked.sort(key=lambda one: min(one[1])[0] / one[0][1])
    found = numbers(run)
    assert len(found["drawdowns"]) == min(len(walked), 10)
    depths = [one["depth"] for one in found["drawdowns"]]
    assert depths == sorted(depths)
    by_peak = {one[0][0]: one for one in walked}
    for told in found["drawdowns"]:
        (peak, height), rows, end = by_peak[pd.Timestamp(told["peak"]).value]
        lowest, when = min(rows)
        assert pd.Timestamp(told["trough"]).value == when
        assert told["recovered"] is None if end is None else pd.Timestamp(told["recovered"]).value == end
        assert told["depth"] == pytest.approx(lowest / height - 1)
        assert (told["peak_equity"], told["trough_equity"]) == (height, lowest)
        assert (told["bars"], told["days"]) == (len(rows), pytest.approx(len(rows) / 24))
        assert told["bars_to_trough"] == (when - peak) // HOUR
    longest = max((len(rows) for _, rows, _ in walked), default=0)
    assert found["longest_underwater_bars"] == longest
    assert found["longest_underwater_days"] == pytest.approx(longest / 24)


PROFITS = st.lists(st.sampled_from([-70.0, -20.0, 0.0, 15.0, 40.0]), min_size=2, max_size=150)


@given(PROFITS)
def test_trade_ratios_are_their_definitions(values):
    profit = np.array(values)
    won, lost = [v for v in values if v > 0], [-v for v in values if v < 0]
    longest = [0, 0]
    for kind, sign in enumerate((1, -1)):
        streak = 0
        for value in values:
            streak = streak + 1 if value * sign > 0 else 0
            longest[kind] = max(longest[kind], streak)
    assert trade_ratios.longest_streaks(profit) == tuple(longest)
    if np.ptp(profit):
        size = math.sqrt(min(len(values), 100))
        assert trade_ratios.sqn(profit) == pytest.approx(size * np.mean(values) / np.std(values, ddof=1))
    if won and lost:
        payoff = np.mean(won) / np.mean(lost)
        share = len(won) / (len(won) + len(lost))
        assert trade_ratios.payoff(profit) == pytest.approx(payoff)
        assert trade_ratios.kelly(profit) == pytest.approx(share - (1 - share) / payoff)
        # What a mean loss at risk brings: the mean win in its units, times how often; draws bring nothing and count.
        expected = (1 + payoff) * len(won) / len(values) - 1
        assert trade_ratios.expectancy_ratio(profit) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "counted"), [(99, 99), (100, 100), (101, 100), (400, 100)])
def test_no_more_than_a_hundred_trades_make_a_system_better(n, counted):
    profit = np.where(np.arange(n) % 3, 2.0, -1.0)
    assert trade_ratios.sqn(profit) == pytest.approx(math.sqrt(counted) * profit.mean() / profit.std(ddof=1))


def test_the_edge_ratio_is_that_of_trades_with_a_known_range():
    mae, mfe = np.array([-0.02, -0.01, -0.5]), np.array([0.03, 0.02, 0.5])
    spread = np.array([0.01, 0.02, np.nan])
    assert trade_ratios.edge_ratio(mae, mfe, spread) == pytest.approx((3 + 1) / (2 + 0.5))
    assert trade_ratios.edge_ratio(mae[2:], mfe[2:], spread[2:]) == "no_range_at_entry"
    assert trade_ratios.edge_ratio(np.zeros(1), mfe[:1], spread[:1]) == "no_adverse_excursion"


def test_the_range_at_entry_is_the_mean_of_the_true_ranges_before():
    rng = np.random.default_rng(8)
    closes = walk(60, 9)
    high, low = closes + rng.integers(0, 3, 60), closes - rng.integers(0, 3, 60)
    tape = market(pair_columns("A/USD", np.stack([closes, high, low, closes], 1).tolist()))
    fills = []
    for row in range(2, 58, 4):
        fills += [fill(row, 1, "1", str(closes[row])), fill(row + 1, -1, "1", str(closes[row + 1]))]
    run = finished(tape, fills)
    found = range_at_entry(run.trades, run.result.fills, run.market)
    for trade, row in enumerate(range(2, 58, 4)):
        ranges = [
            max(high[k] - low[k], abs(high[k] - closes[k - 1]), abs(low[k] - closes[k - 1]))
            for k in range(row - 14, row)
            if k >= 1
        ]
        if len(ranges) < 14:
            assert np.isnan(found[trade])
        else:
            assert found[trade] == pytest.approx(np.mean(ranges) / closes[row], rel=1e-6)
    assert np.isfinite(found).sum() == len([row for row in range(2, 58, 4) if row >= 15])


@pytest.mark.parametrize(
    ("stop", "risk"),
    [
        ({"type": int(OrderType.STOP), "stop_price": parse("104")}, 0.04),
        ({"type": int(OrderType.TRAILING), "trail": parse("3")}, 0.03),
        ({"type": int(OrderType.TRAILING), "trail_rate": UNIT // 50}, 0.02),
        ({"type": int(OrderType.LIMIT), "limit_price": parse("90")}, None),
        ({"type": int(OrderType.STOP), "stop_price": parse("104"), "reduce_only": 0}, None),
        ({"type": int(OrderType.STOP), "stop_price": parse("104"), "pair": 1}, None),
    ],
)
def test_the_risk_of_a_short_is_its_distance_to_what_protects_it(stop, risk):
    bars = [(100, 100, 100, 100)] * 4
    orders = [{"side": -1}, {"side": 1, "reduce_only": 1} | stop, {"side": 1}, {"side": 1, "reduce_only": 1} | stop]
    fills = [fill(1, -1, "1", "100"), fill(2, 1, "1", "99", order=2)]
    run = finished(market(pair_columns("A/USD", bars), pair_columns("B/USD", bars)), fills, orders)
    found = initial_risk(run.trades, run.result.orders, run.result.fills)
    assert np.isnan(found[0]) if risk is None else found[0] == pytest.approx(risk)


@given(st.integers(0, 2**32), st.integers(3, 60))
def test_a_sharpe_ratio_of_returns_that_hang_together_is_scaled_by_their_autocorrelation(seed, n):
    r = np.random.default_rng(seed).normal(0.001, 0.02, n)
    away = r - r.mean()
    rho = sum(away[k] * away[k - 1] for k in range(1, n)) / sum(x * x for x in away)
    assert ratios.autocorrelation(r) == pytest.approx(rho, abs=1e-12)
    q = 52
    scale = q / math.sqrt(q + 2 * sum((q - k) * rho**k for k in range(1, q)))
    assert ratios.sharpe_lo(r, q) == pytest.approx(r.mean() / r.std(ddof=1) * scale, rel=1e-9)


def test_every_interval_lies_between_the_percentiles_of_resamples_drawn_one_by_one():
    n, year = 60, 365.0
    r = np.random.default_rng(4).normal(0.002, 0.02, n)
    draws = bootstrap.Draws.of(n, 300)
    made = {name: [] for name in bootstrap.OF_RETURNS}
    for drawn in plain_resample(draws, r):
        total = float(np.prod(1 + drawn)) - 1
        depth = returns.max_drawdown(np.cumprod(1 + drawn), 1.0)
        growth = returns.cagr(total, n * DAY)
        values = {"total_return": total, "cagr": growth, "max_drawdown": depth}
        values |= {"calmar": returns.calmar(growth, depth), "volatility": ratios.volatility(drawn, year)}
        values |= {"sharpe": returns.sharpe(drawn, year), "sortino": returns.sortino(drawn, year)}
        for name, value in values.items():
            made[name].append(value)
    found = bootstrap.return_intervals(r, year, n * DAY, 300)
    assert set(found) == set(made)
    for name, values in made.items():
        assert found[name] == pytest.approx(np.percentile(values, [5, 95]), rel=1e-6), name


def test_the_intervals_of_trades_are_those_of_resamples_drawn_one_by_one():
    profit = np.random.default_rng(5).choice([-3.0, -1.0, 0.0, 2.0, 5.0], 50)
    draws = bootstrap.Draws.of(50, 300)
    made = list(plain_resample(draws, profit))
    expected = {
        "win_rate": [(drawn > 0).mean() for drawn in made],
        "profit_factor": [drawn[drawn > 0].sum() / -drawn[drawn < 0].sum() for drawn in made],
        "expectancy": [drawn.mean() for drawn in made],
    }
    found = bootstrap.trade_intervals(profit, 300)
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.percentile(values, [5, 95]), rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize(("n", "length"), [(1, 1), (27, 3), (1000, 10), (3650, 15)])
def test_blocks_grow_with_the_third_root(n, length):
    assert bootstrap.block_length(n) == length


def test_an_interval_needs_thirty_observations_and_nine_draws_in_ten():
    r = np.random.default_rng(6).normal(0, 0.01, 30)
    assert isinstance(bootstrap.return_intervals(r, 365, 30 * DAY)["sharpe"], list)
    assert bootstrap.return_intervals(r[:29], 365, 29 * DAY)["sharpe"] == "too_few_returns"
    assert isinstance(bootstrap.trade_intervals(r)["win_rate"], list)
    assert bootstrap.trade_intervals(r[:29])["win_rate"] == "too_few_trades"
    idle = np.concatenate((r, np.zeros(300)))
    assert isinstance(bootstrap.return_intervals(idle, 365, 330 * DAY)["sharpe"], list)
    idle[0] = 0.0
    assert set(bootstrap.return_intervals(idle, 365, 330 * DAY).values()) == {"few_returns_not_zero"}
    values = np.arange(100.0)
    values[:10] = np.nan
    assert bootstrap.between(values) == pytest.approx(np.percentile(values[10:], [5, 95]))
    values[10] = np.inf
    assert bootstrap.between(values) == "often_undefined"


def test_what_is_told_of_trades_is_made_of_their_profits_and_only_what_is_missing_has_a_reason():
    made = [(100, 7.0), (100, -3.0), (50, 4.0), (100, 0.0), (50, -6.0), (100, 1.0)]
    fills = []
    for number, (price, profit) in enumerate(made):
        fills += [fill(3 * number, 1, "1", str(price)), fill(3 * number + 2, -1, "1", str(price + profit))]
    bars = [(100, 104, 98, 100)] * 20
    found = numbers(finished(market(pair_columns("A/USD", bars)), fills, [{}]))
    profit = np.array([profit for _, profit in made])
    gains = [profit / price for price, profit in made]
    assert (found["best_trade"], found["worst_trade"]) == (pytest.approx(max(gains)), pytest.approx(min(gains)))
    assert (found["average_win"], found["average_loss"]) == ("4", "-4.5")
    assert found["mean_duration_s"] == 2 * 3600
    for name in ("payoff", "kelly", "sqn", "expectancy_ratio"):
        assert found[name] == pytest.approx(getattr(trade_ratios, name)(profit))
    assert (found["max_consecutive_wins"], found["max_consecutive_losses"]) == trade_ratios.longest_streaks(profit)
    assert found["edge_ratio"] is not None
    for name, reason in found["null_reasons"].items():
        value = found
        for part in name.split("."):
            value = value[part]
        assert value is None, name
        assert isinstance(reason, str), name


def test_a_run_without_bars_says_so_of_every_number_of_its_curve():
    run = finished(market(pair_columns("A/USD", [(100,) * 4] * 3), first_row=3), [])
    values, reasons = statement(run)
    for name in ("volatility", "sharpe_bar", "omega", "ulcer"):
        assert (values[name], reasons[name]) == (None, "no_bars")
    assert {reasons[f"benchmark.{name}"] for name in benchmark.NUMBERS} == {"no_bars"}

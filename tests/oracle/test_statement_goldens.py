"""The statistics beyond the headline ones against the worked numbers of the specification and plain closed forms."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis import benchmark, bootstrap, ratios, returns, trade_ratios, underwater
from kraken_flow.analysis.ambiguity import band
from kraken_flow.analysis.excursion import initial_risk
from kraken_flow.analysis.holdings import Holdings
from kraken_flow.analysis.metrics import Hashes, complete, measure
from kraken_flow.core.times import DAY
from kraken_flow.core.units import parse
from tests.hand_made import T0, fill, finished, market, pair_columns, s01

R10 = np.array([0.01, -0.005, 0.02, -0.015, 0, 0.012, -0.03, 0.025, 0.004, -0.002])
B10 = np.array([0.008, -0.004, 0.015, -0.02, 0.002, 0.01, -0.025, 0.02, 0, -0.001])
CURVE = 10_000 * np.cumprod(1 + R10)
DEPTHS = returns.drawdowns(CURVE, 10_000)
PNL = np.array([120, -50, 80, -70, 0, 200, -90, 60, -40, 30], float)


def numbers(run):
    return complete(run, measure(run), Hashes("", "", ""))


@pytest.mark.parametrize(
    ("found", "golden"),
    [
        (ratios.volatility(R10, 365), 0.31217134),
        (returns.sharpe(R10 - 0.02 / 365, 365), 2.1574690),
        (returns.sharpe(R10 - (1.02 ** (1 / 365) - 1), 365), 2.1580996),
        (ratios.lo_factor(365, 0.1), 17.285883),
        (ratios.lo_factor(365, 0.0), 19.104973),
        (ratios.omega(R10), 1.3653846),
        (ratios.omega(R10, 0.001), 1.1578947),
        (ratios.gain_to_pain(R10), 0.36538462),
        (ratios.tail_ratio(R10), 0.97849462),
        (ratios.skew(R10), -0.47938402),
        (ratios.skew_adjusted(R10), -0.56847951),
        (ratios.kurtosis(R10), 2.6436289),
        (ratios.excess_kurtosis(R10), 0.33427245),
        (underwater.ulcer(DEPTHS), 0.012547099),
        (underwater.pain(DEPTHS), 0.0092061144),
        (underwater.recovery_factor(CURVE[-1] / 10_000 - 1, returns.max_drawdown(CURVE, 10_000)), 0.54217842),
        (benchmark.beta(R10, B10), 1.1255115),
        (benchmark.alpha(R10, B10, 365), 0.48809413),
        (benchmark.information_ratio(R10, B10, 365), 7.6367960),
        (benchmark.capture(R10, B10, up=True), 1.2181818),
        (benchmark.capture(R10, B10, up=False), 1.04),
        (trade_ratios.payoff(PNL), 1.568),
        (trade_ratios.sqn(PNL), 0.82244099),
        (trade_ratios.kelly(PNL), 0.27210884),
    ],
)
def test_goldens(found, golden):
    assert found == pytest.approx(golden, rel=1e-7)


def test_the_longest_time_under_water_is_counted_in_bars():
    assert underwater.longest_underwater(DEPTHS) == (7, True)
    assert trade_ratios.longest_streaks(PNL) == (1, 1)


def test_streaks_are_broken_by_a_zero():
    assert trade_ratios.longest_streaks(np.array([1.0, 1.0, 0.0, 1.0, -1.0, -1.0])) == (2, 2)
    assert trade_ratios.longest_streaks(np.zeros(0)) == (0, 0)


def test_exposure_goldens():
    bars = [(100, 100, 100, 100)] * 10
    sides = [(1, 1, 50), (3, 1, 50), (5, -1, 100), (6, -1, 50), (8, 1, 50)]
    fills = [fill(row, side, str(qty), "100") for row, side, qty in sides]
    run = finished(market(pair_columns("BTC/USD", bars), timeframe_ns=DAY), fills)
    found = Holdings.of(run).statistics(run.result.equity)
    assert found == {"time_in_market": 0.6, "net_exposure": pytest.approx(0.2), "max_open_positions": 1}


def test_excursion_golden_in_percent_and_in_r():
    bars = [(100, 100, 100, 100), (100, 106.5, 96.5, 100), (100, 100, 100, 100)]
    run = finished(market(pair_columns("BTC/USD", bars)), [fill(1, 1, "1", "100"), fill(2, -1, "1", "100")])
    mae, mfe = run.excursions
    assert (mae[0], mfe[0]) == (pytest.approx(-0.035), pytest.approx(0.065))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (ratios.volatility(R10[:1], 365), "fewer_than_two_returns"),
        (ratios.sharpe_lo(np.zeros(5), 365), "zero_variance"),
        (ratios.omega(np.ones(3)), "no_negative_returns"),
        (ratios.gain_to_pain(np.ones(3)), "no_negative_returns"),
        (ratios.tail_ratio(np.zeros(3)), "zero_percentile"),
        (ratios.skew(np.zeros(4)), "zero_variance"),
        (ratios.excess_kurtosis(R10[:3]), "too_few_returns"),
        (underwater.recovery_factor(0.1, 0.0), "no_drawdown"),
        (benchmark.beta(R10, np.zeros(10)), "zero_variance_of_benchmark"),
        (benchmark.capture(R10, np.zeros(10), up=True), "benchmark_never_rose"),
        (benchmark.information_ratio(R10, R10, 365), "zero_variance"),
        (trade_ratios.payoff(np.ones(3)), "no_losing_trades"),
        (trade_ratios.payoff(-np.ones(3)), "no_winning_trades"),
        (trade_ratios.sqn(np.ones(1)), "fewer_than_two_trades"),
        (trade_ratios.sqn(np.ones(3)), "zero_variance"),
    ],
)
def test_what_is_not_defined_says_why(found, reason):
    assert found == reason


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60), st.floats(1, 1e6))
def test_episodes_equal_a_walk_along_the_curve(curve, start):
    depths = returns.drawdowns(np.array(curve), start)
    walked, open_one = [], []
    for row, depth in enumerate(depths.tolist()):
        if depth < 0:
            open_one.append((depth, row))
        elif open_one:
            walked.append(open_one)
            open_one = []
    expected = [(*min(one), one[0][1], one[-1][1], True) for one in walked]
    if open_one:
        expected.append((*min(open_one), open_one[0][1], open_one[-1][1], False))
    found = underwater.episodes(depths, most=1000)
    got = [(e.depth, e.trough, e.first, e.last, e.recovered) for e in found]
    assert sorted(got) == sorted(expected)
    assert [e.depth for e in found] == sorted(e.depth for e in found)
    longest = max((e.rows for e in found), default=0)
    assert underwater.longest_underwater(depths)[0] == longest


def test_hold_is_bought_at_the_first_close_and_waits_for_a_later_pair():
    one = pair_columns("BTC/USD", [(100, 100, 100, 100), (100, 120, 100, 120), (120, 150, 120, 150)])
    other = pair_columns("ETH/USD", [(10, 10, 10, 10), (10, 10, 10, 10), (10, 20, 10, 20)])
    other.state[0] = 0
    run = finished(market(one, other), [])
    assert benchmark.hold_equity(run).tolist() == pytest.approx([1.0, 1.1, 1.75])


def test_a_run_that_holds_is_its_own_benchmark():
    rng = np.random.default_rng(5)
    closes = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.02, 100))), 2)
    bars = [(c, c, c, c) for c in closes.tolist()]
    tape = market(pair_columns("BTC/USD", bars), timeframe_ns=DAY)
    qty = str(round(10_000 / closes[0], 8))
    found = numbers(finished(tape, [fill(0, 1, qty, str(closes[0]))]))["benchmark"]
    assert (found["beta"], found["correlation"]) == (pytest.approx(1), pytest.approx(1))
    assert found["alpha"] == pytest.approx(0, abs=1e-6)
    assert found["excess_return"] == pytest.approx(0, abs=1e-6)


def test_costs_add_up_to_what_a_free_run_would_have_made():
    found = numbers(s01())
    assert found["costs"]["total"] == "2.027"
    assert found["costs"]["profit_before_costs"] == "17"
    assert found["cost_share"] == pytest.approx(2.027 / 17)


def test_every_null_has_a_reason_and_no_number_is_infinite():
    bars = [(100, 100, 100, 100)] * 72
    for run in (finished(market(pair_columns("BTC/USD", bars)), []), s01()):
        found = numbers(run)
        assert found["null_reasons"].keys() >= {name for name, value in found.items() if value is None}
        for group in ("benchmark", "intervals"):
            for name, value in found[group].items():
                assert value is not None or f"{group}.{name}" in found["null_reasons"]
        flat = [v for v in found.values() if isinstance(v, float)]
        assert np.isfinite(flat).all()


def test_r_is_the_distance_to_the_first_stop():
    bars = [(100, 101, 99, 100), (100, 106, 97, 104), (104, 110, 103, 109), (109, 109, 109, 109)]
    orders = [
        {"side": 1},
        {"side": -1, "type": 2, "reduce_only": 1, "stop_price": parse("95")},
        {"side": -1},
    ]
    fills = [fill(1, 1, "1", "100"), fill(3, -1, "1", "109", order=2)]
    run = finished(market(pair_columns("BTC/USD", bars)), fills, orders)
    risk = initial_risk(run.trades, run.result.orders, run.result.fills)
    assert risk.tolist() == pytest.approx([0.05])
    assert run.excursions[1][0] / risk[0] == pytest.approx(2.0)


def test_trades_without_a_stop_have_no_r():
    run = s01()
    assert np.isnan(initial_risk(run.trades, run.result.orders, run.result.fills)).all()


def bracket(reason, price, siblings, entry_phase=1, entry_type=0):
    """A long of 10 from 100 that leaves in row 2 (101/107/95/103), beside the legs that were cancelled there."""
    bars = [(100, 101, 99, 100), (100, 101, 99, 100), (101, 107, 95, 103)]
    close = T0 + 3 * 3_600 * 10**9
    kinds = {"stop": {"type": 2, "stop_price": parse("97")}, "target": {"type": 1, "limit_price": parse("106")}}
    leg = {"side": -1, "reduce_only": 1, "qty": parse("10")}
    orders = [{"side": 1, "type": entry_type}, leg | kinds[reason], *(leg | kinds[name] for name in siblings)]
    log = [{"kind": 2, "order": 2 + i, "time": close, "reason": 21} for i in range(len(siblings))]
    row = 1 if entry_phase else 2
    fills = [
        fill(row, 1, "10", "100", open_phase=entry_phase),
        fill(2, -1, "10", price, order=1, open_phase=0, ambiguous=1),
    ]
    return band(finished(market(pair_columns("BTC/USD", bars)), fills, orders, log))


def test_the_band_of_a_stop_that_might_have_been_a_target():
    found = bracket("stop", "97", ["target"])
    assert (found.exits, found.alternatives) == (1, 1)
    assert (found.worse, found.better) == (0, 90 * 10**16)


def test_the_band_of_a_target_that_might_have_been_a_stop():
    found = bracket("target", "106", ["stop"])
    assert (found.worse, found.better) == (-90 * 10**16, 0)


def test_after_an_entry_by_a_stop_inside_the_bar_the_stop_need_not_have_been_reached():
    found = bracket("stop", "97", [], entry_phase=0, entry_type=2)
    assert (found.worse, found.better) == (0, 60 * 10**16)


def test_after_an_entry_by_a_limit_inside_the_bar_there_is_nothing_else():
    found = bracket("stop", "97", [], entry_phase=0, entry_type=1)
    assert (found.alternatives, found.better) == (0, 0)


def plain_resample(draws, values):
    """Walk the blocks, as the definition says."""
    bounds = [*draws.firsts.tolist(), len(draws.starts)]
    for first, last in pairwise(bounds):
        rows = []
        for start, length in zip(draws.starts[first:last], draws.lengths[first:last], strict=True):
            rows += [(start + k) % draws.n for k in range(length)]
        assert len(rows) == draws.n
        yield values[rows]


def test_draws_are_blocks_on_a_circle():
    draws = bootstrap.Draws.of(50, 40)
    values = np.random.default_rng(3).normal(0.001, 0.02, 50)
    sums = draws.sums(values)
    deepest = draws.deepest(np.log1p(values))
    for i, drawn in enumerate(plain_resample(draws, values)):
        assert sums[i] == pytest.approx(drawn.sum(), abs=1e-12)
        assert deepest[i] == pytest.approx(returns.drawdowns(np.cumprod(1 + drawn), 1.0).min(), abs=1e-12)
    assert draws.lengths.mean() == pytest.approx(bootstrap.block_length(50), rel=0.2)


def test_the_interval_of_a_sharpe_ratio_is_that_of_theory_for_independent_returns():
    """The standard error of a Sharpe ratio of n normal returns is sqrt((1 + S^2 / 2) / n) per period (Lo 2002)."""
    daily = np.random.default_rng(11).normal(0.001, 0.02, 3650)
    low, high = bootstrap.return_intervals(daily, 365, 3650 * DAY)["sharpe"]
    sharpe = daily.mean() / daily.std(ddof=1)
    error = 1.6449 * np.sqrt((1 + sharpe**2 / 2) / 3650) * np.sqrt(365)
    assert low == pytest.approx(sharpe * np.sqrt(365) - error, abs=0.12)
    assert high == pytest.approx(sharpe * np.sqrt(365) + error, abs=0.12)


def test_nine_of_ten_intervals_hold_the_true_value():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        low, high = bootstrap.return_intervals(rng.normal(0.001, 0.02, 400), 365, 400 * DAY, 300)["sharpe"]
        held += low <= 0.05 * np.sqrt(365) <= high
    assert 80 <= held <= 97


def test_intervals_are_the_same_every_time_and_lacking_where_there_is_little():
    assert bootstrap.return_intervals(R10, 365, 10 * DAY)["sharpe"] == "too_few_returns"
    assert bootstrap.trade_intervals(PNL)["win_rate"] == "too_few_trades"
    many = np.tile(PNL, 10)
    first, again = (bootstrap.trade_intervals(many) for _ in range(2))
    assert first == again
    assert first["win_rate"][0] < 0.5 < first["win_rate"][1]
    assert bootstrap.trade_intervals(np.ones(50))["profit_factor"] == "often_undefined"

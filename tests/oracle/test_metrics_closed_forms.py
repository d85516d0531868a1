"""Statistics against the worked numbers of the specification and against plain closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis import returns
from kraken_flow.analysis.metrics import equity_statistics, measure, trade_statistics
from kraken_flow.analysis.wide import Wide
from kraken_flow.core.times import DAY
from tests.hand_made import CASH, HOUR, T0, fill, finished, market, pair_columns

R10 = np.array([0.01, -0.005, 0.02, -0.015, 0, 0.012, -0.03, 0.025, 0.004, -0.002])
CURVE = 10_000 * np.cumprod(1 + R10)


def close_to(value: float):
    return pytest.approx(value, rel=1e-7)


def test_r10():
    daily = returns.daily_returns(CURVE, 10_000, T0 + DAY, DAY)
    assert daily == pytest.approx(R10, abs=1e-15)
    assert returns.sharpe(daily, 365) == close_to(2.2215364)
    assert returns.sortino(daily, 365) == close_to(3.3790695)
    total = CURVE[-1] / 10_000 - 1
    assert total == close_to(0.017937756)
    growth = returns.cagr(total, 10 * DAY)
    assert growth == close_to(0.91348315)
    assert returns.max_drawdown(CURVE, 10_000) == pytest.approx(-0.0330846, abs=5e-8)
    assert returns.calmar(growth, returns.max_drawdown(CURVE, 10_000)) == close_to(27.610524)


@given(st.integers(0, 23), st.integers(1, 200), st.sampled_from([HOUR // 4, HOUR, 4 * HOUR, 7 * HOUR, DAY]))
def test_day_closes_equal_a_loop_over_rows(hour, n, step):
    first = T0 + hour * HOUR + step
    closes = [first + k * step for k in range(n)]
    last_of_day = {-(-close // DAY): k for k, close in enumerate(closes)}
    assert returns.day_ends(first, step, n).tolist() == sorted(last_of_day.values())


def test_bars_longer_than_a_day_are_their_own_periods():
    assert returns.day_ends(T0 + 7 * DAY, 7 * DAY, 3).tolist() == [0, 1, 2]


def test_hourly_equity_is_measured_on_day_closes():
    hourly = np.linspace(10_000, 10_500, 72) + 50 * np.sin(np.arange(72))
    daily = returns.daily_returns(hourly, 10_000, T0 + HOUR, HOUR)
    closes = np.array([10_000, hourly[23], hourly[47], hourly[71]])
    assert daily == pytest.approx(closes[1:] / closes[:-1] - 1)


curves = st.lists(st.floats(1, 1e6), min_size=1, max_size=60)


@given(curves, st.floats(1, 1e6), st.floats(0.001, 1000))
def test_drawdown_equals_its_definition_and_no_scale_matters(curve, start, scale):
    equity = np.array(curve)
    seen = [start, *curve]
    worst = min(value / max(seen[: i + 1]) - 1 for i, value in enumerate(seen))
    assert returns.max_drawdown(equity, start) == pytest.approx(worst, abs=1e-15)
    assert returns.drawdowns(equity, start).min(initial=0.0) == pytest.approx(worst, abs=1e-15)
    assert returns.max_drawdown(equity * scale, start * scale) == pytest.approx(worst, abs=1e-12)


def test_drawdown_of_a_long_curve_is_that_of_its_column():
    rng = np.random.default_rng(7)
    for size in (1023, 1024, 1025, 50_000):
        equity = 10_000 * np.exp(np.cumsum(rng.normal(0, 0.01, size)))
        assert returns.max_drawdown(equity, 10_000) == returns.drawdowns(equity, 10_000).min()


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=50), st.floats(0.1, 3))
def test_ratios_equal_their_closed_forms_and_ignore_leverage(values, leverage):
    r = np.array(values)
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    found = returns.sharpe(r, 365)
    if deviation > 1e-6:
        assert found == pytest.approx(mean / deviation * math.sqrt(365), rel=1e-6, abs=1e-9)
        assert returns.sharpe(r * leverage, 365) == pytest.approx(found, rel=1e-6, abs=1e-9)
    downside = math.sqrt(math.fsum(min(v, 0) ** 2 for v in values) / len(values))
    if downside > 1e-6:
        assert returns.sortino(r, 365) == pytest.approx(mean / downside * math.sqrt(365), rel=1e-6, abs=1e-9)


def test_trade_list_golden():
    pnl = Wide.of_ints(v * 10**16 for v in [120, -50, 80, -70, 0, 200, -90, 60, -40, 30])
    stats = trade_statistics(pnl)
    assert stats["win_rate"] == 0.5
    assert stats["profit_factor"] == pytest.approx(1.96)
    assert stats["expectancy"] == 24 * 10**16


@pytest.mark.parametrize(
    ("total", "n", "mean"), [(1, 2, 0), (3, 2, 2), (-1, 2, 0), (-3, 2, -2), (2, 3, 1), (-2, 3, -1)]
)
def test_expectancy_is_rounded_half_to_even(total, n, mean):
    assert trade_statistics(Wide.of_ints([total] + [0] * (n - 1)))["expectancy"] == mean


def test_exposure_and_turnover_golden():
    bars = [(100, 100, 100, 100)] * 10
    sides = [(1, 1, 50), (3, 1, 50), (5, -1, 100), (6, -1, 50), (8, 1, 50)]
    fills = [fill(row, side, str(qty), "100") for row, side, qty in sides]
    stats = equity_statistics(finished(market(pair_columns("BTC/USD", bars), timeframe_ns=DAY), fills))
    assert stats["exposure"] == pytest.approx(0.4)
    assert stats["turnover"] == pytest.approx(3.0 * 365 / 10)


def test_a_flat_run_has_reasons_for_what_is_not_defined():
    bars = [(100, 100, 100, 100)] * 72
    numbers = measure(finished(market(pair_columns("BTC/USD", bars)), []))
    assert numbers["total_return"] == 0
    assert numbers["max_drawdown"] == 0
    assert numbers["cagr"] == 0
    assert numbers["null_reasons"] == {
        "killed_at": "not_killed",
        "shortfall_bps": "no_parents",
        "sharpe": "zero_variance",
        "sortino": "no_negative_returns",
        "calmar": "no_drawdown",
        "win_rate": "no_closed_trades",
        "profit_factor": "no_closed_trades",
        "expectancy": "no_closed_trades",
    }
    assert all(numbers[name] is None for name in numbers["null_reasons"])


def test_a_ruined_account_has_no_ratios():
    bars = [(100, 100, 100, 100), (100, 100, 100, 100), (100, 250, 100, 250), (250, 250, 250, 250)]
    numbers = measure(finished(market(pair_columns("BTC/USD", bars)), [fill(1, -1, "100", "100")]))
    assert numbers["final_equity"] == "-5000"
    assert numbers["max_drawdown"] == -1
    assert {numbers["null_reasons"][n] for n in ("sharpe", "sortino", "cagr", "calmar")} == {"ruined"}
    assert numbers["exposure"] == pytest.approx(0.5)


def test_a_growth_that_no_float_holds_is_undefined():
    assert returns.cagr(1e6, HOUR) == "sample_too_short"


def test_starting_equity_is_the_account_s():
    bars = [(100, 100, 100, 100)] * 2
    run = finished(market(pair_columns("BTC/USD", bars)), [], cash=CASH * 3)
    assert run.start_equity == 30_000
    assert measure(run)["final_balances"] == {"USD": "30000"}

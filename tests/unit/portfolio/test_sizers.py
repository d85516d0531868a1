"""Sizes of the portfolios against exact fractions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.compile import periods_root
from kraken_flow.core.times import DAY, parse_timeframe
from kraken_flow.core.units import CASH_UNIT, FIX, FIX_NAN, UNIT, fix, parse, rate
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.portfolio.fixed_risk import FixedRisk, quantity
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.portfolio.vol_target import VolTarget
from kraken_flow.risk.position import PositionLimits, PositionRisk


def view(
    equity: float,
    prices: list[float],
    forecasts: list[float],
    volatility: list[float] | None = None,
    stop: float = 0.03,
) -> View:
    """A view of an hourly account without leverage."""
    state = View(len(prices), UNIT, rate(stop), periods_root(parse_timeframe("1h")))
    state.equity = round(equity * 100) * CASH_UNIT // 100
    state.price = [round(p * UNIT) for p in prices]
    state.forecast = [fix(f) for f in forecasts]
    state.aux = {"volatility": [fix(v) for v in volatility or []]}
    return state


@given(st.floats(10, 1e7), st.floats(0.01, 1e5), st.floats(-1, 1), st.floats(0.01, 3), st.integers(1, 20))
def test_a_fraction_of_equity_is_never_exceeded(
    equity: float, price: float, forecast: float, fraction: float, n: int
) -> None:
    """The value of a target is equity x fraction / pairs x |forecast|, floored, and leaves the cash buffer."""
    state = view(equity, [price] * n, [forecast] * n)
    target = FixedFraction(fraction=fraction).targets(state)[0]
    assert target is not None
    share = min(Fraction(rate(fraction), UNIT), Fraction(99, 100)) / n
    exact = Fraction(state.equity, CASH_UNIT) * share * Fraction(abs(state.forecast[0]), FIX)
    value = Fraction(abs(target) * state.price[0], CASH_UNIT)
    assert value <= exact < value + Fraction(state.price[0], CASH_UNIT) + Fraction(3, 10**8)
    assert target * forecast >= 0


def test_half_of_equity_is_exactly_half() -> None:
    """10000 at fraction 0.5 and price 100 is 50; at fraction 1 the buffer of 1 % leaves 99."""
    assert FixedFraction(fraction=0.5).targets(view(10_000, [100], [1.0])) == [50 * UNIT]
    assert FixedFraction(fraction=1.0).targets(view(10_000, [100], [-1.0])) == [-99 * UNIT]


def test_a_fixed_quantity_follows_the_forecast_alone() -> None:
    """Neither equity nor price matters."""
    assert FixedQuantity(quantity=0.25).targets(view(1, [5, 7], [0.5, -1.0])) == [parse("0.125"), -parse("0.25")]


def test_risk_sizing_golden() -> None:
    """S19: equity 10000, 1 %, entry 43210.5, stop 42000: 0.08261049; at equity 50: 0.00041305."""
    distance = parse("43210.5") - parse("42000")
    assert quantity(10_000 * CASH_UNIT, rate(0.01), distance) == parse("0.08261049")
    assert quantity(50 * CASH_UNIT, rate(0.01), distance) == parse("0.00041305")


@given(st.floats(100, 1e6), st.floats(1, 1e5), st.floats(0.001, 0.5))
def test_the_stop_costs_the_risked_share(equity: float, price: float, stop: float) -> None:
    """Quantity x distance never exceeds the risked cash, and the position never exceeds the budget."""
    state = view(equity, [price], [1.0], stop=stop)
    (target,) = FixedRisk(risk=0.01).targets(state)
    assert target is not None
    assert target * (state.price[0] * state.stop_rate // UNIT) <= state.equity // 100
    assert target * state.price[0] <= state.equity * 99 // 100


@given(st.lists(st.floats(1e-4, 0.2), min_size=2, max_size=8))
def test_inverse_volatility_weights_are_in_proportion(volatility: list[float]) -> None:
    """Values x volatility are equal over pairs and together use the budget."""
    state = view(1_000_000, [100.0] * len(volatility), [1.0] * len(volatility), volatility)
    node = InverseVol(volatility="close", band=None)
    targets = [t or 0 for t in node.targets(state)]
    total = sum(1 / v for v in volatility)
    for target, v in zip(targets, volatility, strict=True):
        assert target * 100 / UNIT == pytest.approx(990_000 / v / total, rel=1e-4)
    assert sum(targets) * 100 <= 990_000 * UNIT


def test_unknown_volatility_keeps_the_target() -> None:
    """A pair without volatility has no weight, and the others share the budget."""
    state = view(1000, [10, 10], [1.0, 1.0], [0.01, 0.01])
    state.aux["volatility"][0] = FIX_NAN
    assert InverseVol(volatility="close").targets(state) == [None, 99 * UNIT]
    assert VolTarget(volatility="close").targets(state)[0] is None


def test_volatility_target_closed_form() -> None:
    """20 % a year at 0.2 % an hour: 0.2 / (0.002 x sqrt(8760)) of equity, per pair."""
    state = view(10_000, [50.0], [1.0], [0.002])
    (target,) = VolTarget(volatility="close", target=0.1).targets(state)
    assert target is not None
    assert target / UNIT == pytest.approx(10_000 * 0.1 / (0.002 * 8760**0.5) / 50, rel=1e-6)
    (capped,) = VolTarget(volatility="close", target=1.0).targets(state)
    assert capped == 198 * UNIT


def test_rebalancing_counts_bars() -> None:
    """A week of hours is 168 bars, of days 7; shorter than a bar is every bar."""
    node = InverseVol(volatility="close", rebalance="1w")
    assert (node.rebalance_bars(parse_timeframe("1h")), node.rebalance_bars(DAY)) == (168, 7)
    assert InverseVol(volatility="close", rebalance="1m").rebalance_bars(DAY) == 1
    assert InverseVol(volatility="close", rebalance=None).rebalance_bars(DAY) == 0


@given(st.integers(-(10**14), 10**14), st.floats(0.01, 2))
def test_the_cap_only_ever_shrinks_a_target(target: int, most: float) -> None:
    """An approved target has the same sign and at most the allowed notional."""
    state = view(10_000, [100.0], [1.0])
    risk = PositionRisk(position=PositionLimits(max_fraction=most))
    approved = risk.approve(state, 0, target)
    assert abs(approved) <= abs(target)
    assert approved * target >= 0
    assert abs(approved) * state.price[0] <= state.equity * rate(most) // UNIT


def test_no_equity_no_position() -> None:
    """An account without equity wants nothing."""
    state = view(1, [100.0], [1.0], [0.01])
    state.equity = -5
    inverse, target = InverseVol(volatility="close"), VolTarget(volatility="close")
    nodes: list[Portfolio] = [FixedFraction(), FixedRisk(), inverse, target]
    assert [node.targets(state) for node in nodes] == [[0]] * 4


def test_what_is_held_of_a_pair_without_volatility_is_not_divided_again() -> None:
    """Sixty of a thousand stay in the first pair, and 930 are left of the budget of 990."""
    state = view(1000, [10, 10], [1.0, 1.0], [0.01, 0.01])
    state.aux["volatility"][0], state.position[0] = FIX_NAN, -6 * UNIT
    assert InverseVol(volatility="close").targets(state) == [None, 93 * UNIT]
    state.position[0] = 200 * UNIT
    assert InverseVol(volatility="close").targets(state) == [None, 0]


def test_a_price_that_stands_still_takes_no_share() -> None:
    """One over no volatility would take everything."""
    state = view(1000, [10, 10], [1.0, 1.0], [0.0, 0.01])
    assert InverseVol(volatility="close").targets(state) == [None, 99 * UNIT]

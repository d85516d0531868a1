"""Throttles: how much smaller new positions are in a drawdown and after losses, and what stays as it is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.errors import UserError
from kraken_flow.core.limits import Effect, Limits, Safety, Trigger
from kraken_flow.core.market import Market
from kraken_flow.core.result import Result
from kraken_flow.core.throttle import drawdown_share, halved, held_back
from kraken_flow.core.units import FIX, fix
from kraken_flow.core.watch import Breach
from tests.engines import ENGINES, GivenForecast, run_engine, spec_of
from tests.golden.bars import market_of
from tests.limit_checks import events
from tests.unit.risk.test_limits import flat, holding, run, scripted, tiers, told
from tests.unit.risk.test_watch import lose, see, watch

ONE = 10**8
LIMITS = Limits(max_drawdown=10_000_000, throttle_from=5_000_000)


@pytest.mark.parametrize(
    ("fall", "share"),
    [(0.0, 1.0), (0.05, 1.0), (0.06, 0.8), (0.075, 0.5), (0.09, 0.2), (0.1, 0.0), (0.3, 0.0), (-0.1, 1.0)],
)
def test_the_share_that_a_drawdown_leaves(fall: float, share: float) -> None:
    """5 / 7.5 / 10 % leave a half: spec 6."""
    assert drawdown_share(LIMITS, 10_000.0, 10_000.0 * (1 - fall)) == pytest.approx(share * FIX, abs=2)
    assert drawdown_share(Limits(max_drawdown=10_000_000), 10_000.0, 10_000.0 * (1 - fall)) == FIX


@pytest.mark.parametrize(("most", "first"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_half_of_the_losses_halve(most: int, first: int) -> None:
    limits = Limits(max_losses=most, loss_throttle=True)
    assert [halved(limits, streak) for streak in range(most + 1)] == [streak >= first for streak in range(most + 1)]
    assert not halved(Limits(max_losses=most), most)
    assert not halved(Limits(loss_throttle=True), 9)


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=4),
    st.integers(0, FIX),
    st.sampled_from((1, 5)),
)
def test_only_what_enlarges_is_smaller(pairs: list[tuple[int, int]], share: int, lot: int) -> None:
    wanted: list[int | None] = [target // lot * lot for target, _ in pairs]
    held = [position for _, position in pairs]
    for target, position, given_ in zip(wanted, held, held_back(wanted, held, share, [lot] * len(held)), strict=True):
        assert target is not None
        assert given_ is not None
        assert given_ % lot == 0
        assert given_ * target >= 0
        assert abs(given_) <= abs(target)
        same = target * position >= 0
        if same and abs(target) <= abs(position):
            assert abs(given_) > abs(target) - lot
        elif same:
            assert abs(given_) >= abs(position) // lot * lot
            assert abs(given_) <= max(abs(position), abs(target) * share // FIX)
        else:
            assert abs(given_) == abs(target) * share // FIX // lot * lot
    assert held_back([None], [5], share, [lot]) == [None]


def test_a_drawdown_throttles_and_a_new_peak_ends_it() -> None:
    state = watch(LIMITS)
    assert see(state, "00:00", 10_000.0) is Safety.NORMAL
    assert see(state, "01:00", 9_500.0) is Safety.NORMAL
    assert see(state, "02:00", 9_250.0) is Safety.THROTTLED
    assert (state.share, state.effect, state.cause) == (FIX // 2, Effect.NONE, Trigger.DRAWDOWN_THROTTLE)
    (event,) = state.events
    assert (event.trigger, event.value, event.limit, event.reference, event.effect) == (
        Trigger.DRAWDOWN_THROTTLE, 0.075, 0.05, 10_000.0, Effect.NONE,
    )  # fmt: skip
    assert see(state, "03:00", 9_300.0) is Safety.THROTTLED
    assert state.share == pytest.approx(0.6 * FIX, abs=2)
    assert see(state, "04:00", 9_600.0) is Safety.NORMAL
    assert state.share == FIX
    assert [e.trigger for e in state.events] == [Trigger.DRAWDOWN_THROTTLE, Trigger.WITHIN]
    assert see(state, "05:00", 9_250.0) is Safety.THROTTLED
    assert see(state, "06:00", 9_000.0) is Safety.KILLED
    assert state.effect is Effect.FLATTEN
    state.reset(state.events[-1].time)
    assert (state.state, state.share) == (Safety.NORMAL, FIX)


def test_losses_throttle_on_the_way_to_the_cool_down_and_a_win_ends_it() -> None:
    state = watch(Limits(max_losses=3, cooldown_ns=3600 * 10**9, loss_throttle=True))
    states = []
    for clock, profit in (("00:10", -1), ("00:20", -1), ("00:30", 1), ("00:40", -1), ("00:50", -1), ("01:00", -1)):
        lose(state, profit)
        states.append((see(state, clock, 10_000.0), state.share))
    half = (Safety.THROTTLED, FIX // 2)
    assert states[:5] == [(Safety.NORMAL, FIX), half, (Safety.NORMAL, FIX), (Safety.NORMAL, FIX), half]
    assert states[5][0] is Safety.COOLDOWN
    assert see(state, "02:00", 10_000.0) is Safety.NORMAL
    assert state.share == FIX
    first = state.events[0]
    assert (first.trigger, first.value, first.limit) == (Trigger.LOSS_THROTTLE, 2.0, 1.5)


def test_both_throttles_multiply_and_stale_prices_go_before_them() -> None:
    state = watch(Limits(max_drawdown=10_000_000, throttle_from=5_000_000, max_losses=4, loss_throttle=True))
    see(state, "00:00", 10_000.0)
    lose(state, -1)
    lose(state, -1)
    assert see(state, "01:00", 10_000.0) is Safety.THROTTLED
    assert see(state, "02:00", 9_250.0) is Safety.THROTTLED
    assert (state.share, state.cause) == (FIX // 4, Trigger.DRAWDOWN_THROTTLE)
    stale = Breach(Trigger.STALE_DATA, Safety.THROTTLED, 3.0, 2.0)
    state.observe(state.events[-1].time + 1, 9_250.0, None, stale)
    assert (state.cause, state.effect) == (Trigger.STALE_DATA, Effect.REDUCE_ONLY)
    state.observe(state.events[-1].time + 1, 9_250.0, None, None)
    assert (state.cause, state.effect, state.share) == (Trigger.DRAWDOWN_THROTTLE, Effect.NONE, FIX // 4)


def test_the_shadow_tells_of_throttles_and_changes_no_size() -> None:
    state = watch(Limits(max_drawdown=10_000_000, throttle_from=5_000_000, shadow=True))
    see(state, "00:00", 10_000.0)
    assert see(state, "01:00", 9_250.0) is Safety.THROTTLED
    assert (state.share, state.events[0].shadow) == (FIX, True)


# in both engines


def traded(market: Market, forecasts: list[list[float]], risk: Any, engine: str) -> Result:
    graph = holding(market, risk, strategy=GivenForecast())
    spec = spec_of(graph, market)
    table = np.array([[fix(f) for f in row] for row in forecasts], np.int64)
    return run_engine(engine, spec, market, table)


def sizes(result: Result) -> list[float]:
    return [side * qty / ONE for side, qty in zip(result.fills["side"], result.fills["qty"], strict=True)]


FALL = flat(100, 100, 25, 25, 25, 25, 25, 25, pair="ADA/USD")
"""Ten units lose 750 of 10000."""
CALM = flat(*[100] * 8, pair="BTC/USD")
LATE = [[1.0] * 8, [0, 0, 0, 1.0, 1.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("start", "bought"), [(0.05, 5.0), (0.08, 10.0), (None, 10.0)])
def test_a_drawdown_makes_new_positions_smaller_and_sells_none(engine: str, start: float | None, bought: float) -> None:
    risk = tiers(system={"max_drawdown": 0.1, "throttle_from": start})
    result = traded(market_of(FALL, CALM), LATE, risk, engine)
    assert sizes(result) == [10.0, bought]
    if bought < 10.0:
        assert told(result) == [(Trigger.DRAWDOWN_THROTTLE, Safety.NORMAL, Safety.THROTTLED)]
        (event,) = events(result)
        assert (event["value"], event["limit"], event["reference"]) == (0.075, 0.05, 10_000.0)
    else:
        assert told(result) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_exits_are_whole_and_what_turns_is_smaller_on_the_other_side(engine: str) -> None:
    risk = tiers(system={"max_drawdown": 0.1, "throttle_from": 0.05})
    leaving = [[1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 8]
    assert sizes(traded(market_of(FALL, CALM), leaving, risk, engine)) == [10.0, -10.0]
    turning = [[1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0], [0.0] * 8]
    assert sizes(traded(market_of(FALL, CALM), turning, risk, engine)) == [10.0, -15.0]
    smaller = [[1.0, 1.0, 1.0, 1.0, 0.8, 0.8, 0.8, 0.8], [0.0] * 8]
    assert sizes(traded(market_of(FALL, CALM), smaller, risk, engine)) == [10.0, -2.0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("throttle", "third"), [(True, 5.0), (False, 10.0)])
def test_a_loss_on_the_way_to_the_cool_down_halves_the_next(engine: str, throttle: bool, third: float) -> None:
    """One loss of two: the next is half as large, and wins; the one after it is whole again."""
    forecast = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    risk = tiers(day={"max_losses": 2, "loss_throttle": throttle})
    market = market_of(flat(100, 100, 99, 99, 99, 99, 110, 110, 110, 110, 110, 110))
    result = traded(market, [forecast], risk, engine)
    assert sizes(result) == [10.0, -10.0, third, -third, 10.0]
    marks = [
        (Trigger.LOSS_THROTTLE, Safety.NORMAL, Safety.THROTTLED),
        (Trigger.WITHIN, Safety.THROTTLED, Safety.NORMAL),
    ]
    assert told(result) == (marks if throttle else [])


@pytest.mark.parametrize("engine", ENGINES)
def test_orders_with_a_quantity_of_their_own_keep_it(engine: str) -> None:
    orders = [{"qty": 10}, {"at": 3, "qty": 4, "pair": 1}]
    risk = tiers(system={"max_drawdown": 0.1, "throttle_from": 0.05})
    result = run(scripted(market_of(FALL, CALM), orders, risk), engine)
    assert [q // ONE for q in result.orders["filled"].tolist()] == [10, 4]
    assert told(result) == [(Trigger.DRAWDOWN_THROTTLE, Safety.NORMAL, Safety.THROTTLED)]


# configuration


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["risk.system.throttle_from=0.05"],
            "risk.system.throttle_from=0.05 is not below risk.system.max_drawdown=0.05",
        ),
        (["risk=none", "risk.system.throttle_from=0.05"], "risk.system.max_drawdown, which is null"),
        (["risk.system.throttle_from=1.5"], "risk.system.throttle_from=1.5"),
        (["risk.day.loss_throttle=maybe"], "risk.day.loss_throttle"),
        (["risk.system.max_var=2"], "risk.system.max_var=2: must be"),
        (["risk.system.max_var=0.02", "risk.covariance=null"], "risk.system.max_var=0.02: needs risk.covariance"),
        (["risk.system.var_level=0.5"], "risk.system.var_level=0.5"),
        (["risk.system.var_horizon=soon"], "risk.system.var_horizon"),
        (["risk.covariance.window=0"], "risk.covariance.window"),
        (["risk=var", "risk.max_var=0.03"], "risk.system.max_var|no such key"),
    ],
)
def test_wrong_settings_are_told_by_their_key(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(compose(overrides))


@pytest.mark.parametrize("name", ["default", "conservative", "research", "none", "var"])
def test_every_preset_can_limit_the_value_at_risk(name: str) -> None:
    graph = build(compose([f"risk={name}", "risk.system.max_var=0.02"]))
    assert graph.risk.limits().max_var == 2_000_000
    assert len(graph.risk.pair_features(3)) == 3


def test_the_presets() -> None:
    careful = build(compose(["risk=conservative"])).risk.limits()
    assert (careful.throttle_from, careful.loss_throttle, careful.max_losses) == (2_000_000, True, 3)
    assert build(compose(["risk=default"])).risk.limits().throttle_from == -1
    assert build(compose(["risk=var"])).risk.limits().max_var == 5_000_000

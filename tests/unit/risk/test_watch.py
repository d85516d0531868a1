"""The state machine of the account's limits, fed by hand: the worked day of the specification, and its transitions."""

from typing import Any

import pytest

from kraken_flow.core.limits import Effect, Limits, Safety, Trigger
from kraken_flow.core.times import DAY, SECOND, parse_time
from kraken_flow.core.watch import THROTTLES, Change, Watch

MINUTE = 60 * SECOND
LIMITS = Limits(max_loss=2_000_000, max_losses=3, cooldown_ns=60 * MINUTE, max_drawdown=5_000_000)
T0 = parse_time("2024-01-02")


def watch(limits: Limits = LIMITS, cash: int = 10_000) -> Watch:
    return Watch(limits, cash * 10**16, 1)


def lose(state: Watch, profit: int) -> None:
    """Open and close a position that makes `profit`."""
    state.fill(0, 1, 10**8, 1000 * 10**8, 0, Change(0, 10**8, 1))
    state.fill(0, -1, 10**8, (1000 + profit) * 10**8, 0, Change(10**8, 0, 1))


def see(state: Watch, clock: str, equity: float, day: int = 0) -> Safety:
    hours, minutes = clock.split(":")
    state.observe(T0 + day * DAY + (int(hours) * 60 + int(minutes)) * MINUTE, equity, None, None)
    return state.state


def test_the_worked_day() -> None:
    """Limits 2 % a day, 3 losses -> 60 min, 5 % system: spec 6, number by number."""
    state = watch()
    assert see(state, "00:00", 10_000.0) is Safety.NORMAL
    for clock, loss, equity, after in (
        ("00:10", -50, 9_950.0, Safety.NORMAL),
        ("00:40", -40, 9_910.0, Safety.NORMAL),
        ("01:05", -30, 9_880.0, Safety.COOLDOWN),
    ):
        lose(state, loss)
        assert see(state, clock, equity) is after
    assert state.until == T0 + 125 * MINUTE
    assert see(state, "01:30", 9_880.0) is Safety.COOLDOWN
    assert state.effect is Effect.REDUCE_ONLY
    assert see(state, "02:05", 9_880.0) is Safety.NORMAL
    lose(state, -90)
    assert see(state, "03:00", 9_790.0) is Safety.DAILY_HALT
    assert state.effect is Effect.HALT
    assert state.events[-1].value == pytest.approx(0.021)
    assert see(state, "23:59", 9_790.0) is Safety.DAILY_HALT
    assert see(state, "00:00", 9_790.0, day=1) is Safety.NORMAL
    assert (state.day_start, state.high) == (9_790.0, 10_000.0)
    assert see(state, "04:00", 9_490.0, day=1) is Safety.KILLED
    kill, day = state.events[-2:]
    assert (kill.trigger, kill.value, kill.reference) == (Trigger.MAX_DRAWDOWN, pytest.approx(0.051), 10_000.0)
    assert (day.trigger, day.after, day.value) == (Trigger.MAX_LOSS, Safety.KILLED, pytest.approx(0.0306435, abs=1e-7))
    assert state.effect is Effect.FLATTEN
    for later in (1, 2, 30):
        assert see(state, "12:00", 20_000.0, day=later) is Safety.KILLED
    state.reset(T0 + 31 * DAY)
    assert (state.state, state.high, state.effect) == (Safety.NORMAL, 20_000.0, Effect.NONE)
    assert see(state, "12:00", 19_500.0, day=32) is Safety.DAILY_HALT
    assert see(state, "13:00", 19_000.0, day=32) is Safety.KILLED


@pytest.mark.parametrize(
    ("limits", "equity", "after"),
    [
        (Limits(max_drawdown=5_000_000), 9_500.0, Safety.KILLED),
        (Limits(max_drawdown=5_000_000), 9_500.01, Safety.NORMAL),
        (Limits(max_loss=4_000_000), 9_600.0, Safety.DAILY_HALT),
        (Limits(max_loss=4_000_000), 9_600.01, Safety.NORMAL),
        (Limits(), 1.0, Safety.NORMAL),
    ],
)
def test_a_loss_at_the_limit_counts_and_one_below_it_does_not(limits: Limits, equity: float, after: Safety) -> None:
    state = watch(limits)
    see(state, "00:00", 10_000.0)
    assert see(state, "01:00", equity) is after


def test_a_win_ends_a_row_of_losses() -> None:
    state = watch()
    for profit in (-1, -1, 5, -1, -1):
        lose(state, profit)
        assert see(state, "01:00", 10_000.0) is Safety.NORMAL
    lose(state, -1)
    assert see(state, "01:00", 10_000.0) is Safety.COOLDOWN


def test_trades_of_a_day_are_counted_from_midnight() -> None:
    state = watch(Limits(max_trades=2))
    see(state, "22:00", 10_000.0)
    lose(state, 1)
    assert see(state, "23:00", 10_000.0) is Safety.NORMAL
    lose(state, 1)
    assert see(state, "23:30", 10_000.0) is Safety.DAILY_HALT
    assert see(state, "00:00", 10_000.0, day=1) is Safety.NORMAL
    assert state.opened == 0


def test_a_day_that_begins_between_two_bars_starts_from_the_mark_before() -> None:
    state = watch(Limits(max_loss=4_000_000))
    see(state, "22:00", 10_000.0)
    see(state, "03:00", 9_700.0, day=1)
    assert (state.day_start, state.state) == (10_000.0, Safety.NORMAL)
    assert see(state, "04:00", 9_590.0, day=1) is Safety.DAILY_HALT


def test_a_reversal_closes_one_trade_and_opens_another_with_its_share_of_the_fee() -> None:
    state = watch(Limits(max_losses=1, cooldown_ns=MINUTE))
    one = 10**8
    state.fill(0, 1, one, 100 * one, 0, Change(0, one, 1))
    # Sells three at 101: the first of them wins 1 less a third of the fee.
    state.fill(0, -1, 3 * one, 101 * one, 6 * 10**16, Change(one, -2 * one, 1))
    assert (state.streak, state.opened) == (1, 2)
    # The fee's other two thirds and a cover at 98 make 2 x 3 - 4 = 2.
    state.fill(0, 1, 2 * one, 98 * one, 0, Change(-2 * one, 0, 1))
    assert (state.streak, state.flow) == (0, [0])


def test_the_shadow_records_and_does_nothing() -> None:
    state = watch(Limits(max_drawdown=5_000_000, shadow=True))
    assert see(state, "01:00", 9_000.0) is Safety.KILLED
    assert state.effect is Effect.NONE
    assert [(e.trigger, e.effect, e.shadow) for e in state.events] == [
        (Trigger.MAX_DRAWDOWN, Effect.FLATTEN, True),
    ]


NO_REFUSAL = {Trigger.NONE, Trigger.WITHIN, Trigger.TIMER, Trigger.RESET, *THROTTLES}


@pytest.mark.parametrize("trigger", Trigger)
def test_every_trigger_has_its_code_for_orders(trigger: Trigger) -> None:
    if trigger.reason:
        assert trigger.reason.name == trigger.name
    else:
        assert trigger in NO_REFUSAL


@pytest.mark.parametrize(("effect", "name"), [(Effect.HALT, "day_effect"), (Effect.FLATTEN, "system_effect")])
def test_effects_are_those_that_were_set(effect: Effect, name: str) -> None:
    settings: dict[str, Any] = {name: effect, "max_loss": 1_000_000, "max_drawdown": 2_000_000}
    state = watch(Limits(**settings))
    see(state, "00:00", 10_000.0)
    see(state, "01:00", 9_890.0 if name == "day_effect" else 9_790.0)
    assert state.effect is effect

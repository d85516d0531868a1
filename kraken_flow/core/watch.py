"""The state machine of the account's limits: marks and fills in, states and recorded triggers out (spec 6).

It is a fold of what the engine sees, so that a session that is read again from its journal stands where it stood.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.contract import cost, value
from kraken_flow.core.limits import Effect, Limits, Safety, Trigger
from kraken_flow.core.throttle import drawdown_share, halved
from kraken_flow.core.times import DAY
from kraken_flow.core.units import CASH_UNIT, FIX, UNIT

INTEGERS = ("time", "trigger", "before", "after", "effect", "shadow", "pair", "order", "until")
FLOATS = ("value", "limit", "equity", "reference")


THROTTLES = frozenset({Trigger.DRAWDOWN_THROTTLE, Trigger.LOSS_THROTTLE})
"""What makes new positions smaller, and does nothing else."""


class Breach(NamedTuple):
    """A limit that is exceeded: the state that follows, and the numbers that say so."""

    trigger: Trigger
    state: Safety
    value: float
    limit: float
    reference: float = 0.0
    pair: int = -1


class Event(NamedTuple):
    """One trigger as it is stored; `until` is ns UTC, 0 where no time ends it; `pair` and `order` -1 where none."""

    time: int
    trigger: Trigger
    before: Safety
    after: Safety
    effect: Effect
    shadow: bool
    pair: int
    order: int
    until: int
    value: float
    limit: float
    equity: float
    reference: float


class Change(NamedTuple):
    """How a fill changed a position, the lot below which there is none, and whether the contract is inverse."""

    before: int
    after: int
    lot: int
    inverse: bool = False


class Moves:
    """How far a pair's bars usually move: the exponential average of squared returns (RiskMetrics, decay 0.94)."""

    DECAY = 0.94
    FIRST = 20
    """Returns before which nothing is known."""

    __slots__ = ("count", "last", "missing", "variance")

    def __init__(self) -> None:
        self.last = 0
        self.missing = 0
        self.variance = 0.0
        self.count = 0

    def miss(self) -> None:
        """Count a row without a bar."""
        self.missing += 1

    def update(self, close: int) -> tuple[float, float] | None:
        """Take a close; return the absolute return and the volatility before it, None while that is not known.

        After missing bars the volatility is that of all the bars since the last close: it grows with the root of time.
        """
        last, self.last = self.last, close
        bars, self.missing = float(self.missing + 1), 0
        if last <= 0:
            return None
        move = float(abs(close - last)) / float(last)
        before, known = self.variance, self.count >= self.FIRST
        square = move * move / bars
        self.variance = square if self.count == 0 else self.DECAY * before + (1.0 - self.DECAY) * square
        self.count += 1
        return (move, math.sqrt(before) * math.sqrt(bars)) if known and before > 0 else None


class Watch:
    """Where the account stands with its limits.

    Parameters: `cash` at the start, 10^-16 of quote; `n_pairs` pairs in name order.

    Equity is the float64 mark of the engine: cash and every position at its last close, so that open profit and loss
    count. A day is a UTC day; what stood at 00:00 is its start, and its end counts to it: a loss that is not there
    before its last mark, at 00:00 of the next day, halts the day that begins.
    """

    def __init__(self, limits: Limits, cash: int, n_pairs: int) -> None:
        self.limits = limits
        self.state = Safety.NORMAL
        self.cause = Trigger.NONE
        self.until = 0
        self.high = self.day_start = self.equity = float(cash) / CASH_UNIT
        self.day = -1
        self.lost = False
        """Whether the loss of the day was at its limit at a mark inside it."""
        self.opened = 0
        """Positions opened today."""
        self.streak = 0
        """Losing trades in a row."""
        self.share = FIX
        """Share of its size that a new position keeps, 10^-9."""
        self.flow = [0] * n_pairs
        """Cash that the open trade of a pair has brought so far, 10^-16."""
        self.moves = [Moves() for _ in range(n_pairs if limits.black_swan >= 0 else 0)]
        self.events: list[Event] = []

    @property
    def effect(self) -> Effect:
        """What the state does to orders; nothing in the shadow."""
        return Effect.NONE if self.limits.shadow else self._effect_of(self.state)

    def _effect_of(self, state: Safety) -> Effect:
        if state is Safety.KILLED:
            return self.limits.system_effect
        if state is Safety.DAILY_HALT:
            # What was opened within the number of trades may go on.
            return Effect.REDUCE_ONLY if self.cause is Trigger.MAX_TRADES else self.limits.day_effect
        if state is Safety.THROTTLED and self.cause in THROTTLES:
            return Effect.NONE
        return Effect.REDUCE_ONLY if state else Effect.NONE

    def observe(self, time: int, equity: float, swan: Breach | None, stale: Breach | None) -> None:
        """Take an instant's marks, in the order: the day, what time ends, peaks, limits."""
        ends = not self.lost and time >= (self.day + 1) * DAY and time % DAY == 0
        ended = self._day_loss(equity) if ends else None
        rolled = self._roll(time, equity)
        self.equity = equity
        self.high = max(self.high, equity)
        today = self._day_loss(equity)
        self.lost = self.lost or today is not None
        if (rolled and self.state is Safety.DAILY_HALT) or (self.state is Safety.COOLDOWN and time >= self.until):
            self.streak = 0
            self._move(time, Trigger.TIMER, Safety.NORMAL)
        if self.state is Safety.KILLED:
            return
        throttle = self._throttle(equity)
        throttle = stale or throttle
        if self.state is Safety.THROTTLED and (throttle is None or throttle.trigger is not self.cause):
            self._move(time, Trigger.WITHIN, Safety.NORMAL)
        before, counted = self.state, self.cause is Trigger.MAX_TRADES
        losses = (ended or today, self._trades(), self._losses())
        for breach in (self._drawdown(equity), swan, *losses, throttle):
            # A loss may come to a day that was halted for the number of its trades, which does less.
            worse = breach is not None and counted and breach.trigger is Trigger.MAX_LOSS
            if breach is None or (breach.state <= before and not worse):
                continue
            if breach.state > self.state or (worse and self.state is before):
                self.state, self.cause = breach.state, breach.trigger
                self.until = self._end_of(breach.state, time)
            self._record(time, breach, before)

    def _roll(self, time: int, equity: float) -> bool:
        day = time // DAY
        if day == self.day:
            return False
        if self.day >= 0:
            self.day_start = equity if time % DAY == 0 else self.equity
        self.day, self.opened, self.lost = day, 0, False
        return True

    def _end_of(self, state: Safety, time: int) -> int:
        if state is Safety.COOLDOWN:
            return time + self.limits.cooldown_ns
        return (time // DAY + 1) * DAY if state is Safety.DAILY_HALT else 0

    def _drawdown(self, equity: float) -> Breach | None:
        limit, lost = self.limits.max_drawdown / UNIT, self.high - equity
        if self.limits.max_drawdown < 0 or self.high <= 0 or lost < limit * self.high:
            return None
        return Breach(Trigger.MAX_DRAWDOWN, Safety.KILLED, lost / self.high, limit, self.high)

    def _day_loss(self, equity: float) -> Breach | None:
        limit, lost = self.limits.max_loss / UNIT, self.day_start - equity
        if self.limits.max_loss < 0 or self.day_start <= 0 or lost < limit * self.day_start:
            return None
        return Breach(Trigger.MAX_LOSS, Safety.DAILY_HALT, lost / self.day_start, limit, self.day_start)

    def _trades(self) -> Breach | None:
        most = self.limits.max_trades
        if most == 0 or self.opened < most:
            return None
        return Breach(Trigger.MAX_TRADES, Safety.DAILY_HALT, float(self.opened), float(most))

    def _losses(self) -> Breach | None:
        most = self.limits.max_losses
        if most == 0 or self.streak < most:
            return None
        return Breach(Trigger.MAX_LOSSES, Safety.COOLDOWN, float(self.streak), float(most))

    def _throttle(self, equity: float) -> Breach | None:
        """Find the share of its size that a new position keeps; return what makes it smaller, if anything does."""
        limits, many = self.limits, halved(self.limits, self.streak)
        share = drawdown_share(limits, self.high, equity)
        self.share = FIX if limits.shadow else share // 2 if many else share
        if share < FIX:
            number, least = (self.high - equity) / self.high, limits.throttle_from / UNIT
            return Breach(Trigger.DRAWDOWN_THROTTLE, Safety.THROTTLED, number, least, self.high)
        if many:
            return Breach(Trigger.LOSS_THROTTLE, Safety.THROTTLED, float(self.streak), limits.max_losses / 2)
        return None

    def _move(self, time: int, trigger: Trigger, state: Safety) -> None:
        before, self.state, self.cause, self.until = self.state, state, Trigger.NONE, 0
        self._record(time, Breach(trigger, state, 0.0, 0.0), before)

    def _record(self, time: int, breach: Breach, before: Safety, order: int = -1) -> None:
        shadow, effect = self.limits.shadow, self._effect_of(self.state)
        numbers = (breach.value, breach.limit, self.equity, breach.reference)
        self.events.append(
            Event(time, breach.trigger, before, self.state, effect, shadow, breach.pair, order, self.until, *numbers)
        )

    def refuse(self, time: int, trigger: Trigger, value: float, limit: float, pair: int, order: int) -> None:
        """Record that an order was cut or refused on its own account; the state stays."""
        self._record(time, Breach(trigger, self.state, value, limit, 0.0, pair), self.state, order)

    def reset(self, time: int) -> None:
        """Begin anew, as a user says: peaks and the day count from the equity that there is."""
        self.high = self.day_start = self.equity
        self.opened = self.streak = 0
        self.lost = False
        self.share = FIX
        self._move(time, Trigger.RESET, Safety.NORMAL)

    def fill(self, pair: int, side: int, qty: int, price: int, fee: int, change: Change) -> None:
        """Count a fill: a position opened, a trade that ended in a loss or a win, net of fees."""
        if not self.limits.counts_trades:
            return
        before, after, lot, inverse = change
        turned = (before > 0 > after) or (before < 0 < after)
        was, is_open = abs(before) >= lot, abs(after) >= lot
        if was and turned:
            closing = min(abs(before), qty)
            part = fee * closing // qty
            self._close(self.flow[pair] - cost(inverse, side * closing, price) - part)
            self.flow[pair] = -cost(inverse, side * (qty - closing), price) - (fee - part)
        else:
            self.flow[pair] -= cost(inverse, side * qty, price) + fee
            if was and not is_open:
                self._close(self.flow[pair] + value(inverse, after, price))
                self.flow[pair] = -value(inverse, after, price)
        self.opened += is_open and (turned or not was)

    def _close(self, profit: int) -> None:
        if profit:
            self.streak = self.streak + 1 if profit < 0 else 0

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return what was recorded."""
        return columns_of(self.events)


def columns_of(events: Sequence[Event]) -> dict[str, NDArray[Any]]:
    """Return recorded triggers as columns, one per field: int64, then float64."""
    found: dict[str, NDArray[Any]] = {n: np.array([getattr(e, n) for e in events], np.int64) for n in INTEGERS}
    return found | {name: np.array([getattr(e, name) for e in events], np.float64) for name in FLOATS}

"""Limits on single positions: stop, target, trail, time, size."""

from typing import Annotated, ClassVar

import annotated_types

from kraken_flow.core.account import Protection, Risk, View
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import Factor, Fraction, Positive, node
from kraken_flow.core.units import UNIT, rate


@node
class PositionLimits:
    """What protects one position; rates are fractions of the price at which the position was opened."""

    stop_loss: Fraction | None = 0.03
    """Distance of the stop (market) order; null switches it off."""
    take_profit: Annotated[float, annotated_types.Gt(0), annotated_types.Le(1000)] | None = 0.06
    """Distance of the target (limit) order; null switches it off."""
    trailing: Fraction | None = None
    """Distance of the trailing stop from the best price since entry; null switches it off."""
    max_bars: Positive[int] | None = None
    """Bars after which a position is closed at the next open; null switches it off."""
    max_fraction: Factor | None = 1.0
    """Largest notional of one position as a fraction of equity at the decision; null switches it off."""


@node
class PositionRisk(Risk):
    """Attach stop, target and trail to every position and cap its size."""

    kernel: ClassVar[str | None] = "position"
    position: PositionLimits = PositionLimits()
    """Limits per position."""
    rearm: str = "on_change"
    """When a stopped-out pair may enter again: `on_change` of its forecast, `next_bar`, or `bars:N`."""

    def __post_init__(self) -> None:
        """Refuse a `rearm` rule that cannot be read."""
        self.rearm_bars()

    def approve(self, view: View, pair: int, target: int) -> int:
        """Return the target, cut to `max_fraction` of equity."""
        if self.position.max_fraction is None or view.price[pair] <= 0:
            return target
        most = max(view.equity, 0) * rate(self.position.max_fraction) // UNIT // view.price[pair]
        return max(-most, min(target, most))

    def protection(self) -> Protection:
        """Return the limits as rates."""
        limits = self.position
        return Protection(
            stop_loss=rate(limits.stop_loss or 0),
            take_profit=rate(limits.take_profit or 0),
            trailing=rate(limits.trailing or 0),
            max_bars=limits.max_bars or 0,
        )

    def rearm_bars(self) -> int:
        """Return 0 for `on_change`, 1 for `next_bar`, N for `bars:N`."""
        if self.rearm == "on_change":
            return 0
        if self.rearm == "next_bar":
            return 1
        word, _, count = self.rearm.partition(":")
        if word == "bars" and count.isdigit() and 0 < int(count) < 2**63:
            return int(count)
        raise UserError(f"risk.rearm: {self.rearm!r} is not on_change, next_bar or bars:N with N > 0")

    def parameters(self) -> dict[str, int]:
        """Return `max_fraction` as a rate, -1 when off."""
        most = self.position.max_fraction
        return {"max_fraction": -1 if most is None else rate(most)}

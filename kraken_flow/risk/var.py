"""A limit on the value at risk of every position, and with that on the book's."""

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from kraken_flow.core.account import View
from kraken_flow.core.book_risk import Level, horizon_root, quantile
from kraken_flow.core.compile import periods_root
from kraken_flow.core.feature import Source
from kraken_flow.core.node import Fraction, Positive, node
from kraken_flow.core.times import parse_duration
from kraken_flow.core.units import FIX, FIX_NAN, fix
from kraken_flow.risk.position import PositionLimits, PositionRisk


@node
class VarRisk(PositionRisk):
    """Limits per position, and its share of a value at risk of the book.

    A book is never at risk of more than its positions one by one, whatever the correlations: each may be at risk of
    `max_var` / pairs, so that all together are of at most `max_var`. That asks nothing of other pairs, and so holds for
    every order on its own; `portfolio=correlation_limits` gives room to what diversifies.
    """

    kernel: ClassVar[str | None] = None
    volatility: Source = field(kw_only=True)
    """Volatility per bar: a feature with one output, as in `risk.volatility.window=168`."""
    position: PositionLimits = PositionLimits()
    """Limits per position."""
    rearm: str = "on_change"
    """When a stopped-out pair may enter again: `on_change` of its forecast, `next_bar`, or `bars:N`."""
    max_var: Fraction = 0.05
    """Share of equity that the book's loss over the horizon exceeds with probability 1 - level, at most."""
    positions: Positive[int] | None = None
    """Among how many positions it is divided, if fewer than all pairs are ever held at a time; null: all pairs."""
    level: Level = 0.95
    """Confidence level."""
    horizon: str = "1d"
    """Over which time losses are counted."""

    def __post_init__(self) -> None:
        """Refuse a horizon or a `rearm` rule that cannot be read."""
        super().__post_init__()
        parse_duration(self.horizon, "risk.horizon")

    def features(self) -> Mapping[str, Source]:
        """Return the volatility column."""
        return {"risk_volatility": self.volatility}

    def approve(self, view: View, pair: int, target: int) -> int:
        """Return the target, cut to what may be at risk; without a volatility a position may only become smaller."""
        target = super().approve(view, pair, target)
        volatility, price = view.aux["risk_volatility"][pair], view.price[pair]
        if volatility == FIX_NAN:
            held = view.position[pair]
            return max(min(target, max(held, 0)), min(held, 0))
        if price <= 0:
            return target
        root = horizon_root(view.periods_root, periods_root(parse_duration(self.horizon, "risk.horizon")))
        loss = max(volatility, 1) * quantile(self.level) // FIX * root // FIX
        share = fix(self.max_var) // (self.positions or len(view.price))
        most = max(view.equity, 0) * share // max(loss, 1) // price
        return max(-most, min(target, most))

"""Weights in inverse proportion to volatility."""

from collections.abc import Mapping
from typing import ClassVar

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.feature import Source
from kraken_flow.core.node import Factor, Rate, Reserve, node
from kraken_flow.core.times import parse_duration, parse_length
from kraken_flow.core.units import FIX_NAN, rate
from kraken_flow.portfolio.sizing import budget, kept, signed

INVERSE = 10**15
"""Scale of an inverse volatility; volatilities below `FLOOR` count as that, so that products fit 128 bits."""
FLOOR = 1000
"""Smallest volatility per bar that is believed: 10^-6, in units of 10^-9."""


@node
class InverseVol(Portfolio):
    """Give each pair the weight 1/volatility over the sum of all, times the forecast; rebalanced on a schedule."""

    kernel: ClassVar[str | None] = "inverse_vol"
    volatility: Source
    """Volatility per bar: a feature with one output, as in `portfolio.volatility.window=168`."""
    rebalance: str | None = "1w"
    """Time between scheduled rebalances, counted from the first decision; null leaves only changes and drift."""
    fraction: Factor = 1.0
    """Share of equity that all pairs together may use; capped at leverage x (1 - cash_buffer)."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used."""

    def __post_init__(self) -> None:
        """Refuse a schedule that cannot be read or has no length."""
        if self.rebalance is not None:
            parse_length(self.rebalance, "portfolio.rebalance")

    def features(self) -> Mapping[str, Source]:
        """Return the volatility column."""
        return {"volatility": self.volatility}

    def targets(self, view: View) -> list[int | None]:
        """Return budget x weight x forecast / close; None for a pair whose volatility is not known, or 0.

        What is held of such a pair stays, and the others share what it leaves of the budget.
        """
        inverse = [0 if v in {FIX_NAN, 0} else INVERSE // max(v, FLOOR) for v in view.aux["volatility"]]
        whole = budget(view, rate(self.fraction), rate(self.cash_buffer))
        whole = max(whole - kept(view, [w == 0 for w in inverse]), 0)
        total = sum(inverse)
        return [
            signed(whole * w // total, f, price) if w else None
            for w, f, price in zip(inverse, view.forecast, view.price, strict=True)
        ]

    def rebalance_bars(self, timeframe_ns: int) -> int:
        """Return the schedule in bars, at least one."""
        if self.rebalance is None:
            return 0
        return max(1, parse_duration(self.rebalance, "portfolio.rebalance") // timeframe_ns)

    def parameters(self) -> dict[str, int]:
        """Return fraction and buffer as rates."""
        return {"fraction": rate(self.fraction), "buffer": rate(self.cash_buffer)}

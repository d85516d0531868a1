"""An equal share of equity per pair."""

from typing import ClassVar

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.node import Factor, Rate, Reserve, node
from kraken_flow.core.units import rate
from kraken_flow.portfolio.sizing import budget, signed


@node
class FixedFraction(Portfolio):
    """Hold a fixed fraction of equity, divided equally over the run's pairs, times the forecast."""

    kernel: ClassVar[str | None] = "fixed_fraction"
    fraction: Factor = 1.0
    """Share of equity at the decision close that all pairs together may use; capped at leverage x (1 - cash_buffer)."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used, so that fees and the next open's price stay covered."""

    def targets(self, view: View) -> list[int | None]:
        """Return budget / pairs x forecast / close per pair."""
        share = budget(view, rate(self.fraction), rate(self.cash_buffer)) // len(view.price)
        return [signed(share, f, price) for f, price in zip(view.forecast, view.price, strict=True)]

    def parameters(self) -> dict[str, int]:
        """Return fraction and buffer as rates."""
        return {"fraction": rate(self.fraction), "buffer": rate(self.cash_buffer)}

"""The quantity that loses a fixed share of equity at the stop."""

from typing import ClassVar

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.node import Fraction, Rate, Reserve, node
from kraken_flow.core.units import FIX, UNIT, rate
from kraken_flow.portfolio.sizing import budget


def quantity(equity: int, risk: int, distance: int) -> int:
    """Return equity x risk / distance: cash 10^-16, rate 10^-8, price distance 10^-8 in; quantity 10^-8 out."""
    return max(equity, 0) * risk // UNIT // distance if distance > 0 else 0


@node
class FixedRisk(Portfolio):
    """Risk the same share of equity on every position: the stop's distance decides the quantity (spec S19)."""

    kernel: ClassVar[str | None] = "fixed_risk"
    needs_stop: ClassVar[bool] = True
    risk: Fraction = 0.01
    """Share of equity lost when the stop loss fills at its level; needs `risk.position.stop_loss`."""
    band: Rate | None = None
    """Drift that triggers a new target; off, because the quantity was chosen for the entry's stop."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used."""

    def targets(self, view: View) -> list[int | None]:
        """Return the risked quantity x forecast per pair, at most what leverage x (1 - buffer) of equity buys."""
        risk, ceiling = rate(self.risk), budget(view, view.leverage, rate(self.cash_buffer))
        result: list[int | None] = []
        for f, price in zip(view.forecast, view.price, strict=True):
            if price <= 0:
                result.append(0)
                continue
            full = quantity(view.equity, risk, price * view.stop_rate // UNIT)
            qty = min(full * abs(f) // FIX, ceiling // price)
            result.append(qty if f > 0 else -qty)
        return result

    def parameters(self) -> dict[str, int]:
        """Return risk and buffer as rates."""
        return {"risk": rate(self.risk), "buffer": rate(self.cash_buffer)}

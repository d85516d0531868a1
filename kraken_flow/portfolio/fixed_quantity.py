"""The same quantity every time."""

from typing import ClassVar

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.node import Amount, Rate, Reserve, node
from kraken_flow.core.units import FIX, parse


@node
class FixedQuantity(Portfolio):
    """Hold `quantity` of the base asset times the forecast, whatever the equity."""

    kernel: ClassVar[str | None] = "fixed_quantity"
    drifts: ClassVar[bool] = False
    quantity: Amount = 1.0
    """Quantity of the base asset at forecast 1; at most 8 decimals."""
    band: Rate | None = 0.1
    """Drift (share of the standing target) that triggers a new target; a fixed quantity never drifts."""
    cash_buffer: Reserve = 0.01
    """Share of equity kept as cash; funds, not sizing, bound a fixed quantity."""

    def targets(self, view: View) -> list[int | None]:
        """Return quantity x forecast per pair."""
        units = self.parameters()["quantity"]
        return [units * abs(f) // FIX * (1 if f > 0 else -1) for f in view.forecast]

    def parameters(self) -> dict[str, int]:
        """Return the quantity in 10^-8."""
        return {"quantity": parse(repr(self.quantity), what="portfolio.quantity")}

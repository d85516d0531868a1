"""Limit orders around the last close, placed anew when they do not fill."""

from typing import ClassVar

from kraken_flow.core.account import Execution, Placement, View
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.node import Positive, Rate, node
from kraken_flow.core.orders import OrderType, Side
from kraken_flow.core.units import UNIT, rate_bps


@node
class LimitOrders(Execution):
    """Send limit orders at the decision close, better by `offset_bps`; after `timeout` bars cancel and place anew."""

    kernel: ClassVar[str | None] = "limit"
    offset_bps: Rate = 0.0
    """Distance from the close on the passive side, in basis points."""
    timeout: Positive[int] | None = 3
    """Bars an order may rest before it is cancelled and placed at the new close; null lets it rest."""
    post_only: bool = False
    """Whether an order that would take liquidity is rejected instead."""
    exit_market: bool = True
    """Whether orders that only reduce a position go as market orders."""

    def place(self, view: View, instrument: Instrument, pair: int, side: Side, qty: int, reducing: bool) -> Placement:
        """Return a limit order at close x (1 -/+ offset), rounded to the passive side of the tick."""
        if reducing and self.exit_market:
            return Placement()
        moved = view.price[pair] * (UNIT - side * rate_bps(self.offset_bps))
        unit = UNIT * instrument.tick
        ticks = moved // unit if side > 0 else -(-moved // unit)
        price = max(ticks, 1) * instrument.tick
        return Placement(OrderType.LIMIT, limit_price=price, post_only=self.post_only)

    def parameters(self) -> dict[str, int]:
        """Return offset, timeout (0 for none) and switches."""
        return {
            "offset": rate_bps(self.offset_bps),
            "timeout": self.timeout or 0,
            "post_only": int(self.post_only),
            "exit_market": int(self.exit_market),
        }

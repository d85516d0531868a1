"""Market orders at the next open."""

from typing import ClassVar

from kraken_flow.core.account import Execution, Placement, View
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.node import node
from kraken_flow.core.orders import Side


@node
class MarketOrders(Execution):
    """Send every change of position as one market order."""

    kernel: ClassVar[str | None] = "market"

    def place(self, view: View, instrument: Instrument, pair: int, side: Side, qty: int, reducing: bool) -> Placement:
        """Return a market order."""
        return Placement()

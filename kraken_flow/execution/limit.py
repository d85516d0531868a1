"""Limit orders around the last close, placed anew when they do not fill, and after a while given up or crossed."""

from typing import Annotated, ClassVar

import annotated_types

from kraken_flow.core.account import Execution, Placement, View
from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.node import Positive, node
from kraken_flow.core.orders import OrderType, Side
from kraken_flow.core.parents import toward_passive
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.units import rate_bps
from kraken_flow.execution.worked import Limit, Rest


@node
class LimitOrders(Execution):
    """Send limit orders at the decision close, better by `offset_bps`; after `timeout` bars cancel and place anew."""

    kernel: ClassVar[str | None] = "limit"
    offset_bps: Limit = 0.0
    """Distance from the close on the passive side, in basis points."""
    timeout: Positive[int] | None = 3
    """Bars an order may rest before it is cancelled and placed at the new close; null lets it rest."""
    post_only: bool = False
    """Whether an order that would take liquidity is rejected instead."""
    exit_market: bool = True
    """Whether orders that only reduce a position go as market orders."""
    chase: Annotated[int, annotated_types.Ge(1), annotated_types.Le(10_000)] | None = None
    """How often an order is placed anew before `remainder` says what becomes of the rest; null: again and again."""
    chase_bps: Limit | None = None
    """How far from the close of the decision a chase may go, in basis points; null: as far as the price does."""
    remainder: Rest = "cross"
    """What becomes of the rest after a chase: `cross` sends it at once, `cancel` leaves it."""

    def __post_init__(self) -> None:
        """Refuse a chase without a pace."""
        if self.chase is not None and self.timeout is None:
            raise UserError("execution.chase: needs execution.timeout, the bars from one price to the next")
        if self.chase is None and self.chase_bps is not None:
            raise UserError("execution.chase_bps: needs execution.chase, how often an order is placed anew")

    def place(self, view: View, instrument: Instrument, pair: int, side: Side, qty: int, reducing: bool) -> Placement:
        """Return a limit order at close x (1 -/+ offset), rounded to the passive side of the tick."""
        if reducing and self.exit_market:
            return Placement()
        price = toward_passive(view.price[pair], rate_bps(self.offset_bps), side, instrument.tick)
        return Placement(OrderType.LIMIT, limit_price=price, post_only=self.post_only)

    def plan(self, timeframe_ns: int) -> Plan | None:
        """Return the plan of a chase, None without one."""
        if self.chase is None or self.timeout is None:
            return None
        return Plan(
            Algo.CHASE,
            bars=self.timeout * (self.chase + 1),
            every=self.timeout,
            offset=rate_bps(self.offset_bps),
            limit_rate=-1 if self.chase_bps is None else rate_bps(self.chase_bps),
            remainder=Remainder[self.remainder.upper()],
            post_only=self.post_only,
            exit_market=self.exit_market,
        )

    def parameters(self) -> dict[str, int]:
        """Return offset, timeout (0 for none) and switches."""
        return {
            "offset": rate_bps(self.offset_bps),
            "timeout": self.timeout or 0,
            "post_only": int(self.post_only),
            "exit_market": int(self.exit_market),
        }

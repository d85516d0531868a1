"""Iceberg: one limit order after another, each showing a part of the whole."""

from typing import ClassVar

from kraken_flow.core.node import Fraction, node
from kraken_flow.core.plan import Algo, Plan
from kraken_flow.core.units import rate_bps
from kraken_flow.execution.worked import Jitter, Length, Limit, Worked, plan_of, share


@node
class Iceberg(Worked):
    """Work a change of position as limit orders at one price, one at a time; the next goes when the last has filled."""

    kernel: ClassVar[str | None] = "plan"
    display: Fraction = 0.1
    """Share of the whole that an order shows; at least a fifteenth of what remains, as Kraken demands."""
    size_jitter: Jitter = 0.2
    """Largest change of what is shown, as a share of it."""
    offset_bps: Limit = 0.0
    """Distance of the price from the close of the decision on the passive side, in basis points."""
    bars: Length | None = 24
    """Bars after which the rest is dealt with by `remainder`; null works until the order is filled."""
    post_only: bool = False
    """Whether an order that would take liquidity is rejected, and tried again, instead."""

    def plan(self, timeframe_ns: int) -> Plan:
        """Return the plan in integers."""
        plan = Plan(
            Algo.ICEBERG,
            bars=self.bars or 0,
            offset=rate_bps(self.offset_bps),
            size_jitter=share(self.size_jitter),
            display=share(self.display),
            post_only=self.post_only,
        )
        return plan_of(self, plan)

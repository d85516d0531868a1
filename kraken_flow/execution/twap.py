"""Time-weighted average price: equal parts at regular closes."""

from typing import ClassVar

from kraken_flow.core.node import node
from kraken_flow.core.plan import Algo, Plan
from kraken_flow.execution.worked import Jitter, Length, Limit, Worked, passive, plan_of, share


@node
class Twap(Worked):
    """Work a change of position in equal parts over a number of bars."""

    kernel: ClassVar[str | None] = "plan"
    bars: Length = 8
    """Bars over which the order is worked; the first part goes at the close of the decision."""
    every: Length = 1
    """Bars from one part to the next."""
    time_jitter: Jitter = 0.0
    """Largest shift of a part, as a share of `every`; less than a bar is none."""
    size_jitter: Jitter = 0.0
    """Largest change of a part, as a share of it; the last part makes up for all."""
    passive_bps: Limit | None = None
    """Distance of limit orders from the close on the passive side; null sends market orders."""

    def plan(self, timeframe_ns: int) -> Plan:
        """Return the plan in integers."""
        plan = Plan(
            Algo.TWAP,
            bars=self.bars,
            every=self.every,
            time_jitter=share(self.time_jitter),
            size_jitter=share(self.size_jitter),
            offset=passive(self.passive_bps),
        )
        return plan_of(self, plan)

"""Volume-weighted average price: parts in proportion to the volume that past days let expect."""

from typing import Annotated, ClassVar, Literal

import annotated_types

from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.core.plan import Algo, Plan
from kraken_flow.core.times import DAY
from kraken_flow.execution.worked import Jitter, Length, Limit, Worked, passive, plan_of, share


@node
class Vwap(Worked):
    """Work a change of position along a volume curve: medians of past bars at the same time of day or of week.

    Without a past the parts are equal, and the run counts it as `vwap_without_curve`.
    """

    kernel: ClassVar[str | None] = "plan"
    bars: Length = 8
    """Bars over which the order is worked; the first part goes at the close of the decision."""
    every: Length = 1
    """Bars from one part to the next."""
    curve: Literal["day", "week"] = "day"
    """Whether the curve repeats every day or every week."""
    past: Annotated[int, annotated_types.Ge(1), annotated_types.Le(366)] = 28
    """Days, or weeks, of the past that the curve is taken from."""
    time_jitter: Jitter = 0.0
    """Largest shift of a part, as a share of `every`; less than a bar is none."""
    size_jitter: Jitter = 0.0
    """Largest change of a part, as a share of it; the last part makes up for all."""
    passive_bps: Limit | None = None
    """Distance of limit orders from the close on the passive side; null sends market orders."""

    def plan(self, timeframe_ns: int) -> Plan:
        """Return the plan in integers. Raises `UserError` where bars do not divide the curve's length."""
        plan = Plan(
            Algo.VWAP,
            bars=self.bars,
            every=self.every,
            time_jitter=share(self.time_jitter),
            size_jitter=share(self.size_jitter),
            offset=passive(self.passive_bps),
            period=bars_in(self.curve, timeframe_ns),
            periods=self.past,
        )
        return plan_of(self, plan)


def bars_in(curve: str, timeframe_ns: int) -> int:
    """Return the number of bars after which a curve repeats. Raises `UserError` where that is no whole number."""
    length = DAY if curve == "day" else 7 * DAY
    if length % timeframe_ns:
        raise UserError(f"execution.curve={curve}: bars of this timeframe do not divide a {curve}; choose another")
    return length // timeframe_ns

"""Percentage of volume: children that keep to a share of what is traded."""

from typing import Annotated, ClassVar

import annotated_types

from kraken_flow.core.node import node
from kraken_flow.core.plan import Algo, Plan
from kraken_flow.core.units import rate
from kraken_flow.execution.worked import Length, Limit, Worked, passive, plan_of, share

Part = Annotated[float, annotated_types.Gt(0), annotated_types.Le(0.5)]
"""A share of at most a half."""
Burst = Annotated[float, annotated_types.Ge(1), annotated_types.Le(100)]
"""A multiple of at least 1."""


@node
class Pov(Worked):
    """Work a change of position so that it makes up a share of all volume, measured on the bar before."""

    kernel: ClassVar[str | None] = "plan"
    participation: Part = 0.1
    """Share of all volume, our own included: a child is rate / (1 - rate) times the volume of the last bar."""
    burst: Burst = 2.0
    """Largest child as a multiple of the last bar's part: what a quiet time left undone is not done at once."""
    bars: Length | None = None
    """Bars after which the rest is dealt with by `remainder`; null works until the order is filled."""
    passive_bps: Limit | None = None
    """Distance of limit orders from the close on the passive side; null sends market orders."""

    def plan(self, timeframe_ns: int) -> Plan:
        """Return the plan in integers."""
        plan = Plan(
            Algo.POV,
            bars=self.bars or 0,
            offset=passive(self.passive_bps),
            participation=share(self.participation),
            burst=rate(self.burst),
        )
        return plan_of(self, plan)

"""What all executors have in common that work a change of position as a parent order with children."""

from typing import Annotated, Literal, TypeAlias

import annotated_types

from kraken_flow.core.account import Execution, Placement, View
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.node import Fraction, node
from kraken_flow.core.orders import Side
from kraken_flow.core.plan import Plan, Remainder
from kraken_flow.core.units import UNIT, rate, rate_bps

Rest: TypeAlias = Literal["cancel", "cross"]
Length = Annotated[int, annotated_types.Ge(1), annotated_types.Le(100_000)]
"""A number of bars that an order may be worked over."""
Jitter = Annotated[float, annotated_types.Ge(0), annotated_types.Le(0.5)]
"""A share of at most a half, by which something is made irregular."""
Limit = Annotated[float, annotated_types.Ge(0), annotated_types.Lt(10_000)]
"""A distance from a price in basis points."""


@node
class Worked(Execution):
    """Base of executors that send children at bar closes."""

    limit_bps: Limit | None = None
    """Worst price of any child, in basis points from the close of the decision; null: none."""
    max_participation: Fraction | None = 0.1
    """Largest share of the last bar's volume that may be working at a time; null: no limit."""
    remainder: Rest = "cross"
    """What becomes of the rest when the plan is over: `cross` sends it at once, `cancel` leaves it."""
    exit_market: bool = False
    """Whether orders that only reduce a position go as one market order at once."""

    def place(self, view: View, instrument: Instrument, pair: int, side: Side, qty: int, reducing: bool) -> Placement:
        """Return a market order: what goes out beside the plan."""
        return Placement()


def plan_of(node: Worked, plan: Plan) -> Plan:
    """Return a plan with what all of them have in common."""
    fields = vars(plan) | {
        "limit_rate": -1 if node.limit_bps is None else rate_bps(node.limit_bps),
        "max_participation": -1 if node.max_participation is None else rate(node.max_participation),
        "remainder": Remainder[node.remainder.upper()],
        "exit_market": node.exit_market,
    }
    return Plan(**fields)


def passive(offset_bps: Limit | None) -> int:
    """Return the distance of children from the close, -1 for market orders."""
    return -1 if offset_bps is None else rate_bps(offset_bps)


def share(value: float) -> int:
    """Return a share of at most 1 as a rate."""
    return min(rate(value), UNIT)

"""Exits that were lost: what of a position nobody wants any more and nothing on its way reduces."""

from typing import TYPE_CHECKING

from kraken_flow.core.orders import OrderRequest, Reason, Side

if TYPE_CHECKING:
    from kraken_flow.core.decision import Decider


def reduced(position: int, target: int) -> int:
    """Return the target nearest to the one wanted that does not enlarge the position."""
    return max(min(target, max(position, 0)), min(position, 0))


def unattended(decider: "Decider", p: int) -> int:
    """Return how much of a pair's position lies beyond what is wanted, with nothing under way or planned to reduce it.

    An exit that an outage or the venue refused, and what filled while it was being taken back, remain so. An order on
    its way back still counts as under way: until it is back it may fill. 0 where the venue would not take so little.
    """
    sim, parents = decider.sim, decider.parents
    position, instrument = sim.ledger.position[p], decider.spec.instruments[p]
    rest = abs(position) - abs(reduced(position, decider.target[p] + parents.given(p)))
    if rest < instrument.lot:
        return 0
    for order in sim.live[p]:
        if order.alive and order.side * position < 0 and (order.group is None or order.takes_market):
            rest -= order.remaining
    qty = (rest - parents.reducing(p, position)) // instrument.lot * instrument.lot
    return qty if qty > 0 and instrument.takes(qty, decider.view.price[p]) else 0


def closed(decider: "Decider", p: int) -> list[OrderRequest]:
    """Return the market order that closes what is left of a scripted pair which was flattened."""
    qty = unattended(decider, p)
    side = Side.SELL if decider.sim.ledger.position[p] > 0 else Side.BUY
    return [OrderRequest(pair=p, side=side, qty=qty, reduce_only=True, reason=Reason.FLATTEN)] if qty else []


def closing_part(decider: "Decider", p: int, position: int, open_remainder: int) -> int:
    """Return what of an order that turns a position only closes it, 0 where the venue would not take that alone."""
    rest, instrument = position + open_remainder, decider.spec.instruments[p]
    qty = abs(rest) // instrument.lot * instrument.lot if rest * position > 0 else 0
    qty = min(qty, abs(position) // instrument.lot * instrument.lot)
    return qty if qty and instrument.takes(qty, decider.view.price[p]) else 0

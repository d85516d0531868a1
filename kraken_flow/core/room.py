"""Room for what closes a position: orders that had counted on closing it are cut to what the limits still admit.

What only reduces is always admitted. Yet it may close what a working order that turns the position had counted on
closing, which then ends as much farther on the other side; and to close a short takes away what a long elsewhere had
counted on in the net exposure. So each order that leaves pays for what it adds to the reach of the working ones.

Invariant, at every moment, prices being those at which orders were admitted: the widest that working orders can make
gross exposure is within `max_gross`; the farthest that they can carry net exposure to one side is within `max_net`, or
none of them can open or enlarge a position on that side; the worst book that they can lead to is within `max_var`, or
none of them can open or enlarge a position. Fills keep it, as they never widen a reach
(`admission.reach`); an order that may open is admitted only as far as it keeps it (`admission.admit`); one that only
reduces restores it here, at the moment at which it is sent: no price has moved since it was measured, and the venue
gets the smaller order before the one that it makes room for.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kraken_flow.core.admission import may_open, multiple, reach
from kraken_flow.core.contract import unit_price
from kraken_flow.core.limits import Trigger
from kraken_flow.core.orders import LogKind, State
from kraken_flow.core.units import UNIT, ceil_div
from kraken_flow.core.var_limit import (
    covariance_of,
    horizon_scale,
    most_variance,
    share_at_risk,
    spans_of,
    worst_variance,
)

if TYPE_CHECKING:
    from kraken_flow.core.account import View
    from kraken_flow.core.simulator import Simulator
    from kraken_flow.core.working import Order


def make_room(sim: "Simulator", view: "View", order: "Order") -> None:
    """Cut working orders on the side of a new one, which is about to be sent, to what the limits admit beside it.

    The newest go first. What prices alone carried beyond a limit is not cut, but by `max_var`.
    """
    limits = sim.watch.limits
    if limits.shadow or not limits.bounds_exposure:
        return
    p, side = order.pair, order.side
    reaches = [reach(sim, j) for j in range(len(sim.live))]
    before, after = reaches[p], reach(sim, p, (order,))
    if after.toward(side) == before.toward(side):
        return
    units = [unit_price(inverse, price) for inverse, price in zip(sim.ledger.inverse, view.price, strict=True)]
    worth = max(view.equity, 0)
    trades = sim.watch.opened + before.open + sum(r.fresh for j, r in enumerate(reaches) if j != p)
    if limits.max_trades and not may_open(order) and trades > limits.max_trades:
        beyond = max(after.toward(side), 0) * units[p]
        _cut(sim, view, order, (p,), beyond, Trigger.MAX_TRADES, (float(trades), float(limits.max_trades)))
    if limits.max_gross >= 0:
        after = reach(sim, p, (order,))
        rest = sum(r.widest * units[j] for j, r in enumerate(reaches) if j != p)
        wanted = rest + after.widest * units[p]
        excess = wanted - max(worth * limits.max_gross // UNIT, rest + before.widest * units[p])
        _cut(sim, view, order, (p,), excess, Trigger.MAX_GROSS, (multiple(wanted, worth), limits.max_gross / UNIT))
    if limits.max_net >= 0:
        net = sum(r.toward(side) * units[j] for j, r in enumerate(reaches))
        wanted = net + (reach(sim, p, (order,)).toward(side) - before.toward(side)) * units[p]
        excess = wanted - max(worth * limits.max_net // UNIT, net)
        pairs = range(len(sim.live))
        _cut(sim, view, order, pairs, excess, Trigger.MAX_NET, (multiple(wanted, worth), limits.max_net / UNIT))
    if limits.max_var >= 0 and worth:
        _hold_to_var(sim, view, order, units)


def _hold_to_var(sim: "Simulator", view: "View", order: "Order", units: list[int]) -> None:
    """Leave working orders, the newest first, nothing to open while the worst book is beyond the limit.

    A position that is closed may have been the hedge of another, whichever side that is on. The worst is bounded from
    above, so that of a book that hedges more may be cut than had to be, and what prices carried beyond is cut too.
    """
    limits, scale = sim.watch.limits, horizon_scale(sim.watch.limits, sim.periods_root)
    bound = most_variance(limits, scale)

    def worst() -> int:
        reaches = [reach(sim, j, (order,) if j == order.pair else ()) for j in range(len(sim.live))]
        spans = spans_of(sim, reaches, units, view.equity)
        # A pair with something to close is held, and so what is not known of it was not known before.
        return worst_variance(spans, covariance_of(sim)) or 0

    found = [o for orders in sim.live for o in orders if may_open(o)]
    at_risk = worst()
    numbers = (share_at_risk(at_risk, scale), limits.max_var / UNIT)
    for other in sorted(found, key=lambda o: -o.number):
        if at_risk <= bound:
            break
        j = other.pair
        far = reach(sim, j, (order,) if j == order.pair else ()).toward(other.side)
        opens = min(other.remaining, max(far - max(other.side * sim.ledger.position[j], 0), 0))
        if opens > 0:
            _shrink(sim, view, other, opens, opens, Trigger.MAX_VAR, numbers)
            at_risk = worst()


def _cut(
    sim: "Simulator",
    view: "View",
    order: "Order",
    pairs: Iterable[int],
    excess: int,
    trigger: Trigger,
    numbers: tuple[float, float],
) -> None:
    """Cut what working orders of some pairs may open on the side of a new one by an excess, in cash units."""
    if excess <= 0:
        return
    side, position = order.side, sim.ledger.position
    beyond = {}
    for j in pairs:
        far = reach(sim, j, (order,) if j == order.pair else ()).toward(side)
        beyond[j] = max(far - max(side * position[j], 0), 0)
    found = [o for j in beyond for o in sim.live[j] if may_open(o) and o.side == side]
    for other in sorted(found, key=lambda o: -o.number):
        j = other.pair
        opens = min(other.remaining, beyond[j])
        if excess <= 0 or opens <= 0:
            continue
        unit = unit_price(sim.ledger.inverse[j], view.price[j])
        less = _shrink(sim, view, other, opens, min(opens, ceil_div(excess, max(unit, 1))), trigger, numbers)
        excess -= less * unit
        beyond[j] -= less


def _shrink(
    sim: "Simulator",
    view: "View",
    other: "Order",
    opens: int,
    needed: int,
    trigger: Trigger,
    numbers: tuple[float, float],
) -> int:
    """Take at least `needed` of the `opens` that a working order may open; return what was taken. No dust is left."""
    instrument, price = sim.spec.instruments[other.pair], view.price[other.pair]
    closing = (other.remaining - opens) // instrument.lot * instrument.lot
    kept = (other.remaining - needed) // instrument.lot * instrument.lot
    kept = instrument.without_dust(kept, closing, other.limit or other.stop or price)
    less = other.remaining - kept
    other.allowed -= less
    other.cut_reason = trigger.reason
    sim.record.log(LogKind.AMEND if kept else LogKind.CANCEL, other, view.time, kept, trigger.reason)
    if kept == 0:
        sim.end(other, State.CANCELLED, trigger.reason)
    sim.watch.refuse(view.time, trigger, *numbers, other.pair, other.number)
    return less

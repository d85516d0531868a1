"""Protection: reduce-only groups that live from the fill that opened a position, and disarming after they fire."""

from typing import TYPE_CHECKING

from kraken_flow.core.orders import LogKind, OrderRequest, OrderType, Reason, Side, State
from kraken_flow.core.units import UNIT
from kraken_flow.core.working import Group, Order

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator

PROTECTIVE = frozenset({Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP})


def after_fill(sim: "Simulator", order: Order, qty: int, market: int, price: int, before: int) -> None:
    """Keep groups in step with the position after a fill: shrink siblings, close, open, resize, disarm.

    The order paid `price` where the market stood at `market`: levels are distances from the former, and the latter is
    where the new orders meet the market.
    """
    p = order.pair
    lot = sim.spec.instruments[p].lot
    after = sim.ledger.position[p]
    if order.group is not None:
        _shrink_siblings(sim, order, qty)
        if order.own:
            sim.stopped_row[p] = sim.row
            _disarm(sim, order)
    turned = (before > 0 > after) or (before < 0 < after)
    if abs(after) < lot or turned:
        _close_groups(sim, order)
        sim.protection[p] = None
    opened = abs(after) >= lot and (abs(before) < lot or turned)
    if opened:
        sim.entry_row[p] = sim.row
        if order.own:
            sim.protection[p] = _protect(sim, order, market, price, abs(after) // lot * lot)
    elif order.group is None:
        _resize(sim, order, abs(after) // lot * lot)
    request = order.request
    if request.stop_loss or request.take_profit or request.bracket_trail:
        grown = abs(after) - (0 if turned else abs(before)) if order.side * after > 0 else 0
        if grown > 0:
            _bracket(sim, order, market, price, grown // lot * lot)


def _shrink_siblings(sim: "Simulator", order: Order, qty: int) -> None:
    assert order.group is not None  # noqa: S101 - narrows the type: the caller tested it
    for leg in order.group.legs:
        if leg is not order and leg.alive:
            if leg.remaining <= qty:
                _cancel(sim, leg, Reason.OCO)
            else:
                leg.allowed -= qty
                leg.qty -= qty
                sim.record.log(LogKind.AMEND, leg, sim.close_time, leg.remaining, Reason.OCO)


def _disarm(sim: "Simulator", leg: Order) -> None:
    """Leave orders under way nothing but to close the position: after a protective exit the pair's target is 0.

    Without this a reversal, sent for the position and the new target together, would take twice its target.
    """
    for order in sim.live[leg.pair]:
        if order.own and order.group is None and order.alive and not (order.reduce_only or order.closes_only):
            order.closes_only = True
            sim.record.log(LogKind.AMEND, order, sim.close_time, order.remaining, leg.reason)


def _close_groups(sim: "Simulator", order: Order) -> None:
    for leg in sim.live[order.pair]:
        if leg.group is not None and leg is not order and leg.alive:
            _cancel(sim, leg, Reason.POSITION_CLOSED)


def _cancel(sim: "Simulator", leg: Order, reason: Reason) -> None:
    sim.record.log(LogKind.CANCEL, leg, sim.close_time, leg.remaining, reason)
    sim.end(leg, State.CANCELLED, reason)


def _protect(sim: "Simulator", order: Order, market: int, price: int, qty: int) -> Group | None:
    """Attach risk's stop, target and trail to a position that `order` just opened at `price`."""
    rates = sim.spec.protection
    tick = sim.spec.instruments[order.pair].tick
    group = Group(whole_position=True)
    side = -order.side
    if rates.stop_loss:
        stop = _toward(price * (UNIT + side * rates.stop_loss), UNIT * tick, side) * tick
        _child(sim, order, group, OrderType.STOP, qty, market, price, Reason.STOP_LOSS, stop=stop)
    if rates.take_profit:
        limit = _toward(price * (UNIT - side * rates.take_profit), UNIT * tick, -side) * tick
        _child(sim, order, group, OrderType.LIMIT, qty, market, price, Reason.TAKE_PROFIT, limit=limit)
    if rates.trailing:
        leg = _child(sim, order, group, OrderType.TRAILING, qty, market, price, Reason.TRAILING_STOP)
        leg.trail_rate = rates.trailing
        sim.set_level(leg)
    return group if group.legs else None


def _bracket(sim: "Simulator", order: Order, market: int, price: int, qty: int) -> None:
    """Create the group of a scripted order, or enlarge it after a further fill."""
    if qty <= 0:
        return
    request = order.request
    if order.child is not None and any(leg.alive for leg in order.child.legs):
        for leg in order.child.legs:
            if leg.alive:
                leg.qty += qty
                leg.allowed += qty
                sim.record.log(LogKind.AMEND, leg, sim.close_time, leg.remaining, order.reason)
        return
    group = order.child = Group(whole_position=False)
    if request.stop_loss:
        _child(sim, order, group, OrderType.STOP, qty, market, price, Reason.STOP_LOSS, stop=request.stop_loss)
    if request.take_profit:
        _child(sim, order, group, OrderType.LIMIT, qty, market, price, Reason.TAKE_PROFIT, limit=request.take_profit)
    if request.bracket_trail:
        leg = _child(sim, order, group, OrderType.TRAILING, qty, market, price, Reason.TRAILING_STOP)
        leg.trail = request.bracket_trail
        sim.set_level(leg)


def _child(
    sim: "Simulator",
    parent: Order,
    group: Group,
    kind: OrderType,
    qty: int,
    market: int,
    price: int,
    reason: Reason,
    stop: int = 0,
    limit: int = 0,
) -> Order:
    request = OrderRequest(
        pair=parent.pair,
        side=Side(-parent.side),
        qty=qty,
        type=kind,
        limit_price=max(limit, 0),
        stop_price=max(stop, 0),
        reduce_only=True,
        reason=reason,
        tag=parent.request.tag,
        trail=parent.request.bracket_trail if kind is OrderType.TRAILING else 0,
    )
    leg = sim.record.order(request, qty, parent.time, sim.row, parent.own)
    leg.group = group
    leg.state = State.ACTIVE
    leg.birth, leg.best = market, price
    leg.born_inside = not sim.open_phase
    group.legs.append(leg)
    sim.live[parent.pair].append(leg)
    sim.record.log(LogKind.SUBMIT, leg, parent.time, qty, reason)
    return leg


def _resize(sim: "Simulator", order: Order, qty: int) -> None:
    """Make the position's own group cover exactly the position."""
    group = sim.protection[order.pair]
    if group is None:
        return
    for leg in group.legs:
        if leg.alive and leg.remaining != qty:
            leg.qty = leg.allowed = leg.filled + qty
            sim.record.log(LogKind.AMEND, leg, sim.close_time, qty, order.reason)


def _toward(value: int, unit: int, side: int) -> int:
    """Divide rounding up for buys, down for sells."""
    return -(-value // unit) if side > 0 else value // unit

"""How prices ran inside a bar: in which order levels are reached (spec F2-F6).

`run_pessimistic` assumes the worst admissible order: the side that hurts the position first, on each side the level
nearest to the open first, protective orders of an entry inside the bar against the whole bar, their targets only when
the close is beyond. `run_path` walks a given path open -> extreme -> extreme -> close and needs no such assumption.
In both, a protective order born where the market is already past its level acts there and then.
"""

from typing import TYPE_CHECKING

from kraken_flow.core.orders import OrderType, State, Tif

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator
    from kraken_flow.core.working import Order

UP, DOWN = 1, -1


def run_pessimistic(sim: "Simulator", p: int) -> None:
    """Fill the pair's orders inside the bar in the worst admissible order."""
    bars = sim.bars
    _settle_births(sim, p)
    reached = {side: [o for o in sim.live[p] if _reached(sim, o, side)] for side in (UP, DOWN)}
    sim.ambiguous = bool(reached[UP] and reached[DOWN])
    if reached[UP] or reached[DOWN]:
        position = sim.ledger.position[p]
        if position:
            first = DOWN if position > 0 else UP
        elif reached[UP] and reached[DOWN]:
            first = UP if bars.high[p] - bars.open[p] < bars.open[p] - bars.low[p] else DOWN
        else:
            first = UP if reached[UP] else DOWN
        _sweep(sim, p, first, born_only=False)
        _sweep(sim, p, -first, born_only=False)
        _sweep(sim, p, first, born_only=True)
        if _make_at_close(sim, p):
            _sweep(sim, p, first, born_only=True)
            _sweep(sim, p, -first, born_only=True)
    sim.ambiguous = False


def run_path(sim: "Simulator", p: int, points: tuple[int, int, int, int]) -> None:
    """Fill the pair's orders along the path through `points`."""
    _settle_births(sim, p)
    sim.ambiguous = all(any(_reached(sim, o, side) for o in sim.live[p]) for side in (UP, DOWN))
    here = points[0]
    done: set[int] = set()
    for target in points[1:]:
        direction = UP if target > here else DOWN
        while target != here:
            best: tuple[int, int] | None = None
            chosen: Order | None = None
            for order in sim.live[p]:
                level = None if order.number in done else _level(sim, order, direction)
                if level is None or not _passes(sim, order, level, target, direction):
                    continue
                level = max(level, here) if direction == UP else min(level, here)
                key = (direction * level, order.number)
                if best is None or key < best:
                    best, chosen = key, order
            if best is None or chosen is None:
                break
            here = direction * best[0]
            if chosen.rests_as_limit:
                done.add(chosen.number)
            _execute(sim, chosen, here, inside=chosen.born_inside)
            _settle_births(sim, p)
        here = target
    sim.ambiguous = False


def _settle_births(sim: "Simulator", p: int) -> None:
    """Let orders act that were born where the market is past their level, stops first: that price is an ordered point.

    A stop fills as after a gap (spec F2), a limit takes the price (spec F3, F4).
    """
    while True:
        born = [order for order in sim.live[p] if _past_level(order)]
        if not born:
            return
        order = min(born, key=lambda o: (o.rests_as_limit, o.number))
        price, order.birth = order.birth, 0
        if order.rests_as_limit:
            sim.take(order, price, slip=False)
        else:
            _execute(sim, order, price, inside=order.born_inside)


def _past_level(order: "Order") -> bool:
    if order.birth == 0 or not order.alive:
        return False
    if order.waits_for_level:
        return order.side * (order.birth - order.level) >= 0
    return order.rests_as_limit and order.side * (order.limit - order.birth) >= 0


def _make_at_close(sim: "Simulator", p: int) -> bool:
    """Fill limits that began to rest inside the bar and that its close is beyond (spec F5); return whether any did."""
    close = sim.bars.close[p]
    found = False
    for order in list(sim.live[p]):
        if order.born_inside and order.alive and order.rests_as_limit:
            beyond = order.side * (order.limit - close)
            if beyond > 0 or (beyond == 0 and sim.spec.limit_touch):
                sim.ambiguous = found = True
                sim.make(order)
                _settle_births(sim, p)
    return found


def _level(sim: "Simulator", order: "Order", direction: int) -> int | None:
    """Return the price at which the order acts when prices move in `direction`, None if they do not concern it."""
    if not order.alive or order.state is State.PENDING or order.takes_market:
        return None
    if order.request.tif is Tif.GTD and order.request.expire_time < sim.close_time:
        return None
    if order.waits_for_level:
        return order.level if order.side == direction else None
    return order.limit if order.side == -direction else None


def _passes(sim: "Simulator", order: "Order", level: int, extreme: int, direction: int) -> bool:
    """Return whether a move to `extreme` reaches a stop's level, or trades through a limit's price."""
    beyond = direction * (extreme - level)
    if order.waits_for_level or sim.spec.limit_touch:
        return beyond >= 0
    return beyond > 0


def _reached(sim: "Simulator", order: "Order", direction: int) -> bool:
    level = _level(sim, order, direction)
    extreme = sim.bars.high[order.pair] if direction == UP else sim.bars.low[order.pair]
    return level is not None and _passes(sim, order, level, extreme, direction)


def _sweep(sim: "Simulator", p: int, direction: int, born_only: bool) -> None:
    """Execute every level reached on one side, nearest to the open first, children born on the way included."""
    done: set[int] = set()
    start = sim.bars.open[p]
    while True:
        best: tuple[int, int] | None = None
        chosen: Order | None = None
        for order in sim.live[p]:
            if (
                order.number in done
                or (order.born_inside and order.rests_as_limit)
                or (born_only and not order.born_inside)
            ):
                continue
            if not _reached(sim, order, direction):
                continue
            level = _level(sim, order, direction)
            key = (max(0, direction * ((level or 0) - start)), order.number)
            if best is None or key < best:
                best, chosen = key, order
        if best is None or chosen is None:
            return
        done.add(chosen.number)
        level = chosen.level if chosen.waits_for_level else chosen.limit
        _execute(sim, chosen, level, inside=chosen.born_inside)
        _settle_births(sim, p)


def _execute(sim: "Simulator", order: "Order", price: int, inside: bool) -> None:
    """Trigger and fill at `price`; a fill of an order born inside the bar is ambiguous."""
    outer = sim.ambiguous
    sim.ambiguous = outer or inside
    if order.waits_for_level:
        sim.trigger(order)
        if order.type is OrderType.STOP_LIMIT:
            order.born_inside = order.side * (order.limit - price) < 0
            if not order.born_inside:
                sim.take(order, price, slip=False)
        else:
            sim.take(order, price, slip=True)
    else:
        sim.make(order)
    sim.ambiguous = outer

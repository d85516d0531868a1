"""What the account's limits do to targets and orders: watch each instant, take back, close, bound, admit."""

from typing import TYPE_CHECKING

from kraken_flow.core.admission import admit
from kraken_flow.core.contract import unit_price
from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.market import REAL
from kraken_flow.core.orders import LogKind, OrderRequest, Reason, Side
from kraken_flow.core.throttle import held_back
from kraken_flow.core.units import FIX, UNIT
from kraken_flow.core.var_limit import cut_targets
from kraken_flow.core.watch import Breach

if TYPE_CHECKING:
    from kraken_flow.core.decision import Decider
    from kraken_flow.core.simulator import Simulator
    from kraken_flow.core.working import Order


def observe(decider: "Decider", equity: float) -> None:
    """Take an instant's marks before its decision, and do what the state that follows asks for."""
    sim, view = decider.sim, decider.view
    watch = sim.watch
    if not watch.limits.on:
        return
    before = watch.effect
    watch.observe(view.time, equity, _swan(sim, view.price), _stale(sim))
    act(decider, before)


def act(decider: "Decider", before: Effect) -> None:
    """Bring orders and targets in line with an effect that is stronger than the one `before`, and see it through."""
    sim = decider.sim
    effect = sim.watch.effect
    for p in range(len(decider.target)):
        if effect > before and effect >= Effect.HALT:
            _take_back(decider, p, effect is Effect.FLATTEN)
        if effect is Effect.FLATTEN:
            _close(decider, p)


def _take_back(decider: "Decider", p: int, everything: bool) -> None:
    """Take back what would open or enlarge a position, or everything but protection; let targets follow."""
    sim, view = decider.sim, decider.view
    reason = sim.watch.cause.reason
    position = sim.ledger.position[p]
    for order in sim.live[p]:
        if order.group is not None or not order.alive or order.cancel_at >= 0:
            continue
        if everything or not (order.reduce_only or order.closes_only or -order.side * position > 0):
            sim.cancel(order, reason, view.time)
        elif not (order.reduce_only or order.closes_only):
            order.closes_only = True
            sim.record.log(LogKind.AMEND, order, view.time, order.remaining, reason)
    turning = not everything and any(not parent.reduce_only for parent in decider.parents.of(p))
    wanted = bounded(decider, p, decider.target[p] + decider.parents.given(p))
    decider.parents.cancel(p, reason, enlarging=not everything)
    decider.target[p] = bounded(decider, p, decider.target[p])
    decider.parents.settle(p, wanted - decider.target[p])
    if turning and not decider.spec.scripted:
        for request in decider.reducing(p, wanted, flatten=False):
            decider.submit(request, own=True)
    if everything:
        keep_out(decider, p)


def keep_out(decider: "Decider", p: int) -> None:
    """Keep a pair that is being closed out of the market until its forecast changes, or its script goes on."""
    decider.flattened[p] = True
    if not decider.spec.scripted:
        decider.sim.stopped_row[p] = decider.view.row


def _close(decider: "Decider", p: int) -> None:
    """Close a pair's position at the market, where no order under way does and the venue would take one."""
    sim, view = decider.sim, decider.view
    instrument, position = decider.spec.instruments[p], sim.ledger.position[p]
    if sim.bars.state[p] != REAL and sim.gap[p] > decider.spec.max_gap:
        return
    rest = position + decider.open_remainder(p, position)
    qty = abs(rest) // instrument.lot * instrument.lot
    if qty == 0 or rest * position <= 0 or not instrument.takes(qty, view.price[p]):
        return
    side = Side.SELL if position > 0 else Side.BUY
    reason = sim.watch.cause.reason
    decider.submit(OrderRequest(pair=p, side=side, qty=qty, reduce_only=True, reason=reason), own=True)


def bounded(decider: "Decider", p: int, target: int) -> int:
    """Return the target nearest to the one wanted that the state of the account allows."""
    effect = decider.sim.watch.effect
    if effect is Effect.NONE:
        return target
    if effect is Effect.FLATTEN:
        return 0
    reach = decider.sim.ledger.position[p]
    if effect is Effect.REDUCE_ONLY:
        held, asked = reach, decider.target[p]
        reach += decider.open_remainder(p, held)
        if decider.sim.watch.cause is Trigger.MAX_TRADES and abs(held) >= decider.spec.instruments[p].lot:
            # What it was opened for is still due, though no order may be under way just now.
            reach = max(reach, asked) if held > 0 else min(reach, asked)
    return max(min(target, max(reach, 0)), min(reach, 0))


def scaled(decider: "Decider", wanted: list[int | None], news: bool) -> list[int | None]:
    """Return targets that together stay within the limits of the book: all of them, or all of one side, cut alike.

    What only drifting prices make too large is cut without a record (`news` False). Throttled, they are smaller first.
    """
    sim, view = decider.sim, decider.view
    limits, worth = sim.watch.limits, max(view.equity, 0)
    wanted = held_back(wanted, sim.ledger.position, sim.watch.share, [i.lot for i in decider.spec.instruments])
    if limits.max_gross < 0 and limits.max_net < 0 and limits.max_var < 0:
        return wanted
    out = [row >= 0 for row in sim.stopped_row]
    given = list(wanted)
    units = [unit_price(inverse, price) for inverse, price in zip(sim.ledger.inverse, view.price, strict=True)]

    def values() -> list[int]:
        targets = zip(given, decider.target, units, out, strict=True)
        return [0 if stopped else (q if w is None else w) * price for w, q, price, stopped in targets]

    def cut(trigger: Trigger, side: int, whole: int, most: int, exposure: int, limit: int) -> None:
        if news:
            number = float(exposure) / float(worth) if worth > 0 else 0.0
            sim.watch.refuse(view.time, trigger, number, limit / UNIT, -1, -1)
        share = max(most, 0) * FIX // whole
        for p, w in enumerate(given):
            if w is not None and w * (side or w) > 0 and not out[p]:
                lot = decider.spec.instruments[p].lot
                given[p] = (1 if w > 0 else -1) * (abs(w) * share // FIX // lot * lot)

    gross, most = sum(map(abs, values())), worth * limits.max_gross // UNIT
    if limits.max_gross >= 0 and gross > most:
        cut(Trigger.MAX_GROSS, 0, gross, most, gross, limits.max_gross)
    net, most = sum(values()), worth * limits.max_net // UNIT
    if limits.max_net >= 0 and abs(net) > most:
        side = 1 if net > 0 else -1
        whole = sum(abs(value) for value in values() if value * side > 0)
        cut(Trigger.MAX_NET, side, whole, most + whole - abs(net), abs(net), limits.max_net)
    if limits.max_var >= 0:
        at_risk = cut_targets(decider, given, units, out)
        if at_risk is not None and news:
            sim.watch.refuse(view.time, Trigger.MAX_VAR, at_risk, limits.max_var / UNIT, -1, -1)
    return wanted if limits.shadow else given


def admitted(decider: "Decider", order: "Order", qty: int) -> tuple[int, Reason]:
    """Pass an order through the limits: the quantity that may go; where that is none, why."""
    sim, view = decider.sim, decider.view
    watch = sim.watch
    answer = admit(sim, order, qty, view.price, view.equity)
    if answer.trigger is Trigger.NONE:
        return qty, Reason.NONE
    blocked = watch.effect is not Effect.NONE and answer.trigger is watch.cause
    if not blocked:
        watch.refuse(view.time, answer.trigger, answer.value, answer.limit, order.pair, order.number)
    if watch.limits.shadow:
        return qty, Reason.NONE
    order.closes_only = answer.closes and answer.qty > 0
    return answer.qty, Reason.NONE if answer.qty else answer.trigger.reason


def _swan(sim: "Simulator", prices: list[int]) -> Breach | None:
    """Return the first pair whose bar moved by more than the allowed multiple of what was usual before it."""
    limit = sim.watch.limits.black_swan / UNIT
    found = None
    for p, moves in enumerate(sim.watch.moves):
        if sim.bars.state[p] != REAL:
            moves.miss()
            continue
        seen = moves.update(prices[p])
        if seen is not None and found is None and seen[0] > limit * seen[1]:
            found = Breach(Trigger.BLACK_SWAN, Safety.KILLED, seen[0] / seen[1], limit, seen[1], p)
    return found


def _stale(sim: "Simulator") -> Breach | None:
    """Return the first pair with a position that had no bar for too long."""
    limit = sim.watch.limits.stale_ns
    for p, position in enumerate(sim.ledger.position):
        age = sim.gap[p] * sim.spec.timeframe_ns
        if limit and position and age >= limit:
            return Breach(Trigger.STALE_DATA, Safety.THROTTLED, age / 1e9, limit / 1e9, 0.0, p)
    return None

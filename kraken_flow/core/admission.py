"""How much of an order the account's limits admit: exposure as if every working order had filled."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from kraken_flow.core.contract import unit_price
from kraken_flow.core.limits import Effect, Trigger
from kraken_flow.core.orders import LogKind, Reason
from kraken_flow.core.units import UNIT
from kraken_flow.core.var_limit import admissible

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator
    from kraken_flow.core.working import Order


class Admitted(NamedTuple):
    """An answer: the quantity that may go (0 refuses), which limit cut it, and the numbers.

    `closes` says that all of it may do is close what is held.
    """

    qty: int
    trigger: Trigger = Trigger.NONE
    closes: bool = False
    value: float = 0.0
    limit: float = 0.0


class Reach(NamedTuple):
    """How far working orders can move a pair: its position if all buys filled, and if all sells did.

    `high` and `low` are where it ends if orders that only reduce come first: those behind them then reach farther.
    """

    up: int
    down: int
    high: int
    low: int
    open: int
    """Working orders that may open or enlarge a position."""
    fresh: int
    """Those of them that may open one: on the side of a position that is held, none can before that is closed."""

    def toward(self, side: int) -> int:
        """Return how far the pair can move to one side, positive beyond flat."""
        return self.high if side > 0 else -self.low

    @property
    def widest(self) -> int:
        """Return the largest position, long or short."""
        return max(abs(self.high), abs(self.low))


def may_open(order: "Order") -> bool:
    """Return whether an order works that may open or enlarge a position."""
    return order.alive and not order.reduce_only and not order.closes_only


def enlarges(sim: "Simulator", p: int, side: int) -> bool:
    """Return whether an order on a side enlarges a position that its pair holds, and so opens none."""
    return side * sim.ledger.position[p] >= sim.spec.instruments[p].lot


def reach(sim: "Simulator", p: int, also: "Iterable[Order]" = ()) -> Reach:
    """Return how far a pair's working orders can move it, `also` counting as one of them.

    No sequence of their fills moves it farther, and none widens this: an order that opens moves the position by what it
    has left less to fill; one that only reduces moves it toward flat, where `high` and `low` see it already. Risk's own
    protection disarms the orders that it leaves, and so is left out.
    """
    position = sim.ledger.position[p]
    moves, reductions = {1: 0, -1: 0}, {1: 0, -1: 0}
    count = fresh = 0
    for order in (*sim.live[p], *also):
        if may_open(order):
            count += 1
            fresh += not enlarges(sim, p, order.side)
            moves[order.side] += order.remaining
        elif order.alive and not (order.group and order.own):
            reductions[order.side] += order.remaining
    up, down = position + moves[1], position - moves[-1]
    high = up + min(reductions[1], max(-position, 0))
    return Reach(up, down, high, down - min(reductions[-1], max(position, 0)), count, fresh)


def hold_to_trades(sim: "Simulator", p: int, side: int) -> None:
    """Leave orders nothing to open in a pair that was just closed or turned, where the day's trades are used up.

    Every working order was admitted as one position that it may open, or to enlarge one that was held; the rest of it
    would open another.
    `side` is that of the orders that can do so now: against a position that was turned, 0 for both.
    """
    limits = sim.watch.limits
    if limits.shadow or not limits.max_trades:
        return
    others = sum(reach(sim, j).fresh for j in range(len(sim.live)) if j != p)
    found = [order for order in sim.live[p] if may_open(order) and order.side * side >= 0]
    if sim.watch.opened + others + len(found) <= limits.max_trades:
        return
    for order in found:
        order.closes_only = True
        sim.record.log(LogKind.AMEND, order, sim.close_time, order.remaining, Reason.MAX_TRADES)


def admit(sim: "Simulator", order: "Order", qty: int, prices: list[int], equity: int) -> Admitted:
    """Return how much of a new order may go; `core/room.py` makes room for it.

    Parameters: `qty` on the lot grid; `prices` last closes, 10^-8; `equity` at them, exact. What reduces a position is
    always admitted, where others may close it first as an order that only reduces; exposure counts at the last closes.
    """
    watch = sim.watch
    limits = watch.limits
    if order.reduce_only or not limits.on:
        return Admitted(qty)
    p, side = order.pair, order.side
    held = min(max(0, -side * sim.ledger.position[p]), qty)
    grows = enlarges(sim, p, side)
    if watch.effect is not Effect.NONE and not (grows and watch.cause is Trigger.MAX_TRADES):
        return Admitted(qty if held else 0, watch.cause, closes=True)
    if far := _far(limits.price_band, prices[p], order.limit, order.stop):
        return Admitted(0, Trigger.PRICE_BAND, value=far, limit=limits.price_band / UNIT)
    if not limits.bounds_exposure:
        return Admitted(qty)
    lot = sim.spec.instruments[p].lot
    reaches = [reach(sim, j) for j in range(len(prices))]
    units = [unit_price(inverse, price) for inverse, price in zip(sim.ledger.inverse, prices, strict=True)]
    mine = reaches[p]
    behind = max(0, min(held, -side * (mine.up if side > 0 else mine.down))) // lot * lot
    free = max(0, min(held, -mine.toward(side)))
    if qty <= free:
        return Admitted(qty)
    held_by = zip(reaches, sim.ledger.position, sim.spec.instruments, strict=True)
    held_pairs = [r.open > 0 or abs(q) >= instrument.lot for r, q, instrument in held_by]
    others, taken = sum(held_pairs), held_pairs[p]
    if limits.max_positions and not taken and others >= limits.max_positions:
        return Admitted(0, Trigger.MAX_POSITIONS, value=float(others + 1), limit=float(limits.max_positions))
    trades = watch.opened + sum(r.fresh for r in reaches) + 1
    if limits.max_trades and not grows and trades > limits.max_trades:
        most = float(limits.max_trades)
        return Admitted(qty if held else 0, Trigger.MAX_TRADES, closes=True, value=float(trades), limit=most)
    worth = max(equity, 0)
    answer = Admitted(qty)
    if limits.max_gross >= 0:
        rest = sum(r.widest * units[j] for j, r in enumerate(reaches) if j != p)
        most = (worth * limits.max_gross // UNIT - rest) // max(units[p], 1)
        answer = _cut(answer, most - mine.toward(side), free, lot, Trigger.MAX_GROSS)
        if answer.trigger is Trigger.MAX_GROSS:
            wanted = rest + abs(mine.toward(side) + qty) * units[p]
            answer = answer._replace(value=multiple(wanted, worth), limit=limits.max_gross / UNIT)
    if limits.max_net >= 0:
        net = sum(r.toward(side) * units[j] for j, r in enumerate(reaches))
        most = (worth * limits.max_net // UNIT - net) // max(units[p], 1)
        narrower = _cut(answer, most, free, lot, Trigger.MAX_NET)
        if narrower is not answer:
            value = multiple(net + qty * units[p], worth)
            answer = narrower._replace(value=value, limit=limits.max_net / UNIT)
    if limits.max_var >= 0:
        most, value = admissible(sim, p, side, answer.qty, qty, reaches, units, worth)
        narrower = _cut(answer, most, free, lot, Trigger.MAX_VAR)
        if narrower is not answer:
            answer = narrower._replace(value=value, limit=limits.max_var / UNIT)
    if answer.qty < behind:
        # Others may close the position first: then it is to open none.
        answer = answer._replace(qty=behind, closes=True)
    if answer.qty < qty:
        at = order.limit or order.stop or prices[p]
        kept = sim.spec.instruments[p].without_dust(answer.qty, held // lot * lot, at)
        answer = answer._replace(qty=kept)
    return answer


def _cut(answer: Admitted, most: int, free: int, lot: int, trigger: Trigger) -> Admitted:
    """Cut an answer to `most`, yet not below what only reduces."""
    allowed = max(most, free) // lot * lot
    return answer if allowed >= answer.qty else Admitted(max(allowed, 0), trigger)


def _far(band: int, close: int, *prices: int) -> float:
    """Return how far the farthest price lies from the last close, 0 where all lie within the band."""
    if band < 0 or close <= 0:
        return 0.0
    away = max((abs(price - close) for price in prices if price), default=0)
    return float(away) / float(close) if away * UNIT > band * close else 0.0


def multiple(exposure: int, equity: int) -> float:
    """Return exposure over equity, 0 where there is no equity."""
    return float(exposure) / float(equity) if equity > 0 else 0.0

"""How much of an order the account's limits admit: exposure as if every working order had filled."""

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


def reach(sim: "Simulator", p: int) -> Reach:
    """Return how far a pair can move. Risk's own protection disarms the orders that it leaves, and so is left out."""
    position = sim.ledger.position[p]
    moves, reductions = {1: 0, -1: 0}, {1: 0, -1: 0}
    count = 0
    for order in sim.live[p]:
        if order.alive and not order.reduce_only and not order.closes_only:
            count += 1
            moves[order.side] += order.remaining
        elif order.alive and not (order.group and order.own):
            reductions[order.side] += order.remaining
    up, down = position + moves[1], position - moves[-1]
    high = up + min(reductions[1], max(-position, 0))
    return Reach(up, down, high, down - min(reductions[-1], max(position, 0)), count)


def hold_to_trades(sim: "Simulator", p: int) -> None:
    """Leave the working orders of a pair that was just closed nothing to open, where the day's trades are used up.

    The rest of an order that had opened the position would open another one.
    """
    limits = sim.watch.limits
    if limits.shadow or not limits.max_trades:
        return
    if sim.watch.opened + sum(reach(sim, j).open for j in range(len(sim.live))) <= limits.max_trades:
        return
    for order in sim.live[p]:
        if order.alive and not order.reduce_only and not order.closes_only:
            order.closes_only = True
            sim.record.log(LogKind.AMEND, order, sim.close_time, order.remaining, Reason.MAX_TRADES)


def admit(sim: "Simulator", order: "Order", qty: int, prices: list[int], equity: int) -> Admitted:
    """Return how much of a new order may go.

    Parameters: `qty` on the lot grid; `prices` last closes, 10^-8; `equity` at them, exact. What reduces a position is
    always admitted; exposure counts at the last closes.
    """
    watch = sim.watch
    limits = watch.limits
    if order.reduce_only or not limits.on:
        return Admitted(qty)
    p, side = order.pair, order.side
    held = min(max(0, -side * sim.ledger.position[p]), qty)
    if watch.effect is not Effect.NONE:
        return Admitted(qty if held else 0, watch.cause, closes=True)
    if far := _far(limits.price_band, prices[p], order.limit, order.stop):
        return Admitted(0, Trigger.PRICE_BAND, value=far, limit=limits.price_band / UNIT)
    if not limits.bounds_exposure:
        return Admitted(qty)
    lot = sim.spec.instruments[p].lot
    reaches = [reach(sim, j) for j in range(len(prices))]
    units = [unit_price(inverse, price) for inverse, price in zip(sim.ledger.inverse, prices, strict=True)]
    mine = reaches[p]
    free = max(0, min(held, -side * (mine.up if side > 0 else mine.down)))
    if qty <= free:
        return Admitted(qty)
    held_by = zip(reaches, sim.ledger.position, sim.spec.instruments, strict=True)
    held_pairs = [r.open > 0 or abs(q) >= instrument.lot for r, q, instrument in held_by]
    others, taken = sum(held_pairs), held_pairs[p]
    if limits.max_positions and not taken and others >= limits.max_positions:
        return Admitted(0, Trigger.MAX_POSITIONS, value=float(others + 1), limit=float(limits.max_positions))
    trades = watch.opened + sum(r.open for r in reaches) + 1
    if limits.max_trades and trades > limits.max_trades:
        most = float(limits.max_trades)
        return Admitted(qty if held else 0, Trigger.MAX_TRADES, closes=True, value=float(trades), limit=most)
    worth = max(equity, 0)
    answer = Admitted(qty)
    if limits.max_gross >= 0:
        rest = sum(max(abs(r.high), abs(r.low)) * units[j] for j, r in enumerate(reaches) if j != p)
        most = (worth * limits.max_gross // UNIT - rest) // max(units[p], 1)
        answer = _cut(answer, most - side * (mine.high if side > 0 else mine.low), free, lot, Trigger.MAX_GROSS)
        if answer.trigger is Trigger.MAX_GROSS:
            wanted = rest + abs((mine.high if side > 0 else mine.low) + side * qty) * units[p]
            answer = answer._replace(value=_multiple(wanted, worth), limit=limits.max_gross / UNIT)
    if limits.max_net >= 0:
        net = side * sum((r.high if side > 0 else r.low) * units[j] for j, r in enumerate(reaches))
        most = (worth * limits.max_net // UNIT - net) // max(units[p], 1)
        narrower = _cut(answer, most, free, lot, Trigger.MAX_NET)
        if narrower is not answer:
            value = _multiple(net + qty * units[p], worth)
            answer = narrower._replace(value=value, limit=limits.max_net / UNIT)
    if limits.max_var >= 0:
        most, value = admissible(sim, p, side, answer.qty, qty, reaches, units, worth)
        narrower = _cut(answer, most, free, lot, Trigger.MAX_VAR)
        if narrower is not answer:
            answer = narrower._replace(value=value, limit=limits.max_var / UNIT)
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


def _multiple(exposure: int, equity: int) -> float:
    return float(exposure) / float(equity) if equity > 0 else 0.0

"""Margin: what it takes to open a position, and how the venue closes one that its margin no longer carries (F16).

Positions are judged at the mark: the mark's bars where the data has them, else the last prices. The check comes after
the fills of the open at the mark's open, then inside the bar at the extreme that hurts the position, where a stop
nearer to the open goes first, and for margin that positions share once more at all marks' closes together.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kraken_flow.core.contract import MarginMode, quoted
from kraken_flow.core.costs import fee_of
from kraken_flow.core.orders import Liquidity, LogKind, OrderRequest, OrderType, Reason, Side, State
from kraken_flow.core.protection import after_fill
from kraken_flow.core.units import UNIT
from kraken_flow.core.watch import Change

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator
    from kraken_flow.core.working import Order

HIGHEST = 2**62
"""The price above which none is looked for."""


def equity_at(sim: "Simulator", p: int, price: int, others: list[int]) -> int:
    """Return what stands behind a pair's position when it is marked at `price`: its own margin, or the account."""
    ledger = sim.ledger
    if sim.spec.margin.mode is MarginMode.ISOLATED:
        return ledger.margin[p] + ledger.value(p, price) - ledger.basis[p]
    total = ledger.cash + ledger.value(p, price)
    for j, position in enumerate(ledger.position):
        if position and j != p:
            total += ledger.value(j, others[j])
    return total


def exposed(sim: "Simulator", p: int, price: int, others: list[int]) -> bool:
    """Return whether the margin behind a pair's position is used up to the maintenance level at `price`."""
    ledger, terms = sim.ledger, sim.spec.margin
    equity = equity_at(sim, p, price, others)
    if terms.mode is MarginMode.LEVEL:
        if ledger.cash >= 0 and min(ledger.position) >= 0:
            return False  # Nothing is borrowed: there is nothing to call.
        used = sum(abs(basis) for basis in ledger.basis)
        return equity * sim.spec.leverage <= terms.maintenance * used
    size = ledger.notional(p, abs(ledger.position[p]), price)
    if terms.mode is MarginMode.CROSS:
        for j, position in enumerate(ledger.position):
            if position and j != p:
                size += ledger.notional(j, abs(position), others[j])
    return equity * UNIT <= terms.maintenance * size


def first_price(start: int, stop: int, holds: Callable[[int], bool]) -> int:
    """Return the price nearest to `start` at which a condition holds that holds at `stop`, and from there on."""
    if holds(start):
        return start
    low, high = min(start, stop), max(start, stop)
    falling = stop < start
    while high - low > 1:
        middle = low + (high - low) // 2
        if holds(middle) == falling:
            low = middle
        else:
            high = middle
    return low if falling else high


def bankruptcy_price(sim: "Simulator", p: int, others: list[int], otherwise: int) -> int:
    """Return the price at which nothing is left of the margin behind a position, `otherwise` where there is none."""

    def nothing_left(price: int) -> bool:
        return equity_at(sim, p, price, others) <= 0

    best, worst = (HIGHEST, 1) if sim.ledger.position[p] > 0 else (1, HIGHEST)
    if nothing_left(best) or not nothing_left(worst):
        return otherwise
    return first_price(best, worst, nothing_left)


def at_mark(sim: "Simulator", prices: list[int]) -> None:
    """Liquidate what the marks of one moment no longer carry; where margin is shared, the largest position first.

    A margin level that is reached closes everything.
    """
    ledger = sim.ledger
    held = [p for p, position in enumerate(ledger.position) if position]
    sizes = {p: ledger.notional(p, abs(ledger.position[p]), prices[p]) for p in held}
    for p in sorted(held, key=lambda p: (-sizes[p], p)):
        if sim.called or exposed(sim, p, prices[p], prices):
            _liquidate(sim, p, prices[p], prices)
    sim.called = False


def threaten(sim: "Simulator", p: int) -> "Order | None":
    """Place the venue's order where the bar's marks reach the pair's liquidation; orders nearer to the open go first.

    The mark may lie off the bar's own prices: then the order stands at the nearest of them.
    """
    found = _reached(sim, p)
    if found is None:
        return None
    order = _order(sim, p, OrderType.STOP)
    order.best = found
    bars = sim.bars
    order.level = max(found, bars.low[p]) if order.side < 0 else min(found, bars.high[p])
    sim.live[p].append(order)
    return order


def settle(sim: "Simulator", p: int, threat: "Order | None") -> None:
    """Close what the bar's extreme no longer carries once the bar's orders are done."""
    if threat is not None and threat.alive:
        if sim.ledger.position[p] * threat.side < 0:
            close_out(sim, threat)
        else:
            sim.end(threat, State.CANCELLED, Reason.POSITION_CLOSED)
    found = _reached(sim, p)
    if found is not None:
        _liquidate(sim, p, found, sim.marks.open)


def _reached(sim: "Simulator", p: int) -> int | None:
    """Return the first mark between the open and the extreme that hurts the position at which it is liquidated."""
    position, marks = sim.ledger.position[p], sim.marks
    if position == 0:
        return None
    extreme = marks.low[p] if position > 0 else marks.high[p]
    if not exposed(sim, p, extreme, marks.open):
        return None
    return first_price(marks.open[p], extreme, lambda price: exposed(sim, p, price, marks.open))


def _order(sim: "Simulator", p: int, kind: OrderType) -> "Order":
    position = sim.ledger.position[p]
    side = Side.SELL if position > 0 else Side.BUY
    request = OrderRequest(pair=p, side=side, qty=abs(position), type=kind, reduce_only=True, reason=Reason.LIQUIDATION)
    order = sim.record.order(request, abs(position), sim.time, sim.row, not sim.spec.scripted)
    order.move(State.ACTIVE)
    return order


def _liquidate(sim: "Simulator", p: int, mark: int, others: list[int]) -> None:
    order = _order(sim, p, OrderType.MARKET)
    order.best = mark
    close_out(sim, order, others)


def close_out(sim: "Simulator", order: "Order", others: list[int] | None = None) -> None:
    """Fill the venue's order: the whole position, whatever the volume; then take back the pair's other orders."""
    p, ledger, terms = order.pair, sim.ledger, sim.spec.margin
    before = ledger.position[p]
    if before * order.side >= 0:
        sim.end(order, State.CANCELLED, Reason.POSITION_CLOSED)
        return
    marks = sim.marks.open if others is None else others
    price = order.best
    if terms.mode is not MarginMode.LEVEL:
        limit = bankruptcy_price(sim, p, marks, price)
        nearest = max(price, limit) if before > 0 else min(price, limit)
        price = limit if terms.at_bankruptcy else nearest
    qty = abs(before)
    left = max(equity_at(sim, p, price, marks), 0)
    fee = min(fee_of(ledger.notional(p, qty, price), terms.fee), left)
    order.qty = order.allowed = order.filled = qty
    ledger.book(p, order.side, qty, price, fee, 0)
    sim.called = terms.mode is MarginMode.LEVEL
    sim.fees.add(sim.time, quoted(ledger.inverse[p], qty, price))
    change = Change(before, 0, sim.spec.instruments[p].lot, ledger.inverse[p])
    sim.watch.fill(p, order.side, qty, price, fee, change)
    sim.record.log(LogKind.SUBMIT, order, sim.time, qty, Reason.LIQUIDATION)
    sim.record.fill(sim, order, qty, price, fee, 0, 0, Liquidity.TAKER)
    sim.record.count("liquidations")
    order.move(State.FILLED)
    for other in sim.live[p]:
        if other is not order and other.alive and other.group is None:
            sim.record.log(LogKind.CANCEL, other, sim.time, other.remaining, Reason.LIQUIDATION)
            sim.end(other, State.CANCELLED, Reason.LIQUIDATION)
    after_fill(sim, order, qty, price, price, before)
    if order.own:
        sim.stopped_row[p] = sim.row


def free(sim: "Simulator", p: int, side: int, price: int) -> int:
    """Return the wallet that no isolated margin holds, once an order has closed what it closes of its pair at `price`.

    Open profit of isolated positions backs nothing else.
    """
    ledger = sim.ledger
    left = ledger.wallet() - sum(ledger.margin)
    if ledger.position[p] * side < 0:
        left += ledger.margin[p] + ledger.value(p, price) - ledger.basis[p]
    return left


def cover(
    sim: "Simulator", order: "Order", price: int, rate: int, held: int, reserves: tuple[int, int]
) -> Callable[[int], bool]:
    """Return what tells whether margin covers a quantity larger than `held` at `price`.

    `held` is the part that only closes the present position; `rate` is the fee rate, `reserves` notional and fees of
    resting orders. Gross exposure may not exceed leverage times equity; isolated, the margin of what is opened has to
    be free.
    """
    p, ledger, spec = order.pair, sim.ledger, sim.spec
    notional, fees = reserves
    equity, gross = ledger.cash - fees + ledger.value(p, price), notional
    for j, position in enumerate(ledger.position):
        if position and j != p:
            equity += ledger.value(j, sim.bars.open[j])
            gross += ledger.notional(j, abs(position), sim.bars.open[j])
    own = ledger.position[p]
    backing = free(sim, p, order.side, price) - fees if ledger.leverage else 0

    def covered(qty: int) -> bool:
        fee = fee_of(ledger.notional(p, qty, price), rate)
        after = ledger.notional(p, abs(own + order.side * qty), price)
        if (gross + after) * UNIT > spec.leverage * (equity - fee):
            return False
        if not ledger.leverage:
            return True
        grown = ledger.notional(p, qty - held, price) + notional
        return grown * UNIT <= spec.leverage * (backing - fee)

    return covered

"""What an account can afford: gross exposure may not exceed leverage x equity (spec F22).

Without shorts and with leverage 1 that is exactly "cash does not go below zero". Other pairs are marked at the bar's
open, the order's own pair at the order's price. Resting orders that would open or enlarge a position reserve their
notional and the dearer fee.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kraken_flow.core import margin
from kraken_flow.core.costs import fee_of
from kraken_flow.core.orders import OrderType, State
from kraken_flow.core.units import UNIT

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator
    from kraken_flow.core.working import Order


def reserved(sim: "Simulator", skip: "Order") -> tuple[int, int]:
    """Return (notional, fees) in cash units reserved by resting orders other than `skip`."""
    notional = fees = 0
    rate = max(sim.fees.rates(sim.time))
    for p, orders in enumerate(sim.live):
        position = sim.ledger.position[p]
        for order in orders:
            if (
                order is skip
                or order.type is OrderType.MARKET
                or order.reduce_only
                or order.state not in (State.ACTIVE, State.TRIGGERED)
            ):
                continue
            growing = order.remaining - max(0, -order.side * position)
            if growing > 0:
                cost = sim.ledger.notional(p, growing, order.limit or order.stop)
                notional += cost
                fees += fee_of(cost, rate)
    return notional, fees


def affordable(sim: "Simulator", order: "Order", price: int, want: int, rate: int, held: int) -> int:
    """Return the largest quantity on the lot grid, at most `want`, that funds cover at `price`.

    `held` is the part that only closes the present position: it is always affordable. `rate` is the fee rate. A cut
    leaves nothing below the venue's minima.
    """
    p = order.pair
    reserves = reserved(sim, order)
    if sim.ledger.contracts[p]:
        covered = margin.cover(sim, order, price, rate, held, reserves)
    else:
        covered = _cover(sim, order, price, rate, reserves)
    if want <= held or covered(want):
        return want
    instrument = sim.spec.instruments[p]
    lot = instrument.lot
    closing = held // lot
    low, high = closing, -(-want // lot)
    while high - low > 1:
        middle = (low + high) // 2
        if covered(middle * lot):
            low = middle
        else:
            high = middle
    return instrument.without_dust(low * lot, closing * lot, price)


def _cover(sim: "Simulator", order: "Order", price: int, rate: int, reserves: tuple[int, int]) -> Callable[[int], bool]:
    """Return what tells whether cash and coins cover a quantity at `price`."""
    p, ledger = order.pair, sim.ledger
    notional, fees = reserves
    equity = ledger.cash - fees
    gross = notional
    for j, position in enumerate(ledger.position):
        if position and j != p:
            value = position * sim.bars.open[j]
            equity += value
            gross += abs(value)
    own = ledger.position[p]
    equity += own * price
    in_base = sim.spec.fee_in_base and order.side > 0

    def covered(qty: int) -> bool:
        fee_base = fee_of(qty, rate) if in_base else 0
        fee = fee_base * price if in_base else fee_of(qty * price, rate)
        after = abs(own + order.side * qty - fee_base) * price
        return (gross + after) * UNIT <= sim.spec.leverage * (equity - fee)

    return covered

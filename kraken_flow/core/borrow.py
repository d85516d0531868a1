"""What a short of coins costs: an opening fee, then a rollover per completed period on the notional at entry (F17)."""

from typing import TYPE_CHECKING

from kraken_flow.core.contract import RATE_UNIT, FlowKind
from kraken_flow.core.costs import fee_of
from kraken_flow.core.units import UNIT

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator


def opened(sim: "Simulator", pair: int, before: int, price: int) -> None:
    """Charge the opening fee on what a fill at `price` borrowed; the clock of the rollover starts with the loan."""
    after = sim.ledger.position[pair]
    if after >= 0:
        sim.loan_due[pair] = 0
        return
    grown = -after - max(0, -before)
    if before >= 0:
        sim.loan_due[pair] = sim.time + sim.spec.borrow.every_ns
    if grown > 0:
        owed = sim.ledger.notional(pair, grown, price)
        _charge(sim, FlowKind.BORROW_OPENING, pair, sim.time, -grown, price, owed, sim.spec.borrow.opening)


def roll_over(sim: "Simulator", open_time: int) -> None:
    """Charge the periods that were completed by the open of a bar, on positions held before it."""
    for pair, position in enumerate(sim.ledger.position):
        while position < 0 and 0 < sim.loan_due[pair] <= open_time:
            time = sim.loan_due[pair]
            sim.loan_due[pair] += sim.spec.borrow.every_ns
            owed = abs(sim.ledger.basis[pair])
            rate = sim.spec.borrow.rollover
            _charge(sim, FlowKind.BORROW_ROLLOVER, pair, time, position, 0, owed, rate)


def _charge(sim: "Simulator", kind: FlowKind, pair: int, time: int, qty: int, price: int, owed: int, rate: int) -> None:
    fee = fee_of(owed, rate)
    if fee:
        sim.ledger.cash -= fee
        sim.record.flow(sim.row, kind, pair, time, qty, price, rate * (RATE_UNIT // UNIT), -fee)

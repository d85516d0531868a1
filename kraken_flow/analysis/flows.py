"""Cash that moved without a fill: funding of perpetuals, what borrowed coins cost; and what contracts are worth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.wide import Wide
from kraken_flow.core import contract
from kraken_flow.core.contract import FlowKind
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.result import Columns, Result
from kraken_flow.core.units import Int64Array

Mask = NDArray[np.bool_]


def amounts(flows: Columns) -> Wide:
    """Return what each flow brought, negative where it was paid; nothing for a run without any."""
    if not flows:
        return Wide.of(np.zeros(0, np.int64))
    return Wide.of_split(flows["amount_hi"], flows["amount_lo"])


def spent(result: Result) -> dict[str, int]:
    """Return what flows cost, exact, units of 10^-16: funding paid, funding received, and borrowed coins."""
    flows = result.flows
    if not flows:
        return {"funding_paid": 0, "funding_received": 0, "borrow": 0}
    brought = amounts(flows)
    funding = flows["kind"] == FlowKind.FUNDING
    return {
        "funding_paid": -brought.take(funding & brought.negative).total(),
        "funding_received": brought.take(funding & brought.positive).total(),
        "borrow": -brought.take(~funding).total(),
    }


def open_value(result: Result, instruments: Sequence[Instrument], prices: Sequence[int]) -> int:
    """Return what open positions add to cash at the given prices, exact: a coin's value, a contract's open profit."""
    entered = result.basis or (0,) * len(instruments)
    held = zip(instruments, result.final_positions.tolist(), prices, entered, strict=True)
    return sum(contract.value(i.inverse, qty, price) - basis for i, qty, price, basis in held)


def fill_flow(fills_price: Int64Array, change: Int64Array, inverse: Mask) -> Wide:
    """Return the cash that signed changes of position bring at their prices, before fees.

    Parameters: int64 arrays of one shape, and whether each row is of an inverse contract.
    """
    if not inverse.any():
        return Wide.product(fills_price, -change)
    rows = zip(inverse.tolist(), change.tolist(), fills_price.tolist(), strict=True)
    return Wide.of_ints(-contract.cost(one, qty, price) for one, qty, price in rows)


def by_trip(
    flows: Columns, pair: Int64Array, first_row: Int64Array, last_row: Int64Array, closed: Mask
) -> dict[int, int]:
    """Return what flows brought to each round trip that had any, by its index.

    Parameters: of each trip its pair, the rows of its first and last fill, and whether it is closed. A funding event
    belongs to the trip whose position was held before its row's open, a fee for borrowing to the one that borrowed.
    """
    found: dict[int, int] = {}
    if not flows:
        return found
    brought = amounts(flows).ints()
    for p in np.unique(flows["pair"]).tolist():
        trips = np.flatnonzero(pair == p)
        trips = trips[np.argsort(first_row[trips], kind="stable")]
        rows = np.flatnonzero(flows["pair"] == p)
        opening = flows["kind"][rows] == FlowKind.BORROW_OPENING
        at = np.where(
            opening,
            np.searchsorted(first_row[trips], flows["row"][rows], side="right"),
            np.searchsorted(first_row[trips], flows["row"][rows], side="left"),
        )
        for row, place in zip(rows.tolist(), (at - 1).tolist(), strict=True):
            if place >= 0:
                trip = int(trips[place])
                if not closed[trip] or int(flows["row"][row]) <= int(last_row[trip]):
                    found[trip] = found.get(trip, 0) + brought[row]
    return found

"""Funding: events that move cash between longs and shorts, each known at its time (spec F15).

An event is due at the first open at or after its time, once it is known, on the position held just before that open
and at the mark of that open; fills at the same time come after. Where a venue accrues (Kraken), an event's rate holds
for the interval that begins with it, and each open settles the part that has run since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kraken_flow.core.contract import RATE_UNIT, FlowKind
from kraken_flow.core.units import FloatArray, Int64Array, ceil_div, to_floats

if TYPE_CHECKING:
    from kraken_flow.core.market import Market
    from kraken_flow.core.simulator import Simulator

Due = tuple[int, int, int]
"""Pair, time (ns UTC) and rate (10^-12) of an event that becomes known in a bar."""


@dataclass(frozen=True)
class FundingColumns:
    """One pair's funding events, in the order in which they became known.

    Parameters
    ----------
    time, known
        int64 of shape (n_events,), ns UTC: when an event became due, and when it could be known.
    rate
        int64 of shape (n_events,), 10^-12 of the notional: paid by longs where positive.
    """

    pair: str
    time: Int64Array
    known: Int64Array
    rate: Int64Array

    def between(self, first: int, last: int) -> "FundingColumns":
        """Return the events that became known from one time to another, both included."""
        low, high = int(np.searchsorted(self.known, first)), int(np.searchsorted(self.known, last, side="right"))
        rows = slice(low, high)
        return FundingColumns(self.pair, self.time[rows], self.known[rows], self.rate[rows])

    def events(self, after: int, until: int) -> tuple[tuple[int, int, int], ...]:
        """Return (time, known, rate) of the events that became known after one time and by another."""
        low, high = np.searchsorted(self.known, [after, until], side="right").tolist()
        rows = slice(low, high)
        columns = (self.time[rows].tolist(), self.known[rows].tolist(), self.rate[rows].tolist())
        return tuple(zip(*columns, strict=True))


def column_of(market: "Market", index: int, name: str) -> FloatArray:
    """Return the column `funding` or `mark` of a pair on the market's grid, float64 of shape (n_rows,).

    Row t holds what was known at its close: an event counts from its time of knowledge on, not from its own.
    """
    if name == "mark":
        return to_floats((market.marks or market.pairs)[index].close)
    if not market.funding:
        return np.full(market.n_rows, np.nan)
    events = market.funding[index]
    at = np.searchsorted(events.known, market.times + market.timeframe_ns, side="right")
    rates = np.concatenate(([np.nan], events.rate / RATE_UNIT))
    result: FloatArray = rates[at]
    return result


def by_row(
    funding: Sequence[FundingColumns], first: int, timeframe_ns: int, n_rows: int, first_row: int = 0
) -> Int64Array:
    """Return the events as a table (4, n): row in which each becomes known, pair, time, rate; in that order.

    An event is known in the row whose bar closes at or after `known`; those known before row `first_row` closes belong
    to it where they are due at its open or later, and are left out where they are older.
    """
    rows: list[tuple[int, int, int, int]] = []
    start = first + first_row * timeframe_ns
    for pair, columns in enumerate(funding):
        at = np.maximum(-(-(columns.known - first) // timeframe_ns) - 1, first_row)
        keep = (columns.time >= start) & (at < n_rows)
        for row, time, rate in zip(
            at[keep].tolist(), columns.time[keep].tolist(), columns.rate[keep].tolist(), strict=True
        ):
            rows.append((row, pair, time, rate))
    rows.sort()
    return np.array(rows, np.int64).reshape(len(rows), 4).T.copy()


class Accrual:
    """Events that are known but not yet fully settled."""

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns
        """How long an event's rate accrues from its time on; 0: it is due in full at its time."""
        self.waiting: list[list[int]] = []
        """Pair, time, rate, and what is settled of the rate so far."""

    def settle(self, sim: "Simulator", news: Sequence[Due], open_time: int) -> None:
        """Take the events that become known in the bar that opens at `open_time` and settle what is due by then.

        Fills of the bar are not yet done: positions are those held before its open.
        """
        self.waiting += [[pair, time, rate, 0] for pair, time, rate in news]
        left = []
        for event in self.waiting:
            pair, time, rate, settled = event
            if time > open_time:
                left.append(event)
                continue
            due = rate
            if self.interval_ns and open_time - time < self.interval_ns:
                due = rate * (open_time - time) // self.interval_ns
                event[3] = due
                left.append(event)
            pay(sim, pair, time if not self.interval_ns else open_time, due - settled)
        self.waiting = left


def pay(sim: "Simulator", pair: int, time: int, rate: int) -> None:
    """Move what a rate (10^-12) on the pair's position costs, at the mark of the bar's open, rounded up."""
    ledger, position = sim.ledger, sim.ledger.position[pair]
    if position == 0 or rate == 0:
        return
    mark = sim.marks.open[pair]
    size = ledger.notional(pair, abs(position), mark)
    paid = ceil_div((size if position > 0 else -size) * rate, RATE_UNIT)
    ledger.cash -= paid
    if ledger.leverage:
        ledger.margin[pair] -= paid
    sim.record.flow(sim.row, FlowKind.FUNDING, pair, time, position, mark, rate, -paid)

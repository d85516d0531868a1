"""How far each round trip ran against and for its holder, from the bars while it was open."""

import numpy as np

from kraken_flow.analysis.trips import Index, Trips
from kraken_flow.core.market import ABSENT, Market
from kraken_flow.core.orders import OrderType
from kraken_flow.core.result import Columns
from kraken_flow.core.units import UNIT, FloatArray, Int64Array


def _extremes(values: Int64Array, starts: Index, stops: Index, *, top: bool) -> Int64Array:
    """Return the maximum (or minimum) of values[start:stop] per row; where that is empty, values[start]."""
    edges = np.empty(2 * len(starts), np.intp)
    edges[0::2] = starts
    edges[1::2] = np.maximum(stops, starts)
    # A segment may end at the last row: one more value makes its end a legal index, and is never reduced over.
    padded = np.append(values, values[-1])
    reduce = np.maximum if top else np.minimum
    result: Int64Array = reduce.reduceat(padded, edges)[0::2]
    return result


def excursions(trips: Trips, fills: Columns, market: Market) -> tuple[FloatArray, FloatArray]:
    """Return the maximum adverse (<= 0) and favourable (>= 0) excursion of closed trips, fractions of the entry price.

    Only prices that were certainly seen while the trip was open count: the whole range of the bars between; of the
    entry bar its range if the entry was at the open, else its close; of the exit bar its open and the exit price.
    """
    n = len(trips)
    mae, mfe = np.zeros(n), np.zeros(n)
    for index, columns in enumerate(market.pairs):
        chosen = np.flatnonzero(trips.pair == index)
        if len(chosen) == 0:
            continue
        first, last = trips.first[chosen], trips.last[chosen]
        entry_row, exit_row = fills["row"][first], fills["row"][last]
        at_open = fills["open_phase"][first] != 0
        entry, out = trips.entry_price[chosen], fills["price"][last]
        full = np.where(at_open, entry_row, entry_row + 1).astype(np.intp)
        spans = exit_row > full
        begin = np.where(spans, full, 0).astype(np.intp)
        end = np.where(spans, exit_row, 1).astype(np.intp)
        top = np.where(spans, _extremes(columns.high, begin, end, top=True), entry)
        bottom = np.where(spans, _extremes(columns.low, begin, end, top=False), entry)
        later = exit_row > entry_row
        seen_open = np.where(later, columns.open[exit_row], entry)
        seen_close = np.where(later & ~at_open, columns.close[entry_row], entry)
        top = np.maximum.reduce([top, entry, out, seen_open, seen_close])
        bottom = np.minimum.reduce([bottom, entry, out, seen_open, seen_close])
        up, down = top / entry - 1.0, bottom / entry - 1.0
        long = trips.side[chosen] > 0
        mfe[chosen] = np.where(long, up, -down)
        mae[chosen] = np.where(long, down, -up)
    return mae + 0.0, mfe + 0.0


RANGE_BARS = 14
"""Bars over which the range at entry is a mean."""


def range_at_entry(trips: Trips, fills: Columns, market: Market, bars: int = RANGE_BARS) -> FloatArray:
    """Return the mean true range of the bars before each trip's first one, as a fraction of the entry price.

    float64 of shape (n_trips,), a plain mean of `bars` true ranges; NaN where there are not as many bars before.
    """
    found = np.full(len(trips), np.nan)
    for index, columns in enumerate(market.pairs):
        chosen = np.flatnonzero(trips.pair == index)
        row = fills["row"][trips.first[chosen]]
        begin = int(np.argmax(columns.state != ABSENT)) if len(columns.state) else 0
        known = row - bars > begin
        rows, chosen = row[known], chosen[known]
        if len(rows) == 0:
            continue
        before = columns.close[:-1]
        true_range = np.maximum(columns.high[1:], before) - np.minimum(columns.low[1:], before)
        running = np.concatenate(([0], np.cumsum(true_range)))
        # Place k of `running` is the sum of the ranges of rows 1 to k.
        mean = (running[rows - 1] - running[rows - 1 - bars]) / bars
        found[chosen] = mean / trips.entry_price[chosen]
    return found


def initial_risk(trips: Trips, orders: Columns, fills: Columns) -> FloatArray:
    """Return the distance from each trip's entry to the first stop that protected it, as a fraction of the entry price.

    float64 of shape (n_trips,); NaN for a trip without a stop. A trailing stop's distance is what it trails by. Of a
    trip that more than one stop protected it is that of the first one.
    """
    found = np.full(len(trips), np.nan)
    protects = (orders["reduce_only"] != 0) & np.isin(orders["type"], (int(OrderType.STOP), int(OrderType.TRAILING)))
    for pair in np.unique(trips.pair).tolist():
        stops = np.flatnonzero(protects & (orders["pair"] == pair))
        chosen = np.flatnonzero(trips.pair == pair)
        if len(stops) == 0:
            continue
        entered, left = fills["order"][trips.first[chosen]], fills["order"][trips.last[chosen]]
        place = np.searchsorted(stops, entered, side="right")
        number = stops[np.minimum(place, len(stops) - 1)]
        mine = (place < len(stops)) & (number <= left)
        entry = trips.entry_price[chosen].astype(np.float64)
        level = orders["stop_price"][number]
        trail = np.where(
            orders["trail"][number] > 0, orders["trail"][number] / entry, orders["trail_rate"][number] / UNIT
        )
        trails = orders["type"][number] == int(OrderType.TRAILING)
        distance = np.where(trails, trail, np.where(level > 0, np.abs(entry - level) / entry, 0.0))
        found[chosen] = np.where(mine & (distance > 0), distance, np.nan)
    return found

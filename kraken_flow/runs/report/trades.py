"""The trades and fills of a page, and the stops and targets that protected them."""

import numpy as np
import pyarrow as pa

from kraken_flow.core.units import FloatArray
from kraken_flow.runs.report.packing import Pack
from kraken_flow.runs.report.reading import floats, ns, texts

SECOND = 1_000_000_000


def packed_trades(trades: pa.Table, orders: pa.Table, origin: int) -> Pack:
    """Return closed trades as columns; times are seconds since `origin`, ns UTC."""
    pack = Pack()
    stops, targets = protection(trades, orders)
    for name in ("entry_time", "exit_time"):
        pack.whole(name, (ns(trades[name]) - origin) // SECOND)
    for name in ("entry_price", "exit_price", "qty", "pnl", "fees", "mae", "mfe"):
        pack.exact(name, floats(trades[name]))
    pack.exact("stop", stops)
    pack.exact("target", targets)
    for name in ("pair", "side", "tag", "exit_reason"):
        pack.words(name, trades[name].to_pylist())
    return pack


def packed_fills(fills: pa.Table, origin: int) -> Pack:
    """Return fills as columns; times are seconds since `origin`, ns UTC."""
    pack = Pack()
    pack.whole("time", (ns(fills["time"]) - origin) // SECOND)
    for name in ("price", "qty"):
        pack.exact(name, floats(fills[name]))
    for name in ("pair", "side", "reason"):
        pack.words(name, fills[name].to_pylist())
    return pack


def protection(trades: pa.Table, orders: pa.Table) -> tuple[FloatArray, FloatArray]:
    """Return each trade's stop and target, NaN where it had none: its first, as it last stood.

    An order that only protects a position is told by its side, opposite to the trade's, and by how it ended.
    """
    found = np.full((2, trades.num_rows), np.nan)
    if not trades.num_rows or not orders.num_rows:
        return found[0], found[1]
    trade_pairs, order_pairs = texts(trades["pair"]), texts(orders["pair"])
    exits, placed = ns(trades["exit_time"]), ns(orders["time"])
    closing = np.where(texts(trades["side"]) == "long", "sell", "buy")
    sides, types, reasons = (texts(orders[name]) for name in ("side", "type", "reason"))
    protects = np.isin(reasons, ("oco", "position_closed", "take_profit"))
    kinds = ((types == "stop", "stop_price"), ((types == "limit") & protects, "limit_price"))
    for pair in np.unique(trade_pairs):
        own = np.flatnonzero(trade_pairs == pair)
        own = own[np.argsort(exits[own], kind="stable")]
        for number, (kind, column) in enumerate(kinds):
            rows = np.flatnonzero(kind & (order_pairs == pair))
            at = np.searchsorted(exits[own], placed[rows], side="right")
            rows, at = rows[at < len(own)], at[at < len(own)]
            matched = sides[rows] == closing[own[at]]
            rows, at = rows[matched], at[matched]
            prices = floats(orders[column])[rows]
            firsts = np.unique(at, return_index=True)
            found[number, own[firsts[0]]] = prices[firsts[1]]
    return found[0], found[1]

"""Funding events from files: a time, a rate, and where the file says so, when it was known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.feather as feather
import pyarrow.parquet as pq

from kraken_flow.core.contract import RATE_UNIT
from kraken_flow.core.errors import UserError
from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import Market
from kraken_flow.core.times import SECOND, iso
from kraken_flow.core.units import Int64Array
from kraken_flow.data.stamps import NAMES, UNREADABLE, to_ns

TIMES = (*NAMES, "fundingtime", "funding_time", "calc_time")
RATES = ("relative_funding_rate", "relativefundingrate", "funding_rate", "fundingrate", "last_funding_rate", "rate")
"""Columns that may hold the rate, a fraction of the notional; Kraken's absolute one stands after its relative one."""
KNOWN = ("known", "ts_known", "known_ms", "published")
MINUTE = 60 * SECOND


@dataclass(frozen=True)
class FundingFile:
    """What a file holds, and its record for `Market.files`."""

    columns: FundingColumns
    record: dict[str, object]


def read_funding(path: Path, pair: str) -> FundingFile:
    """Read a pair's funding events from parquet, feather or CSV with a header, once while the file stays the same.

    A stamp less than a second after a full minute is due at that minute (venues stamp payments a few milliseconds
    late); it is known at its stamp, or at the time in a column `known`. Raises `UserError` naming file and row.
    """
    try:
        found = path.stat()
    except OSError as problem:
        raise UserError(f"data.funding: {path} cannot be read ({problem.strerror})") from None
    return _remembered(path, pair, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=64)
def _remembered(path: Path, pair: str, _stamp: tuple[int, int, int]) -> FundingFile:
    columns = funding_of(_table(path), pair, str(path))
    record: dict[str, object] = {
        "pair": pair,
        "path": str(path),
        "role": "funding",
        "sha256": file_hash(path),
        "first": iso(int(columns.time[0])),
        "last": iso(int(columns.time[-1])),
        "rows": len(columns.time),
    }
    return FundingFile(columns, record)


def _table(path: Path) -> pa.Table:
    try:
        if path.name.lower().endswith((".parquet", ".pq")):
            return pq.read_table(path)
        if path.name.lower().endswith(".feather"):
            return feather.read_table(path)
        return csv.read_csv(path)
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"data.funding: {path} cannot be read: {str(problem).splitlines()[0]}") from None


def _named(table: pa.Table, spellings: Sequence[str]) -> str | None:
    folded = {name.strip().lower(): name for name in table.column_names}
    return next((folded[s] for s in spellings if s in folded), None)


def funding_of(table: pa.Table, pair: str, where: str) -> FundingColumns:
    """Return a table's events, in the order in which they became known."""
    time_name, rate_name, known_name = (_named(table, names) for names in (TIMES, RATES, KNOWN))
    if time_name is None or rate_name is None:
        raise UserError(
            f"{where}: funding needs a time and a rate; the columns are {', '.join(table.column_names)}. "
            f"Name them ts_ms (or time) and funding_rate"
        )
    if not table.num_rows:
        raise UserError(f"{where} holds no funding events")
    stamps, _ = to_ns(table.column(time_name), time_name.strip().lower(), where)
    known = stamps
    if known_name is not None:
        known, _ = to_ns(table.column(known_name), "ts_ms" if known_name.endswith("_ms") else known_name, where)
    rates = _rates(table.column(rate_name), rate_name, where)
    off = stamps % MINUTE
    times = np.where(off < SECOND, stamps - off, stamps)
    problems = [
        (np.minimum(stamps, known) == UNREADABLE, "the time cannot be read"),
        (~(np.abs(rates) <= 1.0), f"{rate_name} is not a rate between -1 and 1 (a fraction: 0.0001 is 1 bp)"),
        (known < times, "it was known before it was due"),
        (np.concatenate(([False], times[1:] <= times[:-1])), "its time does not come after that of the row before"),
    ]
    for bad, what in problems:
        if bad.any():
            raise UserError(f"{where}: row {int(np.flatnonzero(bad)[0]) + 1}: {what}")
    order = np.argsort(known, kind="stable")
    scaled: Int64Array = np.rint(rates * RATE_UNIT).astype(np.int64)
    return FundingColumns(pair, times[order], known[order], scaled[order])


def _rates(column: pa.ChunkedArray, name: str, where: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise UserError(f"{where}: column {name!r} holds {kind}, not numbers")
    values: np.ndarray[tuple[int], np.dtype[np.float64]] = column.cast(pa.float64()).to_numpy()
    return values


def within(market: Market, columns: FundingColumns) -> FundingColumns:
    """Return the events that a market's tape brings: due in it, and known by its last close."""
    first, after = int(market.times[0]), int(market.times[-1]) + market.timeframe_ns
    inside = (columns.time >= first) & (columns.known <= after)
    return FundingColumns(columns.pair, columns.time[inside], columns.known[inside], columns.rate[inside])

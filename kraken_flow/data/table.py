"""A candle table as it was read: floats and times, not yet checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import FIELDS
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.data.stamps import NAMES, to_ns
from kraken_flow.nearest import nearest

_SHORT = {"open": ("o",), "high": ("h",), "low": ("l",), "close": ("c",), "volume": ("v", "vol")}


@dataclass(frozen=True)
class Table:
    """One pair's rows in file order.

    Parameters
    ----------
    where
        File (or library argument) for messages.
    times
        int64 ns UTC, shape (n,), `stamps.UNREADABLE` where the time could not be read.
    columns
        float64 of shape (n,) for each of `open high low close volume`; NaN where a number could not be read.
    notes
        What the reader decided by itself, as clauses for the data summary.
    skipped
        Rows that had the wrong number of columns and were left out (`on_bad=drop`).
    line_of
        Gives the line of a data row (0-based) in a text file.
    first
        Data rows of the file before the first of these, where they are a piece of it.
    """

    where: str
    times: Int64Array
    columns: dict[str, FloatArray]
    notes: tuple[str, ...] = ()
    skipped: int = 0
    line_of: Callable[[int], int] | None = field(default=None, compare=False)
    first: int = 0

    def place(self, row: int) -> str:
        """Return `row 17` (1-based data row), with its line where the file is text."""
        row += self.first
        line = f" (line {self.line_of(row)})" if self.line_of is not None else ""
        return f"row {row + 1}{line}"


def pick(names: Sequence[str], where: str) -> dict[str, str]:
    """Find the time and the five candle columns among a table's column names, case-insensitively.

    Returns a mapping from `time` and `core.market.FIELDS` to the names in the table, time first. Columns besides these
    are ignored. Raises `UserError` naming what is missing and the nearest name there is.
    """
    folded: dict[str, str] = {}
    for name in names:
        key = name.strip().lower()
        if key not in folded or name == key:
            folded[key] = name
    found: dict[str, str] = {}
    missing: list[str] = []
    wanted = {"time": (*NAMES, "__index_level_0__")} | {f: (f, *_SHORT[f]) for f in FIELDS}
    for column, spellings in wanted.items():
        hit = next((folded[s] for s in spellings if s in folded), None)
        if hit is None:
            near = nearest(column, folded)
            missing.append(f"{column} (nearest: {folded[near]!r})" if near else column)
        else:
            found[column] = hit
    if missing:
        have = ", ".join(str(n) for n in names) or "none"
        raise UserError(
            f"{where}: no column {', '.join(missing)}; the columns are {have}. Name them "
            f"{'|'.join(sorted(NAMES))}, {', '.join(FIELDS)} (upper or lower case)"
        )
    return found


def number(column: pa.ChunkedArray, name: str, where: str) -> tuple[FloatArray, str]:
    """Return a price or volume column as float64 (nulls NaN) and a note, empty if there is nothing to say."""
    kind = column.type
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        short = column.to_numpy().astype(np.float32)
        return short.astype(str).astype(np.float64), f"{name} is 32-bit: read with the digits it prints"
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan), ""
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise UserError(f"{where}: column {name!r} holds {kind}, not numbers")
    values: FloatArray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values, ""


def from_arrow(table: pa.Table, where: str, line_of: Callable[[int], int] | None = None, skipped: int = 0) -> Table:
    """Make a `Table` from arrow columns that hold at least the time and the five candle columns."""
    found = pick(table.column_names, where)
    if not table.num_rows:
        raise UserError(f"{where} holds no rows; give a file with candles")
    name = found["time"].strip().lower()
    times, note = to_ns(table.column(found["time"]), name, where)
    notes = [note] if note else []
    columns: dict[str, FloatArray] = {}
    for column in FIELDS:
        columns[column], note = number(table.column(found[column]), found[column], where)
        if note:
            notes.append(note)
    return Table(where, times, columns, tuple(notes), skipped, line_of)

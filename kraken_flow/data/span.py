"""A span of a series of the data store, read without the rest of it."""

import errno
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.core.errors import UserError
from kraken_flow.core.resample import Bars, bar_open
from kraken_flow.core.times import parse_time
from kraken_flow.core.units import Int64Array
from kraken_flow.data.shelf import TIME, UNITS, Part, Shelf, bars_of


@dataclass(frozen=True)
class Span:
    """What a run needs of a series.

    Parameters: `timeframe_ns` its decision bar, which the series' bars divide; `start` (inclusive) and `end`
    (exclusive) in ns UTC, None for all there is on that side; `lookback` decision bars before `start`.
    """

    timeframe_ns: int
    start: int | None
    end: int | None
    lookback: int


@dataclass(frozen=True)
class _Group:
    """A row group: its file, its number in it, its first and last bar open, its rows."""

    part: Part
    number: int
    first: int
    last: int
    rows: int


@dataclass(frozen=True)
class Found:
    """Bars of a span with the files that hold them; `groups` row groups of `size_bytes` were read for it."""

    bars: Bars
    parts: tuple[Part, ...]
    groups: int
    size_bytes: int


def read_span(series: Shelf, span: Span) -> Found:
    """Read the bars of a span, and of the files and row groups only those that hold them.

    A span without a bar gives the bars nearest to it. Raises `FileNotFoundError` where an import has meanwhile put
    another file in the place of one, `UserError` naming a file that is damaged.
    """
    files: dict[str, pq.ParquetFile] = {}
    try:
        groups = [group for part in _parts(series, span) for group in _groups(series, part, files)]
        wanted = _wanted(groups, span, series.step_ns)
        tables, size = [], 0
        for part in dict.fromkeys(group.part for group in wanted):
            numbers = [group.number for group in wanted if group.part == part]
            file = files[part.name]
            size += sum(_size(file, number) for number in numbers)
            tables.append(_read(series, part, file, numbers))
    finally:
        for file in files.values():
            file.close()
    table = pa.concat_tables(tables)
    bars = bars_of(table)
    if len(bars.times) != sum(group.rows for group in wanted) or np.any(np.diff(bars.times) <= 0):
        raise UserError(f"{series.folder} is damaged: its bars are not in order; mode=data tells more")
    parts = tuple(dict.fromkeys(group.part for group in wanted))
    return Found(
        _cut(bars, span, series, wanted[0] == groups[0] and parts[0] == series.parts[0]), parts, len(wanted), size
    )


def _rows_before(span: Span, step_ns: int) -> int:
    """Return how many of the series' bars before `start` hold the look-back for certain.

    A decision bar is made of at most so many bars as fit into it, and of those at the edges some may lie outside.
    """
    return (span.lookback + 2) * (span.timeframe_ns // step_ns)


def _until(span: Span) -> int | None:
    """Return the end of the last decision bar that opens before `end`, ns."""
    if span.end is None:
        return None
    return int(bar_open(np.array([span.end + span.timeframe_ns - 1]), span.timeframe_ns)[0])


def _parts(series: Shelf, span: Span) -> Sequence[Part]:
    """Return the files that may hold the span, by what the manifest says of them; at least one."""
    parts = series.parts
    until = _until(span)
    high = len(parts)
    if until is not None:
        high = max(1, bisect_left([parse_time(part.coverage.first) for part in parts], until))
    low = 0
    if span.start is not None:
        low = min(bisect_left([parse_time(part.coverage.last) for part in parts], span.start), high - 1)
        need = _rows_before(span, series.step_ns)
        while low and need > 0:
            low -= 1
            need -= parts[low].coverage.bars
    return parts[low:high]


def _groups(series: Shelf, part: Part, files: dict[str, pq.ParquetFile]) -> list[_Group]:
    """Return a file's row groups, from its footer."""
    path = series.folder / part.name
    try:
        size = path.stat().st_size
        if size != part.size_bytes:
            raise _damaged(series, part, f"it has {size} bytes and had {part.size_bytes}")
        files[part.name] = file = pq.ParquetFile(path, page_checksum_verification=True)
        if any(file.schema_arrow.field(name).type != pa.int64() for name in (TIME, *UNITS)):
            raise _damaged(series, part, "its columns are not those of a series")
        column = file.schema_arrow.get_field_index(TIME)
        stats = [file.metadata.row_group(n).column(column).statistics for n in range(file.num_row_groups)]
        rows = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        return [_Group(part, n, s.min, s.max, rows[n]) for n, s in enumerate(stats)]
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, AttributeError, KeyError) as problem:
        raise _damaged(series, part, problem) from None


def _wanted(groups: Sequence[_Group], span: Span, step_ns: int) -> list[_Group]:
    """Return the row groups that hold the span and its look-back, at least one."""
    until = _until(span)
    high = len(groups) if until is None else max(1, bisect_left([group.first for group in groups], until))
    low = 0
    if span.start is not None:
        low = min(bisect_left([group.last for group in groups], span.start), high - 1)
        need = _rows_before(span, step_ns)
        while low and need > 0:
            low -= 1
            need -= groups[low].rows
    return list(groups[low:high])


def _read(series: Shelf, part: Part, file: pq.ParquetFile, numbers: list[int]) -> pa.Table:
    try:
        return file.read_row_groups(numbers, columns=[TIME, *UNITS])
    except (pa.ArrowException, OSError) as problem:
        raise _damaged(series, part, problem) from None


def _damaged(series: Shelf, part: Part, problem: Exception | str) -> UserError:
    if isinstance(problem, OSError) and problem.errno in (errno.EACCES, errno.EPERM):
        return UserError(f"{series.folder / part.name} cannot be read ({problem.strerror}); make it readable")
    first = (str(problem).splitlines() or [type(problem).__name__])[0]
    return UserError(
        f"{series.folder / part.name} is damaged: {first}; mode=data tells what else is; remove the folder "
        f"{series.folder} and import its sources again"
    )


def _size(file: pq.ParquetFile, number: int) -> int:
    group = file.metadata.row_group(number)
    return sum(group.column(i).total_compressed_size for i in range(group.num_columns - 1))


def _cut(bars: Bars, span: Span, series: Shelf, from_first: bool) -> Bars:
    """Leave out what lies after the span, and the first decision bar where its beginning was not read."""
    until = _until(span)
    low = 0
    if span.timeframe_ns != series.step_ns and not from_first:
        opens: Int64Array = bar_open(bars.times, span.timeframe_ns)
        low = int(np.searchsorted(opens, opens[0], side="right"))
    high = len(bars.times) if until is None else int(np.searchsorted(bars.times, until))
    high = high or 1
    return bars.take(slice(min(low, high - 1), high))

"""Candle files: parquet, CSV with a header, and Kraken's headerless dump, read into a `Table`."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import FIELDS
from kraken_flow.data.table import Table, from_arrow, pick

SUFFIXES = (".parquet", ".pq", ".csv", ".csv.gz")
KRAKEN_DUMP = ("time", "open", "high", "low", "close", "volume", "trades")


def stem(path: Path) -> str | None:
    """Return a candle file's name without its ending, None for a file that is not of a format we read."""
    name = path.name
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return None


def read(path: Path, on_bad: str) -> Table:
    """Read a candle file; the format is told by the first bytes.

    Parameters: `path` an existing file; `on_bad` is `error` or `drop` (lines with the wrong number of columns).
    Raises `UserError` for an empty, torn or foreign file and for missing columns.
    """
    where = str(path)
    try:
        with _stream(path) as stream:
            head = stream.read(65536)
    except (OSError, EOFError) as problem:
        raise UserError(f"{where} cannot be read: {_first_line(problem)}") from None
    if not head.strip():
        raise UserError(f"{where} is empty; give a file with candles")
    if head[:4] == b"PAR1":
        return _read_parquet(path, where)
    if path.name.lower().endswith((".parquet", ".pq")):
        raise UserError(f"{where} is not a parquet file (it does not begin with PAR1)")
    table = _read_csv(path, where, head, on_bad)
    if _header(head, where)[2]:
        return table
    return replace(table, notes=("read as a Kraken dump without header", *table.notes))


def _stream(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path)  # type: ignore[return-value]  # a GzipFile reads like a file
    return path.open("rb")


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]


def _read_parquet(path: Path, where: str) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            found = pick(file.schema_arrow.names, where)
            table = file.read(columns=list(found.values()))
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{where} cannot be read as parquet: {_first_line(problem)}") from None
    return from_arrow(table, where)


def _header(head: bytes, where: str) -> tuple[list[str], str, int]:
    """Return the column names, the delimiter and the lines to skip: up to the header, or none for Kraken's dump."""
    lines = head.splitlines()
    first = next(i for i, line in enumerate(lines) if line.strip())
    line = lines[first]
    try:
        if b"\0" in head:
            raise ValueError
        text = line.decode("utf-8-sig").strip()
    except ValueError:
        raise UserError(f"{where} is neither parquet nor UTF-8 text; save it as CSV in UTF-8 or as parquet") from None
    delimiter = max(",;\t", key=text.count)
    cells = [cell.strip().strip('"') for cell in text.split(delimiter)]
    if not all(_is_number(cell) for cell in cells):
        return cells, delimiter, first + 1
    if len(cells) != len(KRAKEN_DUMP):
        raise UserError(
            f"{where}: the first line has {len(cells)} numbers and no header. Without one, a file must be a Kraken "
            f"dump: {','.join(KRAKEN_DUMP)}; else put the column names in the first line"
        )
    return list(KRAKEN_DUMP), delimiter, 0


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_csv(path: Path, where: str, head: bytes, on_bad: str) -> Table:
    names, delimiter, skip = _header(head, where)
    found = pick(names, where)
    reading = csv.ReadOptions(column_names=names, skip_rows=skip)
    line_of = _line_finder(path, 1 if skip else 0)
    wanted = list(found.values())
    types = {found[name]: pa.float64() for name in FIELDS}
    try:
        table = csv.read_csv(
            path,
            reading,
            csv.ParseOptions(delimiter=delimiter),
            csv.ConvertOptions(include_columns=wanted, column_types=types),
        )
    except pa.ArrowInvalid:
        return _read_csv_slowly(path, where, reading, delimiter, wanted, on_bad, line_of)
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{where} cannot be read as CSV: {_first_line(problem)}") from None
    return from_arrow(table, where, line_of)


def _read_csv_slowly(
    path: Path,
    where: str,
    reading: csv.ReadOptions,
    delimiter: str,
    wanted: list[str],
    on_bad: str,
    line_of: Callable[[int], int],
) -> Table:
    """Read a CSV that holds cells or lines which do not fit: text first, then numbers, NaN for what is none."""
    broken: list[str] = []

    def handle(row: csv.InvalidRow) -> str:
        broken.append(
            f"line {row.number}: {row.actual_columns} columns instead of {row.expected_columns}: {row.text[:60]!r}"
        )
        return "skip"

    reading.use_threads = False
    parsing = csv.ParseOptions(delimiter=delimiter, invalid_row_handler=handle)
    converting = csv.ConvertOptions(include_columns=wanted, column_types={name: pa.string() for name in wanted})
    try:
        table = csv.read_csv(path, reading, parsing, converting)
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{where} cannot be read as CSV: {_first_line(problem)}; save it as CSV in UTF-8") from None
    if broken and on_bad == "error":
        raise UserError(f"{where}, {broken[0]}; correct the line, or leave bad rows out with data.on_bad=drop")
    for name in wanted[1:]:
        numbers = pd.to_numeric(table.column(name).to_pandas(), errors="coerce").to_numpy("float64")
        table = table.set_column(table.column_names.index(name), name, pa.chunked_array([pa.array(numbers)]))
    return from_arrow(table, where, line_of, len(broken))


def _line_finder(path: Path, header_lines: int) -> Callable[[int], int]:
    """Return a function from data row (0-based) to line (1-based); blank lines are no rows."""

    def line_of(row: int) -> int:
        seen = -header_lines
        with _stream(path) as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    if seen == row:
                        return number
                    seen += 1
        return row + 1 + header_lines

    return line_of

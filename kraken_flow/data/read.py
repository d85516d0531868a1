"""Candle files: parquet, feather, CSV with a header, and Kraken's headerless dump, read into `Table`s."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.feather as feather
import pyarrow.parquet as pq

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import FIELDS
from kraken_flow.data.table import Table, from_arrow, pick

SUFFIXES = (".parquet", ".pq", ".feather", ".csv", ".csv.gz")
KRAKEN_DUMP = ("time", "open", "high", "low", "close", "volume", "trades")
_FEATHER = b"ARROW1"
"""First bytes of feather files; those of its first version, FEA1, nobody writes any more."""
_ROW_BYTES = 64
"""About what a row of a candle file takes as text."""
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""What a damaged, encrypted or unknown archive raises while it is read."""


@dataclass(frozen=True)
class Origin:
    """Where candles are read from: a file, or a member of an archive.

    Parameters: `where` for messages; `name` the file's name, whose ending tells the format; `open` gives its bytes from
    the beginning, decompressed; `path` the file itself, None for a member of an archive.
    """

    where: str
    name: str
    open: Callable[[], BinaryIO]
    path: Path | None = None

    @staticmethod
    def of(path: Path) -> "Origin":
        """Return a file as an origin."""

        def stream() -> BinaryIO:
            if path.name.lower().endswith(".gz"):
                return gzip.open(path)  # type: ignore[return-value]  # a GzipFile reads like a file
            return path.open("rb")

        return Origin(str(path), path.name, stream, path)


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
    (table,) = pieces(Origin.of(path), on_bad)
    return table


def pieces(origin: Origin, on_bad: str, piece_bytes: int | None = None) -> Iterator[Table]:
    """Read a candle file piece by piece, in file order, so that a large one takes no more memory than a piece.

    Parameters: `on_bad` as for `read`; `piece_bytes` about how much text a piece holds, None for the file in one piece.
    Raises `UserError` as `read` does, where it comes to it.
    """
    where = origin.where
    try:
        with origin.open() as stream:
            head = stream.read(65536)
    except _UNREADABLE as problem:
        raise UserError(f"{where} cannot be read: {_first_line(problem)}") from None
    if not head.strip():
        raise UserError(f"{where} is empty; give a file with candles")
    if head[:4] == b"PAR1":
        if origin.path is None:
            raise UserError(f"{where} is parquet inside an archive; unpack it, and give the file or its folder")
        yield from _parquet(origin.path, where, piece_bytes)
        return
    if head.startswith(_FEATHER):
        if origin.path is None:
            raise UserError(f"{where} is feather inside an archive; unpack it, and give the file or its folder")
        yield from _feather(origin.path, where, piece_bytes)
        return
    if origin.name.lower().endswith((".parquet", ".pq")):
        raise UserError(f"{where} is not a parquet file (it does not begin with PAR1)")
    if origin.name.lower().endswith(".feather"):
        raise UserError(f"{where} is not a feather file (it does not begin with ARROW1)")
    yield from _csv(origin, head, on_bad, piece_bytes)


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]


def _parquet(path: Path, where: str, piece_bytes: int | None) -> Iterator[Table]:
    try:
        with pq.ParquetFile(path) as file:
            found = list(pick(file.schema_arrow.names, where).values())
            if piece_bytes is None:
                yield from_arrow(file.read(columns=found), where)
                return
            first = 0
            for batch in file.iter_batches(max(1, piece_bytes // _ROW_BYTES), columns=found):
                yield replace(from_arrow(pa.Table.from_batches([batch]), where), first=first)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{where} cannot be read as parquet: {_first_line(problem)}") from None
    if not first:
        raise UserError(f"{where} holds no rows; give a file with candles")


def _feather(path: Path, where: str, piece_bytes: int | None) -> Iterator[Table]:
    """Read feather as freqtrade keeps its candles; what is read is mapped or as large as the file's own columns."""
    try:
        table = feather.read_table(path)
        table = table.select(list(pick(table.column_names, where).values()))
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"{where} cannot be read as feather: {_first_line(problem)}") from None
    rows = max(1, table.num_rows if piece_bytes is None else piece_bytes // _ROW_BYTES)
    for first in range(0, max(1, table.num_rows), rows):
        yield replace(from_arrow(table.slice(first, rows), where), first=first)


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


def _csv(origin: Origin, head: bytes, on_bad: str, piece_bytes: int | None) -> Iterator[Table]:
    names, delimiter, skip = _header(head, origin.where)
    reader = _CsvReader(origin, names, delimiter, on_bad, _line_finder(origin, 1 if skip else 0))
    if piece_bytes is None and origin.path is not None:
        tables = iter([reader.table(origin.path, skip)])
    else:
        tables = _blocks(reader, skip, piece_bytes)
    for table in tables:
        yield table if skip else replace(table, notes=("read as a Kraken dump without header", *table.notes))


def _blocks(reader: "_CsvReader", skip: int, piece_bytes: int | None) -> Iterator[Table]:
    """Read whole lines of about `piece_bytes`; lines with a quoted line break are no candles."""
    where, rest, first, lines = reader.origin.where, b"", 0, 0
    try:
        with reader.origin.open() as stream:
            while True:
                fresh = stream.read(-1 if piece_bytes is None else piece_bytes)
                block, rest = rest + fresh, b""
                if fresh and piece_bytes is not None:
                    cut = block.rfind(b"\n") + 1
                    block, rest = block[:cut], block[cut:]
                if len(rest) > 65536:
                    raise UserError(f"{where}: a line is longer than 65,536 characters; this is no file of candles")
                if block.strip():
                    table = reader.table(block, skip, lines)
                    skip = 0
                    yield replace(table, first=first)
                    first += len(table.times) + table.skipped
                    lines += block.count(b"\n")
                if not fresh:
                    return
    except _UNREADABLE as problem:
        raise UserError(f"{where} cannot be read: {_first_line(problem)}") from None


@dataclass(frozen=True)
class _CsvReader:
    origin: Origin
    names: list[str]
    delimiter: str
    on_bad: str
    line_of: Callable[[int], int]

    def table(self, source: Path | bytes, skip: int, lines_before: int = 0) -> Table:
        """Read a file, or some whole lines of it. `skip` lines come before its first row."""
        where = self.origin.where
        found = pick(self.names, where)
        wanted = list(found.values())
        types = {found[name]: pa.float64() for name in FIELDS}
        try:
            table = csv.read_csv(
                _input(source),
                csv.ReadOptions(column_names=self.names, skip_rows=skip),
                csv.ParseOptions(delimiter=self.delimiter),
                csv.ConvertOptions(include_columns=wanted, column_types=types),
            )
        except pa.ArrowInvalid:
            return self._slowly(source, skip, wanted, lines_before)
        except (pa.ArrowException, OSError) as problem:
            raise UserError(f"{where} cannot be read as CSV: {_first_line(problem)}") from None
        return from_arrow(table, where, self.line_of)

    def _slowly(self, source: Path | bytes, skip: int, wanted: list[str], lines_before: int) -> Table:
        """Read a CSV that holds cells or lines which do not fit: text first, then numbers, NaN for what is none."""
        where = self.origin.where
        broken: list[str] = []

        def handle(row: csv.InvalidRow) -> str:
            line = row.number if row.number is None else row.number + lines_before
            broken.append(
                f"line {line}: {row.actual_columns} columns instead of {row.expected_columns}: {row.text[:60]!r}"
            )
            return "skip"

        reading = csv.ReadOptions(column_names=self.names, skip_rows=skip, use_threads=False)
        parsing = csv.ParseOptions(delimiter=self.delimiter, invalid_row_handler=handle)
        converting = csv.ConvertOptions(include_columns=wanted, column_types={name: pa.string() for name in wanted})
        try:
            table = csv.read_csv(_input(source), reading, parsing, converting)
        except (pa.ArrowException, OSError) as problem:
            raise UserError(f"{where} cannot be read as CSV: {_first_line(problem)}; save it as CSV in UTF-8") from None
        if broken and self.on_bad == "error":
            raise UserError(f"{where}, {broken[0]}; correct the line, or leave bad rows out with data.on_bad=drop")
        for name in wanted[1:]:
            numbers = pd.to_numeric(table.column(name).to_pandas(), errors="coerce").to_numpy("float64")
            table = table.set_column(table.column_names.index(name), name, pa.chunked_array([pa.array(numbers)]))
        return from_arrow(table, where, self.line_of, len(broken))


def _input(source: Path | bytes) -> Any:
    """Return what pyarrow reads CSV from: a file by its path, which it decompresses, or bytes in memory."""
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _line_finder(origin: Origin, header_lines: int) -> Callable[[int], int]:
    """Return a function from data row (0-based) to line (1-based); blank lines are no rows."""

    def line_of(row: int) -> int:
        seen = -header_lines
        with origin.open() as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    if seen == row:
                        return number
                    seen += 1
        return row + 1 + header_lines

    return line_of

"""Candle files into the data store: each is read piece by piece, merged into its series, and committed as a whole."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kraken_flow.core.catalogue import Taken, Wanted
from kraken_flow.core.errors import UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import FIELDS
from kraken_flow.core.redact import redact
from kraken_flow.core.resample import Bars
from kraken_flow.core.times import iso, parse_timeframe, timeframe_name
from kraken_flow.core.units import Int64Array, text
from kraken_flow.data.check import Checked, check
from kraken_flow.data.find import pair_of, stated_timeframe, unread
from kraken_flow.data.read import Origin, pieces, stem
from kraken_flow.data.shelf import Came, Part, Rows, Shelf, part_of, read_rows, shelf, tidy, with_parts, write_rows
from kraken_flow.data.table import Table
from kraken_flow.nearest import several

PIECE_BYTES = 8 * 2**20
"""How much text of a file is held at a time."""


@dataclass(frozen=True)
class Candidate:
    """A file that may hold candles.

    Parameters: `identity` gives its hash, or the checksum and size that its archive states; `problem` why it cannot be
    read at all.
    """

    origin: Origin
    identity: Callable[[], str]
    problem: str = ""


def candidates(source: Path, stack: ExitStack) -> list[Candidate]:
    """Return the candle files that a source holds, in the order of their names; archives stay open with the `stack`.

    Raises `UserError` where the source is missing, holds none, or is an archive that cannot be read.
    """
    if not source.exists():
        near = several(source.name, [path.name for path in source.parent.iterdir()]) if source.parent.is_dir() else []
        raise UserError(f"mode.source={source}: does not exist" + (f"; nearest: {', '.join(near)}" if near else ""))
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    shown = [path for path in files if not any(word.startswith(".") for word in path.relative_to(source).parts)]
    found: list[Candidate] = []
    for path in shown:
        if path.suffix.lower() == ".zip":
            try:
                found += _members(path, stack)
            except UserError as problem:
                if path == source:
                    raise
                found.append(Candidate(Origin.of(path), str, str(problem)))
        elif stem(path) is not None:
            found.append(Candidate(Origin.of(path), lambda path=path: f"sha256:{file_hash(path)}"))  # type: ignore[misc]  # bound now
    if not found:
        raise UserError(
            f"mode.source={source}: holds no candle file (parquet, feather, CSV, or a zip of CSV files)"
            + unread(path.name for path in shown)
        )
    return found


def _members(path: Path, stack: ExitStack) -> Iterator[Candidate]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, OSError) as problem:
        raise UserError(f"{path} cannot be read as a zip: {problem}; fetch it again") from None
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        name = Path(info.filename)
        hidden = any(word.startswith((".", "__MACOSX")) for word in name.parts)
        if info.is_dir() or hidden or stem(name) is None:
            continue

        def member(info: zipfile.ZipInfo = info) -> BinaryIO:
            return archive.open(info)  # type: ignore[return-value]  # a ZipExtFile reads like a file

        identity = f"crc32:{info.CRC:08x}:{info.file_size}"
        yield Candidate(Origin(f"{path}:{info.filename}", name.name, member), lambda identity=identity: identity)  # type: ignore[misc]  # bound now


@dataclass
class _Piecewise:
    """Checked bars of one file, piece by piece, with the rules between rows kept across pieces too."""

    origin: Origin
    on_bad: str
    step_ns: int | None
    dropped: int = 0
    decimals: int = 0
    last: Table | None = None

    def bars(self) -> Iterator[Bars]:
        """Yield the bars in time order; the first piece settles the timeframe where the name does not state it."""
        for table in pieces(self.origin, self.on_bad, PIECE_BYTES):
            if self.step_ns is None and len(table.times) < 2:
                raise UserError(f"{self.origin.where}: one row tells no timeframe; give mode.timeframe, as in 1h")
            joined = _after(self.last, table)
            checked = check(joined, self.on_bad, (), self.step_ns)
            self.step_ns = checked.step_ns
            self.dropped += checked.dropped
            self.decimals = max(self.decimals, checked.decimals)
            bars = checked.bars if self.last is None else checked.bars.take(slice(1, None))
            self.last = _last_of(joined, checked)
            if len(bars.times):
                yield bars


def _after(last: Table | None, table: Table) -> Table:
    """Put the last good row of the piece before in front of a piece, so that their order is checked too."""
    if last is None:
        return table
    columns = {name: np.concatenate((last.columns[name], table.columns[name])) for name in FIELDS}
    return replace(table, times=np.concatenate((last.times, table.times)), columns=columns, first=table.first - 1)


def _last_of(table: Table, checked: Checked) -> Table:
    row = int(np.flatnonzero(table.times == checked.bars.times[-1])[0])
    return replace(
        table, times=table.times[row : row + 1], columns={n: v[row : row + 1] for n, v in table.columns.items()}
    )


@dataclass
class _Merge:
    """One file on its way into its series."""

    series: Shelf
    name: str
    on_conflict: str
    written: list[Part] = field(default_factory=list)
    replaced_times: list[Int64Array] = field(default_factory=list)
    added: int = 0
    same: int = 0
    kept: int = 0
    replaced: int = 0
    first: int | None = None
    last: int = 0

    def sees(self, bars: Bars) -> None:
        """Note what the file covers; its bars come in time order."""
        self.first = int(bars.times[0]) if self.first is None else self.first
        self.last = int(bars.times[-1])

    def part(self, part: str, bars: Bars) -> None:
        """Merge the file's bars of one part; write the part where it changes."""
        rows = read_rows(self.series, part)
        there = rows.bars.times
        place = np.minimum(np.searchsorted(there, bars.times), max(0, len(there) - 1))
        hit = there[place] == bars.times if len(there) else np.zeros(len(bars.times), np.bool_)
        alike = hit.copy()
        for name in FIELDS:
            alike[hit] &= getattr(rows.bars, name)[place[hit]] == getattr(bars, name)[hit]
        other = hit & ~alike
        if other.any() and self.on_conflict == "error":
            raise UserError(self._conflict(rows, bars, np.flatnonzero(other), place))
        taken = ~hit | (other if self.on_conflict == "replace" else False)
        self.same += int(alike.sum())
        self.kept += int(other.sum()) if self.on_conflict == "keep" else 0
        self.replaced += int((other & taken).sum())
        self.added += int((~hit).sum())
        if not taken.any():
            return
        gone = np.zeros(len(there), np.bool_)
        gone[place[other & taken]] = True
        self.replaced_times.append(there[gone])
        fresh = Bars(*(getattr(bars, name)[taken] for name in ("times", *FIELDS)))
        self.written.append(write_rows(self.series, part, rows.merged(fresh, len(self.series.sources), gone)))

    def _conflict(self, rows: Rows, bars: Bars, other: np.ndarray, place: np.ndarray) -> str:
        """Name the first bar that the store has with other values, and where both come from."""
        new = int(other[0])
        old = int(place[new])
        values = [
            f"{name} is {text(int(getattr(rows.bars, name)[old]))} there and {text(int(getattr(bars, name)[new]))} here"
            for name in FIELDS
            if getattr(rows.bars, name)[old] != getattr(bars, name)[new]
        ]
        known = self.series.sources[int(rows.source[old])].name
        more = f", and {len(other) - 1} more bars" if len(other) > 1 else ""
        return (
            f"{self.name}: the store has other values of {self.series.name}, from {known}: the bar of "
            f"{iso(int(bars.times[new]))}: {', '.join(values)}{more}; choose mode.on_conflict=keep (what is there) or "
            "replace (what is here)"
        )

    def finished(self, identity: str, decimals: int) -> Shelf:
        """Return the series as it is with the file, for it to be committed."""
        gone = np.concatenate(self.replaced_times) if self.replaced_times else np.zeros(0, np.int64)
        stamps = [iso(int(moment)) for moment in (gone.min(), gone.max())] if len(gone) else []
        # ISO-8601 in UTC sorts as time does. A file of which a bar gave way is read again when it comes again.
        sources = [
            replace(came, whole=False) if stamps and came.first <= stamps[1] and stamps[0] <= came.last else came
            for came in self.series.sources
        ]
        count = self.added + self.replaced
        came = Came(redact(self.name), identity, count, iso(self.first or 0), iso(self.last), whole=not self.kept)
        return with_parts(self.series, self.written, decimals, [*sources, came])


def take(root: Path, wanted: Wanted, candidate: Candidate) -> Taken:
    """Import one file.

    Raises `UserError` where it is refused, with the store as it was, and `OSError` where the store cannot be written.
    """
    origin = candidate.origin
    if candidate.problem:
        raise UserError(candidate.problem)
    name = stem(Path(origin.name)) or origin.name
    pair = wanted.pair or pair_of(name, origin.where)
    step_ns = (
        stated_timeframe(name) if wanted.timeframe is None else parse_timeframe(wanted.timeframe, "mode.timeframe")
    )
    reading = _Piecewise(origin, wanted.on_bad, step_ns)
    try:
        identity = candidate.identity()
    except OSError as problem:
        raise UserError(f"{origin.where} cannot be read: {problem.strerror}") from None
    merge = None if step_ns is None else _merge(root, wanted, pair, step_ns, origin)
    try:
        if merge is not None and merge.series.imported(identity):
            return Taken(origin.where, merge.series.name, already=True)
        waiting: list[Bars] = []
        part = ""
        for bars in reading.bars():
            if merge is None:
                merge = _merge(root, wanted, pair, reading.step_ns or 0, origin)
                if merge.series.imported(identity):
                    return Taken(origin.where, merge.series.name, already=True)
            merge.sees(bars)
            for here, rows in part_of(bars.times, merge.series.step_ns):
                if here != part and waiting:
                    merge.part(part, _together(waiting))
                    waiting = []
                part = here
                waiting.append(bars.take(rows))
        if merge is None or not waiting:
            raise UserError(f"{origin.where} holds no good row")
        merge.part(part, _together(waiting))
        if merge.written:
            merge.finished(identity, reading.decimals).commit()
    except BaseException:
        # What was written and not committed belongs to no state of the series.
        if merge is not None:
            tidy(merge.series.folder)
        raise
    counts = (merge.added, merge.same, merge.kept, merge.replaced, reading.dropped)
    return Taken(origin.where, merge.series.name, *counts)


def _merge(root: Path, wanted: Wanted, pair: str, step_ns: int, origin: Origin) -> _Merge:
    return _Merge(shelf(root, wanted.exchange, pair, timeframe_name(step_ns)), origin.where, wanted.on_conflict)


def _together(bars: list[Bars]) -> Bars:
    if len(bars) == 1:
        return bars[0]
    return Bars(*(np.concatenate([getattr(one, name) for one in bars]) for name in ("times", *FIELDS)))

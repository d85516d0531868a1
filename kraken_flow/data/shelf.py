"""One series of the data store on disk: a manifest, and parquet files by year that it names with their hashes.

The manifest is the truth. A parquet file carries the beginning of its own hash in its name and never changes, so a new
state of a series is there at once, when its manifest is renamed into place; whoever reads meanwhile has the old one.
Prices and volumes are int64 in units of 10^-8, exactly what the engines read.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kraken_flow.core.errors import UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import FIELDS
from kraken_flow.core.resample import Bars
from kraken_flow.core.times import DAY, iso, parse_time, parse_timeframe
from kraken_flow.core.units import PRICE_DECIMALS, Int64Array
from kraken_flow.core.whole import sync_folder, write_whole

MANIFEST = "manifest.json"
TIME = "ts_ns"
"""Column of bar opens, ns UTC."""
UNITS = tuple(f"{name}_e8" for name in FIELDS)
"""Columns of prices and volume; the name says that they are whole numbers of 10^-8."""
SOURCE = "source"
"""Column of the number, in the manifest's list of sources, of the file that a bar came from."""
GROUP_ROWS = 2048
"""Rows of a row group, the least that a read of a span takes: a day and a half of minutes, three months of hours."""
WHOLE = "all"
"""Part of a series of days or longer bars, which is one file; others have a file per year."""
_FORMAT = 1
_MOST_GAPS = 20
_PART = rf"(\d{{4}}|{WHOLE})"
_DATA_FILE = re.compile(rf"{_PART}-[0-9a-f]{{16}}\.parquet")
_LEFT_OVER = re.compile(rf"\.({re.escape(MANIFEST)}|{_PART}\.parquet)\.\d+")


@dataclass(frozen=True)
class Coverage:
    """What bars there are: `gaps` runs of `missing` bars, the longest ones as (open of the first missing bar, bars)."""

    first: str
    last: str
    bars: int
    missing: int = 0
    gaps: int = 0
    longest_gaps: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Part:
    """One parquet file: its `part` of the series (a year, or all of it), name, hash, size and bars."""

    part: str
    name: str
    sha256: str
    size_bytes: int
    coverage: Coverage


@dataclass(frozen=True)
class Came:
    """A file that bars came from.

    Parameters: `identity` its hash, or checksum and size; `bars` how many it brought; `whole` whether every bar of it
    still stands in the series, so that it need not be read again.
    """

    name: str
    identity: str
    bars: int
    first: str
    last: str
    whole: bool


@dataclass(frozen=True)
class Shelf:
    """One series: its folder, and what its manifest says."""

    folder: Path
    exchange: str
    pair: str
    timeframe: str
    price_decimals: int = 0
    coverage: Coverage | None = None
    parts: tuple[Part, ...] = ()
    sources: tuple[Came, ...] = ()

    @property
    def step_ns(self) -> int:
        """Return the length of a bar."""
        return parse_timeframe(self.timeframe)

    @property
    def name(self) -> str:
        """Return exchange, pair and timeframe in words."""
        return f"{self.exchange} {self.pair} {self.timeframe}"

    def part(self, name: str) -> Part | None:
        """Return the file of a year, None where there is none."""
        return next((part for part in self.parts if part.part == name), None)

    def imported(self, identity: str) -> bool:
        """Return whether a file with that content need not be read again."""
        return any(came.identity == identity and came.whole for came in self.sources)

    def commit(self) -> None:
        """Put this state of the series in the place of the one before, and remove the files that it has no more."""
        sync_folder(self.folder)
        content = orjson.dumps(_sealed(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        write_whole(self.folder / MANIFEST, content, sync=True)
        sync_folder(self.folder)
        tidy(self.folder)

    def damage(self) -> tuple[str, ...]:
        """Return a sentence for each file that is not what the manifest says; reads every byte."""
        found = []
        for part in self.parts:
            path = self.folder / part.name
            try:
                now = file_hash(path)
            except FileNotFoundError:
                found.append(f"{path} is missing")
            except OSError as error:
                found.append(f"{path} cannot be read ({error.strerror})")
            else:
                if now != part.sha256:
                    found.append(f"{path} is damaged: its SHA-256 was {part.sha256[:12]}, is {now[:12]}")
        return tuple(found)


def folder_of(root: Path, exchange: str, pair: str, timeframe: str) -> Path:
    """Return where a series lies: `store/kraken/BTC-USD/1h`."""
    return root / exchange / pair_folder(pair) / timeframe


def pair_folder(pair: str) -> str:
    """Return a pair as the name of a folder."""
    return pair.replace("/", "-").replace(":", "_")


def shelf(root: Path, exchange: str, pair: str, timeframe: str) -> Shelf:
    """Return a series as it stands, an empty one where there is none. Raises `UserError` for a damaged manifest."""
    folder = folder_of(root, exchange, pair, timeframe)
    if not (folder / MANIFEST).is_file():
        return Shelf(folder, exchange, pair, timeframe)
    return opened(folder)


def opened(folder: Path) -> Shelf:
    """Read the manifest of a series. Raises `UserError` where it is damaged, or was edited."""
    path = folder / MANIFEST
    try:
        content = orjson.loads(path.read_bytes())
        known = content.pop("sha256")
        if content["format"] != _FORMAT:
            raise UserError(
                f"{path} is of format {content['format']}, this program reads format {_FORMAT}; use the program that "
                "wrote it, or remove its folder and import its sources again"
            )
        if known != _digest(content):
            raise UserError(
                f"{path} is damaged: its own hash is another one; remove its folder and import its sources again"
            )
        series = Shelf(
            folder,
            exchange=content["exchange"],
            pair=content["pair"],
            timeframe=content["timeframe"],
            price_decimals=content["price_decimals"],
            coverage=_coverage(content["coverage"]),
            parts=tuple(Part(**(part | {"coverage": _coverage(part["coverage"])})) for part in content["parts"]),
            sources=tuple(Came(**came) for came in content["sources"]),
        )
        _check(series)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; remove its folder and import its sources again") from None
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); make it readable, or remove its folder and import again"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = "it is not JSON" if isinstance(error, orjson.JSONDecodeError) else f"{type(error).__name__}: {error}"
        raise UserError(f"{path} is damaged ({why}); remove its folder and import its sources again") from None
    return series


def _check(series: Shelf) -> None:
    """Refuse what no import writes: files elsewhere than in the folder, times and numbers that are none.

    Raises `ValueError` or `TypeError` saying what it is.
    """
    if series.coverage is None or not series.parts:
        raise ValueError("it names no file")
    for part in series.parts:
        known = _DATA_FILE.fullmatch(part.name)
        if known is None or known[1] != part.part:
            raise ValueError(f"it names the file {part.name!r}, which is none of this folder")
        if not 0 < part.size_bytes < 2**63 or len(part.sha256) != 64:
            raise ValueError(f"size or hash of {part.name} is none")
    if type(series.price_decimals) is not int or not 0 <= series.price_decimals <= PRICE_DECIMALS:
        raise ValueError(f"price_decimals is {series.price_decimals}")
    try:
        before = -series.step_ns
        for cover in (part.coverage for part in series.parts):
            first, last = parse_time(cover.first), parse_time(cover.last)
            if not before < first <= last or cover.bars < 1:
                raise ValueError("its files are in no order of time")
            before = last
    except UserError as error:
        raise ValueError(str(error)) from None


def tidy(folder: Path) -> None:
    """Remove from the folder of a series what its manifest does not name: an import did not come to its end.

    An empty folder goes too. Nothing is removed where the manifest is damaged.
    """
    try:
        keep = {part.name for part in opened(folder).parts} if (folder / MANIFEST).is_file() else set()
    except UserError:
        return
    for path in folder.iterdir() if folder.is_dir() else ():
        ours = _LEFT_OVER.fullmatch(path.name) or _DATA_FILE.fullmatch(path.name)
        if ours and path.name not in keep:
            path.unlink(missing_ok=True)
    if not keep:
        for empty in (folder, *folder.parents[:2]):
            with suppress(OSError):
                empty.rmdir()


def _coverage(content: Mapping[str, Any]) -> Coverage:
    return Coverage(**{**content, "longest_gaps": tuple((str(at), int(n)) for at, n in content["longest_gaps"])})


def _sealed(series: Shelf) -> dict[str, Any]:
    content = orjson.loads(orjson.dumps({key: value for key, value in asdict(series).items() if key != "folder"}))
    content = {"format": _FORMAT, **content}
    return {**content, "sha256": _digest(content)}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True)
class Rows:
    """Bars of one part, each with the number of its source."""

    bars: Bars
    source: NDArray[np.int32]

    def merged(self, fresh: Bars, number: int, replaced: NDArray[np.bool_]) -> "Rows":
        """Return these rows with new bars among them, sorted by time.

        Parameters: `fresh` bars in time order; `number` of their source; `replaced` which of these rows give way.
        """
        keep = ~replaced
        times = np.concatenate((self.bars.times[keep], fresh.times))
        order = np.argsort(times, kind="stable")
        columns = [
            np.concatenate((getattr(self.bars, name)[keep], getattr(fresh, name)))[order] for name in ("times", *FIELDS)
        ]
        source = np.concatenate((self.source[keep], np.full(len(fresh.times), number, np.int32)))[order]
        return Rows(Bars(*columns), source)


def no_rows() -> Rows:
    """Return a part that holds nothing yet."""
    empty = np.zeros(0, np.int64)
    return Rows(Bars(empty, empty, empty, empty, empty, empty), np.zeros(0, np.int32))


def part_of(times: Int64Array, step_ns: int) -> list[tuple[str, slice]]:
    """Return the parts that bar opens (ascending, ns) belong to, each with its run of rows."""
    if step_ns >= DAY:
        return [(WHOLE, slice(0, len(times)))]
    years = times.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    names, starts = np.unique(years, return_index=True)
    ends = [*starts[1:].tolist(), len(times)]
    return [
        (f"{name:04d}", slice(low, high)) for name, low, high in zip(names.tolist(), starts.tolist(), ends, strict=True)
    ]


def read_rows(series: Shelf, part: str) -> Rows:
    """Read a part with its sources, empty where there is none. Raises `UserError` where its file is damaged."""
    known = series.part(part)
    if known is None:
        return no_rows()
    path = series.folder / known.name
    if not path.is_file() or file_hash(path) != known.sha256:
        raise UserError(f"{path} is damaged; remove the folder {series.folder} and import its sources again")
    table = pq.read_table(path)
    return Rows(bars_of(table), table.column(SOURCE).to_numpy())


def bars_of(table: pa.Table) -> Bars:
    """Return the bars of a table as it stands in a part."""
    return Bars(*(table.column(name).to_numpy() for name in (TIME, *UNITS)))


def write_rows(series: Shelf, part: str, rows: Rows) -> Part:
    """Write a part; it belongs to the series once that is committed. Raises `OSError` where it cannot be written."""
    series.folder.mkdir(parents=True, exist_ok=True)
    columns = {TIME: rows.bars.times} | {
        unit: getattr(rows.bars, name) for unit, name in zip(UNITS, FIELDS, strict=True)
    }
    fresh = series.folder / f".{part}.parquet.{os.getpid()}"
    try:
        pq.write_table(
            pa.table(columns | {SOURCE: rows.source}),
            fresh,
            row_group_size=GROUP_ROWS,
            compression="zstd",
            use_dictionary=[SOURCE],
            column_encoding=dict.fromkeys(columns, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
        )
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        digest, size = file_hash(fresh), fresh.stat().st_size
        name = f"{part}-{digest[:16]}.parquet"
        fresh.replace(series.folder / name)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return Part(part, name, digest, size, coverage_of(rows.bars.times, series.step_ns))


def coverage_of(times: Int64Array, step_ns: int) -> Coverage:
    """Return what bar opens (ascending, at least one) cover."""
    ahead = np.diff(times) // step_ns - 1
    holes = np.flatnonzero(ahead > 0)
    found = [(iso(int(times[i]) + step_ns), int(ahead[i])) for i in holes[np.argsort(-ahead[holes], kind="stable")]]
    return Coverage(
        iso(int(times[0])),
        iso(int(times[-1])),
        len(times),
        int(ahead[holes].sum()),
        len(holes),
        tuple(sorted(found[:_MOST_GAPS])),
    )


def joined(parts: Sequence[Coverage], step_ns: int) -> Coverage:
    """Return what the parts of a series cover together; they are in time order."""
    between = []
    for before, after in pairwise(parts):
        open_ns = parse_time(before.last) + step_ns
        missing = (parse_time(after.first) - open_ns) // step_ns
        if missing > 0:
            between.append((iso(open_ns), missing))
    found = sorted([*between, *(gap for part in parts for gap in part.longest_gaps)], key=lambda gap: (-gap[1], gap[0]))
    return Coverage(
        parts[0].first,
        parts[-1].last,
        sum(part.bars for part in parts),
        sum(part.missing for part in parts) + sum(missing for _, missing in between),
        sum(part.gaps for part in parts) + len(between),
        tuple(sorted(found[:_MOST_GAPS])),
    )


def with_parts(series: Shelf, written: Iterable[Part], price_decimals: int, sources: Sequence[Came]) -> Shelf:
    """Return the series with new files in the place of those of the same part."""
    by_name = {part.part: part for part in series.parts} | {part.part: part for part in written}
    parts = tuple(by_name[name] for name in sorted(by_name))
    return replace(
        series,
        price_decimals=max(series.price_decimals, price_decimals),
        coverage=joined([part.coverage for part in parts], series.step_ns),
        parts=parts,
        sources=tuple(sources),
    )


def series_in(root: Path) -> list[Path]:
    """Return the folders of all series of a store, sorted."""
    return sorted(path.parent for path in root.glob(f"*/*/*/{MANIFEST}"))


def without_manifest(root: Path) -> list[Path]:
    """Return the folders of a store that have files of a series and no manifest that names them, sorted."""
    found = {path.parent for path in root.glob("*/*/*/*.parquet") if _DATA_FILE.fullmatch(path.name)}
    return sorted(folder for folder in found if not (folder / MANIFEST).exists())

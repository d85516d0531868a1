"""The data store: candles by exchange, pair and timeframe, imported once and read by the span that a run needs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from kraken_flow.core.catalogue import Entry, Taken, Wanted
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import Market
from kraken_flow.core.node import NonNegative, node
from kraken_flow.core.redact import redact
from kraken_flow.core.times import parse_time, parse_timeframe, timeframe_name
from kraken_flow.data.candles import CandleSource
from kraken_flow.data.check import Checked
from kraken_flow.data.grid import Series, assemble
from kraken_flow.data.intake import candidates, take
from kraken_flow.data.shelf import (
    MANIFEST,
    Coverage,
    Shelf,
    opened,
    pair_folder,
    series_in,
    tidy,
    without_manifest,
)
from kraken_flow.data.span import Found, Span, read_span
from kraken_flow.nearest import near_pairs

_EXCHANGE = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PAIR = re.compile(r"[A-Z0-9.]+/[A-Z0-9.]+(:[A-Z0-9.]+)?")
_ATTEMPTS = 3
"""How often a series is opened again whose files an import put others in the place of meanwhile."""


@node
class Store(CandleSource):
    """Candles of the data store, which mode=import fills and mode=data lists and checks."""

    path: str = "store"
    """The store's folder. Relative to the working directory."""
    exchange: str | None = None
    """The exchange whose candles are read; null: the only one that has the pair."""
    max_gap: NonNegative[int] = 24
    """Longest run of missing bars over which features carry their last output; after a longer one they start anew."""
    feed_delay: str | int = "0"
    """How long after its close a bar is known, for example 500ms or 2s."""

    @property
    def folder(self) -> Path:
        """Return where the store is."""
        return Path(self.path).expanduser()

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Read the pairs' bars of the span onto one grid; see `core.source.Source`.

        A pair is read in `timeframe` where the store has that, else in the finest timeframe that divides it, and
        resampled. Raises `UserError` naming what the store lacks, or a file that is damaged.
        """
        timeframe_ns = parse_timeframe(timeframe)
        names = tuple(sorted(pairs))
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"data.path: {self.folder} is a file, no store; give the folder that mode=import filled")
        if not self.folder.is_dir():
            raise UserError(
                f"data.path: the store {self.folder} does not exist; fill it with "
                f"mode=import mode.source=PATH mode.exchange={self.exchange or 'kraken'}"
            )
        shelves = {pair: self._shelves(pair) for pair in names}
        span = Span(timeframe_ns, start, end, lookback)
        series = [_read(_best(shelves[pair], timeframe_ns, "timeframe"), span, "bars") for pair in names]
        finer = None
        if detail is not None:
            detail_ns = parse_timeframe(detail, "exchange.fill.detail")
            since = None if start is None else min(int(one.checked.bars.times[0]) for one in series)
            # The last decision bar opens before `end` and may close after it.
            until = None if end is None else end + timeframe_ns
            finer = detail_ns, _finer(shelves, Span(detail_ns, since, until, 0))
        return assemble(series, timeframe_ns, start, end, lookback, self.max_gap, finer)

    def _shelves(self, pair: str) -> list[Shelf]:
        """Return a pair's series, the finest first. Raises `UserError` where there is none, or no telling which."""
        folders = sorted(self.folder.glob(f"*/{pair_folder(pair)}/*/{MANIFEST}"))
        found = [opened(path.parent) for path in folders]
        exchanges = sorted({series.exchange for series in found})
        if self.exchange is not None:
            found = [series for series in found if series.exchange == self.exchange]
        elif len(exchanges) > 1:
            raise UserError(
                f"data.exchange: the store has {pair} of {' and '.join(exchanges)}; say which, "
                f"as in data.exchange={exchanges[0]}"
            )
        if not found:
            raise UserError(self._none(pair, exchanges))
        return sorted(found, key=lambda series: series.step_ns)

    def _none(self, pair: str, exchanges: Sequence[str]) -> str:
        if exchanges:
            return f"data.exchange={self.exchange}: the store has {pair} of {', '.join(exchanges)} alone"
        lost = [folder for folder in without_manifest(self.folder) if folder.parent.name == pair_folder(pair)]
        if lost:
            return str(_lost(lost[0]))
        there = sorted({one.pair for one in map(_readable, series_in(self.folder)) if one is not None})
        if not there:
            return f"data.path: the store {self.folder} is empty; fill it with mode=import mode.source=PATH"
        near = near_pairs(pair, there)
        shown = f"nearest: {', '.join(near)}" if near else f"it has {', '.join(there[:5])}"
        return f"pairs: the store {self.folder} has no {pair}; {shown}; mode=data lists all"

    def expect(self, wanted: Wanted) -> int:
        """Return how many files an import would look at; see `core.catalogue.Catalogue`."""
        _validate(wanted)
        with ExitStack() as stack:
            count = len(candidates(wanted.source, stack))
        if wanted.pair is not None and count > 1:
            raise UserError(
                f"mode.pair={wanted.pair}: {wanted.source} holds {count} files, whose names say their pairs"
            )
        return count

    def fill(self, wanted: Wanted) -> Iterator[Taken]:
        """Import file by file; see `core.catalogue.Catalogue`."""
        self.expect(wanted)
        self._tidy()
        with ExitStack() as stack:
            for candidate in candidates(wanted.source, stack):
                try:
                    yield take(self.folder, wanted, candidate)
                except UserError as problem:
                    # The rules on rows name the key by which a run leaves bad rows out.
                    told = str(problem).replace("data.on_bad=", "mode.on_bad=")
                    yield Taken(redact(candidate.origin.where), problem=redact(told))

    def _tidy(self) -> None:
        """Remove what an import that was killed left behind."""
        for folder in sorted(self.folder.glob("*/*/*/")):
            tidy(folder)

    def entries(self, check: bool) -> Iterator[Entry]:
        """Yield the series of the store; see `core.catalogue.Catalogue`."""
        for folder in sorted([*series_in(self.folder), *without_manifest(self.folder)]):
            yield _entry(folder, check)


def _validate(wanted: Wanted) -> None:
    problems = []
    if not _EXCHANGE.fullmatch(wanted.exchange):
        problems.append(
            f"mode.exchange={wanted.exchange}: must be lower case letters, digits, - and _, as in mode.exchange=kraken"
        )
    if wanted.pair is not None and not _PAIR.fullmatch(wanted.pair):
        problems.append(f"mode.pair={wanted.pair}: must be BASE/QUOTE in upper case, as in mode.pair=BTC/USD")
    if wanted.timeframe is not None:
        try:
            parse_timeframe(wanted.timeframe, "mode.timeframe")
        except UserError as problem:
            problems.append(str(problem))
    if problems:
        raise UserError("\n".join(problems))


def _readable(folder: Path) -> Shelf | None:
    """Return a series, None where its manifest is damaged."""
    try:
        return opened(folder)
    except UserError:
        return None


def _lost(folder: Path) -> UserError:
    return UserError(f"{folder / MANIFEST} is missing; remove the folder {folder} and import its sources again")


def _entry(folder: Path, check: bool) -> Entry:
    exchange, pair, timeframe = folder.parts[-3:]
    try:
        if not (folder / MANIFEST).exists():
            raise _lost(folder)
        series = opened(folder)
        if series.coverage is None or folder.parts[-3:] != (
            series.exchange,
            pair_folder(series.pair),
            series.timeframe,
        ):
            raise UserError(f"{folder / MANIFEST} is of {series.name}; it was moved here")
    except UserError as problem:
        return Entry(exchange, pair, timeframe, 0, 0, 0, 0, 0, 0, 0, (str(problem),))
    cover: Coverage = series.coverage
    return Entry(
        series.exchange,
        series.pair,
        series.timeframe,
        parse_time(cover.first),
        parse_time(cover.last),
        cover.bars,
        cover.gaps,
        cover.missing,
        max((bars for _, bars in cover.longest_gaps), default=0),
        sum(part.size_bytes for part in series.parts),
        series.damage() if check else None,
    )


def _best(shelves: Sequence[Shelf], timeframe_ns: int, key: str) -> Shelf:
    """Return the series in the timeframe, else the finest that divides it."""
    exact = [series for series in shelves if series.step_ns == timeframe_ns]
    finer = [series for series in shelves if series.step_ns < timeframe_ns and timeframe_ns % series.step_ns == 0]
    if exact or finer:
        return (exact or finer)[0]
    want = timeframe_name(timeframe_ns)
    have = ", ".join(series.timeframe for series in shelves)
    raise UserError(
        f"{key}={want}: the store has {shelves[0].pair} of {shelves[0].exchange} in {have}, of which none divides "
        f"{want}; use {key}={shelves[0].timeframe} or import finer candles"
    )


def _finer(shelves: Mapping[str, Sequence[Shelf]], span: Span) -> dict[str, Series]:
    """Return the finer bars by pair, of the pairs that have them. Raises `UserError` where none has."""
    found = {}
    for pair, there in shelves.items():
        if any(span.timeframe_ns % series.step_ns == 0 for series in there):
            found[pair] = _read(_best(there, span.timeframe_ns, "exchange.fill.detail"), span, "detail")
    if not found:
        name = timeframe_name(span.timeframe_ns)
        raise UserError(f"exchange.fill.detail={name}: the store has no bars of {name} or finer for any pair")
    return found


def _read(series: Shelf, span: Span, role: str) -> Series:
    """Read a span, anew where an import meanwhile put other files in the place of those that it read."""
    for attempt in range(_ATTEMPTS):
        try:
            return _remembered(series, span, role)
        except FileNotFoundError as problem:
            if attempt == _ATTEMPTS - 1:
                raise UserError(
                    f"{problem.filename} is missing; mode=data tells what else is; remove the folder {series.folder} "
                    "and import its sources again"
                ) from None
            series = opened(series.folder)
    raise AssertionError("unreachable")


@lru_cache(maxsize=64)
def _remembered(series: Shelf, span: Span, role: str) -> Series:
    """Keep what was read, so that a sweep reads each span once; a series that has changed is another one."""
    return _series(series, read_span(series, span), role)


def _series(series: Shelf, found: Found, role: str) -> Series:
    cover = series.coverage
    if cover is None:
        raise UserError(f"{series.folder / MANIFEST} is damaged: it covers nothing")
    common = {"pair": series.pair, "role": role, "timeframe": series.timeframe}
    records = tuple(
        common
        | {
            "part": part.part,
            "path": str(series.folder / part.name),
            "sha256": part.sha256,
            "first": part.coverage.first,
            "last": part.coverage.last,
            "rows": part.coverage.bars,
        }
        for part in found.parts
    )
    checked = Checked(found.bars, series.step_ns, series.price_decimals, 0, 0, ())
    whole = parse_time(cover.first), parse_time(cover.last)
    return Series(series.pair, checked, common | {"path": str(series.folder)}, records, whole)

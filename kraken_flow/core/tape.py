"""A tape: instants in time order. A finite one is a market read row by row; a live one comes bar by bar."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import ABSENT, FIELDS, REAL, SYNTHETIC, Detail, Market, PairColumns

Bar: TypeAlias = tuple[int, int, int, int, int]
"""Open, high, low, close, volume in units of 10^-8."""
Event: TypeAlias = tuple[int, int, int]
"""Time and time of knowledge (ns UTC) and rate (10^-12) of a funding event."""
Events: TypeAlias = tuple[Event, ...]
Bars: TypeAlias = tuple[Bar | None, ...]
"""One bar per pair in name order; None where the pair has none."""


class Instant(NamedTuple):
    """The bars that become known together: those of one decision bar.

    `time` is the bar's open, ns UTC; `finer` holds the bars inside it, a tuple over the pairs for each finer bar, empty
    where none are used. `missed` bars were known in time to nobody, because the connection or the session was away:
    features take them, for the account they are missing ones.
    """

    time: int
    bars: Bars
    finer: tuple[Bars, ...] = ()
    missed: bool = False
    marks: Bars = ()
    """The bars of the marks, volume 0, where the tape has them."""
    funding: tuple[Events, ...] = ()
    """Per pair, the funding events that become known in it."""


@dataclass(frozen=True)
class Tape:
    """What is known of a tape before its first instant.

    Parameters
    ----------
    pairs
        Names in order.
    timeframe_ns
        Length of the decision bar.
    first
        Open of the first row, warm-up included, ns UTC.
    first_row
        First decision row.
    max_gap
        Longest run of missing bars over which features carry their last output.
    detail_ns
        Length of the finer bars, 0 without.
    decimals, synthetic_sample, files, notes, counts, terms
        As in `Market`.
    """

    pairs: tuple[str, ...]
    timeframe_ns: int
    first: int
    first_row: int = 0
    max_gap: int = 24
    detail_ns: int = 0
    decimals: Mapping[str, int] = field(default_factory=dict)
    synthetic_sample: bool = False
    files: tuple[Mapping[str, object], ...] = ()
    notes: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    terms: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    marked: bool = False
    """Whether it brings mark prices."""
    funded: bool = False
    """Whether it brings funding events."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """Of a tape that is read from a store of data, what was read; see `core.pin.Pin`."""

    @property
    def start(self) -> int:
        """Open of the first decision row, ns UTC."""
        return self.first + self.first_row * self.timeframe_ns

    @property
    def per_bar(self) -> int:
        """Finer bars in a decision bar, 0 without."""
        return self.timeframe_ns // self.detail_ns if self.detail_ns else 0

    def row(self, time: int) -> int:
        """Return the row of a bar's open."""
        return (time - self.first) // self.timeframe_ns


def tape_of(market: Market) -> Tape:
    """Return what is known of a loaded market before its first row."""
    return Tape(
        pairs=market.names,
        timeframe_ns=market.timeframe_ns,
        first=int(market.times[0]),
        first_row=market.first_row,
        max_gap=market.max_gap,
        detail_ns=0 if market.detail is None else market.detail.timeframe_ns,
        decimals=dict(market.decimals),
        synthetic_sample=market.synthetic_sample,
        files=market.files,
        notes=market.notes,
        counts=market.counts,
        terms=market.terms,
        marked=bool(market.marks),
        funded=bool(market.funding),
    )


def instants(market: Market, row: int = 0) -> Iterator[Instant]:
    """Yield a market's instants from a row on; rows that are no real bars are missing."""
    bars = _bars(market.pairs, row, market.n_rows)
    detail = market.detail
    per_bar = 0 if detail is None else detail.per_bar
    fine = iter(()) if detail is None else _bars(detail.pairs, row * per_bar, market.n_rows * per_bar)
    marks = _bars(market.marks, row, market.n_rows) if market.marks else iter(())
    for at, time in enumerate(market.times[row:].tolist(), row):
        finer = tuple(next(fine) for _ in range(per_bar))
        after = time if at else time - 1
        events = tuple(columns.events(after, time + market.timeframe_ns) for columns in market.funding)
        yield Instant(time, next(bars), finer, False, next(marks, ()), events if any(events) else ())


_CHUNK = 4096


def _bars(pairs: Sequence[PairColumns], low: int, high: int) -> Iterator[Bars]:
    for at in range(low, high, _CHUNK):
        rows = slice(at, min(at + _CHUNK, high))
        columns = []
        for pair in pairs:
            bars = zip(*(getattr(pair, name)[rows].tolist() for name in FIELDS), strict=True)
            real = (pair.state[rows] == REAL).tolist()
            columns.append([bar if there else None for bar, there in zip(bars, real, strict=True)])
        yield from zip(*columns, strict=True)


class Grid:
    """Lays bars that come row by row on the grid: a pair is ABSENT before its first bar, SYNTHETIC where one lacks."""

    def __init__(self, n_pairs: int) -> None:
        self.rows: list[tuple[list[int], ...]] = []
        self._last: list[int | None] = [None] * n_pairs

    def lay(self, bars: Bars) -> tuple[list[int], ...]:
        """Take one row; return open, high, low, close, volume and state, a list over the pairs each."""
        laid: list[tuple[int, ...]] = []
        for bar, last in zip(bars, self._last, strict=True):
            if bar is not None:
                laid.append((*bar, REAL))
            elif last is None:
                laid.append((0, 0, 0, 0, 0, ABSENT))
            else:
                laid.append((last, last, last, last, 0, SYNTHETIC))
        return self.add(tuple(map(list, zip(*laid, strict=True))))

    def add(self, row: tuple[list[int], ...]) -> tuple[list[int], ...]:
        """Take one row as `lay` returned it; return it."""
        self.rows.append(row)
        self._last = [None if state == ABSENT else close for close, state in zip(row[3], row[5], strict=True)]
        return row

    def columns(self, pairs: Sequence[str]) -> tuple[PairColumns, ...]:
        """Return all rows so far as the columns of a market."""
        table = np.array(self.rows, np.int64).reshape(len(self.rows), len(FIELDS) + 1, len(pairs))
        laid = []
        for p, pair in enumerate(pairs):
            opened, high, low, close, volume, state = np.ascontiguousarray(table[:, :, p].T)
            laid.append(PairColumns(pair, opened, high, low, close, volume, state.astype(np.uint8)))
        return tuple(laid)


def market_of(
    tape: Tape, coarse: Grid, fine: Grid, marks: Grid | None = None, events: Sequence[tuple[Events, ...]] = ()
) -> Market:
    """Return the market of a tape's rows so far."""
    return Market(
        timeframe_ns=tape.timeframe_ns,
        times=tape.first + tape.timeframe_ns * np.arange(len(coarse.rows), dtype=np.int64),
        pairs=coarse.columns(tape.pairs),
        first_row=tape.first_row,
        max_gap=tape.max_gap,
        detail=Detail(tape.detail_ns, tape.per_bar, fine.columns(tape.pairs)) if tape.detail_ns else None,
        synthetic_sample=tape.synthetic_sample,
        decimals=tape.decimals,
        files=tape.files,
        notes=tape.notes,
        counts=tape.counts,
        terms=tape.terms,
        marks=marks.columns(tape.pairs) if tape.marked and marks is not None else (),
        funding=_funding(tape, events) if tape.funded else (),
    )


def _funding(tape: Tape, instants: Sequence[tuple[Events, ...]]) -> tuple[FundingColumns, ...]:
    """Return the funding events of the instants so far as columns."""
    found = []
    for p, pair in enumerate(tape.pairs):
        rows = [event for events in instants if events for event in events[p]]
        time, known, rate = np.array(rows, np.int64).reshape(len(rows), 3).T.copy()
        found.append(FundingColumns(pair, time, known, rate))
    return tuple(found)

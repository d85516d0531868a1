"""The span of data that a run read, pinned: a later run of the same reads exactly that, and names what differs in it.

A pin holds per pair, and per kind of data, the first and the last time that was read, a SHA-256 of all of it, and some
checksums of parts of it, from which the one bar that differs is found without the old one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import pairwise
from operator import xor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import ABSENT, FIELDS, REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.times import iso, parse_time
from kraken_flow.core.units import Int64Array, text

_BLOCKS = 64
"""Stretches of equal length that have a checksum each: they tell where several bars differ."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Read:
    """What was read of one pair.

    Parameters
    ----------
    role
        bars, detail, mark or funding.
    step_ns
        Time from one place to the next; 0 for funding, whose events are counted.
    first, last
        Opens of the first and the last bar (ns), times of knowledge of events; None where there was nothing.
    places
        Checksums of 64 bits: of each block of places, then of the places whose number has bit 0, 1, 2 ... set.
    """

    role: str
    pair: str
    step_ns: int
    first: int | None
    last: int | None
    rows: int
    sha256: str
    places: tuple[int, ...]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        ends = {name: None if at is None else iso(at) for name, at in (("first", self.first), ("last", self.last))}
        rest = {"rows": self.rows, "sha256": self.sha256, "places": " ".join(f"{place:x}" for place in self.places)}
        return {"role": self.role, "pair": self.pair, "step_ns": self.step_ns, **ends, **rest}

    @staticmethod
    def of(content: Mapping[str, Any]) -> "Read":
        """Read what `plain` returned."""
        first, last = (None if content[name] is None else parse_time(content[name]) for name in ("first", "last"))
        places = tuple(int(place, 16) for place in content["places"].split())
        return Read(
            content["role"],
            content["pair"],
            content["step_ns"],
            first,
            last,
            content["rows"],
            content["sha256"],
            places,
        )


@dataclass(frozen=True)
class Pin:
    """What a run read.

    Parameters: `first` open of the first row, warm-up included; `start` that of the first decision row; `end` the open
    after the last row; all ns UTC. `decimals` as in `Market`.
    """

    timeframe_ns: int
    first: int
    start: int
    end: int
    decimals: Mapping[str, int]
    reads: tuple[Read, ...]

    @staticmethod
    def of(market: Market) -> "Pin":
        """Return what a market holds."""
        step, first = market.timeframe_ns, int(market.times[0])
        return Pin(
            step,
            first,
            first + market.first_row * step,
            first + market.n_rows * step,
            dict(market.decimals),
            tuple(_read(role, item, at, None) for role, item, at in _parts(market)),
        )

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        times = {"first": iso(self.first), "start": iso(self.start), "end": iso(self.end)}
        reads = [read.plain() for read in self.reads]
        return {"timeframe_ns": self.timeframe_ns, **times, "decimals": dict(self.decimals), "reads": reads}

    @staticmethod
    def from_plain(content: Mapping[str, Any]) -> "Pin":
        """Read what `plain` returned. Raises `KeyError`, `TypeError` or `ValueError` where it is something else."""
        first, start, end = (parse_time(content[name]) for name in ("first", "start", "end"))
        reads = tuple(Read.of(read) for read in content["reads"])
        return Pin(content["timeframe_ns"], first, start, end, dict(content["decimals"]), reads)

    def cut(self, market: Market) -> Market:
        """Return a market, read anew from `start` to `end`, without what was not there when this was read."""
        step = self.timeframe_ns
        low = max(0, (self.first - int(market.times[0])) // step)
        high = max(low, (self.end - int(market.times[0])) // step)
        rows, first = slice(low, high), int(market.times[0]) + low * step
        known = {(read.role, read.pair): read for read in self.reads}
        times = market.times[rows]

        def laid(role: str, pairs: Sequence[PairColumns], at: Int64Array, where: slice) -> tuple[PairColumns, ...]:
            return tuple(_within(pair, known.get((role, pair.pair)), at, where) for pair in pairs)

        detail = market.detail
        if detail is not None:
            fine = slice(low * detail.per_bar, high * detail.per_bar)
            finer = first + detail.timeframe_ns * np.arange(len(times) * detail.per_bar, dtype=np.int64)
            detail = replace(detail, pairs=laid("detail", detail.pairs, finer, fine))
        return replace(
            market,
            times=times,
            first_row=max(0, (self.start - first) // step),
            pairs=laid("bars", market.pairs, times, rows),
            marks=laid("mark", market.marks, times, rows),
            detail=detail,
            funding=tuple(
                _events(columns, known.get(("funding", columns.pair)), self.first) for columns in market.funding
            ),
            decimals={pair: self.decimals.get(pair, known_now) for pair, known_now in market.decimals.items()},
        )

    def changes(self, market: Market) -> list[tuple[str, str]]:
        """Return what differs in a market that was read anew and `cut`: each pair with a sentence."""
        now = {(role, item.pair): (item, at) for role, item, at in _parts(market)}
        found = []
        for read in self.reads:
            what = read.pair if read.role == "bars" else f"{read.pair} ({read.role})"
            there = now.pop((read.role, read.pair), None)
            if there is None:
                found.append((read.pair, f"{what} is not read any more"))
            elif (fresh := _read(read.role, *there, read)).sha256 != read.sha256:
                found.append((read.pair, f"{what}: {_parted(read, fresh, *there)}"))
        found += [(pair, f"{pair} ({role}) was not read before") for role, pair in now]
        if not found and self.cut_short(market):
            found.append(("", f"the data does not reach from {iso(self.first)} to {iso(self.end)} any more"))
        return found

    def cut_short(self, market: Market) -> bool:
        """Return whether a market, read anew and `cut`, has not all the rows that there were."""
        first, n = int(market.times[0]), market.n_rows
        return (first, first + n * market.timeframe_ns) != (self.first, self.end)


def _parts(market: Market) -> Iterator[tuple[str, PairColumns | FundingColumns, Int64Array]]:
    """Yield the columns of a market by role, each with the times of its rows."""
    for pair in market.pairs:
        yield "bars", pair, market.times
    if market.detail is not None:
        fine, n = market.detail.timeframe_ns, market.n_rows * market.detail.per_bar
        times = int(market.times[0]) + fine * np.arange(n, dtype=np.int64)
        for pair in market.detail.pairs:
            yield "detail", pair, times
    for pair in market.marks:
        yield "mark", pair, market.times
    for events in market.funding:
        yield "funding", events, events.known


def _table(item: PairColumns | FundingColumns, times: Int64Array) -> tuple[Int64Array, ...]:
    """Return what was read of a pair as columns, times first."""
    if isinstance(item, FundingColumns):
        return item.known, item.time, item.rate
    return times[item.real], *(getattr(item, name)[item.real] for name in FIELDS)


def _read(role: str, item: PairColumns | FundingColumns, times: Int64Array, before: Read | None) -> Read:
    """Return what there is of a pair, its places counted as in what was read `before`."""
    columns = _table(item, times)
    digest = sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column, "<i8").data)
    n = len(columns[0])
    ends = int(columns[0][0]) if n else None, int(columns[0][-1]) if n else None
    step = 0 if role == "funding" else int(times[1] - times[0]) if len(times) > 1 else 1
    if before is not None:
        step = before.step_ns
    origin, last = (before.first, before.last) if before is not None else ends
    slots = n if not step else 0 if origin is None or last is None else (last - origin) // step + 1
    if before is not None and not step:
        slots = before.rows
    where: NDArray[np.int64] = np.arange(n) if not step or origin is None else (columns[0] - origin) // step
    return Read(role, item.pair, step, *ends, n, digest.hexdigest(), _places(_mixed(columns), where, slots))


def _mixed(columns: Sequence[Int64Array]) -> NDArray[np.uint64]:
    """Return a checksum of 64 bits per row."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ np.ascontiguousarray(column, np.int64).view(np.uint64)) * _MIX
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _places(mixed: NDArray[np.uint64], where: NDArray[np.int64], slots: int) -> tuple[int, ...]:
    """Return the checksums of blocks of places, and of those with each bit set; see `Read`."""
    inside = (where >= 0) & (where < slots)
    mixed, where = mixed[inside], where[inside]
    fold = partial(np.bitwise_xor.reduce, initial=np.uint64(0))
    edges = np.searchsorted(where, [block * slots // _BLOCKS for block in range(_BLOCKS + 1)])
    blocks = [int(fold(mixed[low:high])) for low, high in pairwise(edges)]
    return (*blocks, *(int(fold(mixed[(where >> bit) & 1 == 1])) for bit in range(max(slots - 1, 0).bit_length())))


def _parted(before: Read, now: Read, item: PairColumns | FundingColumns, times: Int64Array) -> str:
    """Say which place differs, or between which ones several do."""
    slots = before.rows if not before.step_ns else _slots(before)
    differ = tuple(map(xor, before.places, now.places))
    blocks, bits = differ[:_BLOCKS], differ[_BLOCKS:]
    changed = [number for number, block in enumerate(blocks) if block]
    if not changed or before.first is None or before.role == "funding":
        return f"{now.rows} {'events' if before.role == 'funding' else 'bars'} are not the {before.rows} that were read"
    at = sum(1 << bit for bit, one in enumerate(bits) if one)
    if len(changed) == 1 and set(bits) <= {0, blocks[changed[0]]} and at < slots:
        return f"the bar that opens at {iso(before.first + at * before.step_ns)} {_now(item, times, before, at)}"
    low = before.first + changed[0] * slots // _BLOCKS * before.step_ns
    high = before.first + ((changed[-1] + 1) * slots // _BLOCKS - 1) * before.step_ns
    return f"several bars are not what was read, between those of {iso(low)} and {iso(high)}"


def _slots(read: Read) -> int:
    return 0 if read.first is None or read.last is None else (read.last - read.first) // read.step_ns + 1


def _now(item: PairColumns | FundingColumns, times: Int64Array, before: Read, at: int) -> str:
    """Say what a place that was another one holds."""
    if isinstance(item, FundingColumns) or before.first is None:
        return "was another one"
    rows = item.real[times[item.real] == before.first + at * before.step_ns]
    if not len(rows):
        return "is missing"
    values = ", ".join(f"{name} {text(int(getattr(item, name)[rows[0]]))}" for name in FIELDS)
    return f"was another one, or missing; it is {values}"


def _within(pair: PairColumns, read: Read | None, times: Int64Array, rows: slice) -> PairColumns:
    """Return rows of a pair's columns, without bars outside of what was read."""
    columns = {name: getattr(pair, name)[rows] for name in FIELDS}
    state = pair.state[rows]
    if read is None:
        return PairColumns(pair.pair, **columns, state=state)
    real = state == REAL
    if read.first is None or read.last is None:
        inside, early = np.zeros_like(real), state
    else:
        inside, early = real & (times >= read.first) & (times <= read.last), state[times < read.first]
    if bool((inside == real).all()) and not bool((early != ABSENT).any()):
        return PairColumns(pair.pair, **columns, state=state)
    row = np.maximum.accumulate(np.where(inside, np.arange(len(times)), -1))
    begun = row >= 0
    for name in FIELDS[:4]:
        columns[name] = np.where(inside, columns[name], np.where(begun, columns["close"][row], 0))
    columns["volume"] = np.where(inside, columns["volume"], 0)
    laid = np.where(inside, REAL, np.where(begun, SYNTHETIC, ABSENT)).astype(np.uint8)
    return PairColumns(pair.pair, **columns, state=laid)


def _events(columns: FundingColumns, read: Read | None, first: int) -> FundingColumns:
    """Return the events of a tape that begins at `first`, without those that came after what was read."""
    inside = columns.time >= first
    if read is not None:
        inside &= columns.known <= read.last if read.last is not None else np.False_
    return FundingColumns(columns.pair, columns.time[inside], columns.known[inside], columns.rate[inside])

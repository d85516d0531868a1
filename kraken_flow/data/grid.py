"""Bars of several pairs on one regular time grid."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Detail, Market, PairColumns
from kraken_flow.core.notes import Notes, sentences, tell
from kraken_flow.core.resample import Bars, bar_open, last_is_partial, resample
from kraken_flow.core.times import iso, timeframe_name
from kraken_flow.core.units import Int64Array
from kraken_flow.data.check import Checked


@dataclass(frozen=True)
class Series:
    """One pair's checked bars and what is told about them.

    Parameters: `record` goes to `Market.files`, or `records` do where the bars lie in several files; `whole` is the
    first and the last bar open (ns) of all there is, where `checked` holds a part of it.
    """

    pair: str
    checked: Checked
    record: Mapping[str, object]
    records: tuple[Mapping[str, object], ...] = ()
    whole: tuple[int, int] | None = None

    def ends(self, bars: Bars, timeframe_ns: int) -> tuple[int, int]:
        """Return the first and the last bar open of all there is, in the timeframe of `bars`, made from this."""
        first, last = int(bars.times[0]), int(bars.times[-1])
        if self.whole is None:
            return first, last
        step = self.checked.step_ns
        if step == timeframe_ns:
            return self.whole
        opens = bar_open(np.array(self.whole), timeframe_ns).tolist()
        closed = self.whole[1] + step >= opens[1] + timeframe_ns
        return opens[0], max(last, opens[1] if closed else opens[1] - timeframe_ns)


def columns_sha256(bars: Bars) -> str:
    """Return the SHA-256 of a pair's columns as little-endian int64, times first: the hash of data that has no file."""
    digest = hashlib.sha256()
    for column in (bars.times, bars.open, bars.high, bars.low, bars.close, bars.volume):
        digest.update(column.astype("<i8").tobytes())
    return digest.hexdigest()


def to_timeframe(series: Series, timeframe_ns: int, key: str, notes: Notes) -> Bars:
    """Return a pair's bars in the wanted timeframe, resampled where the data is finer.

    A last bar that the data ends inside is left out: its close is not known. Raises `UserError` naming the `key` where
    the data is coarser, or where its timeframe does not divide the wanted one.
    """
    bars, step = series.checked.bars, series.checked.step_ns
    where = series.record["path"]
    if step == timeframe_ns:
        return bars
    have, want = timeframe_name(step), timeframe_name(timeframe_ns)
    if step > timeframe_ns:
        raise UserError(f"{key}={want}: {where} holds coarser bars of {have}; use {key}={have} or a finer file")
    if timeframe_ns % step:
        raise UserError(f"{key}={want}: {where} holds bars of {have}, which do not divide {want}")
    if bool((bars.times % step).any()):
        raise UserError(f"{key}={want}: bars of {where} do not open on multiples of {have} and cannot be resampled")
    merged = resample(bars, timeframe_ns)
    note = f"resampled from {have} to {want}"
    if lacking := int((bars.times[-1] - bars.times[0]) // step) + 1 - len(bars.times):
        note += f", missing bars of {have}: {lacking}"
    goes_on = series.whole is not None and series.whole[1] >= int(merged.times[-1]) + timeframe_ns
    if last_is_partial(bars, step, timeframe_ns) and not goes_on:
        note += f"; the bar of {iso(int(merged.times[-1]))} is left out, for the data ends inside it"
        merged = merged.take(slice(0, -1))
    tell(notes, series.pair, note)
    return merged


def columns(pair: str, bars: Bars, first: int, timeframe_ns: int, n_rows: int) -> PairColumns:
    """Lay bars (all within the grid) on a grid: ABSENT before the first, SYNTHETIC where one is missing."""
    state = np.full(n_rows, ABSENT, np.uint8)
    if not len(bars.times):
        empty = np.zeros(n_rows, np.int64)
        return PairColumns(pair, empty, empty, empty, empty, empty, state)
    rows = (bars.times - first) // timeframe_ns
    if len(rows) == n_rows:
        state[:] = REAL
        return PairColumns(pair, bars.open, bars.high, bars.low, bars.close, bars.volume, state)
    state[rows[0] :] = SYNTHETIC
    state[rows] = REAL
    source = np.full(n_rows, -1, np.int64)
    source[rows] = np.arange(len(rows))
    source = np.maximum.accumulate(source)
    carried = np.where(source >= 0, bars.close[source], 0)

    def lay(values: Int64Array, base: Int64Array) -> Int64Array:
        out = base.copy()
        out[rows] = values
        return out

    return PairColumns(
        pair,
        lay(bars.open, carried),
        lay(bars.high, carried),
        lay(bars.low, carried),
        carried,
        lay(bars.volume, np.zeros(n_rows, np.int64)),
        state,
    )


def _counts(pair: str, checked: Checked, notes: Notes) -> dict[str, int]:
    """Count what was left out while a pair was read: a fact about its whole file, whatever span a run takes of it."""
    if checked.duplicates:
        tell(notes, pair, f"rows that repeat the row above, read once: {checked.duplicates}")
    if checked.dropped:
        tell(notes, pair, f"bad rows left out (data.on_bad=drop): {checked.dropped}")
    return {"duplicates": checked.duplicates, "dropped": checked.dropped}


def _span(
    bars: Mapping[str, Bars],
    ends: Mapping[str, tuple[int, int]],
    step: int,
    start: int | None,
    end: int | None,
    notes: Notes,
) -> tuple[int, int]:
    """Return the first bar open of the run and the open after its last bar.

    Parameters: `ends` the first and the last bar open of what there is of each pair, `bars` what was read of it.
    """
    phases = {pair: int(b.times[0]) % step for pair, b in bars.items()}
    if len(set(phases.values())) > 1:
        raise UserError(
            f"pairs: their bars of {timeframe_name(step)} do not open at the same times: "
            + ", ".join(f"{pair} at {iso(int(bars[pair].times[0]))}" for pair in bars)
        )
    lowest = min(first for first, _ in ends.values())
    highest = max(last for _, last in ends.values()) + step
    first = lowest if start is None else max(lowest, start + (lowest - start) % step)
    after = highest if end is None else min(highest, end + (lowest - end) % step)
    if start is not None and end is not None and start >= end:
        raise UserError(f"start: {iso(start)} is not before end {iso(end)}")
    if start is not None and start < lowest and first < after:
        notes[f"start is {iso(start)}, the data begins at {iso(lowest)}"] = []
    if end is not None and end > highest and first < after:
        notes[f"end is {iso(end)}, the data ends at {iso(highest)}"] = []
    return first, after


def assemble(
    series: Sequence[Series],
    timeframe_ns: int,
    start: int | None,
    end: int | None,
    lookback: int,
    max_gap: int,
    detail: tuple[int, Mapping[str, Series]] | None = None,
    synthetic_sample: bool = False,
) -> Market:
    """Put the pairs onto one grid and cut the span.

    Each pair keeps exactly `lookback` of its own real bars before `start` (fewer where the data has fewer) and none
    before those, so its tape does not depend on which other pairs are loaded. `start` and `end` are cut to what the
    pairs cover together. `detail` is the finer timeframe and the pairs that have it. Raises `UserError` for a pair
    without a bar in the span.
    """
    notes: Notes = {}
    for s in series:
        for note in s.checked.notes:
            tell(notes, s.pair, note)
    bars = {s.pair: to_timeframe(s, timeframe_ns, "timeframe", notes) for s in series}
    bare = [pair for pair, b in bars.items() if not len(b.times)]
    if bare:
        raise UserError(f"pairs: {', '.join(bare)} has no complete bar of {timeframe_name(timeframe_ns)}")
    ends = {s.pair: s.ends(bars[s.pair], timeframe_ns) for s in series}
    first, after = _span(bars, ends, timeframe_ns, start, end, notes)
    inside = {
        pair: (int(np.searchsorted(b.times, first)), int(np.searchsorted(b.times, after))) for pair, b in bars.items()
    }
    if lacking := [pair for pair, (low, high) in inside.items() if low >= high]:
        raise UserError("\n".join(_outside(lacking, ends, start, end)))
    cut = {pair: bars[pair].take(slice(max(0, low - lookback), high)) for pair, (low, high) in inside.items()}
    grid_first = min(first, *(int(b.times[0]) for b in cut.values()))
    times = np.arange(grid_first, after, timeframe_ns, dtype=np.int64)
    first_row = (first - grid_first) // timeframe_ns
    laid = tuple(columns(s.pair, cut[s.pair], grid_first, timeframe_ns, len(times)) for s in series)
    counts = {s.pair: _counts(s.pair, s.checked, notes) for s in series}
    finer = _detail(series, detail, timeframe_ns, times, notes) if detail else None
    read = [*series, *(detail[1].values() if detail else ())]
    records = [record for s in read for record in (s.records or (s.record,))]
    return Market(
        timeframe_ns=timeframe_ns,
        times=times,
        pairs=laid,
        first_row=first_row,
        max_gap=max_gap,
        detail=finer,
        synthetic_sample=synthetic_sample,
        decimals={s.pair: s.checked.decimals for s in series},
        files=tuple(records),
        notes=sentences(notes, len(series)),
        counts=counts,
    )


def _outside(
    pairs: Sequence[str], ends: Mapping[str, tuple[int, int]], start: int | None, end: int | None
) -> list[str]:
    """Say that pairs have no bar in the span, one line for those whose data runs alike."""
    if start is not None and end is not None:
        span = f"between start {iso(start)} and end {iso(end)}"
    else:
        span = f"before end {iso(end)}" if end is not None else f"from start {iso(start or 0)} on"
    alike: dict[str, list[str]] = {}
    for pair in pairs:
        first, last = ends[pair]
        alike.setdefault(f"from {iso(first)} to {iso(last)}", []).append(pair)
    return [
        f"pairs: {', '.join(names)} {'has' if len(names) == 1 else 'have'} no bar {span}; the data runs {run}"
        for run, names in alike.items()
    ]


def _detail(
    series: Sequence[Series],
    detail: tuple[int, Mapping[str, Series]],
    timeframe_ns: int,
    times: Int64Array,
    notes: Notes,
) -> Detail:
    """Lay the finer bars of every pair on the finer grid; a pair without them has ABSENT rows only."""
    finer_ns, found = detail
    if finer_ns >= timeframe_ns or timeframe_ns % finer_ns:
        raise UserError(
            f"exchange.fill.detail={timeframe_name(finer_ns)}: must be shorter than timeframe="
            f"{timeframe_name(timeframe_ns)} and divide it"
        )
    first, n_rows = int(times[0]), len(times) * (timeframe_ns // finer_ns)
    laid = []
    for s in series:
        if s.pair not in found:
            tell(notes, s.pair, f"no bars of {timeframe_name(finer_ns)}: the pessimistic path throughout")
            empty = np.zeros(0, np.int64)
            bars = Bars(empty, empty, empty, empty, empty, empty)
        else:
            bars = to_timeframe(found[s.pair], finer_ns, "exchange.fill.detail", notes)
            low, high = np.searchsorted(bars.times, [first, first + n_rows * finer_ns])
            bars = bars.take(slice(int(low), int(high)))
            if len(bars.times) and int(bars.times[0] - first) % finer_ns:
                raise UserError(f"exchange.fill.detail: finer bars of {s.pair} do not open with its decision bars")
        laid.append(columns(s.pair, bars, first, finer_ns, n_rows))
    return Detail(finer_ns, timeframe_ns // finer_ns, tuple(laid))

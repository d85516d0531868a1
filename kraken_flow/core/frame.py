"""Features over a pair's real bars: the batch face.

A frame holds the bars of one pair on one timeframe, real bars only. Each feature is evaluated once per frame and kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import ModuleType
from typing import TypeVar

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import (
    CONTRACT_COLUMNS,
    CrossSection,
    Derived,
    Feature,
    HigherTimeframe,
    Source,
    WindowFeature,
)
from kraken_flow.core.times import DAY
from kraken_flow.core.units import FloatArray, Int64Array

Times = TypeVar("Times", int, Int64Array)
"""A time or an array of times, ns UTC."""
_BESIDE_BARS = frozenset[Source](CONTRACT_COLUMNS)
WINDOW_BLOCK = 4096
"""Windows of a user's feature that are laid out in memory at a time."""


@dataclass
class Frame:
    """One pair's real bars.

    Parameters
    ----------
    column
        Gives a market column by name, float64 of shape (n,).
    times
        int64 of shape (n,): bar opens, ns UTC, ascending.
    timeframe_ns
        Length of a bar.
    max_gap
        Longest run of missing bars that leaves states standing.
    native
        The Rust extension, or None for the Python reference.
    across
        Gives a cross-section's values at these bars; None on a higher timeframe.
    """

    column: Callable[[str], FloatArray]
    times: Int64Array
    timeframe_ns: int
    max_gap: int
    native: ModuleType | None
    across: Callable[[CrossSection], FloatArray] | None = None
    regular: bool = False
    """Whether no bar is missing, so that no gap has to be looked for."""
    units: Callable[[str], Int64Array] | None = None
    """Gives a market column in units of 10^-8, where these are the rows of the market and `regular`."""
    _known: dict[Feature, tuple[FloatArray, ...]] = field(default_factory=dict)
    _higher: "dict[int, tuple[Frame, Int64Array]]" = field(default_factory=dict)
    _resets: Int64Array | None = None

    @property
    def resets(self) -> Int64Array:
        """Indices of bars that follow a run of more than `max_gap` missing bars: states start afresh there."""
        if self._resets is None:
            self._resets = np.zeros(0, np.int64)
            if not self.regular and len(self.times):
                missing = np.diff(self.times) // self.timeframe_ns - 1
                self._resets = np.flatnonzero(missing > self.max_gap).astype(np.int64) + 1
        return self._resets

    def outputs(self, feature: Feature) -> tuple[FloatArray, ...]:
        """Return the outputs of a feature at each bar, one float64 array of shape (n,) per name."""
        if feature not in self._known:
            self._known[feature] = self._evaluate(feature)
        return self._known[feature]

    def value(self, source: Source) -> FloatArray:
        """Return a market column or the single output of a feature."""
        if not isinstance(source, Feature):
            return self.column(source)
        outputs = self.outputs(source)
        if len(outputs) != 1:
            raise UserError(f"{source} has the outputs {', '.join(source.names)}: it cannot be read as one value")
        return outputs[0]

    def _evaluate(self, feature: Feature) -> tuple[FloatArray, ...]:
        if isinstance(feature, Derived):
            return self.outputs(feature.definition())
        if isinstance(feature, CrossSection):
            if self.across is None:
                raise UserError(f"{feature} compares pairs and cannot stand inside a higher timeframe: swap the two")
            return (self.across(feature),)
        if isinstance(feature, HigherTimeframe):
            return self._from_above(feature)
        if self.native is not None and feature.kernel is not None:
            table = np.empty((len(feature.names), len(self.times)))
            self._run_kernel(self.native, feature.kernel, feature, table)
            return tuple(table)
        inputs = [self.value(source) for source in feature.inputs()]
        if isinstance(feature, WindowFeature):
            return (run_windows(feature, inputs, self.resets),)
        return run_steps(feature, inputs, self.resets)

    def fill(self, feature: Feature, out: FloatArray) -> None:
        """Write the single output of a feature into `out` without keeping it."""
        if self.native is not None and feature.kernel is not None and feature not in self._known:
            self._run_kernel(self.native, feature.kernel, feature, out.reshape(1, -1))
        else:
            out[:] = self.value(feature)

    def sample(self, feature: Feature, rows: range, out: FloatArray) -> None:
        """Write the single output of a feature at some bars, float64 of shape (len(rows),), without keeping it."""
        name, columns = feature.kernel, [source for source in feature.inputs() if not isinstance(source, Feature)]
        known = feature in self._known or feature.fused() is not None or len(columns) < len(feature.inputs())
        known = known or not in_bar(columns)
        if self.native is None or name is None or self.units is None or known or not feature.reads_units:
            whole = np.empty(len(self.times))
            self.fill(feature, whole)
            out[:] = whole[rows.start : rows.stop : rows.step]
            return
        units = [np.ascontiguousarray(self.units(column)) for column in columns]
        self.native.sample_feature_units(name, feature.parameters(), units, rows.start, rows.step, out)

    def _run_kernel(self, native: ModuleType, kernel: str, feature: Feature, table: FloatArray) -> None:
        name, parameters, sources = feature.fused() or (kernel, feature.parameters(), feature.inputs())
        columns = [source for source in sources if isinstance(source, str)]
        clean = len(columns) == len(sources) and in_bar(columns)
        if self.units is not None and clean and feature.reads_units:
            units = [np.ascontiguousarray(self.units(column)) for column in columns]
            native.run_feature_units(name, parameters, units, table)
            return
        inputs = [self.value(source) for source in sources]
        native.run_feature(name, parameters, inputs, self.resets, table, clean)

    def _from_above(self, feature: HigherTimeframe) -> tuple[FloatArray, ...]:
        """Read at each bar the last higher bar that was complete when this bar closed."""
        length = feature.timeframe_ns
        check_ratio(feature, self.timeframe_ns)
        if length not in self._higher:
            self._higher[length] = self._resample(length)
        above, bins = self._higher[length]
        complete = bin_of(self.times + self.timeframe_ns, length) - 1
        at = np.searchsorted(bins, complete, side="right") - 1
        known = at >= 0
        known[known] = complete[known] - bins[at[known]] <= self.max_gap
        results = []
        for output in above.outputs(feature.inner):
            result = np.full(len(self.times), np.nan)
            result[known] = output[at[known]]
            results.append(result)
        return tuple(results)

    def _resample(self, length: int) -> "tuple[Frame, Int64Array]":
        """Build the bars of a higher timeframe (label = open, closed = left) without a first one that begins late."""
        bins = bin_of(self.times, length)
        starts = np.flatnonzero(np.diff(bins, prepend=bins[:1] - 1))
        if len(starts) and self.times[0] != bin_open(int(bins[0]), length):
            starts = starts[1:]
        ends = np.append(starts[1:], len(bins)) if len(starts) else starts
        columns = {"open": self.column("open")[starts], "close": self.column("close")[ends - 1]}
        columns["high"] = np.maximum.reduceat(self.column("high"), starts) if len(starts) else np.zeros(0)
        columns["low"] = np.minimum.reduceat(self.column("low"), starts) if len(starts) else np.zeros(0)
        columns["volume"] = _sums_in_order(self.column("volume"), starts, ends)
        columns |= {name: self.column(name)[ends - 1] for name in CONTRACT_COLUMNS}
        ids = bins[starts]
        opens = ids * length + bin_open(0, length)
        return Frame(columns.__getitem__, opens, length, self.max_gap, self.native), ids


def in_bar(columns: "Sequence[Source]") -> bool:
    """Return whether all columns are those of a bar, in units of 10^-8 and never NaN."""
    return _BESIDE_BARS.isdisjoint(columns)


def _sums_in_order(values: FloatArray, starts: Int64Array, ends: Int64Array) -> FloatArray:
    """Sum groups of rows from first to last, as a stream adds them, so that both give the same bits."""
    sums = np.zeros(len(starts))
    counts = ends - starts
    for k in range(int(counts.max(initial=0))):
        more = counts > k
        sums[more] += values[starts[more] + k]
    return sums


def check_ratio(feature: HigherTimeframe, timeframe_ns: int) -> None:
    """Refuse a higher timeframe that is not a multiple of the decision bar."""
    if feature.timeframe_ns < timeframe_ns or feature.timeframe_ns % timeframe_ns:
        raise UserError(f"{feature}: its timeframe must be a multiple of the decision bar, which it is not")


def bin_open(index: int, length: int) -> int:
    """Return the open (ns UTC) of a higher bar: bars count from 1970, weeks from a Monday."""
    return index * length + (4 * DAY if length % (7 * DAY) == 0 else 0)


def bin_of(times: Times, length: int) -> Times:
    """Return the index of the higher bar that holds a time, or each of an array of times."""
    return (times - bin_open(0, length)) // length


def run_steps(feature: Feature, inputs: Sequence[FloatArray], resets: Int64Array) -> tuple[FloatArray, ...]:
    """Run a feature's Python step over its inputs: the reference."""
    n_rows, n_outputs = len(inputs[0]), len(feature.names)
    fresh = set(resets.tolist())
    nothing = float("nan") if n_outputs == 1 else (float("nan"),) * n_outputs
    state = feature.state()
    rows: list[float | tuple[float, ...]] = []
    for row, values in enumerate(zip(*(column.tolist() for column in inputs), strict=True)):
        if row in fresh:
            state = feature.state()
        if any(x != x for x in values):
            state = feature.state()
            rows.append(nothing)
        else:
            rows.append(state.update(*values))
    table = np.array(rows, dtype=np.float64).reshape(n_rows, n_outputs).T
    return tuple(np.ascontiguousarray(table))


def segments(inputs: Sequence[FloatArray], resets: Int64Array) -> Iterator[tuple[int, int]]:
    """Yield the runs of rows [a, b) that hold no NaN and no reset but at their beginning."""
    n_rows = len(inputs[0])
    bad = np.zeros(n_rows, dtype=bool)
    for column in inputs:
        bad |= np.isnan(column)
    cuts = sorted({0, n_rows, *resets.tolist(), *(np.flatnonzero(np.diff(bad)) + 1).tolist()})
    for a, b in pairwise(cuts):
        if not bad[a]:
            yield a, b


def run_windows(feature: WindowFeature, inputs: Sequence[FloatArray], resets: Int64Array) -> FloatArray:
    """Run a user's window feature over all full windows, block by block, each laid out as a stream lays it out."""
    result = np.full(len(inputs[0]), np.nan)
    length = feature.length
    for a, b in segments(inputs, resets):
        views = [np.lib.stride_tricks.sliding_window_view(x[a:b], length) for x in inputs if b - a >= length]
        for first in range(0, b - a - length + 1, WINDOW_BLOCK):
            block = [np.ascontiguousarray(view[first : first + WINDOW_BLOCK]) for view in views]
            at = a + length - 1 + first
            result[at : at + len(block[0])] = reduce_windows(feature, block)
    return result


def reduce_windows(feature: WindowFeature, windows: list[FloatArray]) -> FloatArray:
    """Call a user's window feature and check the shape of what it returns."""
    values = np.asarray(feature.window(*windows), dtype=np.float64)
    if values.shape != windows[0].shape[:-1]:
        raise UserError(
            f"{feature}: window() returned shape {values.shape} for windows of shape {windows[0].shape}; "
            "reduce the last axis only (axis=-1)"
        )
    return values

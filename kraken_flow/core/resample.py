"""Coarser bars from finer ones: label = open, closed = left, in integers."""

from dataclasses import dataclass

import numpy as np

from kraken_flow.core.times import DAY
from kraken_flow.core.units import INT64_MAX, Int64Array

WEEK = 7 * DAY
MONDAY = 4 * DAY
"""1970-01-05, the first Monday: weekly bars open on a Monday, all others on multiples since the epoch."""


@dataclass(frozen=True)
class Bars:
    """Bars of one pair without holes filled: int64 columns of one length, `times` strictly increasing bar opens in ns.

    Prices and volume are in units of 10^-8.
    """

    times: Int64Array
    open: Int64Array
    high: Int64Array
    low: Int64Array
    close: Int64Array
    volume: Int64Array

    def take(self, rows: slice) -> "Bars":
        """Return a run of the bars."""
        return Bars(
            self.times[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )


def origin(timeframe_ns: int) -> int:
    """Return the phase of a timeframe's grid: bar opens are `origin + k * timeframe`."""
    return MONDAY % timeframe_ns if timeframe_ns % WEEK == 0 else 0


def bar_open(times: Int64Array, timeframe_ns: int) -> Int64Array:
    """Return the open of the bar of `timeframe_ns` that holds each time (ns UTC, shape kept)."""
    result: Int64Array = times - (times - origin(timeframe_ns)) % timeframe_ns
    return result


def resample(bars: Bars, timeframe_ns: int) -> Bars:
    """Aggregate bars into buckets [open, open + timeframe): first, max, min, last, sum.

    Only buckets that hold a bar come out; nothing is filled. A volume sum above the int64 range is clipped to it. The
    last bucket may still be open when the bars end inside it: `last_is_partial` tells.

    Parameters: `bars` finer bars, any holes; `timeframe_ns` the bucket length. Raises nothing; no bars give no bars.
    """
    if not len(bars.times):
        return bars
    label = bar_open(bars.times, timeframe_ns)
    first = np.flatnonzero(np.concatenate(([True], label[1:] != label[:-1])))
    last = np.concatenate((first[1:], [len(label)])) - 1
    volume = np.add.reduceat(bars.volume, first)
    if float(bars.volume.max()) * float((last - first).max() + 1) > INT64_MAX:
        rough = np.add.reduceat(bars.volume.astype(np.float64), first)
        volume = np.where(rough >= float(INT64_MAX), INT64_MAX, volume)
    return Bars(
        label[first],
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        volume,
    )


def last_is_partial(bars: Bars, step_ns: int, timeframe_ns: int) -> bool:
    """Return whether the finer bars (of length `step_ns`) end before the last bucket of `timeframe_ns` closes."""
    if not len(bars.times):
        return False
    final = bars.times[-1:]
    return bool(final[0] + step_ns < bar_open(final, timeframe_ns)[0] + timeframe_ns)

"""Series that are drawn: pure functions of columns of a run, none of which knows how they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.market import ABSENT, Market
from kraken_flow.core.units import FloatArray, Int64Array

Rows = NDArray[np.intp]

_MONTHS = "datetime64[M]"


def thinned(columns: Sequence[FloatArray], most: int) -> Rows:
    """Return the rows that draw several columns as all rows would: of each stretch its ends and extremes.

    Parameters
    ----------
    columns
        float64 of shape (n,) each; NaN is never an extreme.
    most
        Most rows to return, at least 2 + 4 per column; all n where they are no more.

    Returns
    -------
    NDArray[np.intp]
        Ascending, without repetition; the first and the last row and each column's lowest and highest are among them.

    Examples
    --------
    >>> thinned([np.array([0.0, 9.0, 1.0, 1.0, 1.0, 1.0, -5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])], 10).tolist()
    [0, 1, 5, 6, 7, 12]
    """
    n = len(columns[0])
    if n <= most:
        return np.arange(n)
    stretches = max(1, (most - 2) // (2 * len(columns) + 2))
    edges = np.linspace(0, n, stretches + 1).astype(np.intp)
    lengths = np.diff(edges)
    rows = [edges[:-1], edges[1:] - 1]
    width = int(lengths.max())
    index = edges[:-1, None] + np.minimum(np.arange(width), lengths[:, None] - 1)
    for column in columns:
        cut = column[index]
        unknown = np.isnan(cut)
        rows.append(edges[:-1] + np.where(unknown, np.inf, cut).argmin(axis=1))
        rows.append(edges[:-1] + np.where(unknown, -np.inf, cut).argmax(axis=1))
    return np.unique(np.concatenate(rows)).astype(np.intp)


@dataclass(frozen=True)
class Candles:
    """Bars of one pair, each made of a stretch of rows.

    Parameters
    ----------
    rows, ends
        int64 of shape (n,): the first row of each stretch, and its last row that holds a bar.
    open, high, low, close, volume
        int64 of shape (n,), units of the columns they were made from.
    """

    rows: Int64Array
    ends: Int64Array
    open: Int64Array
    high: Int64Array
    low: Int64Array
    close: Int64Array
    volume: Int64Array


def candles(columns: Sequence[Int64Array], real: NDArray[np.bool_], factor: int) -> Candles:
    """Aggregate bars by `factor` rows, aligned to row 0; a stretch without a real bar gives none.

    Parameters
    ----------
    columns
        Open, high, low, close and volume, int64 of shape (n,).
    real
        Which rows hold a bar.
    """
    at = np.flatnonzero(real)
    first, high, low, last, volume = (column[at] for column in columns)
    if factor == 1 or not len(at):
        return Candles(at.astype(np.int64), at.astype(np.int64), first, high, low, last, volume)
    stretch = at // factor
    begins = np.flatnonzero(np.diff(stretch, prepend=-1))
    ends = np.append(begins[1:], len(at)) - 1
    return Candles(
        stretch[begins].astype(np.int64) * factor,
        at[ends].astype(np.int64),
        first[begins],
        np.maximum.reduceat(high, begins),
        np.minimum.reduceat(low, begins),
        last[ends],
        np.add.reduceat(volume, begins),
    )


def windows(begins: Int64Array, ends: Int64Array, n: int, margin: int) -> Int64Array:
    """Return the rows around some spans as stretches that do not overlap, int64 of shape (m, 2), ends exclusive.

    Parameters: spans from row `begins` to row `ends`, ends included; `margin` rows on either side, within 0..n.
    """
    if not len(begins):
        return np.zeros((0, 2), np.int64)
    order = np.argsort(begins, kind="stable")
    low = np.maximum(begins[order] - margin, 0)
    high = np.maximum.accumulate(np.minimum(ends[order] + margin + 1, n))
    fresh = np.append(True, low[1:] > high[:-1])
    starts = np.flatnonzero(fresh)
    return np.stack([low[starts], high[np.append(starts[1:], len(low)) - 1]], 1).astype(np.int64)


def months(times: Int64Array) -> Int64Array:
    """Return the month of each close as months since 1970-01; a close at 00:00 ends the month before."""
    shifted = (times - 1).astype("datetime64[ns]")
    return shifted.astype(_MONTHS).astype(np.int64)


def monthly_returns(times: Int64Array, equity: FloatArray, start: float) -> list[tuple[int, int, float]]:
    """Return year, month and return of each month, the first from the starting equity; none after a ruin.

    Parameters: `times` ns UTC of the closes, `equity` there.
    """
    if not len(times):
        return []
    month = months(times)
    ends = np.append(np.flatnonzero(np.diff(month)), len(month) - 1)
    closes = equity[ends]
    before = np.append(start, closes[:-1])
    found = []
    for index, value, base in zip(month[ends].tolist(), closes.tolist(), before.tolist(), strict=True):
        if base <= 0:
            break
        found.append((1970 + index // 12, index % 12 + 1, value / base - 1.0))
    return found


def rolling_sharpe(returns: FloatArray, length: int, periods_per_year: float) -> FloatArray:
    """Return the Sharpe ratio of the last `length` returns at each of them, NaN before and where none varies.

    Mean over sample standard deviation (ddof 1), times the root of the periods in a year: row t reads rows up to t.
    """
    result = np.full(len(returns), np.nan)
    if len(returns) < length or length < 2:
        return result
    cut = np.lib.stride_tricks.sliding_window_view(returns, length)
    mean, deviation = cut.mean(axis=1), cut.std(axis=1, ddof=1)
    varies = deviation >= 1e-12 * np.maximum(1.0, np.abs(mean))
    result[length - 1 :][varies] = mean[varies] / deviation[varies] * np.sqrt(periods_per_year)
    return result


def rolling_sum(values: FloatArray, length: int) -> FloatArray:
    """Return the sum of the last `length` values at each of them, of those that there are at the beginning."""
    total = np.cumsum(values)
    result: FloatArray = total.copy()
    result[length:] -= total[:-length]
    return result


def histogram(values: FloatArray, most: int = 41) -> tuple[list[float], list[int]]:
    """Return the edges of equally wide bins with an edge at 0, and how many values lie in each.

    The width is that of Freedman and Diaconis (1981), twice the interquartile range over the cube root of n, rounded
    up to 1, 2 or 5 times a power of ten, and wider where there would be more than `most` bins. Values on an inner edge
    belong to the bin above. Not finite values are left out.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return [], []
    low, high = float(values.min()), float(values.max())
    quarters = np.quantile(values, [0.25, 0.75])
    spread = 2.0 * float(quarters[1] - quarters[0]) / len(values) ** (1 / 3)
    width = max(spread, (high - low) / (most - 2), 1e-3 * max(abs(low), abs(high)), 1e-9)
    power = 10.0 ** np.floor(np.log10(width))
    width = power * next(step for step in (1.0, 2.0, 5.0, 10.0) if step * power >= width * (1 - 1e-9))
    first, last = int(np.floor(low / width)), int(np.floor(high / width)) + 1
    edges = np.arange(first, last + 1) * width
    # A value next to an edge may fall to either side of it by rounding, but never outside.
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, last - first - 1)
    return edges.tolist(), np.bincount(bins, minlength=last - first).tolist()


def fan(low: float, high: float, n: int) -> tuple[FloatArray, FloatArray]:
    """Return the growth factors between which an interval of the total return opens, at n equal steps to its end.

    The logarithm of a random walk spreads with the root of time around a line: so do both curves, and at the last step
    they are 1 + low and 1 + high.

    Examples
    --------
    >>> low, high = fan(-0.19, 0.21, 4)
    >>> [round(float(x), 4) for x in (low[-1], high[-1], (low[0] * high[0]) ** 2)]
    [0.81, 1.21, 0.99]
    """
    ends = np.log1p([low, high])
    time = np.arange(1, n + 1) / n
    middle = time * ends.mean()
    spread = np.sqrt(time) * (ends[1] - ends[0]) / 2.0
    return np.exp(middle - spread), np.exp(middle + spread)


def held_value(market: Market, rows: slice, inverse: Sequence[bool]) -> FloatArray:
    """Return the worth of one unit, put equally into all pairs at the first close, at no cost, and never touched.

    Returns float64, a value per row of `rows`, 1 at the first close. A pair that appears later is cash until its first
    close; a missing bar counts at the close before. A contract settled in its base (`inverse`) makes 1 - entry / price.
    """
    worth = np.zeros(len(market.pairs[0].close[rows]) if market.pairs else 0)
    for columns, settled_in_base in zip(market.pairs, inverse, strict=True):
        known = np.flatnonzero(columns.state[rows] != ABSENT)
        if len(known) == 0:
            worth += 1.0
            continue
        begin = int(known[0])
        close = columns.close[rows][begin:].astype(np.float64)
        worth[:begin] += 1.0
        worth[begin:] += 2.0 - close[0] / close if settled_in_base else close / close[0]
    worth /= max(len(market.pairs), 1)
    return worth

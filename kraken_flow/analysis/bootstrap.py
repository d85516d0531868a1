"""Intervals by the stationary bootstrap (Politis & Romano 1994): what else a run's returns could have added up to.

Returns are drawn again in blocks of random length, so that what hangs together in time stays together; an interval lies
between two percentiles of a statistic over the draws.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kraken_flow.core.times import YEAR
from kraken_flow.core.units import FloatArray, Int64Array

LEVEL = 0.9
"""Probability that an interval is meant to cover."""
RESAMPLES = 1000
LEAST = 30
"""Observations below which there is no interval, and returns other than 0."""
DAY_CLOSES = "day closes"
BAR_CLOSES = "bar closes"
"""Between what the returns are that are drawn: closes of days, or of bars where these are longer."""
SEED = 20_240_101
"""The draws are the same in every run: equal returns, equal intervals."""
_AT_ONCE = 1 << 17
"""Observations that are drawn at once where whole paths are needed, so that they stay in the cache."""
_MOST_UNDEFINED = 0.1
"""Share of the draws without a value from which there is no interval."""


def block_length(n: int) -> int:
    """Return the mean length of a block for n observations: the third root, which grows as the best length does."""
    return max(round(math.pow(n, 1 / 3)), 1)


@dataclass(frozen=True)
class Draws:
    """Resamples of n observations as blocks of consecutive rows on a circle.

    Parameters
    ----------
    n
        Observations, and the length of every resample.
    starts, lengths
        int64 of shape (n_blocks,): first row and number of rows of each block, those of a resample side by side.
    firsts
        int64 of shape (n_resamples,): the first block of each resample.
    """

    n: int
    starts: Int64Array
    lengths: Int64Array
    firsts: Int64Array

    @staticmethod
    def of(n: int, resamples: int = RESAMPLES, seed: int = SEED) -> "Draws":
        """Draw blocks of geometric length with the mean `block_length(n)`; the last of a resample is cut to fit."""
        random = np.random.Generator(np.random.PCG64(seed))
        chance = 1.0 / block_length(n)

        def edges() -> Int64Array:
            """Return where blocks end: sums of geometric lengths, which are exponential ones cut down to whole rows."""
            if chance == 1.0:
                return np.tile(np.arange(1, width + 1), (resamples, 1))
            drawn = random.standard_exponential((resamples, width)) / -math.log1p(-chance)
            lengths: Int64Array = drawn.astype(np.int64) + 1
            return lengths.cumsum(axis=1)

        width = int(n * chance + 6.0 * math.sqrt(n * chance)) + 4
        ends = edges()
        while int(ends[:, -1].min()) < n:
            ends = np.concatenate((ends, ends[:, -1:] + edges()), axis=1)
        ends = np.minimum(ends, n)
        lengths = np.diff(ends, axis=1, prepend=0)
        used = lengths > 0
        counts = used.sum(axis=1)
        firsts = np.concatenate(([0], counts.cumsum()[:-1]))
        return Draws(n, random.integers(0, n, int(counts.sum())), lengths[used], firsts)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return each resample's sum of a column, float64 (n_resamples,); only the edges of blocks are read."""
        running = np.concatenate(([0.0], np.concatenate((values, values)).cumsum()))
        blocks = running[self.starts + self.lengths] - running[self.starts]
        result: FloatArray = np.add.reduceat(blocks, self.firsts)
        return result

    def deepest(self, logs: FloatArray) -> FloatArray:
        """Return each resample's deepest drawdown, 0 or negative; `logs` are the logarithms of 1 + return."""
        count = len(self.firsts)
        twice = np.concatenate((logs, logs))
        bounds = np.append(self.firsts, len(self.starts))
        step = max(_AT_ONCE // self.n, 1)
        deepest = np.empty(count)
        ramp = np.arange(step * self.n)
        for first in range(0, count, step):
            last = min(first + step, count)
            blocks = slice(bounds[first], bounds[last])
            lengths = self.lengths[blocks]
            shift = self.starts[blocks] - (lengths.cumsum() - lengths)
            rows = ramp[: (last - first) * self.n] + np.repeat(shift, lengths)
            path = twice[rows].reshape(-1, self.n).cumsum(axis=1)
            peak = np.maximum(np.maximum.accumulate(path, axis=1), 0.0)
            deepest[first:last] = np.expm1((path - peak).min(axis=1))
        return deepest


Interval = list[float] | str
"""Lower and upper end, or the code of the reason why there is none."""


def between(values: FloatArray, level: float = LEVEL) -> Interval:
    """Return the percentiles that leave half of 1 - level on either side; draws without a value are left out."""
    known = values[np.isfinite(values)]
    if len(known) < (1.0 - _MOST_UNDEFINED) * len(values):
        return "often_undefined"
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(known, (tail, 100.0 - tail)).tolist()
    return [low, high]


def _too_few(*series: FloatArray) -> str:
    """Return why returns have no interval, nothing where they have: days without a position tell nothing of luck."""
    if len(series[0]) < LEAST:
        return "too_few_returns"
    moved = np.logical_or.reduce([returns != 0.0 for returns in series])
    return "few_returns_not_zero" if int(np.count_nonzero(moved)) < LEAST else ""


def return_intervals(
    returns: FloatArray, periods_per_year: float, span_ns: int, resamples: int = RESAMPLES
) -> Mapping[str, Interval]:
    """Return the intervals of the ratios of a series of returns, all above -1; without enough returns a reason each.

    Parameters: `span_ns` the time that the returns cover, for yearly growth.
    """
    if why := _too_few(returns):
        return dict.fromkeys(OF_RETURNS, why)
    found = _drawn(Draws.of(len(returns), resamples), returns, periods_per_year, span_ns)
    return {name: between(values) for name, values in found.items()}


def difference_intervals(
    a: FloatArray, b: FloatArray, periods_per_year: float, span_ns: int, resamples: int = RESAMPLES
) -> Mapping[str, Interval]:
    """Return the intervals of b's ratios less a's, two series of returns of the same periods, all above -1.

    Both are drawn in the same blocks, so that what moved both cancels out; without enough returns a reason each.
    """
    if why := _too_few(a, b):
        return dict.fromkeys(OF_RETURNS, why)
    draws = Draws.of(len(a), resamples)
    old, new = (_drawn(draws, returns, periods_per_year, span_ns) for returns in (a, b))
    return {name: between(new[name] - old[name]) for name in OF_RETURNS}


def of_depth(made: Mapping[str, Interval], depth: float) -> dict[str, Interval]:
    """Return intervals, without those that read the drawdown where theirs does not hold `depth`.

    That number is of all bars: where the draws of day closes do not reach it, they do not tell how sure it is.
    """
    span = made["max_drawdown"]
    reached = isinstance(span, str) or span[0] <= depth <= span[1]
    return {**made, **({} if reached else dict.fromkeys(OF_DEPTH, "outside_its_interval"))}


def _drawn(draws: Draws, returns: FloatArray, periods_per_year: float, span_ns: int) -> Mapping[str, FloatArray]:
    """Return the ratios of each resample, NaN where one has none."""
    n, logs = len(returns), np.log1p(returns)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = draws.sums(returns) / n
        deviation = np.sqrt(np.maximum(draws.sums(returns * returns) - n * mean * mean, 0.0) / (n - 1))
        downside = np.sqrt(np.maximum(draws.sums(np.square(np.minimum(returns, 0.0))), 0.0) / n)
        growth = draws.sums(logs)
        cagr, depth, root = np.expm1(growth * (YEAR / span_ns)), draws.deepest(logs), math.sqrt(periods_per_year)
        return {
            "total_return": np.expm1(growth),
            "cagr": cagr,
            "sharpe": np.where(deviation > 1e-12, mean / deviation, np.nan) * root,
            "sortino": np.where(downside > 1e-12, mean / downside, np.nan) * root,
            "calmar": np.where(depth < 0.0, cagr / -depth, np.nan),
            "volatility": deviation * root,
            "max_drawdown": depth,
        }


def trade_intervals(profit: FloatArray, resamples: int = RESAMPLES) -> Mapping[str, Interval]:
    """Return the intervals of the statistics of closed trades, drawn in the order in which they closed."""
    n = len(profit)
    if n < LEAST:
        return dict.fromkeys(OF_TRADES, "too_few_trades")
    found = _drawn_trades(Draws.of(n, resamples), np.arange(n), profit)
    return {name: between(values) for name, values in found.items()}


Opened = tuple[Int64Array, FloatArray]
"""Closed trades: in which period each was opened, counted from 0, and its profit."""


def trade_difference_intervals(a: Opened, b: Opened, n: int, resamples: int = RESAMPLES) -> Mapping[str, Interval]:
    """Return the intervals of b's statistics of closed trades less a's, of two runs over the same n periods.

    Trades of two runs are no pairs, the times in which they were opened are: both runs are drawn in the same blocks of
    periods, a period with all trades that it opened, so that a resample has as many trades as its periods bring.
    Without enough periods, or trades of either run, a reason each.
    """
    if n < LEAST or min(len(a[0]), len(b[0])) < LEAST:
        return dict.fromkeys(OF_TRADES, "too_few_returns" if n < LEAST else "too_few_trades")
    draws = Draws.of(n, resamples)
    old, new = (_drawn_trades(draws, *trades) for trades in (a, b))
    return {name: between(new[name] - old[name]) for name in OF_TRADES}


def _drawn_trades(draws: Draws, period: Int64Array, profit: FloatArray) -> Mapping[str, FloatArray]:
    """Return the statistics of trades of each resample of the periods that opened them, NaN where one has none."""

    def total(values: FloatArray) -> FloatArray:
        return draws.sums(np.bincount(period, values, draws.n).astype(np.float64))

    # Sums of running sums may come out as rounding where nothing was added up: whether there is anything is counted.
    trades, losses = total(np.ones(len(profit))), total((profit < 0).astype(np.float64))
    count = np.where(trades > 0.5, trades, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = total(np.maximum(profit, 0.0)) / total(np.maximum(-profit, 0.0))
        return {
            "win_rate": total((profit > 0).astype(np.float64)) / count,
            "profit_factor": np.where(losses > 0.5, factor, np.nan),
            "expectancy": total(profit) / count,
        }


OF_RETURNS = ("total_return", "cagr", "sharpe", "sortino", "calmar", "volatility", "max_drawdown")
OF_DEPTH = ("max_drawdown", "calmar")
"""Those that read the drawdown; the number beside the interval is that of all bars."""
OF_TRADES = ("win_rate", "profit_factor", "expectancy")

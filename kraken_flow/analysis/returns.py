"""Statistics of an equity curve. What is not defined comes back as the code of the reason, never as 0 or infinity."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.times import DAY, YEAR
from kraken_flow.core.units import FloatArray

Value: TypeAlias = float | str
"""A statistic, or the code of the reason why it is not defined."""

_BLOCK = 1024
"""Rows worked on at once, so that they stay in the cache."""
_BLOCKS = 128
"""Blocks worked on at once where they are read twice."""
SHORT_SAMPLE_NS = 90 * DAY
"""Below this span an annualised growth rate says little, and is shown with a flag."""


def parted(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part values from the reasons that stand in their place: what is not defined is None, and its reason beside it."""
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            value = "not_finite"
        found[name] = None if isinstance(value, str) else value
        if isinstance(value, str):
            reasons[name] = value
    return found, reasons


def day_ends(first_close: int, step: int, n: int) -> NDArray[np.int64]:
    """Return the rows that close a UTC day, and the last row.

    Parameters: `first_close` ns UTC of row 0's close; `step` ns between closes; `n` rows. A close at 00:00 ends the day
    before. With bars longer than a day every row is returned.
    """
    if n == 0:
        return np.zeros(0, np.int64)
    if step > DAY:
        return np.arange(n, dtype=np.int64)
    midnights = np.arange(-(-first_close // DAY) * DAY, first_close + (n - 1) * step + 1, DAY, dtype=np.int64)
    rows: NDArray[np.int64] = (midnights - first_close) // step
    return rows if len(rows) and rows[-1] == n - 1 else np.append(rows, n - 1)


def daily_returns(equity: FloatArray, start: float, first_close: int, step: int) -> FloatArray:
    """Return simple net returns between UTC-day closes; the first is measured from the starting equity."""
    closes = equity[day_ends(first_close, step, len(equity))]
    before = np.empty_like(closes)
    before[:1] = start
    before[1:] = closes[:-1]
    result: FloatArray = closes / before - 1.0
    return result


def sharpe(returns: FloatArray, periods_per_year: float) -> Value:
    """Mean over sample standard deviation (ddof 1), times the root of the periods in a year; no risk-free rate."""
    if len(returns) < 2:
        return "fewer_than_two_returns"
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
    if deviation < 1e-12 * max(1.0, abs(mean)):
        return "zero_variance"
    return mean / deviation * math.sqrt(periods_per_year)


def sortino(returns: FloatArray, periods_per_year: float) -> Value:
    """Mean over downside deviation, the root mean square of the negative returns over all n (Sortino & Price 1994)."""
    if len(returns) < 2:
        return "fewer_than_two_returns"
    downside = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
    if downside < 1e-12:
        return "no_negative_returns"
    return float(returns.mean()) / downside * math.sqrt(periods_per_year)


def cagr(total_return: float, span_ns: int) -> Value:
    """Return the yearly growth rate of 365 days."""
    if span_ns <= 0:
        return "no_bars"
    try:
        growth: float = (1.0 + total_return) ** (YEAR / span_ns)
    except OverflowError:
        return "sample_too_short"
    return growth - 1.0


def drawdowns(equity: FloatArray, start: float) -> FloatArray:
    """Return equity over its highest value so far, the start included, minus 1; never below -1."""
    peak = np.maximum.accumulate(equity)
    np.maximum(peak, start, out=peak)
    np.divide(equity, peak, out=peak)
    peak -= 1.0
    return np.maximum(peak, -1.0, out=peak)


def max_drawdown(equity: FloatArray, start: float) -> float:
    """Return the deepest of `drawdowns`, 0 for an equity that never fell, without the whole column.

    Blocks are looked into in the order of their lowest value over the highest that it could be measured against, until
    none can be deeper.
    """
    if len(equity) == 0:
        return 0.0
    count = -(-len(equity) // _BLOCK)
    highest, lowest = np.empty(count), np.empty(count)
    for first in range(0, count, _BLOCKS):
        # Both extremes of some blocks at a time: the second one finds them in the cache.
        last = min(first + _BLOCKS, len(equity) // _BLOCK)
        rows = equity[first * _BLOCK : last * _BLOCK].reshape(-1, _BLOCK)
        rows.max(axis=1, out=highest[first:last])
        rows.min(axis=1, out=lowest[first:last])
    if len(equity) % _BLOCK:
        rest = equity[(count - 1) * _BLOCK :]
        highest[-1], lowest[-1] = rest.max(), rest.min()
    before = np.maximum(np.maximum.accumulate(np.concatenate(([start], highest[:-1]))), start)
    sure = float((lowest / before).min())
    best = min(sure, 1.0)
    bound = lowest / np.maximum(before, highest)
    for block in np.argsort(bound).tolist():
        if bound[block] >= best:
            break
        rows = equity[block * _BLOCK : (block + 1) * _BLOCK]
        peak = np.maximum(np.maximum.accumulate(rows), before[block])
        best = min(best, float((rows / peak).min()))
    return max(best - 1.0, -1.0)


def calmar(growth: Value, max_drawdown: float) -> Value:
    """Return the yearly growth over the size of the deepest drawdown."""
    if isinstance(growth, str):
        return growth
    return growth / -max_drawdown if max_drawdown < 0 else "no_drawdown"

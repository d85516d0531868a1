"""Tight one-pass loops of the very rules that the engine plays: the speed a compiler can reach, and an oracle.

They are compiled by numba where it is installed and run as plain Python elsewhere, so that their results can be tested
without it. Levels are integers of ticks, money is float64: equal to the engine to far below a cent.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    from numba import njit as _njit
except ImportError:

    def compiled(function: Function) -> Function:
        """Leave the function as it is."""
        return function

else:

    def compiled(function: Function) -> Function:
        """Compile at the first call."""
        result: Function = _njit(nogil=True)(function)
        return result


Floats = NDArray[np.float64]
RATE = 10**8


@compiled
def plain_loop(
    open_: Floats, close: Floats, fast: int, slow: int, fee: float, cash: float, qty: float
) -> tuple[float, int, float]:
    """Return (final equity, trades, deepest drawdown) of a crossing filled at the next open; an open position
    is a trade. Writes no arrays.
    """
    sum_fast = sum_slow = held = 0.0
    trades = 0
    side = 2
    order = 0
    peak = cash
    depth = 0.0
    for i in range(close.size):
        if order == 1 and held == 0.0:
            cash -= qty * open_[i] * (1.0 + fee)
            held = qty
        elif order == -1 and held > 0.0:
            cash += held * open_[i] * (1.0 - fee)
            held = 0.0
            trades += 1
        order = 0
        sum_fast += close[i]
        sum_slow += close[i]
        if i >= fast:
            sum_fast -= close[i - fast]
        if i >= slow:
            sum_slow -= close[i - slow]
        if i >= slow - 1:
            gap = sum_fast / fast - sum_slow / slow
            now = 1 if gap > 0.0 else -1 if gap < 0.0 else 0
            if side == 2:
                side = now
            elif now != 0 and now != side:
                side = now
                order = now
        equity = cash + held * close[i]
        peak = max(peak, equity)
        depth = max(depth, 1.0 - equity / peak)
    return cash + held * close[-1], trades + (held > 0.0), depth


@compiled
def stops_loop(
    bars: NDArray[np.int64],
    averaged: Floats,
    tick: float,
    fast: int,
    slow: int,
    fee: float,
    cash: float,
    qty: float,
    stop_rate: int,
    target_rate: int,
    trail_rate: int,
) -> tuple[float, int, float]:
    """`plain_loop` with a stop, a target and a trail on every position (spec F1-F6), all three at once.

    Parameters: `bars` int64 of shape (4, n), open, high, low, close in ticks; `averaged` the closes as floats, whose
    running sums decide ties of the averages as the features do; `tick` the value of one; rates in 10^-8.

    A gap fills at the open, a jumped target at its own price. Inside the bar the stops go before the target, the nearer
    stop first; a target needs a trade through. The trail of the bars before is tested first, then raised with this
    bar's high, then tested against the close. A position that was stopped out is not bought again before the averages
    have crossed down and up.
    """
    open_, high, low, close = bars[0], bars[1], bars[2], bars[3]
    sum_fast = sum_slow = 0.0
    held = False
    trades = 0
    side = 2
    order = 0
    stop = target = best = trail = 0
    peak = cash
    depth = 0.0
    for i in range(close.size):
        exit_at = 0
        if held:
            if open_[i] <= stop or open_[i] <= trail:
                exit_at = open_[i]
            elif open_[i] > target:
                exit_at = target
            elif order == -1:
                exit_at = open_[i]
        elif order == 1:
            entry = open_[i]
            cash -= qty * (entry * tick) * (1.0 + fee)
            held = True
            best = entry
            stop = entry * (RATE - stop_rate) // RATE
            target = -(-entry * (RATE + target_rate) // RATE)
            trail = max(best * (RATE - trail_rate) // RATE, 1)
        if held and exit_at == 0:
            nearer = max(stop, trail)
            if low[i] <= nearer:
                exit_at = nearer
            elif high[i] > target:
                exit_at = target
            elif high[i] > best:
                best = high[i]
                trail = max(best * (RATE - trail_rate) // RATE, 1)
            if exit_at == 0 and close[i] <= trail:
                exit_at = trail
        if exit_at != 0:
            cash += qty * (exit_at * tick) * (1.0 - fee)
            held = False
            trades += 1
        order = 0
        sum_fast += averaged[i]
        sum_slow += averaged[i]
        if i >= fast:
            sum_fast -= averaged[i - fast]
        if i >= slow:
            sum_slow -= averaged[i - slow]
        if i >= slow - 1:
            gap = sum_fast / fast - sum_slow / slow
            now = 1 if gap > 0.0 else -1 if gap < 0.0 else 0
            if side == 2:
                side = now
            elif now != 0 and now != side:
                side = now
                order = now
        equity = cash
        if held:
            equity += qty * (close[i] * tick)
        peak = max(peak, equity)
        depth = max(depth, 1.0 - equity / peak)
    final = cash
    if held:
        final += qty * (close[-1] * tick)
    return final, trades + held, depth

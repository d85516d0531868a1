"""Statistics of closed round trips beside win rate, profit factor and expectancy (spec 5); net of all costs."""

import math

import numpy as np

from kraken_flow.analysis.returns import Value
from kraken_flow.core.units import FloatArray

SQN_MOST = 100
"""Trades that the system quality number counts at most (Tharp)."""


def payoff(profit: FloatArray) -> Value:
    """Return the mean win over the size of the mean loss."""
    won, lost = profit[profit > 0], profit[profit < 0]
    if len(lost) == 0:
        return "no_losing_trades"
    return float(won.mean()) / -float(lost.mean()) if len(won) else "no_winning_trades"


def kelly(profit: FloatArray) -> Value:
    """Return the Kelly fraction W - (1 - W) / R: W wins over wins and losses, R the payoff; a 0 is neither."""
    ratio = payoff(profit)
    if isinstance(ratio, str):
        return ratio
    wins, losses = int((profit > 0).sum()), int((profit < 0).sum())
    share = wins / (wins + losses)
    return share - (1.0 - share) / ratio


def expectancy_ratio(profit: FloatArray) -> Value:
    """Return the mean result in units of the mean loss: (1 + payoff) times the share of wins, minus 1."""
    ratio = payoff(profit)
    if isinstance(ratio, str):
        return ratio
    return (1.0 + ratio) * float((profit > 0).mean()) - 1.0


def sqn(profit: FloatArray) -> Value:
    """Return the system quality number: root of n, at most 100, times mean over sample deviation (Tharp)."""
    if len(profit) < 2:
        return "fewer_than_two_trades"
    mean, deviation = float(profit.mean()), float(profit.std(ddof=1))
    if deviation < 1e-12 * max(1.0, abs(mean)):
        return "zero_variance"
    return math.sqrt(min(len(profit), SQN_MOST)) * mean / deviation


def longest_streaks(profit: FloatArray) -> tuple[int, int]:
    """Return the longest run of wins and of losses; a trade that made nothing breaks both."""
    return _longest(profit > 0), _longest(profit < 0)


def _longest(chosen: np.ndarray) -> int:
    edges = np.diff(np.concatenate(([0], chosen.astype(np.int8), [0])))
    return int((np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).max(initial=0))


def edge_ratio(mae: FloatArray, mfe: FloatArray, true_range: FloatArray) -> Value:
    """Return the mean favourable over the mean adverse excursion, each over the pair's range at entry.

    Parameters: float64 of shape (n_trades,): excursions as fractions of the entry price, the range as one too, NaN
    where it is not known; those trades are left out.
    """
    known = true_range > 0
    if not known.any():
        return "no_range_at_entry"
    against = -float((mae[known] / true_range[known]).mean())
    return float((mfe[known] / true_range[known]).mean()) / against if against > 0 else "no_adverse_excursion"

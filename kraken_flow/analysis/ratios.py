"""Statistics of a series of returns beside those of `returns`; undefined ones come back as the code of the reason."""

import math

import numpy as np

from kraken_flow.analysis.returns import Value
from kraken_flow.core.units import FloatArray

_FLAT = 1e-12
"""Below this a deviation is rounding: the returns are all the same."""


def is_flat(returns: FloatArray) -> bool:
    """Whether the returns have no deviation but what rounding leaves (spec 5)."""
    return float(returns.std(ddof=1)) < _FLAT * max(1.0, abs(float(returns.mean())))


def volatility(returns: FloatArray, periods_per_year: float) -> Value:
    """Return the sample standard deviation (ddof 1) times the root of the periods in a year."""
    if len(returns) < 2:
        return "fewer_than_two_returns"
    return float(returns.std(ddof=1)) * math.sqrt(periods_per_year)


def autocorrelation(returns: FloatArray) -> Value:
    """Return the first autocorrelation: products of neighbours around the mean over the sum of squares around it."""
    if len(returns) < 2:
        return "fewer_than_two_returns"
    if is_flat(returns):
        return "zero_variance"
    around = returns - returns.mean()
    return float(around[1:] @ around[:-1]) / float(around @ around)


def lo_factor(periods: int, rho: float) -> float:
    """Return what annualises a Sharpe ratio of returns with first autocorrelation `rho` (Lo 2002, AR(1)).

    eta(q) = q / sqrt(q + 2 sum_k (q - k) rho^k), which is the root of q for rho 0.
    """
    k = np.arange(1, periods)
    return periods / math.sqrt(periods + 2.0 * float(((periods - k) * rho**k).sum()))


def sharpe_lo(returns: FloatArray, periods_per_year: float) -> Value:
    """Return the Sharpe ratio annualised by `lo_factor`: that of returns that depend on the one before."""
    rho = autocorrelation(returns)
    if isinstance(rho, str):
        return rho
    return float(returns.mean() / returns.std(ddof=1)) * lo_factor(max(round(periods_per_year), 1), rho)


def omega(returns: FloatArray, threshold: float = 0.0) -> Value:
    """Return what was gained above a threshold over what was lost below it (Keating & Shadwick 2002)."""
    above = returns - threshold
    lost = -float(np.minimum(above, 0.0).sum())
    return float(np.maximum(above, 0.0).sum()) / lost if lost > 0 else "no_negative_returns"


def gain_to_pain(returns: FloatArray) -> Value:
    """Return the sum of the returns over the size of the sum of the negative ones (Schwager)."""
    lost = -float(np.minimum(returns, 0.0).sum())
    return float(returns.sum()) / lost if lost > 0 else "no_negative_returns"


def tail_ratio(returns: FloatArray) -> Value:
    """Return the size of the 95th percentile over that of the 5th, both interpolated linearly."""
    if len(returns) < 2:
        return "fewer_than_two_returns"
    high, low = np.percentile(returns, (95, 5))
    return abs(float(high)) / abs(float(low)) if low != 0.0 else "zero_percentile"


def _moment(returns: FloatArray, order: int, least: int) -> Value:
    """Return the standardised population moment, a reason where there are fewer returns than `least` or no spread."""
    if len(returns) < max(least, 2):
        return "too_few_returns"
    if is_flat(returns):
        return "zero_variance"
    around = returns - returns.mean()
    return float((around**order).mean()) / math.pow(float((around * around).mean()), order / 2)


def skew(returns: FloatArray) -> Value:
    """Return the population skewness, 0 for a symmetric distribution."""
    return _moment(returns, 3, 2)


def skew_adjusted(returns: FloatArray) -> Value:
    """Return the skewness that is unbiased for normal returns, as pandas and spreadsheets have it."""
    found, n = _moment(returns, 3, 3), len(returns)
    return found if isinstance(found, str) else found * math.sqrt(n * (n - 1)) / (n - 2)


def kurtosis(returns: FloatArray) -> Value:
    """Return the population kurtosis, 3 for a normal distribution."""
    return _moment(returns, 4, 2)


def excess_kurtosis(returns: FloatArray) -> Value:
    """Return the kurtosis above a normal distribution's, unbiased for one, as pandas and spreadsheets have it."""
    found, n = _moment(returns, 4, 4), len(returns)
    if isinstance(found, str):
        return found
    return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (found - 3.0) + 6.0)

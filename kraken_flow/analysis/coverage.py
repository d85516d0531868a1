"""Whether value at risk forecasts came true: rolling forecasts of a series of returns, and two tests of them."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kraken_flow.analysis.value_at_risk import ewma_deviations, monotone
from kraken_flow.core.units import FloatArray

WINDOW = 250
"""Returns from which each forecast is made."""
LEAST = 100
"""Forecasts from which a test says something."""
SIGNIFICANCE = 0.05
"""A test below this probability is failed."""


@dataclass(frozen=True)
class Ratio:
    """A likelihood ratio and the probability of one as large if the model is right."""

    statistic: float
    p: float


def kupiec(days: int, violations: int, tail: float) -> Ratio:
    """Test the share of violations (Kupiec 1995): chi-squared with one degree of freedom; 0 ln 0 counts as 0.

    Parameters: `days` number of forecasts; `violations` how many losses exceeded theirs; `tail` 1 - level.
    """
    share = violations / days
    misses = days - violations
    expected = misses * math.log(1.0 - tail) + violations * math.log(tail)
    statistic = max(-2.0 * (expected - (_times_log(misses, 1.0 - share) + _times_log(violations, share))), 0.0)
    return Ratio(statistic, math.erfc(math.sqrt(statistic / 2.0)))


def independence(violated: NDArray[np.bool_]) -> Ratio:
    """Test whether a violation makes another one on the next day likelier (Christoffersen 1998), chi-squared, one."""
    after = violated[1:].astype(np.int64) + 2 * violated[:-1].astype(np.int64)
    n00, n01, n10, n11 = np.bincount(after, minlength=4).tolist()
    pi = (n01 + n11) / max(n00 + n01 + n10 + n11, 1)
    calm, hit = n01 / max(n00 + n01, 1), n11 / max(n10 + n11, 1)
    together = _times_log(n00 + n10, 1.0 - pi) + _times_log(n01 + n11, pi)
    apart = sum((_times_log(n00, 1 - calm), _times_log(n01, calm), _times_log(n10, 1 - hit), _times_log(n11, hit)))
    statistic = max(-2.0 * (together - apart), 0.0)
    return Ratio(statistic, math.erfc(math.sqrt(statistic / 2.0)))


def conditional(violated: NDArray[np.bool_], tail: float) -> Ratio:
    """Test share and independence together (Christoffersen 1998): chi-squared with two degrees of freedom."""
    both = kupiec(len(violated), int(violated.sum()), tail).statistic + independence(violated).statistic
    return Ratio(both, math.exp(-both / 2.0))


def _times_log(count: int, share: float) -> float:
    return count * math.log(share) if count else 0.0


def traffic_light(violations: int, days: int = 250, tail: float = 0.01) -> str:
    """Return the zone of the Basel rule: green below a cumulated chance of 95 %, red from 99.99 % on, else yellow."""
    below = sum(math.comb(days, k) * tail**k * (1.0 - tail) ** (days - k) for k in range(violations + 1))
    return "green" if below < 0.95 else "yellow" if below < 0.9999 else "red"


def rolling_forecasts(returns: FloatArray, level: float, window: int = WINDOW) -> dict[str, FloatArray]:
    """Return each method's forecast for the returns from number `window` on, float64 of shape (n - window,).

    A forecast of return t reads returns up to t - 1. NaN where a method has none.
    """
    past = sliding_window_view(returns, window)[:-1]
    kth = max(math.ceil((1.0 - level) * window - 1e-9), 1) - 1
    worst = -np.partition(past, kth, axis=1)[:, kth]
    moments = _rolling_moments(returns, window)
    mean, spread = moments[0], np.sqrt(moments[1] * (window / (window - 1)))
    z = NormalDist().inv_cdf(1.0 - level)
    expected = ewma_deviations(returns)
    known = np.where(expected[:-1] > 0.0, expected[:-1], np.nan)
    scaled = np.concatenate(([np.nan], returns[1:] / known))
    # A return without a volatility before it is NaN, which sorts behind all losses.
    normed = -np.partition(sliding_window_view(scaled, window)[:-1], kth, axis=1)[:, kth]
    return {
        "historical": worst,
        "normal": np.where(spread > 0.0, -(mean + z * spread), np.nan),
        "cornish_fisher": _cornish_fisher(moments, spread, z, worst),
        "ewma": -z * np.where(expected[window - 1 : -1] > 0.0, expected[window - 1 : -1], np.nan),
        "filtered": normed * expected[window - 1 : -1],
    }


def _rolling_moments(returns: FloatArray, window: int) -> FloatArray:
    """Return mean and second to fourth central moment of each window but the last, float64 (4, n - window).

    From running sums of powers: returns lie around 0, so that costs no digits that matter. A window of equal returns
    has a variance of exactly 0.
    """
    powers = np.array([returns, returns**2, returns**3, returns**4])
    sums = np.concatenate((np.zeros((4, 1)), np.cumsum(powers, axis=1)), axis=1)
    m, second, third, fourth = (sums[:, window:-1] - sums[:, : -window - 1]) / window
    variance = np.maximum(second - m * m, 0.0)
    # A run of equal returns as long as the window has no spread, whatever rounding leaves of it.
    changes = np.concatenate(([0], np.cumsum(returns[1:] != returns[:-1])))
    variance[changes[window - 1 : -1] == changes[:-window]] = 0.0
    skewed = third - 3.0 * m * second + 2.0 * m**3
    return np.array([m, variance, skewed, fourth - 4.0 * m * third + 6.0 * m * m * second - 3.0 * m**4])


def _cornish_fisher(moments: FloatArray, spread: FloatArray, z: float, worst: FloatArray) -> FloatArray:
    """Return the rolling forecasts of `value_at_risk.cornish_fisher`."""
    mean, variance, third, fourth = moments
    with np.errstate(invalid="ignore", divide="ignore"):
        s = third / variance**1.5
        k = fourth / variance**2 - 3.0
        quantile = z + (z * z - 1.0) * s / 6.0 + (z**3 - 3.0 * z) * k / 24.0 - (2.0 * z**3 - 5.0 * z) * s * s / 36.0
    forecast: FloatArray = np.where(spread > 0.0, np.where(monotone(s, k), -(mean + quantile * spread), worst), np.nan)
    return forecast


def backtest(returns: FloatArray, level: float, window: int = WINDOW) -> dict[str, dict[str, Any]] | str:
    """Hold each method's rolling forecasts to what came; or return the code of the reason why there is no test.

    Per method: `violations`, `days`, `kupiec_p`, `independence_p`, and `coverage`: nominal, too_many or too_few
    violations; or `reason` alone, where it had no forecasts.
    """
    if len(returns) < window + LEAST:
        return "too_few_returns"
    found: dict[str, dict[str, Any]] = {}
    for name, forecast in rolling_forecasts(returns, level, window).items():
        known = ~np.isnan(forecast)
        days = int(known.sum())
        if days < LEAST:
            found[name] = {"reason": "zero_variance"}
            continue
        violated = (returns[window:] < -forecast)[known]
        violations = int(violated.sum())
        share = kupiec(days, violations, 1.0 - level)
        off = "too_many" if violations > (1.0 - level) * days else "too_few"
        found[name] = {
            "violations": violations,
            "days": days,
            "kupiec_p": share.p,
            "independence_p": independence(violated).p,
            "coverage": "nominal" if share.p >= SIGNIFICANCE else off,
        }
    return found

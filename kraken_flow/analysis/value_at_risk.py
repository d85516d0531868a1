"""Value at risk and expected shortfall of a series of returns; losses are positive (spec 6)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.units import FloatArray

DECAY = 0.94
"""Weight that yesterday's variance keeps in the exponentially weighted one (RiskMetrics 1996)."""
LEAST_FILTERED = 60
"""Returns below which there is no filtered tail: by then the first of them weighs a fortieth in the variance."""
REACH = 5.0
"""Deviations within which the Cornish-Fisher expansion has to rise: less than one return in a million lies beyond.

On the whole line (the domain of Maillard 2012) no excess kurtosis under 4/3 skew^2 does, however near the normal.
"""
_NORMAL = NormalDist()
_FLAT = 1e-12


@dataclass(frozen=True)
class Tail:
    """What is lost at a confidence level.

    Parameters: `var` the loss that is exceeded with probability 1 - level, positive; `cvar` the mean loss beyond it;
    `form` how both were found, where that is not what was asked for.
    """

    var: float
    cvar: float
    form: str = ""


Method: TypeAlias = Callable[[FloatArray, float], Tail | str]
"""Returns (float64 of shape (n,), none NaN) and a level in; out a tail, or the code of the reason why there is none."""


def _worst(returns: FloatArray, level: float) -> Tail:
    # (1 - 0.95) * 100 is 5.000000000000004 in floats: an exact count is not rounded up.
    count = max(math.ceil((1.0 - level) * len(returns) - 1e-9), 1)
    tail = np.sort(returns)[:count]
    return Tail(0.0 - float(tail[-1]), 0.0 - float(tail.mean()))


def historical(returns: FloatArray, level: float) -> Tail | str:
    """Return the k-th worst return, k = (1 - level) n rounded up, and the mean of the k worst."""
    return _short(returns, level) or _worst(returns, level)


def normal(returns: FloatArray, level: float) -> Tail | str:
    """Return the tail of a normal distribution with the sample's mean and deviation (ddof 1)."""
    if reason := _short(returns, level) or _flat(returns):
        return reason
    return normal_tail(float(returns.mean()), float(returns.std(ddof=1)), level)


def normal_tail(mean: float, deviation: float, level: float) -> Tail:
    """Return -(mean + z deviation) with z the quantile of 1 - level, and the mean loss beyond it."""
    z = _NORMAL.inv_cdf(1.0 - level)
    return Tail(-(mean + z * deviation), -mean + deviation * _NORMAL.pdf(z) / (1.0 - level))


def cornish_fisher(returns: FloatArray, level: float) -> Tail | str:
    """Return the tail with skew and kurtosis taken into account; the historical one where the expansion is no quantile.

    The expansion of the quantile is only one where it rises (Maillard 2012); `form` says which it is.
    """
    if reason := _short(returns, level) or _flat(returns):
        return reason
    skew, excess = moments(returns)
    if not monotone(skew, excess):
        worst = _worst(returns, level)
        return Tail(worst.var, worst.cvar, "historical")
    return cornish_fisher_tail(float(returns.mean()), float(returns.std(ddof=1)), skew, excess, level)


def cornish_fisher_tail(mean: float, deviation: float, skew: float, excess: float, level: float) -> Tail:
    """Return the tail of the expansion; the shortfall is its mean over the normal tail, in closed form."""
    tail = 1.0 - level
    z = _NORMAL.inv_cdf(tail)
    density = _NORMAL.pdf(z) / tail
    first, second, third = -density, 1.0 - z * density, -density * (z * z + 2.0)

    def expansion(one: float, two: float, three: float) -> float:
        bent = (three - 3.0 * one) * excess / 24.0 - (2.0 * three - 5.0 * one) * skew * skew / 36.0
        return one + (two - 1.0) * skew / 6.0 + bent

    quantile = expansion(z, z * z, z**3)
    return Tail(-(mean + quantile * deviation), -(mean + expansion(first, second, third) * deviation))


def moments(returns: FloatArray) -> tuple[float, float]:
    """Return skew and excess kurtosis of the population."""
    off = returns - returns.mean()
    squares = off * off
    variance = float(squares.mean())
    return float((squares * off).mean()) / variance**1.5, float((squares * squares).mean()) / variance**2 - 3.0


def monotone(skew: FloatArray | float, excess: FloatArray | float) -> NDArray[np.bool_]:
    """Whether the Cornish-Fisher expansion rises at every z within `REACH`; element by element, False where NaN.

    Its slope is a quadratic in z: it is above 0 where it is at both ends and at its lowest point between them.
    """
    skew, excess = np.asarray(skew, np.float64), np.asarray(excess, np.float64)
    a, b, c = excess / 8.0 - skew * skew / 6.0, skew / 3.0, 1.0 - excess / 8.0 + 5.0 * skew * skew / 36.0
    bottom = np.divide(-b, 2.0 * a, out=np.zeros_like(a), where=a > _FLAT).clip(-REACH, REACH)
    rises: NDArray[np.bool_] = np.all([(a * z + b) * z + c > 0.0 for z in (-REACH, bottom, REACH)], axis=0)
    return rises


def ewma(returns: FloatArray, level: float) -> Tail | str:
    """Return the tail of a normal distribution without a mean, of the exponentially weighted variance."""
    if reason := _short(returns, level) or _flat(returns):
        return reason
    return normal_tail(0.0, float(ewma_deviations(returns)[-1]), level)


def ewma_deviations(returns: FloatArray) -> FloatArray:
    """Return the deviation expected of each return, and of the next: float64 of shape (n,) for returns 1 .. n.

    Entry t is known when return t is: the first variance is the square of the first return, then
    v = 0.94 v + 0.06 r^2.
    """
    result = np.empty(len(returns))
    variance = float(returns[0]) ** 2
    for at, r in enumerate(returns.tolist()):
        if at:
            variance = DECAY * variance + (1.0 - DECAY) * r * r
        result[at] = math.sqrt(variance)
    return result


def filtered(returns: FloatArray, level: float) -> Tail | str:
    """Return the historical tail of returns in units of the volatility of their day, times that of tomorrow.

    Filtered historical simulation (Hull & White 1998) with exponentially weighted volatility; a return without any
    volatility before it, the first one always, takes no part. Under `LEAST_FILTERED` returns there is none: the
    first volatilities hang on one return each, and a tail in units of them is of any size.
    """
    if len(returns) < LEAST_FILTERED:
        return "too_few_returns"
    if reason := _short(returns, level) or _flat(returns):
        return reason
    expected = ewma_deviations(returns)
    known = expected[:-1] > 0.0
    standard = returns[1:][known] / expected[:-1][known]
    if reason := _short(standard, level):
        return reason
    tail = _worst(standard, level)
    return Tail(tail.var * float(expected[-1]), tail.cvar * float(expected[-1]))


METHODS: dict[str, Method] = {
    "historical": historical,
    "normal": normal,
    "cornish_fisher": cornish_fisher,
    "ewma": ewma,
    "filtered": filtered,
}
"""The ways to estimate a tail, by the names that metrics have."""


def _short(returns: FloatArray, level: float) -> str:
    """Name the reason where there are too few returns for one of them to lie in the tail."""
    return "too_few_returns" if len(returns) < max(round(1.0 / (1.0 - level)), 2) else ""


def _flat(returns: FloatArray) -> str:
    return "zero_variance" if float(returns.std()) < _FLAT else ""


def linear_quantile(returns: FloatArray, level: float) -> float:
    """Return the loss at the linearly interpolated quantile, as numpy and most spreadsheets define it."""
    return -float(np.quantile(returns, 1.0 - level))

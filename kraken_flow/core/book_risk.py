"""What a book of positions may lose, in the integers of the account half: a float enters as a covariance column only.

A weight is a position's signed value over equity, 10^-9. A covariance is that of two pairs' returns of one bar in
squared percents, 10^-9; `FIX_NAN` where it is not known. What is not known adds up: such a pair of positions counts as
moving together for the worse. Divisions go toward zero, so that a twin in another language gets the same.
"""

from collections.abc import Mapping, Sequence
from math import isqrt
from statistics import NormalDist
from typing import Annotated

import annotated_types

from kraken_flow.core.units import FIX, FIX_NAN, UNIT, fix

Level = Annotated[float, annotated_types.Gt(0.5), annotated_types.Lt(1)]
"""A confidence level: the share of periods in which the loss is smaller."""
Matrix = Sequence[Sequence[int]]
"""Covariances by pair and pair."""


def covariance_matrix(aux: Mapping[str, Sequence[int]], name: str, n_pairs: int) -> list[list[int]]:
    """Return the matrix that stands in the columns `name_0`, `name_1`, ... at one row.

    The two columns of a pair of pairs differ where one of them lacked bars; then the one that is known counts.
    """
    columns = [list(aux[f"{name}_{k}"]) for k in range(n_pairs)]
    for i in range(n_pairs):
        own = columns[i]
        for k in range(i):
            a, b = own[k], columns[k][i]
            if a != b:
                own[k] = columns[k][i] = max(a, b) if FIX_NAN in (a, b) else toward_zero(a + b, 2)
    return columns


def toward_zero(a: int, b: int) -> int:
    """Divide, dropping the remainder; `b` > 0."""
    return a // b if a >= 0 else -(-a // b)


def book_variance(weights: Sequence[int], covariance: Matrix) -> int | None:
    """Return the variance of a book's return over one bar, 10^-18 squared percents of equity.

    None where a position's own variance is not known.
    """
    held = [i for i, weight in enumerate(weights) if weight]
    if any(covariance[i][i] == FIX_NAN for i in held):
        return None
    root = {i: isqrt(covariance[i][i]) for i in held}
    total = 0
    for i in held:
        row = 0
        for k in held:
            known = covariance[i][k]
            if known == FIX_NAN:
                known = (root[i] + 1) * (root[k] + 1)
                row += abs(weights[k]) * (known if weights[i] > 0 else -known)
            else:
                row += weights[k] * known
        total += toward_zero(row, FIX) * weights[i]
    return max(total, 0)


def quantile(level: float) -> int:
    """Return how many deviations a normal loss exceeds with probability 1 - level, 10^-9."""
    return fix(NormalDist().inv_cdf(level))


def horizon_root(periods_root: int, bars_per_horizon_root: int) -> int:
    """Return the root of the bars in a horizon, 10^-9, from the roots of bars and of horizons in a year, 10^-9."""
    return periods_root * FIX // bars_per_horizon_root


def value_at_risk(variance: int, z: int, root_bars: int) -> int:
    """Return the share of equity, 10^-9, that a normal loss over the horizon exceeds with the probability behind `z`.

    Parameters: `variance` of `book_variance`; `z` of `quantile`; `root_bars` of `horizon_root`. Losses of some bars
    count as independent: the deviation grows with the root of their number.
    """
    return isqrt(variance) * z // FIX * root_bars // FIX // 100


def weight_of(qty: int, price: int, equity: int) -> int:
    """Return a position's signed value over equity, 10^-9: quantity and price 10^-8, equity 10^-16 and above 0."""
    return toward_zero(qty * price * FIX, equity)


def clusters(covariance: Matrix, threshold: int) -> list[list[int]]:
    """Return the pairs in groups: two are in one where a chain of correlations above the threshold joins them.

    Parameters: `threshold` at least 0, 10^-8. A correlation that is not known is above it.
    """
    n = len(covariance)
    group = list(range(n))
    square = threshold * threshold
    for i in range(n):
        row, own = covariance[i], covariance[i][i]
        for k in range(i):
            if group[i] == group[k]:
                continue
            known, other = row[k], covariance[k][k]
            if own == FIX_NAN or other == FIX_NAN or known == FIX_NAN:
                joined = True
            else:
                joined = known > 0 and known * known * UNIT * UNIT > square * own * other
            if joined:
                old, new = max(group[i], group[k]), min(group[i], group[k])
                group = [new if g == old else g for g in group]
    return [[p for p in range(n) if group[p] == g] for g in sorted(set(group))]

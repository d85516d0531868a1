"""The growth-optimal bet, its price in costs and its shrinkage (Thorp 2006; spec 6)."""

from collections.abc import Sequence

FLAT = 1e-12
"""A variance that is this share of what it was before other pairs explained it is none."""


def binary(chance: float, gain: float, loss: float) -> float:
    """Return the fraction of equity for a bet that wins `gain` with a chance and else loses `loss`, per unit staked."""
    return chance / loss - (1.0 - chance) / gain


def shrinkage(prior_variance: float, variance: float, years: float) -> float:
    """Return the share of a measured yearly edge to believe in: tau^2 / (tau^2 + sigma^2 / T).

    Parameters: `prior_variance` of yearly edges as one believes them to be before looking; `variance` of yearly
    returns; `years` of the sample.
    """
    return prior_variance / (prior_variance + variance / years)


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float] | None:
    """Return x with matrix x = right for a covariance matrix, None where it is singular.

    Elimination in a fixed order of operations: the same bits on every machine.
    """
    n = len(right)
    rows = [[*map(float, row), float(value)] for row, value in zip(matrix, right, strict=True)]
    scale = [rows[i][i] for i in range(n)]
    for i in range(n):
        if not rows[i][i] > FLAT * scale[i]:
            return None
        for k in range(i + 1, n):
            factor = rows[k][i] / rows[i][i]
            for j in range(i, n + 1):
                rows[k][j] -= factor * rows[i][j]
    result = [0.0] * n
    for i in reversed(range(n)):
        rest = rows[i][n]
        for j in range(i + 1, n):
            rest -= rows[i][j] * result[j]
        result[i] = rest / rows[i][i]
    return result


def fractions(mean: Sequence[float], covariance: Sequence[Sequence[float]]) -> list[float]:
    """Return the fractions of equity that grow fastest, none below 0: the inverse covariance times the mean.

    Bets that come out negative are left out and the others solved anew; so is, of bets that are one and the same, the
    later.
    """
    active: list[int] = []
    for i in range(len(mean)):
        if covariance[i][i] > 0.0 and solve(_part(covariance, [*active, i]), [0.0] * (len(active) + 1)) is not None:
            active.append(i)
    result = [0.0] * len(mean)
    while active:
        found = solve(_part(covariance, active), [mean[i] for i in active])
        if found is None:
            return result
        if min(found) >= 0.0:
            for i, value in zip(active, found, strict=True):
                result[i] = value
            return result
        active = [i for i, value in zip(active, found, strict=True) if value > 0.0]
    return result


def _part(matrix: Sequence[Sequence[float]], chosen: Sequence[int]) -> list[list[float]]:
    return [[matrix[i][k] for k in chosen] for i in chosen]

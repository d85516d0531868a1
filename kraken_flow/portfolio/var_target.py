"""Exposure scaled so that the whole book's value at risk meets a limit."""

from collections.abc import Mapping

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.book_risk import (
    Level,
    Matrix,
    book_variance,
    covariance_matrix,
    horizon_root,
    quantile,
    value_at_risk,
)
from kraken_flow.core.compile import periods_root
from kraken_flow.core.feature import Source
from kraken_flow.core.node import Fraction, Rate, Reserve, node
from kraken_flow.core.pairwise import Pairwise, columns_against
from kraken_flow.core.times import parse_duration, parse_length
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, fix, rate
from kraken_flow.portfolio.sizing import kept


def book_value_at_risk(view: View, weights: list[int], covariance: Matrix, level: float, horizon: str) -> int | None:
    """Return what a book may lose, as a share of equity of 10^-9; None where a position's variance is not known.

    Parameters: `weights` signed values over equity, 10^-9; `level` and `horizon` of the value at risk.
    """
    variance = book_variance(weights, covariance)
    if variance is None:
        return None
    root = horizon_root(view.periods_root, periods_root(parse_duration(horizon, "horizon")))
    return value_at_risk(variance, quantile(level), root)


@node
class VarTarget(Portfolio):
    """Divide the book equally over pairs, times the forecast, and scale it until its value at risk is the limit.

    The value at risk is that of a normal loss with the covariances of past bars, times the root of the horizon.
    """

    covariance: Pairwise
    """Covariance of two pairs, as in `portfolio.covariance.window=168`."""
    limit: Fraction = 0.02
    """Share of equity that a loss over the horizon exceeds with probability 1 - level."""
    level: Level = 0.95
    """Confidence level."""
    horizon: str = "1d"
    """Over which time losses are counted."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used; exposure is capped at leverage x (1 - cash_buffer)."""

    def __post_init__(self) -> None:
        """Refuse a horizon that cannot be read or has no length."""
        parse_length(self.horizon, "portfolio.horizon")

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        """Return the covariances with each pair."""
        return columns_against("covariance", self.covariance, n_pairs)

    def targets(self, view: View) -> list[int | None]:
        """Return the scaled share of each pair; None for one whose variance is not known.

        What is held of such a pair stays: the others share what it leaves of the exposure, and have no part of its
        share of the limit.
        """
        n, equity = len(view.price), max(view.equity, 0)
        covariance = covariance_matrix(view.aux, "covariance", n)
        known = [covariance[i][i] != FIX_NAN for i in range(n)]
        share = [f // n if f > 0 else -(-f // n) for f in view.forecast]
        base = [s if sure and price > 0 else 0 for s, sure, price in zip(share, known, view.price, strict=True)]
        at_risk = book_value_at_risk(view, base, covariance, self.level, self.horizon) or 0
        gross = sum(map(abs, base))
        ceiling = view.leverage * (UNIT - rate(self.cash_buffer)) // UNIT * (FIX // UNIT)
        stays = sum(not sure and held != 0 for sure, held in zip(known, view.position, strict=True))
        if equity:
            ceiling = max(ceiling - kept(view, [not sure for sure in known]) * FIX // equity, 0)
        most, per = fix(self.limit) * (n - stays) // n, at_risk
        if most * gross > ceiling * at_risk:
            most, per = ceiling, gross
        result: list[int | None] = []
        for weight, sure, price in zip(base, known, view.price, strict=True):
            qty = equity * abs(weight) * most // per // FIX // price if weight and per else 0
            result.append((qty if weight > 0 else -qty) if sure else None)
        return result

"""Limits on what moves together, around any other portfolio."""

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Annotated

import annotated_types

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.allocation import Allocation
from kraken_flow.core.book_risk import Level, Matrix, book_variance, clusters, covariance_matrix, toward_zero, weight_of
from kraken_flow.core.counterfactual import SignalStatistics
from kraken_flow.core.feature import Source
from kraken_flow.core.node import Factor, Fraction, Positive, Rate, node
from kraken_flow.core.pairwise import Pairwise, columns_against
from kraken_flow.core.times import parse_length
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, fix, rate
from kraken_flow.portfolio.confidence import chosen
from kraken_flow.portfolio.var_target import book_value_at_risk


@node
class CorrelationLimits(Portfolio):
    """Take the targets of another portfolio and cut them: correlated ones, clusters of them, the whole book.

    In this order: at most `max_positions`; with `adjust` each target by what moves with it; each cluster of correlated
    pairs to `max_cluster` per side; all alike to `max_var`. A correlation that is not known counts as 1.
    """

    sizer: Portfolio
    """The portfolio whose targets are cut, as in `portfolio.sizer.fraction=0.5`."""
    covariance: Pairwise
    """Covariance of two pairs, as in `portfolio.covariance.window=168`."""
    threshold: Annotated[float, annotated_types.Ge(0), annotated_types.Lt(1)] = 0.7
    """Correlation from which two pairs belong to one cluster; chains of such pairs do, too."""
    max_cluster: Factor | None = 0.5
    """Largest share of equity on one side, long or short, of one cluster; null switches it off."""
    adjust: bool = False
    """Whether a target is divided by the root of 1 + the correlations with the others: n equal bets on one thing then
    swing as much as n independent ones."""
    max_var: Fraction | None = None
    """Largest value at risk of the book as a share of equity; null switches it off."""
    level: Level = 0.95
    """Confidence level of `max_var`."""
    horizon: str = "1d"
    """Over which time the losses of `max_var` are counted."""
    max_positions: Positive[int] | None = None
    """Positions at a time: open ones stay, of new ones the largest come first, then the first by name."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""

    def __post_init__(self) -> None:
        """Refuse a horizon that cannot be read or has no length."""
        parse_length(self.horizon, "portfolio.horizon")

    @property
    def cash_buffer(self) -> float:  # type: ignore[override] # the reserve is that of the portfolio inside
        """Share of equity never used."""
        return self.sizer.cash_buffer

    @property
    def needs_stop(self) -> bool:  # type: ignore[override] # the portfolio inside decides
        """Whether the portfolio inside sizes by the stop loss."""
        return self.sizer.needs_stop

    def features(self) -> Mapping[str, Source]:
        """Return what the portfolio inside reads."""
        return self.sizer.features()

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        """Return the covariances with each pair, and what the portfolio inside reads."""
        return {
            **self.sizer.pair_features(n_pairs),
            **columns_against("limit_covariance", self.covariance, n_pairs),
        }

    def statistics(self) -> SignalStatistics | None:
        """Return what the portfolio inside reads."""
        return self.sizer.statistics()

    def allocation(self, pairs: Sequence[str], timeframe_ns: int) -> Allocation | None:
        """Return what the portfolio inside reads."""
        return self.sizer.allocation(pairs, timeframe_ns)

    def rebalance_bars(self, timeframe_ns: int) -> int:
        """Return the schedule of the portfolio inside."""
        return self.sizer.rebalance_bars(timeframe_ns)

    def targets(self, view: View) -> list[int | None]:
        """Return the targets of the portfolio inside, cut; None stays None and counts with the position held."""
        wanted = self.sizer.targets(view)
        if view.equity <= 0:
            return [None if target is None else 0 for target in wanted]
        covariance = covariance_matrix(view.aux, "limit_covariance", len(wanted))
        book = Book(view, wanted, covariance)
        if self.max_positions is not None:
            allowed = chosen([abs(weight) for weight in book.weights], view.position, self.max_positions)
            book.scale({p: (0, 1) for p in book.free if p not in allowed})
        if self.adjust:
            book.scale({p: (FIX, book.crowd(p)) for p in book.free})
        if self.max_cluster is not None:
            for cluster in clusters(covariance, rate(self.threshold)):
                book.cut_cluster(cluster, rate(self.max_cluster) * (FIX // UNIT))
        if self.max_var is not None:
            self._cut_book(book)
        return book.targets

    def _cut_book(self, book: "Book") -> None:
        """Scale all targets that may change by one factor, the largest up to 1 that meets the limit."""
        limit = fix(self.max_var or 0)
        fixed = [0 if p in book.free else weight for p, weight in enumerate(book.weights)]
        free = [weight if p in book.free else 0 for p, weight in enumerate(book.weights)]
        whole = book_value_at_risk(book.view, book.weights, book.covariance, self.level, self.horizon)
        if whole is not None and whole <= limit:
            return
        if whole is not None and not any(fixed):
            book.scale(dict.fromkeys(book.free, (limit, whole)))
            return
        everything, own, rest = (book_variance(part, book.covariance) for part in (book.weights, free, fixed))
        if whole is None or everything is None or own is None or rest is None:
            # A position whose variance is not known: nothing can be said of the book, so nothing is added to it.
            book.scale({p: (0, 1) for p in book.free if not book.reduces(p)})
            return
        # The largest variance that meets the limit, from the one that is too large by a known factor.
        most, low, high = everything * limit * limit // (whole * whole), 0, FIX
        cross = everything - own - rest
        while high - low > 1:
            middle = (low + high) // 2
            variance = own * middle * middle // (FIX * FIX) + toward_zero(cross * middle, FIX) + rest
            low, high = (middle, high) if variance <= most else (low, middle)
        book.scale(dict.fromkeys(book.free, (low, FIX)))


class Book:
    """Targets under way to be cut, their weights, and which of them may change."""

    def __init__(self, view: View, wanted: list[int | None], covariance: Matrix) -> None:
        self.view, self.covariance = view, covariance
        self.targets = wanted
        self.free = {p for p, target in enumerate(wanted) if target is not None and view.price[p] > 0}
        quantities = [view.position[p] if target is None else target for p, target in enumerate(wanted)]
        self.weights = [weight_of(q, price, view.equity) for q, price in zip(quantities, view.price, strict=True)]

    def scale(self, by: Mapping[int, tuple[int, int]]) -> None:
        """Multiply targets by fractions of at most 1, given as numerator and denominator."""
        for p, (up, down) in by.items():
            target = self.targets[p]
            if target is not None:
                self.targets[p] = toward_zero(target * up, down)
                self.weights[p] = weight_of(self.targets[p] or 0, self.view.price[p], self.view.equity)

    def reduces(self, p: int) -> bool:
        """Whether a target is at most the position held, on its side."""
        held, target = self.view.position[p], self.targets[p] or 0
        return target * held >= 0 and abs(target) <= abs(held)

    def crowd(self, p: int) -> int:
        """Return the root of 1 + the correlations of other targets with this one, 10^-9; hedges do not count."""
        total, row, mine = FIX * FIX, self.covariance[p], self.weights[p]
        own = row[p]
        for k, weight in enumerate(self.weights):
            if k == p or not weight or not mine:
                continue
            known, other = row[k], self.covariance[k][k]
            if known == FIX_NAN or own == FIX_NAN or other == FIX_NAN:
                total += FIX * FIX
            elif (known > 0) == ((weight > 0) == (mine > 0)) and known:
                total += abs(known) * FIX * FIX // (isqrt(own * other) + 1)
        return max(isqrt(total), FIX)

    def cut_cluster(self, cluster: list[int], most: int) -> None:
        """Cut the targets on each side of a cluster so that together they are at most `most` of equity, 10^-9."""
        for side in (1, -1):
            here = [p for p in cluster if self.weights[p] * side > 0]
            free = sum(abs(self.weights[p]) for p in here if p in self.free)
            left = max(most - sum(abs(self.weights[p]) for p in here if p not in self.free), 0)
            if free > left:
                self.scale({p: (left, free) for p in here if p in self.free})

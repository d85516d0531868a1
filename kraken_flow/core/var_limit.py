"""The limit on the value at risk of the whole book: targets cut together, single orders by the worst that may fill.

A weight is a position's signed value over equity, 10^-9; a covariance that of two pairs' returns of one bar in squared
percents, 10^-9; a variance of the book is 10^-20 squared percents. What lies beyond `MOST_WEIGHT` and
`MOST_COVARIANCE`, where 128 bits would not do, counts as not known. Of a book of which something is not known, nothing
may grow. Roundings go against the trader.
"""

from collections.abc import Collection, Mapping, Sequence
from math import isqrt
from typing import TYPE_CHECKING

from kraken_flow.core.book_risk import Matrix, covariance_matrix, toward_zero, weight_of
from kraken_flow.core.limits import Limits
from kraken_flow.core.units import FIX, FIX_NAN, ceil_div

if TYPE_CHECKING:
    from kraken_flow.core.admission import Reach
    from kraken_flow.core.decision import Decider
    from kraken_flow.core.simulator import Simulator

Span = tuple[int, int]
"""A weight, from low to high."""
COLUMN = "risk_covariance"
"""Columns `risk_covariance_0`, ...: covariances with each pair."""
MOST_WEIGHT = 10**12
MOST_COVARIANCE = 10**14
GRAIN = 10**7
"""Squared weights times a covariance, 10^-27, over variances of the book."""
_ROOM = 10**27
"""Variances below which a product with a share fits 128 bits."""


def known_covariance(columns: Mapping[str, Sequence[int]], n_pairs: int) -> list[list[int]]:
    """Return the covariances in the columns that risk declared; `FIX_NAN` where one is not known."""
    if f"{COLUMN}_0" not in columns:
        return [[FIX_NAN] * n_pairs for _ in range(n_pairs)]
    matrix = covariance_matrix(columns, COLUMN, n_pairs)
    for i, row in enumerate(matrix):
        for k, value in enumerate(row):
            if abs(value) > MOST_COVARIANCE or (i == k and value < 0):
                row[k] = FIX_NAN
    return matrix


def covariance_of(sim: "Simulator") -> Matrix:
    """Return the covariances of the newest row, made when first asked for."""
    if sim.covariance is None:
        sim.covariance = known_covariance(sim.columns, len(sim.live))
    return sim.covariance


def horizon_scale(limits: Limits, periods_root: int) -> int:
    """Return how many deviations of one bar the value at risk is, 10^-9. `periods_root` is that of bars per year."""
    return max(periods_root * limits.var_reach // FIX, 1000)


def most_variance(limits: Limits, scale: int) -> int:
    """Return the largest variance of a book that meets the limit."""
    deviation = limits.max_var * 10**13 // scale
    return (deviation + 1) ** 2 - 1


def share_at_risk(variance: int | None, scale: int) -> float:
    """Return the value at risk of a book as a share of equity; 0 where its variance is not known."""
    return 0.0 if variance is None else float(isqrt(variance)) * float(scale) / 1e21


def worst_product(a: Span, b: Span, covariance: int, variances: tuple[int, int]) -> int:
    """Return the largest product of two weights, each anywhere from low to high, and their covariance.

    Where that is not known, both count as moving together for the worse, as far as their variances tell.
    """
    corners = (a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1])
    if covariance == FIX_NAN:
        return ceil_div(max(map(abs, corners)) * (isqrt(variances[0] * variances[1]) + 1), GRAIN)
    return ceil_div((max(corners) if covariance > 0 else min(corners)) * covariance, GRAIN)


def worst_variance(spans: Sequence[Span], covariance: Matrix) -> int | None:
    """Return an upper bound of a book's variance, each weight being anywhere from low to high.

    It is the variance itself where no weight is open, and where no two open ones hedge each other. None where something
    is not known of a pair that is or may be held.
    """
    held = [i for i, (low, high) in enumerate(spans) if low or high]
    for i in held:
        if covariance[i][i] == FIX_NAN or max(-spans[i][0], spans[i][1]) > MOST_WEIGHT:
            return None
    total = 0
    for at, i in enumerate(held):
        span, row = spans[i], covariance[i]
        most = max(-span[0], span[1])
        total += ceil_div(most * most * row[i], GRAIN)
        for k in held[:at]:
            total += 2 * worst_product(span, spans[k], row[k], (row[i], covariance[k][k]))
    return max(total, 0)


class Room:
    """The worst that a book may come to while one pair's order is added to those under way.

    Parameters: `spans` the weight of every pair, from low to high, if all sells or all buys under way filled.
    """

    def __init__(self, spans: Sequence[Span], p: int, covariance: Matrix) -> None:
        self.own = covariance[p][p]
        self.rest = worst_variance([(0, 0) if j == p else span for j, span in enumerate(spans)], covariance)
        others = [j for j, (low, high) in enumerate(spans) if j != p and (low or high)]
        self.others = [(spans[j], covariance[p][j], covariance[j][j]) for j in others]

    def at(self, *ends: int) -> int | None:
        """Return the worst variance with the pair's own weight at one of `ends`; None where it is not known."""
        if self.rest is None or self.own == FIX_NAN or max(map(abs, ends)) > MOST_WEIGHT:
            return None
        return max(self.rest + max(map(self._end, ends)), 0)

    def _end(self, weight: int) -> int:
        span = (weight, weight)
        cross = sum(worst_product(span, other, known, (self.own, own)) for other, known, own in self.others)
        return ceil_div(weight * weight * self.own, GRAIN) + 2 * cross


def spans_of(sim: "Simulator", reaches: "Sequence[Reach]", units: Sequence[int], worth: int) -> list[Span]:
    """Return the weights between which working orders can move each pair; `units` prices 10^-8, `worth` above 0."""
    ends = zip(reaches, sim.ledger.position, units, strict=True)
    return [(weight_of(min(r.low, q), unit, worth), weight_of(max(r.high, q), unit, worth)) for r, q, unit in ends]


def admissible(
    sim: "Simulator",
    p: int,
    side: int,
    qty: int,
    asked: int,
    reaches: "Sequence[Reach]",
    units: Sequence[int],
    worth: int,
) -> tuple[int, float]:
    """Return how much of an order's `qty` may go, and the value at risk if all that is `asked` filled.

    The order may not bring the worst case beyond the limit; where that is beyond it already, nothing may. Parameters:
    `units` prices of one unit, 10^-8; `worth` equity, at least 0.
    """
    scale = horizon_scale(sim.watch.limits, sim.periods_root)
    if worth == 0:
        return 0, 0.0
    spans, held = spans_of(sim, reaches, units, worth), sim.ledger.position[p]
    room, most = Room(spans, p, covariance_of(sim)), most_variance(sim.watch.limits, scale)
    start, away = (max(reaches[p].high, held), spans[p][0]) if side > 0 else (min(reaches[p].low, held), spans[p][1])

    def after(more: int) -> int | None:
        return room.at(away, weight_of(start + side * more, units[p], worth))

    whole = after(asked)
    if whole is not None and whole <= most:
        return qty, 0.0
    lot = sim.spec.instruments[p].lot
    fits, fails = 0, qty // lot + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        variance = after(middle * lot)
        fits, fails = (middle, fails) if variance is not None and variance <= most else (fits, middle)
    return fits * lot, share_at_risk(whole, scale)


def cut_targets(decider: "Decider", given: list[int | None], units: Sequence[int], out: Sequence[bool]) -> float | None:
    """Cut targets to the limit in place, all by one factor; return the value at risk as wanted, None if it meets it.

    Parameters: `units` prices of one unit, 10^-8; `out` which pairs stay out. Where a variance is not known, targets
    only become smaller than what is held, and the value is 0.
    """
    sim, limits = decider.sim, decider.sim.watch.limits
    worth, covariance = max(decider.view.equity, 0), covariance_of(sim)
    free = {p: target for p, target in enumerate(given) if target and not out[p]}
    held = sim.ledger.position
    for p, target in free.items():
        if covariance[p][p] == FIX_NAN or worth == 0:
            given[p] = _no_larger(target, held[p])
    weights = [0] * len(given)
    for p, (new, standing) in enumerate(zip(given, decider.target, strict=True)):
        if worth and not out[p]:
            weights[p] = weight_of(standing if new is None else new, units[p], worth)
    scale, whole = horizon_scale(limits, sim.periods_root), worst_variance([(w, w) for w in weights], covariance)
    most = most_variance(limits, scale)
    if whole is None:
        for p, target in free.items():
            given[p] = _no_larger(target, held[p])
    elif whole > most:
        share = _share(weights, free, whole, most, covariance)
        for p in free:
            size, lot = given[p] or 0, decider.spec.instruments[p].lot
            given[p] = (1 if size > 0 else -1) * (abs(size) * share // FIX // lot * lot)
    if all(given[p] == target for p, target in free.items()):
        return None
    return share_at_risk(whole if whole is not None and whole > most else None, scale)


def _share(weights: Sequence[int], free: Collection[int], whole: int, most: int, covariance: Matrix) -> int:
    """Return the largest share of the free weights, 10^-9, with which the book meets the limit; the others stay."""
    own = worst_variance([(w, w) if p in free else (0, 0) for p, w in enumerate(weights)], covariance) or 0
    rest = worst_variance([(0, 0) if p in free else (w, w) for p, w in enumerate(weights)], covariance) or 0
    cross = whole - own - rest
    while max(own, rest, abs(cross), most) > _ROOM:
        own, rest, cross, most = (toward_zero(number, 10) for number in (own, rest, cross, most))
    low, high = 0, FIX
    while high - low > 1:
        middle = (low + high) // 2
        variance = own * middle // FIX * middle // FIX + toward_zero(cross * middle, FIX) + rest
        low, high = (middle, high) if variance <= most else (low, middle)
    return low


def _no_larger(target: int, held: int) -> int:
    """Return the target nearest to the one wanted that does not enlarge what is held."""
    return max(min(target, max(held, 0)), min(held, 0))

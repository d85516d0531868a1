"""What a book of positions is worth after a crisis: instantaneous shocks, paths, correlations, liquidation (spec 6)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.value_at_risk import normal_tail
from kraken_flow.core.units import FloatArray


@dataclass(frozen=True)
class Isolated:
    """Positions that each stand on margin of their own: no more than that is lost, and the others go on (spec F16).

    Parameters: `backing` float64 of shape (n_pairs,), margin plus open profit; `maintenance` share of a position's size
    down to which it is left alone; `at_bankruptcy` whether a liquidated one leaves nothing, else what is left at the
    price at which it is liquidated.
    """

    backing: FloatArray
    maintenance: float
    at_bankruptcy: bool = True


@dataclass(frozen=True)
class Book:
    """Positions at one moment, float64 of shape (n_pairs,).

    Parameters: `values` signed quantity times price, account currency (of an inverse contract quantity over price);
    `cash` the rest of equity, negative where it is borrowed; `isolated` where margin is; `inverse` which are settled in
    their base.
    """

    values: FloatArray
    cash: float
    isolated: Isolated | None = None
    inverse: NDArray[np.bool_] | None = None

    @property
    def equity(self) -> float:
        """Cash and positions."""
        return self.cash + float(self.values.sum())

    @property
    def gross(self) -> float:
        """Longs and shorts together."""
        return float(np.abs(self.values).sum())

    def gains(self, moves: FloatArray) -> FloatArray:
        """Return what each position gains when prices move by fractions."""
        return gains(self.values, moves, self.inverse)

    def sizes(self, moves: FloatArray) -> FloatArray:
        """Return the size of each position after moves."""
        size = np.abs(self.values) * (1.0 + moves)
        if self.inverse is not None:
            size = np.where(self.inverse, np.abs(self.values) / _left(moves), size)
        result: FloatArray = size
        return result


def gains(values: FloatArray, moves: FloatArray, inverse: NDArray[np.bool_] | None = None) -> FloatArray:
    """Return what positions gain by moves of prices; an inverse contract gains v m / (1 + m) of its base."""
    result: FloatArray = values * moves
    if inverse is not None and inverse.any():
        result = np.where(inverse, values * moves / _left(moves), result)
    return result


def _left(moves: FloatArray) -> FloatArray:
    """Return what is left of prices, never nothing: inverse contracts divide by it."""
    result: FloatArray = np.maximum(1.0 + moves, 1e-9)
    return result


def liquidation_moves(book: Book, isolated: Isolated) -> FloatArray:
    """Return the moves, float64 (n_pairs,), at which each position's margin is down to the maintenance level.

    Linear, with b = backing / size and a maintenance r: a long at (r - b) / (1 - r), a short at (b - r) / (1 + r). An
    inverse long, whose size grows as its price falls, at (r - b) / (1 + b), a short at (b - r) / (1 - b), never where
    it is not levered. 0 where it is there already; +-inf where there is no position.
    """
    size, side = np.abs(book.values), np.sign(book.values)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(size > 0.0, isolated.backing / size, np.inf)
        rate = np.where(np.isfinite(share), isolated.maintenance, 0.0)
        found = (rate - share) / (side - rate)
        if book.inverse is not None:
            other = np.where(side < 0.0, np.where(share < 1.0, (share - rate) / (1.0 - share), np.inf), 0.0)
            other = np.where(side > 0.0, (rate - share) / (1.0 + share), other)
            found = np.where(book.inverse, other, found)
    found = np.where(side > 0.0, np.minimum(found, 0.0), np.where(side < 0.0, np.maximum(found, 0.0), np.inf))
    result: FloatArray = found
    return result


@dataclass(frozen=True)
class Outcome:
    """What a scenario does to a book.

    Parameters: `final` value at its end, where it was liquidated at that step; `change` of it over the start, a
    fraction, negative for a loss; `drawdown` deepest fall from the highest value so far, 0 or negative; `liquidated`
    whether equity fell to the maintenance margin.
    """

    final: float
    change: float
    drawdown: float
    liquidated: bool
    positions: tuple[int, ...] = ()
    """The isolated positions that were liquidated, by their number."""


class _Alone:
    """The isolated positions of a book on their way: which are gone, and what each of those cost."""

    def __init__(self, book: Book, isolated: Isolated) -> None:
        at = liquidation_moves(book, isolated)
        self._at, self._side = at, np.sign(book.values)
        left = np.where(np.isfinite(at), at, 0.0)
        # No price beyond the liquidation's is met: the venue closes there.
        closing = np.maximum(book.gains(left), -isolated.backing)
        self._lost = -isolated.backing if isolated.at_bankruptcy else closing
        self.gone = np.zeros(len(at), np.bool_)

    def settle(self, gains: FloatArray, moves: FloatArray) -> FloatArray:
        """Return the gains with those of positions that the moves, or earlier ones, liquidated."""
        self.gone |= ((self._side > 0.0) & (moves <= self._at)) | ((self._side < 0.0) & (moves >= self._at))
        result: FloatArray = np.where(self.gone, self._lost, gains)
        return result


def walk(
    book: Book,
    closes: FloatArray,
    adverse: FloatArray | None = None,
    maintenance: float = 0.0,
    quote: float = 0.0,
    exit_cost: float = 0.0,
) -> Outcome:
    """Hold a book through a path, its positions unchanged; nothing is sold on the way: stops are taken not to work.

    Parameters
    ----------
    closes
        float64 of shape (n_steps, n_pairs): price over the price of the start, minus 1.
    adverse
        The same at the worst moment of each step, by the side of the position; None: `closes`.
    maintenance
        Share of gross value below which the equity of a book that owes something is liquidated.
    quote
        What happens to the quote currency in the end, as a fraction: everything is worth that much less.
    exit_cost
        Share of gross value that leaving the positions costs in the end.
    """
    start = book.equity
    if start <= 0.0:
        raise ValueError("a book without equity has nothing to lose")
    peak, depth, value = start, 0.0, start
    owes = book.cash < 0.0 or bool((book.values < 0.0).any())
    alone = None if book.isolated is None else _Alone(book, book.isolated)
    for worst, close in zip(closes if adverse is None else adverse, closes, strict=True):
        for moves in (worst, close):
            gained = book.gains(moves)
            if alone is not None:
                gained = alone.settle(gained, moves)
            value = start + float(gained.sum())
            depth = min(depth, value / peak - 1.0)
            if alone is None and owes and value <= maintenance * float(book.sizes(moves).sum()):
                return Outcome(value, value / start - 1.0, depth, True)
        peak = max(peak, value)
    gone = np.zeros(len(book.values), np.bool_) if alone is None else alone.gone
    if len(closes):
        value -= exit_cost * float(book.sizes(closes[-1])[~gone].sum())
    value *= 1.0 + quote
    depth = min(depth, value / peak - 1.0)
    return Outcome(value, value / start - 1.0, depth, bool(gone.any()), tuple(np.flatnonzero(gone).tolist()))


def worst_row(
    values: FloatArray,
    equity: FloatArray,
    low: FloatArray,
    high: FloatArray,
    inverse: NDArray[np.bool_] | None = None,
    backing: FloatArray | None = None,
) -> int:
    """Return the row whose book loses the largest share of equity when longs fall by `low` and shorts rise by `high`.

    Parameters: `values` float64 (n_pairs, n_rows); `equity` (n_rows,); `low`, `high` (n_pairs,) moves, of which one
    moment need not have had all; `inverse` (n_pairs,) as in `Book`; `backing` as `values`, the most that each isolated
    position can lose. Rows without equity are left out; ties go to the first.
    """
    moved = np.zeros(values.shape[1])
    for p, held in enumerate(values):
        kind = None if inverse is None else np.full(len(held), inverse[p])
        gained = gains(held, np.where(held > 0.0, low[p], high[p]), kind)
        moved += gained if backing is None else np.maximum(gained, -backing[p])
    loss = np.divide(-moved, equity, out=np.full(len(equity), -np.inf), where=equity > 0.0)
    return int(loss.argmax())


def correlation_shock(correlation: FloatArray, toward: float) -> FloatArray:
    """Return (1 - a) C + a 11', correlations moved toward 1; positive semidefinite for 0 <= a <= 1."""
    result: FloatArray = (1.0 - toward) * correlation + toward
    return result


def deviation(weights: FloatArray, deviations: FloatArray, correlation: FloatArray) -> float:
    """Return the standard deviation of a book from those of its parts."""
    scaled = weights * deviations
    return math.sqrt(max(float(scaled @ correlation @ scaled), 0.0))


def correlated(book: Book, returns: FloatArray, toward: float, periods: float, level: float = 0.99) -> Outcome:
    """Return the normal value at risk of a book when correlations move toward 1, as if it came true.

    Parameters: `returns` float64 (n_pairs, n) of past bars; `periods` bars in the horizon.
    """
    deviations, correlation = estimated(returns)
    moved = deviation(book.values, deviations, correlation_shock(correlation, toward)) * math.sqrt(periods)
    loss = normal_tail(0.0, moved, level).var
    share = loss / book.equity
    return Outcome(book.equity - loss, -share, min(-share, 0.0), False)


def estimated(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sample deviations and correlations of float64 (n_pairs, n); what never moved correlates with nothing."""
    deviations = returns.std(axis=1, ddof=1)
    safe = np.where(deviations > 0.0, deviations, 1.0)
    centred = (returns - returns.mean(axis=1, keepdims=True)) / safe[:, None]
    correlation = centred @ centred.T / (returns.shape[1] - 1)
    np.fill_diagonal(correlation, 1.0)
    return deviations, correlation


def worst_correlated_row(
    values: FloatArray, equity: FloatArray, deviations: FloatArray, correlation: FloatArray
) -> int:
    """Return the row whose book swings most as a share of its equity; arguments as of `worst_row` and `deviation`."""
    scaled = values * deviations[:, None]
    variance = np.maximum((scaled * (correlation @ scaled)).sum(axis=0), 0.0)
    share = np.divide(np.sqrt(variance), equity, out=np.full(len(equity), -np.inf), where=equity > 0.0)
    return int(share.argmax())


def distance_to_liquidation(leverage: float, maintenance: float) -> float | None:
    """Return the adverse move, negative, at which an isolated long is liquidated; None without leverage."""
    if leverage <= 1.0:
        return None
    return (1.0 - 1.0 / leverage) / (1.0 - maintenance) - 1.0


def instantaneous(shocks: Sequence[float]) -> FloatArray:
    """Return a path of one step."""
    return np.array([shocks], dtype=np.float64)

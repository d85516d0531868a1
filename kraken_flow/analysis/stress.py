"""What a book of positions is worth after a crisis: instantaneous shocks, paths, correlations, liquidation (spec 6)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kraken_flow.analysis.value_at_risk import normal_tail
from kraken_flow.core.units import FloatArray


@dataclass(frozen=True)
class Book:
    """Positions at one moment, float64 of shape (n_pairs,).

    Parameters: `values` signed quantity times price, quote currency; `cash` in the quote currency, negative where it is
    borrowed.
    """

    values: FloatArray
    cash: float

    @property
    def equity(self) -> float:
        """Cash and positions."""
        return self.cash + float(self.values.sum())

    @property
    def gross(self) -> float:
        """Longs and shorts together."""
        return float(np.abs(self.values).sum())


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
    for worst, close in zip(closes if adverse is None else adverse, closes, strict=True):
        for moves in (worst, close):
            held = book.values * (1.0 + moves)
            value = book.cash + float(held.sum())
            depth = min(depth, value / peak - 1.0)
            if owes and value <= maintenance * float(np.abs(held).sum()):
                return Outcome(value, value / start - 1.0, depth, True)
        peak = max(peak, value)
    if len(closes):
        value -= exit_cost * float(np.abs(book.values * (1.0 + closes[-1])).sum())
    value *= 1.0 + quote
    depth = min(depth, value / peak - 1.0)
    return Outcome(value, value / start - 1.0, depth, False)


def worst_row(values: FloatArray, equity: FloatArray, low: FloatArray, high: FloatArray) -> int:
    """Return the row whose book loses the largest share of equity when longs fall by `low` and shorts rise by `high`.

    Parameters: `values` float64 (n_pairs, n_rows); `equity` (n_rows,); `low`, `high` (n_pairs,) moves, of which one
    moment need not have had all. Rows without equity are left out; ties go to the first.
    """
    moved = np.maximum(values, 0.0).T @ low + np.minimum(values, 0.0).T @ high
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

"""Weights of pairs that are made anew on a schedule from past closes: the column `weight` that a portfolio reads."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kraken_flow.core.market import REAL, Market
from kraken_flow.core.units import FloatArray

WEIGHT = "weight"
"""Name of the column: a pair's signed share of the portfolio."""
COVERED = 0.9
"""Share of the bars of a window that a pair must have to take part."""


class Solver(Protocol):
    """Makes weights of returns."""

    def __call__(self, returns: FloatArray, columns: list[int], previous: FloatArray | None) -> FloatArray | None:
        """Return weights float64 (n_columns,), None where there are none.

        Parameters: `returns` float64 (n_observations, n_columns), simple, oldest first; `columns` which pairs they are,
        by number; `previous` the weights before, float64 (n_columns,), None at first. The same input gives the same.
        """


@dataclass(frozen=True)
class Allocation:
    """When weights are made and of which bars.

    Parameters: `window` returns; `purge` newest bars left out; `every` bars between two times, counted from the first
    decision.
    """

    window: int
    purge: int
    every: int
    solve: Solver

    @property
    def lookback(self) -> int:
        """Bars needed before the first decision."""
        return self.window + self.purge


class Weights:
    """Weights row by row. A row's are made of closes up to that row, less those purged, and carried to the next time.

    Parameters: `allocation` when and how; `n_pairs` their number. A pair that has less than 90 % of a window's bars has
    no weight, NaN; bars that one of the others lacks are left out, so that its next return spans them. Until there are
    any weights, each row is tried.
    """

    def __init__(self, allocation: Allocation, n_pairs: int) -> None:
        self.allocation = allocation
        self.value = np.full(n_pairs, np.nan)
        self._closes: deque[FloatArray] = deque(maxlen=allocation.window + 1 + allocation.purge)
        self._rows = 0

    def update(self, closes: FloatArray, asked: bool) -> None:
        """Take a row of closes, float64 (n_pairs,), NaN where a bar is missing; `asked` from the first decision on."""
        self._closes.append(closes)
        if asked:
            if self._rows % self.allocation.every == 0 or np.isnan(self.value).all():
                self._solve()
            self._rows += 1

    def catch_up(self, market: Market, first_row: int) -> FloatArray:
        """Take all rows of a market; return the weights after each, float64 (n_pairs, n_rows), NaN before any."""
        table = np.full((len(market.pairs), market.n_rows), np.nan)
        closes = [np.where(pair.state == REAL, pair.floats("close"), np.nan) for pair in market.pairs]
        rows = np.array(closes).reshape(len(closes), market.n_rows).T.copy()
        for row, known in enumerate(rows):
            self.update(known, row >= first_row)
            table[:, row] = self.value
        return table

    def _solve(self) -> None:
        """Make the weights anew; where that fails, the ones before stand."""
        allocation = self.allocation
        kept = list(self._closes)[: max(len(self._closes) - allocation.purge, 0)]
        if not kept:
            return
        table = np.array(kept)
        known = ~np.isnan(table)
        columns = np.flatnonzero(known.sum(axis=0) >= COVERED * (allocation.window + 1))
        if not len(columns):
            return
        closes = table[np.ix_(known[:, columns].all(axis=1), columns)]
        if len(closes) < 3:
            return
        returns = closes[1:] / closes[:-1] - 1.0
        # A price that stands still has no risk that weights could be made of.
        moving = returns.std(axis=0) > 0.0
        columns, returns = columns[moving], returns[:, moving]
        if not len(columns):
            return
        before = None if np.isnan(self.value).all() else np.nan_to_num(self.value[columns])
        found = allocation.solve(np.ascontiguousarray(returns), [int(column) for column in columns], before)
        if found is not None:
            self.value = np.full(len(self.value), np.nan)
            self.value[columns] = found


def weight_column(allocation: Allocation, market: Market) -> FloatArray:
    """Return the weights of a market's pairs at each row, float64 (n_pairs, n_rows), NaN where there are none."""
    return Weights(allocation, len(market.pairs)).catch_up(market, market.first_row)

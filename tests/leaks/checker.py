"""Does anything know the future? Two checks that need no knowledge of what they check.

Prefix invariance: what a node says at row t of a market that ends at t is what it says at row t of a longer one.
Future perturbation: changing rows after t changes nothing at t. Each returns the rows where the answer changed.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from kraken_flow.core.market import FIELDS, REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.units import FloatArray

Answer = Callable[[Market], FloatArray]
"""From a market to columns, float64 of shape (..., n_rows)."""


def ends_at(market: Market, row: int) -> Market:
    """The market as it was known when row `row` had closed."""
    pairs = tuple(
        PairColumns(p.pair, *(getattr(p, name)[: row + 1] for name in FIELDS), p.state[: row + 1])
        for p in market.pairs
    )  # fmt: skip
    return replace(market, times=market.times[: row + 1], pairs=pairs)


def changed_after(market: Market, row: int, seed: int) -> Market:
    """The market with other prices, volumes and gaps after row `row`."""
    rng = np.random.default_rng(seed)
    pairs = []
    for pair in market.pairs:
        columns = {name: getattr(pair, name).copy() for name in FIELDS}
        state = pair.state.copy()
        later = slice(row + 1, None)
        size = len(state) - row - 1
        factor = rng.integers(1, 4, size)
        for column in columns.values():
            column[later] *= factor
        state[later] = np.where((state[later] == REAL) & (rng.random(size) < 0.1), SYNTHETIC, state[later])
        columns["volume"][later] += rng.integers(0, 10**9, size) * (state[later] == REAL)
        pairs.append(PairColumns(pair.pair, *(columns[name] for name in FIELDS), state))
    return replace(market, pairs=tuple(pairs))


def differs(a: FloatArray, b: FloatArray) -> bool:
    """Whether two answers differ in any bit, NaN being equal to NaN."""
    return bool((~((a == b) | (np.isnan(a) & np.isnan(b)))).any())


def leaks_by_prefix(answer: Answer, market: Market, rows: Iterable[int]) -> list[int]:
    """Rows at which a market that ends there gives another answer than the whole one."""
    whole = answer(market)
    return [row for row in rows if differs(answer(ends_at(market, row)), whole[..., : row + 1])]


def leaks_by_perturbation(answer: Answer, market: Market, rows: Iterable[int]) -> list[int]:
    """Rows up to which the answer changes when only what comes after them is changed."""
    whole = answer(market)
    return [
        row
        for row in rows
        if differs(answer(changed_after(market, row, seed=row))[..., : row + 1], whole[..., : row + 1])
    ]

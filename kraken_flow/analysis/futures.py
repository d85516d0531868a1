"""Markets that share a past and differ in what comes after it: what an audit asks nodes about.

All keep the rules of the grid: integers, high and low around open and close, missing bars that repeat the close before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import ABSENT, FIELDS, REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.units import INT64_MAX, Int64Array

TAIL = 120
"""Rows of another future that are laid out behind a cut: what an answer may not know begins with the first of them."""
_MILLE = 1000
_LARGE = INT64_MAX // (4 * _MILLE)


def window(market: Market, n_rows: int) -> Market:
    """Return the last `n_rows` of a market as if the data began there, with no warm-up before its first decision."""
    return replace(_rows(market, max(market.n_rows - n_rows, 0), market.n_rows), first_row=0)


def ends_at(market: Market, row: int) -> Market:
    """Return the market as it was known when row `row` had closed."""
    return _rows(market, 0, row + 1)


def _rows(market: Market, first: int, stop: int) -> Market:
    detail = market.detail
    if detail is not None:
        fine = tuple(_cut(pair, first * detail.per_bar, stop * detail.per_bar) for pair in detail.pairs)
        detail = replace(detail, pairs=fine)
    pairs = tuple(_cut(pair, first, stop) for pair in market.pairs)
    marks = tuple(_cut(pair, first, stop) for pair in market.marks)
    times = market.times[first:stop]
    start, step = int(market.times[0]), market.timeframe_ns
    funding = tuple(columns.between(start + first * step, start + stop * step) for columns in market.funding)
    return replace(market, times=times, pairs=pairs, detail=detail, marks=marks, funding=funding)


def _cut(pair: PairColumns, first: int, stop: int) -> PairColumns:
    columns = {name: getattr(pair, name)[first:stop] for name in FIELDS}
    state = pair.state[first:stop]
    return _laid(pair.pair, columns, state) if first else PairColumns(pair.pair, **columns, state=state)


def _laid(name: str, columns: Mapping[str, Int64Array], state: NDArray[np.uint8]) -> PairColumns:
    """Lay bars on the grid: nothing before the first real one, the close before in each that is missing after it."""
    real = state == REAL
    last = np.maximum.accumulate(np.where(real, np.arange(len(state)), -1)) if len(state) else np.zeros(0, np.int64)
    close = np.where(last >= 0, columns["close"][np.maximum(last, 0)], 0)
    laid = {name: np.where(real, columns[name], 0 if name == "volume" else close) for name in FIELDS}
    states = np.where(real, REAL, np.where(last >= 0, SYNTHETIC, ABSENT)).astype(np.uint8)
    return PairColumns(name, **laid, state=states)


@dataclass(frozen=True)
class Change:
    """What becomes of one pair's rows.

    Parameters: `source` the row each row is taken from; `price` and `volume` factors in thousandths; `gone` which bars
    are taken away. All of shape (n_rows,).
    """

    source: NDArray[np.intp]
    price: Int64Array
    volume: Int64Array
    gone: NDArray[np.bool_]

    @staticmethod
    def none(n_rows: int) -> "Change":
        """Return the change that leaves everything as it is."""
        plain = np.full(n_rows, _MILLE)
        return Change(np.arange(n_rows), plain, plain.copy(), np.zeros(n_rows, np.bool_))

    def of(self, pair: PairColumns, per_bar: int = 1) -> PairColumns:
        """Apply it; `per_bar` finer bars share the fate of their row."""
        source = (self.source[:, None] * per_bar + np.arange(per_bar)).ravel()
        factors = {name: np.repeat(self.volume if name == "volume" else self.price, per_bar) for name in FIELDS}
        columns = {name: _scaled(getattr(pair, name)[source], factors[name]) for name in FIELDS}
        return _laid(pair.pair, columns, np.where(np.repeat(self.gone, per_bar), SYNTHETIC, pair.state[source]))


def _scaled(values: Int64Array, mille: Int64Array) -> Int64Array:
    product = np.where(values > _LARGE, 0, values) * mille // _MILLE
    result: Int64Array = np.where((values > _LARGE) | (mille == _MILLE), values, np.maximum(product, values > 0))
    return result


Rewrite = Callable[[PairColumns, int, int, np.random.Generator], Change]
"""From a pair, the last known row, the row up to which the next bars go, and random numbers to a change."""


def _prices(pair: PairColumns, row: int, until: int, rng: np.random.Generator) -> Change:
    change, size = Change.none(len(pair.state)), len(pair.state) - row - 1
    change.price[row + 1 :] = rng.choice([600, 800, 1250, 1700]) * rng.integers(950, 1050, size) // _MILLE
    return change


def _volumes(pair: PairColumns, row: int, until: int, rng: np.random.Generator) -> Change:
    change, size = Change.none(len(pair.state)), len(pair.state) - row - 1
    change.volume[row + 1 :] = rng.integers(100, 3000, size)
    return change


def _order(pair: PairColumns, row: int, until: int, rng: np.random.Generator) -> Change:
    change = Change.none(len(pair.state))
    later = pair.real[pair.real > row]
    change.source[later] = rng.permutation(later)
    return change


def _missing(pair: PairColumns, row: int, until: int, rng: np.random.Generator) -> Change:
    change = Change.none(len(pair.state))
    change.gone[row + 1 :] = rng.random(len(pair.state) - row - 1) < 0.3
    change.gone[row + 1 : row + 2] = True
    return change


def _next_bars(pair: PairColumns, row: int, until: int, rng: np.random.Generator) -> Change:
    change, later = Change.none(len(pair.state)), slice(row + 1, until + 1)
    size = len(change.price[later])
    change.price[later] = rng.choice([850, 930, 1080, 1200]) * rng.integers(980, 1020, size) // _MILLE
    change.volume[later] = rng.integers(100, 3000, size)
    return change


FUTURES: Mapping[str, Rewrite] = {
    "other prices": _prices,
    "other volumes": _volumes,
    "shuffled bars": _order,
    "missing bars": _missing,
    "other next bars": _next_bars,
}
"""The futures by name; `other next bars` changes the next bar, or the rest of the higher bar that it belongs to."""


def another(market: Market, row: int, future: str, seed: int, until: int | None = None) -> Market:
    """Return the market up to a row, followed by `TAIL` rows of another future.

    Parameters: `row` the last row that is known; `future` a name of `FUTURES`; `until` the last row of the higher bar
    that holds the next row, by default the next row itself.
    """
    market = ends_at(market, min(row + TAIL, market.n_rows - 1))
    rng = np.random.default_rng([seed, row, list(FUTURES).index(future)])
    changes = [FUTURES[future](pair, row, row + 1 if until is None else until, rng) for pair in market.pairs]
    detail = market.detail
    if detail is not None:
        per_bar, fine = detail.per_bar, zip(changes, detail.pairs, strict=True)
        detail = replace(detail, pairs=tuple(change.of(pair, per_bar) for change, pair in fine))
    pairs = tuple(change.of(pair) for change, pair in zip(changes, market.pairs, strict=True))
    marks = tuple(change.of(pair) for change, pair in zip(changes, market.marks, strict=False))
    now = int(market.times[0]) + (row + 1) * market.timeframe_ns
    funding = tuple(_other_rates(columns, now, rng) for columns in market.funding)
    return replace(market, pairs=pairs, detail=detail, marks=marks, funding=funding)


def _other_rates(columns: FundingColumns, now: int, rng: np.random.Generator) -> FundingColumns:
    """Give the events that become known after a time other rates, whatever their own time."""
    other = rng.integers(-(10**9), 10**9, len(columns.rate))
    return replace(columns, rate=np.where(columns.known > now, other, columns.rate))

"""Features of a market: each computed once per pair on its real bars, then aligned to the grid."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow import native as door
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import CONTRACT_COLUMNS, CrossSection, Feature, Source
from kraken_flow.core.frame import Frame
from kraken_flow.core.funding import column_of
from kraken_flow.core.market import ABSENT, REAL, Market, PairColumns
from kraken_flow.core.units import FloatArray, Int64Array

BoolArray: TypeAlias = NDArray[np.bool_]

PARALLEL_ROWS = 200_000
"""Rows over all pairs from which work is spread over the processors."""


def pick_native(engine: str) -> ModuleType | None:
    """Return the Rust extension for `engine` = auto, rust or python; None means the Python reference."""
    if engine not in {"auto", "rust", "python"}:
        raise UserError(f"engine: {engine!r} is not one of auto, rust, python")
    if engine == "python":
        return None
    if engine == "rust" and door.native is None:
        raise UserError(f"engine=rust: {door.REASON}")
    return door.native


class FeatureColumns:
    """Features of a market, each computed once per pair, on real bars and aligned to the grid."""

    def __init__(self, market: Market, native: ModuleType | None) -> None:
        self.market = market
        self.native = native
        self._across: dict[CrossSection, FloatArray] = {}
        self._contracts: dict[int, dict[str, FloatArray]] = {}
        self.frames = [self._frame(index, pair, native) for index, pair in enumerate(market.pairs)]
        self._rows = [None if pair.all_real else _last_real_row(pair, market.max_gap) for pair in market.pairs]

    def _frame(self, index: int, pair: PairColumns, native: ModuleType | None) -> Frame:
        market = self.market
        across = partial(self._across_real, index)
        if pair.all_real:
            columns = partial(getattr, pair)
            grid = (market.times, market.timeframe_ns, market.max_gap)
            return Frame(partial(self._floats, index), *grid, native, across, regular=True, units=columns)
        kept: dict[str, FloatArray] = {}

        def column(name: str) -> FloatArray:
            if name not in kept:
                kept[name] = self._floats(index, name)[pair.real]
            return kept[name]

        return Frame(column, market.times[pair.real], market.timeframe_ns, market.max_gap, native, across)

    def _floats(self, index: int, name: str) -> FloatArray:
        """Return a column of a pair on the grid."""
        if name not in CONTRACT_COLUMNS:
            return self.market.pairs[index].floats(name)
        known = self._contracts.setdefault(index, {})
        if name not in known:
            known[name] = column_of(self.market, index, name)
        return known[name]

    def outputs(self, source: Source, pair: int) -> tuple[FloatArray, ...]:
        """Return a feature's outputs (or a market column) on the grid, each float64 of shape (n_rows,)."""
        if isinstance(source, CrossSection):
            return (self._across_all(source)[pair],)
        frame = self.frames[pair]
        real = frame.outputs(source) if isinstance(source, Feature) else (frame.column(source),)
        rows = self._rows[pair]
        if rows is None:
            return real
        at, known = rows
        return tuple(_spread(values, at, known) for values in real)

    def fill(self, source: Source, pair: int, out: FloatArray) -> None:
        """Write a single output on the grid into `out`, float64 of shape (n_rows,), without keeping it."""
        if self._rows[pair] is None and isinstance(source, Feature):
            self.frames[pair].fill(source, out)
        else:
            out[:] = self.outputs(source, pair)[0]

    def sample(self, source: Source, pair: int, rows: range, out: FloatArray) -> None:
        """Write a single output at some rows of the grid into `out`, float64 of shape (len(rows),): the same bits."""
        if self._rows[pair] is None and isinstance(source, Feature):
            self.frames[pair].sample(source, rows, out)
        else:
            out[:] = self.outputs(source, pair)[0][rows.start : rows.stop : rows.step]

    def table(self, name: str, source: Source, rows: range | None = None) -> FloatArray:
        """Return a single-output feature for all pairs: float64 of shape (n_pairs, n_rows), or of `rows` alone."""
        if isinstance(source, Feature) and len(source.names) != 1:
            raise UserError(f"{name}: {source} has several outputs, and an account node reads one")
        if rows is None:
            result = np.empty((len(self.market.pairs), self.market.n_rows))
            self.each_pair(lambda pair: self.fill(source, pair, result[pair]))
        else:
            result = np.empty((len(self.market.pairs), len(rows)))
            self.each_pair(lambda pair: self.sample(source, pair, rows, result[pair]))
        return result

    def each_pair(self, work: Callable[[int], object]) -> None:
        """Do the work of each pair, on several processors where kernels are what it waits for."""
        n_pairs = len(self.market.pairs)
        if self.native is None or n_pairs < 2 or n_pairs * self.market.n_rows < PARALLEL_ROWS:
            for pair in range(n_pairs):
                work(pair)
            return
        with ThreadPoolExecutor(min(n_pairs, os.cpu_count() or 1)) as pool:
            list(pool.map(work, range(n_pairs)))

    def _across_all(self, feature: CrossSection) -> FloatArray:
        """Evaluate a cross-section on the grid: a pair without a real bar at a row takes no part in it."""
        if feature not in self._across:
            (source,) = feature.inputs()
            table = np.full((len(self.market.pairs), self.market.n_rows), np.nan)
            for index, pair in enumerate(self.market.pairs):
                table[index, pair.real] = self.frames[index].value(source)
            self._across[feature] = feature.across(table)
        return self._across[feature]

    def _across_real(self, pair: int, feature: CrossSection) -> FloatArray:
        result: FloatArray = self._across_all(feature)[pair, self.market.pairs[pair].real]
        return result


def _last_real_row(pair: PairColumns, max_gap: int) -> tuple[Int64Array, BoolArray]:
    """Return for each grid row the index of the last real bar, and whether it is recent enough to be carried."""
    at = np.cumsum(pair.state == REAL) - 1
    rows = np.arange(len(pair.state))
    known = (at >= 0) & (pair.state != ABSENT)
    known[known] = rows[known] - pair.real[at[known]] <= max_gap
    return np.maximum(at, 0), known


def _spread(values: FloatArray, at: Int64Array, known: BoolArray) -> FloatArray:
    if not len(values):
        return np.full(len(at), np.nan)
    result: FloatArray = np.where(known, values[at], np.nan)
    return result

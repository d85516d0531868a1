"""Market columns: what both engines and all features read, made once when data is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.units import FloatArray, Int64Array, to_floats

ABSENT, REAL, SYNTHETIC = 0, 1, 2
"""Row states: before the pair's first bar; a bar of the data; a missing bar filled with the close before, volume 0."""

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class PairColumns:
    """One pair's bars on the market's grid.

    Parameters
    ----------
    open, high, low, close, volume
        int64 of shape (n_rows,), units of 10^-8. ABSENT rows hold 0.
    state
        uint8 of shape (n_rows,): ABSENT, REAL or SYNTHETIC.
    """

    pair: str
    open: Int64Array
    high: Int64Array
    low: Int64Array
    close: Int64Array
    volume: Int64Array
    state: NDArray[np.uint8]

    @cached_property
    def real(self) -> NDArray[np.intp]:
        """Indices of the REAL rows, ascending."""
        return np.flatnonzero(self.state == REAL)

    @cached_property
    def all_real(self) -> bool:
        """Whether every row is a real bar, so that the grid and the real bars are the same rows."""
        # Two reductions, without a column of comparisons between.
        return len(self.state) == 0 or bool(self.state.min() == REAL == self.state.max())

    def floats(self, column: str) -> FloatArray:
        """Return a column as float64 on the grid (price or volume in natural units); cached."""
        cache: dict[str, FloatArray] = self.__dict__.setdefault("_floats", {})
        if column not in cache:
            cache[column] = to_floats(getattr(self, column))
        return cache[column]


@dataclass(frozen=True)
class Detail:
    """Finer bars inside the decision bars, for `exchange.fill.path=detail`.

    Row r of the market owns the finer rows r*per_bar .. (r+1)*per_bar-1. A decision bar of a pair counts as detailed
    when at least one of its finer rows is REAL; otherwise it falls back to the pessimistic path and is counted.
    """

    timeframe_ns: int
    per_bar: int
    pairs: tuple[PairColumns, ...]


@dataclass(frozen=True)
class Market:
    """All pairs of a run on one regular time grid, pairs sorted by name.

    Parameters
    ----------
    timeframe_ns
        Length of the decision bar.
    times
        int64 of shape (n_rows,): bar opens, ns UTC, regular steps of `timeframe_ns`, warm-up included.
    first_row
        First row at or after `start`: rows before it warm features up; no decision, equity or metric there.
    max_gap
        Longest run of missing bars (in bars) over which features carry their last output.
    synthetic_sample
        True for the bundled market the project makes itself; every table from it must say so.
    """

    timeframe_ns: int
    times: Int64Array
    pairs: tuple[PairColumns, ...]
    first_row: int = 0
    max_gap: int = 24
    detail: Detail | None = None
    synthetic_sample: bool = False
    decimals: Mapping[str, int] = field(default_factory=dict)
    """Decimals of each pair's prices as they stand in the data: the tick of a pair the exchange's table lacks."""
    files: tuple[Mapping[str, object], ...] = ()
    """One record per file read: pair, path, sha256, first, last, rows."""
    notes: tuple[str, ...] = ()
    """Plain sentences about what was read: resampling, dropped rows, detected time unit."""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Per pair, of data that was read as a whole: duplicates and dropped, those of its file."""
    terms: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What the venue that a live tape comes from says of each pair: tick, lot, qty_min, cost_min, units of 10^-8."""

    marks: tuple[PairColumns, ...] = ()
    """Mark prices on the same grid, in the pairs' order; empty where last prices have to do."""
    funding: tuple[FundingColumns, ...] = ()
    """Funding events, in the pairs' order; empty without."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the pair names in order."""
        return tuple(p.pair for p in self.pairs)

    @property
    def n_rows(self) -> int:
        """Return the number of grid rows, warm-up included."""
        return len(self.times)

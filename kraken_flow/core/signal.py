"""The signal half in one pass: market columns in, held forecasts and feature columns out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from kraken_flow import native as door
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import CrossSection, Feature, Source
from kraken_flow.core.frame import Frame
from kraken_flow.core.market import ABSENT, REAL, Market, PairColumns
from kraken_flow.core.strategy import Scripted, Strategy
from kraken_flow.core.times import iso, parse_timeframe
from kraken_flow.core.units import FloatArray, Int64Array, fix_column

if TYPE_CHECKING:
    from kraken_flow.core.graph import Graph

FORECAST_BLOCK = 16384
"""Rows a strategy is given at a time: few enough that its intermediate columns stay in the processor's cache."""


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
        self._across: dict[CrossSection, FloatArray] = {}
        self.frames = [self._frame(index, pair, native) for index, pair in enumerate(market.pairs)]
        self._rows = [None if pair.all_real else _last_real_row(pair, market.max_gap) for pair in market.pairs]

    def _frame(self, index: int, pair: PairColumns, native: ModuleType | None) -> Frame:
        market = self.market
        across = partial(self._across_real, index)
        if pair.all_real:
            return Frame(pair.floats, market.times, market.timeframe_ns, market.max_gap, native, across, regular=True)
        kept: dict[str, FloatArray] = {}

        def column(name: str) -> FloatArray:
            if name not in kept:
                kept[name] = pair.floats(name)[pair.real]
            return kept[name]

        return Frame(column, market.times[pair.real], market.timeframe_ns, market.max_gap, native, across)

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


def _last_real_row(pair: PairColumns, max_gap: int) -> tuple[Int64Array, FloatArray]:
    """Return for each grid row the index of the last real bar, and whether it is recent enough to be carried."""
    at = np.cumsum(pair.state == REAL) - 1
    rows = np.arange(len(pair.state))
    known = (at >= 0) & (pair.state != ABSENT)
    known[known] = rows[known] - pair.real[at[known]] <= max_gap
    return np.maximum(at, 0), known


def _spread(values: FloatArray, at: Int64Array, known: FloatArray) -> FloatArray:
    if not len(values):
        return np.full(len(at), np.nan)
    result: FloatArray = np.where(known, values[at], np.nan)
    return result


@dataclass(frozen=True)
class Signals:
    """What the signal half says about a market.

    Parameters
    ----------
    market
        The market it was computed on.
    forecast
        float64 of shape (n_pairs, n_rows), in [-1, 1], held: a row without a new forecast repeats the one before,
        0 before the first. Row t uses rows up to t.
    aux
        Columns that account nodes declared, by name: float64 of shape (n_pairs, n_rows), NaN where undefined.
    """

    market: Market
    forecast: FloatArray
    aux: dict[str, FloatArray]
    _features: FeatureColumns = field(repr=False)

    def columns(self, feature: Source) -> FloatArray:
        """Return a feature on the grid, float64 of shape (n_outputs, n_pairs, n_rows).

        Carried over missing bars, NaN after `market.max_gap` of them, NaN where the pair has no bar yet.
        """
        per_pair = [self._features.outputs(feature, pair) for pair in range(len(self.market.pairs))]
        return np.array(per_pair).swapaxes(0, 1)

    @cached_property
    def forecast_fix(self) -> Int64Array:
        """The forecast in integers of 10^-9, int64 of shape (n_pairs, n_rows)."""
        return fix_column(self.forecast)


def compute(graph: "Graph", market: Market, engine: str = "auto") -> Signals:
    """Compute all forecasts and declared columns of a graph over a market.

    Parameters: `engine` auto, rust (a `UserError` without the extension) or python (the extension is not touched).
    Raises `UserError` where a strategy's forecast leaves [-1, 1] or has the wrong shape.
    """
    features = FeatureColumns(market, pick_native(engine))
    forecast = np.zeros((len(market.pairs), market.n_rows))
    if not isinstance(graph.strategy, Scripted):
        for pair in range(len(market.pairs)):
            forecast[pair], _ = _held(graph.strategy, features, pair, graph.features)
    aux = {}
    for name, source in account_features(graph).items():
        aux[name] = np.array([_single(features, name, source, pair) for pair in range(len(market.pairs))])
    return Signals(market, forecast, aux, features)


def _single(features: FeatureColumns, name: str, source: Source, pair: int) -> FloatArray:
    outputs = features.outputs(source, pair)
    if len(outputs) != 1:
        raise UserError(f"{name}: {source} has several outputs, and an account node reads one")
    return outputs[0]


def account_features(graph: "Graph") -> dict[str, Source]:
    """Return the features that the nodes of the account half declare, by name."""
    found: dict[str, Source] = {}
    for declaring in (graph.portfolio, graph.exchange, graph.risk, graph.execution):
        found.update(getattr(declaring, "features", dict)())
    return found


def required_lookback(graph: "Graph") -> int:
    """Return the decision bars to load before `start` so that every feature is warmed up at `start`."""
    timeframe_ns = parse_timeframe(graph.timeframe)
    sources = [*account_features(graph).values(), *graph.features.values(), *_sources(graph.strategy)]
    return max((s.lookback_at(timeframe_ns) for s in sources if isinstance(s, Feature)), default=0)


def _sources(strategy: Strategy) -> Iterator[Source]:
    yield from strategy.features().values()
    for part in strategy.parts().values():
        yield from _sources(part)


def _held(
    strategy: Strategy, features: FeatureColumns, pair: int, extra: Mapping[str, Source]
) -> tuple[FloatArray, FloatArray]:
    """Evaluate a strategy on one pair and hold its forecast; returns value and confidence, shape (n_rows,) each."""
    market = features.market
    given: dict[str, tuple[tuple[str, ...], tuple[FloatArray, ...]]] = {}
    for name, source in {**extra, **strategy.features()}.items():
        names = source.names if isinstance(source, Feature) else ("value",)
        given[name] = (names, features.outputs(source, pair))
    for name, part in strategy.parts().items():
        given[name] = (("value", "confidence"), _held(part, features, pair, extra))
    n_rows = market.n_rows
    value, confidence = np.empty(n_rows), None
    for first in range(0, n_rows, FORECAST_BLOCK):
        rows = slice(first, min(first + FORECAST_BLOCK, n_rows))
        said = strategy.forecast(rows_of(given, rows))
        said, sure = said if isinstance(said, tuple) else (said, None)
        value[rows] = _as_rows(strategy, said, rows)
        if sure is not None:
            confidence = np.full(n_rows, np.nan) if confidence is None else confidence
            confidence[rows] = _as_rows(strategy, sure, rows)
    hold(value, market, pair, strategy, -1.0, 0.0)
    if confidence is None:
        return value, np.ones(n_rows)
    hold(confidence, market, pair, strategy, 0.0, 0.0)
    return value, confidence


def rows_of(given: Mapping[str, tuple[tuple[str, ...], tuple[FloatArray, ...]]], rows: slice) -> SimpleNamespace:
    """Lay out some rows of the declared columns as `forecast` reads them."""
    f = SimpleNamespace()
    for name, (names, outputs) in given.items():
        cut = [values[rows] for values in outputs]
        setattr(f, name, cut[0] if len(cut) == 1 else SimpleNamespace(**dict(zip(names, cut, strict=True))))
    return f


def _as_rows(strategy: Strategy, values: FloatArray, rows: slice) -> FloatArray:
    n_rows = rows.stop - rows.start
    result = np.asarray(values, dtype=np.float64)
    if result.shape not in {(), (n_rows,)}:
        raise UserError(f"{type(strategy).__name__}.forecast returned shape {result.shape} for {n_rows} rows")
    return result


def hold(values: FloatArray, market: Market, pair: int, strategy: Strategy, low: float, start: float) -> None:
    """Fill rows without a number, and rows of missing bars, with the number before, in place; check the range."""
    columns = market.pairs[pair]
    if not columns.all_real:
        values[columns.state != REAL] = np.nan
    outside = np.flatnonzero((values < low) | (values > 1.0))
    if len(outside):
        row = int(outside[0])
        raise UserError(out_of_range(strategy, columns.pair, int(market.times[row]), float(values[row]), low))
    empty = np.isnan(values)
    if empty.any():
        at = np.where(empty, 0, np.arange(len(values)))
        np.maximum.accumulate(at, out=at)
        if empty[0]:
            values[0] = start
        values[:] = values[at]


def out_of_range(strategy: Strategy, pair: str, time: int, value: float, low: float) -> str:
    """Say that a forecast or confidence left its range."""
    what = "forecast" if low < 0 else "confidence"
    return f"{type(strategy).__name__}: {what} {value!r} for {pair} at {iso(time)} is outside [{low:g}, 1]"

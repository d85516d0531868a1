"""The signal half in one pass: market columns in, held forecasts and feature columns out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kraken_flow.core.allocation import WEIGHT, Allocation, weight_column
from kraken_flow.core.ask import as_rows, ask
from kraken_flow.core.counterfactual import signal_columns
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Feature, Source
from kraken_flow.core.feature_grid import BoolArray, FeatureColumns, pick_native
from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.core.strategy import Scripted, Strategy
from kraken_flow.core.times import iso, parse_timeframe
from kraken_flow.core.units import FloatArray, Int64Array, fix_column

if TYPE_CHECKING:
    from kraken_flow.core.graph import Graph

Given: TypeAlias = dict[str, tuple[tuple[str, ...], tuple[FloatArray, ...]]]
"""What `forecast` reads, by name: the names of the outputs and their columns."""

FORECAST_BLOCK = 8192
"""Rows a strategy is given at a time: few enough that its intermediate columns stay in the processor's cache."""


@dataclass(frozen=True)
class Signals:
    """What the signal half says about a market.

    Parameters
    ----------
    market
        The market it was computed on.
    forecast
        float64 of shape (n_pairs, n_rows), in [-1, 1], held: a row without a new forecast repeats the one before,
        0 before the first. Row t uses rows up to t. Before `market.first_row` nothing is said: a signal of the warm-up,
        however much of it other nodes ask for, is no reason to trade. Of a strategy that reads nothing it is one row,
        broadcast.
    aux
        Columns that account nodes declared, by name: float64 of shape (n_pairs, n_rows), NaN where undefined.
    rows
        Of columns of `aux` that are read at some rows only: these rows, and the column holds no others.
    """

    market: Market
    forecast: FloatArray
    aux: dict[str, FloatArray]
    _features: FeatureColumns = field(repr=False)
    rows: Mapping[str, range] = field(default_factory=dict)

    def columns(self, feature: Source) -> FloatArray:
        """Return a feature on the grid, float64 of shape (n_outputs, n_pairs, n_rows).

        Carried over missing bars, NaN after `market.max_gap` of them, NaN where the pair has no bar yet.
        """
        per_pair = [self._features.outputs(feature, pair) for pair in range(len(self.market.pairs))]
        return np.array(per_pair).swapaxes(0, 1)

    @cached_property
    def forecast_fix(self) -> Int64Array:
        """The forecast in integers of 10^-9, int64 of shape (n_pairs, n_rows)."""
        return self._fix(self.forecast)

    @cached_property
    def aux_fix(self) -> dict[str, Int64Array]:
        """`aux` in integers of 10^-9, NaN as `FIX_NAN`."""
        return {name: self._fix(table) for name, table in self.aux.items()}

    def _fix(self, table: FloatArray) -> Int64Array:
        native = self._features.native
        if native is None:
            return fix_column(table)
        result = np.empty(table.shape, np.int64)
        self._features.each_pair(lambda pair: native.fix_floats(table[pair], result[pair]))
        return result


def compute(graph: "Graph", market: Market, engine: str = "auto", scheduled: range | None = None) -> Signals:
    """Compute all forecasts and declared columns of a graph over a market.

    Parameters: `engine` auto, rust (a `UserError` without the extension) or python (the extension is not touched);
    `scheduled` the rows at which the portfolio reads its columns as long as no forecast changes: where none ever does,
    they are computed at these rows alone. Raises `UserError` where a strategy's forecast leaves [-1, 1] or has the
    wrong shape.
    """
    features = FeatureColumns(market, pick_native(engine))
    statistics = graph.portfolio.statistics()
    confidence = None if statistics is None else np.ones((len(market.pairs), market.n_rows))
    if isinstance(graph.strategy, Scripted):
        forecast = np.zeros((len(market.pairs), market.n_rows))
    elif says_the_same(graph, market):
        row = np.empty(market.n_rows)
        sure = held_forecast(graph.strategy, features, 0, graph.features, row)
        forecast = np.broadcast_to(row, (len(market.pairs), market.n_rows))
        if confidence is not None and sure is not None:
            confidence[:] = sure
    else:
        forecast = np.empty((len(market.pairs), market.n_rows))

        def said(pair: int) -> None:
            sure = held_forecast(graph.strategy, features, pair, graph.features, forecast[pair])
            if confidence is not None and sure is not None:
                confidence[pair] = sure

        features.each_pair(said)
    rows: dict[str, range] = {}
    if scheduled is not None and features.native is not None and _stands(forecast[:, market.first_row :]):
        rows = dict.fromkeys(portfolio_alone(graph), scheduled)
    aux = {name: features.table(name, source, rows.get(name)) for name, source in account_features(graph).items()}
    if statistics is not None and confidence is not None:
        aux |= signal_columns(statistics, graph, market, forecast, confidence)
    allocation = allocation_of(graph)
    if allocation is not None:
        aux[WEIGHT] = weight_column(allocation, market)
    return Signals(market, forecast, aux, features, rows)


def _stands(forecast: FloatArray) -> bool:
    """Return whether a forecast of one row that serves all pairs is the same at all times."""
    return forecast.strides[0] == 0 and bool((forecast[:1] == forecast[:1, :1]).all())


def says_the_same(graph: "Graph", market: Market) -> bool:
    """Return whether a strategy reads nothing, in a market without missing bars: then one row serves all pairs."""
    reads = graph.features or graph.strategy.features() or graph.strategy.parts()
    return not reads and len(market.pairs) > 0 and all(pair.all_real for pair in market.pairs)


def account_features(graph: "Graph") -> dict[str, Source]:
    """Return the features that the nodes of the account half declare, by name."""
    found: dict[str, Source] = {}
    for pairing in (graph.portfolio, graph.risk):
        found.update(getattr(pairing, "pair_features", lambda _: {})(len(graph.pairs)))
    for declaring in (graph.portfolio, graph.exchange, graph.risk, graph.execution):
        found.update(getattr(declaring, "features", dict)())
    return found


def account_columns(graph: "Graph") -> tuple[str, ...]:
    """Return the names of all columns that the account half reads, in the order in which engines receive them."""
    statistics = graph.portfolio.statistics()
    weights = () if allocation_of(graph) is None else (WEIGHT,)
    return (*account_features(graph), *(() if statistics is None else statistics.names), *weights)


def allocation_of(graph: "Graph") -> Allocation | None:
    """Return how the portfolio's weights are made, if it has any."""
    return graph.portfolio.allocation(graph.pairs, parse_timeframe(graph.timeframe))


def portfolio_alone(graph: "Graph") -> set[str]:
    """Return the names of the columns that the portfolio declares and no other node."""
    names = set(graph.portfolio.features())
    for other in (graph.exchange, graph.risk, graph.execution):
        names -= set(getattr(other, "features", dict)())
    return names


def required_lookback(graph: "Graph") -> int:
    """Return the decision bars to load before `start` so that every feature and volume curve is warmed up then."""
    timeframe_ns = parse_timeframe(graph.timeframe)
    plan = graph.execution.plan(timeframe_ns)
    sources = [*account_features(graph).values(), *graph.features.values(), *sources_of(graph.strategy)]
    features = max((s.lookback_at(timeframe_ns) for s in sources if isinstance(s, Feature)), default=0)
    allocation = allocation_of(graph)
    return max(features, plan.lookback if plan else 0, allocation.lookback if allocation else 0)


def sources_of(strategy: Strategy) -> Iterator[Source]:
    """Yield what a strategy reads, its parts included."""
    yield from strategy.features().values()
    for part in strategy.parts().values():
        yield from sources_of(part)


def held_forecast(
    strategy: Strategy, features: FeatureColumns, pair: int, extra: Mapping[str, Source], value: FloatArray
) -> FloatArray | None:
    """Write a strategy's held forecast for one pair into `value`; return its confidence, None where it gives none."""
    if answer_levels(strategy, features, pair, extra, value):
        return None
    first_row, n_rows = features.market.first_row, features.market.n_rows
    value[:first_row] = 0.0
    given: Given = {}
    for name, source in {**extra, **strategy.features()}.items():
        names = source.names if isinstance(source, Feature) else ("value",)
        given[name] = (names, features.outputs(source, pair))
    for name, part in strategy.parts().items():
        held = np.empty(n_rows)
        sure = held_forecast(part, features, pair, extra, held)
        given[name] = (("value", "confidence"), (held, np.ones(n_rows) if sure is None else sure))
    confidence = None
    block = FORECAST_BLOCK if given else max(n_rows, 1)
    for first in range(first_row, n_rows, block):
        rows = slice(first, min(first + block, n_rows))
        said, sure = ask(strategy, rows_of(given, rows))
        value[rows] = as_rows(strategy, said, rows.stop - rows.start)
        if sure is not None:
            if confidence is None:
                confidence = np.full(n_rows, np.nan)
                confidence[:first_row] = 0.0
            confidence[rows] = as_rows(strategy, sure, rows.stop - rows.start)
    hold(value, features.market, pair, strategy, -1.0, features.native)
    if confidence is not None:
        hold(confidence, features.market, pair, strategy, 0.0, features.native)
    return confidence


def answer_levels(
    strategy: Strategy, features: FeatureColumns, pair: int, extra: Mapping[str, Source], value: FloatArray
) -> bool:
    """Hold the forecast of a strategy that reads one column of few values by asking it about each value once.

    This gives what asking about each row gives, since a forecast is a pure function of its row. Returns False where it
    does not apply.
    """
    sources = strategy.features()
    if features.native is None or extra or len(sources) != 1 or strategy.parts():
        return False
    ((name, source),) = sources.items()
    if not isinstance(source, Feature) or source.levels is None:
        return False
    said, sure = ask(strategy, rows_of({name: (source.names, (np.array([*source.levels, np.nan]),))}, slice(0, 4)))
    if sure is not None:
        return False
    answers = np.broadcast_to(as_rows(strategy, said, 4), 4)
    if (np.abs(answers) > 1.0).any():
        return False
    features.fill(source, pair, value)
    first, live = features.market.first_row, live_rows(features.market.pairs[pair])
    value[:first] = 0.0
    features.native.hold_levels(value[first:], source.levels, answers.tolist(), None if live is None else live[first:])
    return True


def rows_of(given: Given, rows: slice) -> SimpleNamespace:
    """Lay out some rows of the declared columns as `forecast` reads them: to be read only, for others read them too."""
    f = SimpleNamespace()
    for name, (names, outputs) in given.items():
        cut = [values[rows] for values in outputs]
        for values in cut:
            values.flags.writeable = False
        setattr(f, name, cut[0] if len(cut) == 1 else SimpleNamespace(**dict(zip(names, cut, strict=True))))
    return f


def hold(
    values: FloatArray, market: Market, pair: int, strategy: Strategy, low: float, native: ModuleType | None
) -> None:
    """Fill rows without a number, and rows of missing bars, with the number before (at first 0), in place.

    Raises `UserError` where a real bar's number lies outside [low, 1].
    """
    columns = market.pairs[pair]
    live = live_rows(columns)
    row = native.hold(values, live, low, 0.0) if native is not None else _hold(values, live, low)
    if row is not None:
        raise UserError(out_of_range(strategy, columns.pair, int(market.times[row]), float(values[row]), low))


def live_rows(columns: PairColumns) -> BoolArray | None:
    """Return which rows are real bars, None where all are."""
    return None if columns.all_real else columns.state == REAL


def _hold(values: FloatArray, live: BoolArray | None, low: float) -> int | None:
    if live is not None:
        values[~live] = np.nan
    outside = np.flatnonzero((values < low) | (values > 1.0))
    if len(outside):
        return int(outside[0])
    empty = np.isnan(values)
    if empty.any():
        at = np.where(empty, 0, np.arange(len(values)))
        np.maximum.accumulate(at, out=at)
        if empty[0]:
            values[0] = 0.0
        values[:] = values[at]
    return None


def out_of_range(strategy: Strategy, pair: str, time: int, value: float, low: float) -> str:
    """Say that a forecast or confidence left its range."""
    what = "forecast" if low < 0 else "confidence"
    return f"{type(strategy).__name__}: {what} {value!r} for {pair} at {iso(time)} is outside [{low:g}, 1]"

"""The signal half one row at a time: the same forecasts as `signal.compute`, to the bit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from kraken_flow.core.allocation import WEIGHT, Weights
from kraken_flow.core.ask import as_rows, ask
from kraken_flow.core.counterfactual import SignalStatistics, fresh_state, taken
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import CrossSection, Feature, Source
from kraken_flow.core.feature_grid import FeatureColumns, pick_native
from kraken_flow.core.feature_stream import NAN, Bar, PairStream
from kraken_flow.core.market import Market
from kraken_flow.core.signal import (
    Given,
    account_features,
    allocation_of,
    held_forecast,
    out_of_range,
    rows_of,
    sources_of,
)
from kraken_flow.core.strategy import Scripted, Strategy
from kraken_flow.core.units import FloatArray

if TYPE_CHECKING:
    from kraken_flow.core.graph import Graph


class SignalStream:
    """Forecasts of a graph, row by row.

    Parameters
    ----------
    graph
        The trading system; its strategy and the features that its nodes declare are computed.
    pairs
        Names of the pairs, in the order of the rows.
    timeframe_ns
        Length of the decision bar.
    start
        Open of the first row that strategies are asked about, ns UTC; rows before it warm features up.
    max_gap
        Longest run of missing bars over which features carry their last output.
    engine
        auto, rust or python.
    """

    def __init__(
        self,
        graph: "Graph",
        pairs: Sequence[str],
        timeframe_ns: int,
        start: int = 0,
        max_gap: int = 24,
        engine: str = "auto",
    ) -> None:
        self._native = native = pick_native(engine)
        self.pairs = tuple(pairs)
        self.timeframe_ns = timeframe_ns
        self.start = start
        self.extra = graph.features
        self.max_gap = max_gap
        declared = account_features(graph)
        sources = [*sources_of(graph.strategy), *graph.features.values(), *declared.values()]
        self.streams = [PairStream(sources, timeframe_ns, max_gap, native) for _ in self.pairs]
        self._aux = {name: self.place(source) for name, source in declared.items()}
        self._statistics = graph.portfolio.statistics()
        if self._statistics is not None:
            self._state = fresh_state(self._statistics, graph, len(self.pairs), timeframe_ns)
            self._said = np.full((len(self._statistics.names), len(self.pairs)), np.nan)
        allocation = allocation_of(graph)
        self._weights = None if allocation is None else Weights(allocation, len(self.pairs))
        self.held = None if isinstance(graph.strategy, Scripted) else Held(graph.strategy, self)
        self.time = 0
        self.said = 0
        """Checksum of what all strategies hold at the newest row, with how sure they are; 0 before they are asked."""

    def update(self, time: int, bars: Sequence[Bar | None]) -> FloatArray:
        """Take one row and return the held forecasts, float64 of shape (n_pairs,).

        Parameters: `time` the row's open, ns UTC, one decision bar after the row before; `bars` open, high, low, close,
        volume of each pair, None for a missing one.
        """
        self.time = time
        live = [bar is not None for bar in bars]
        for stream, bar in zip(self.streams, bars, strict=True):
            if bar is not None:
                stream.begin(time, bar)
        running = [stream for stream, present in zip(self.streams, live, strict=True) if present]
        for step, feature in enumerate(self.streams[0].order if self.streams else ()):
            if isinstance(feature, CrossSection):
                self._across(feature, live)
            else:
                for stream in running:
                    stream.run(step)
        if self._weights is not None:
            self._weights.update(np.array([NAN if bar is None else bar[3] for bar in bars]), time >= self.start)
        if time < self.start:
            return np.zeros(len(self.pairs))
        if self.held is not None:
            self.held.update(live)
            self.said = self.held.checksum(0)
        forecast = np.zeros(len(self.pairs)) if self.held is None else self.held.value.copy()
        if self._statistics is not None:
            sure = None if self.held is None else self.held.confidence
            opens = np.array([0.0 if bar is None else bar[0] for bar in bars])
            certain = np.ones(len(self.pairs)) if sure is None else sure.copy()
            self._said = self._state.update(forecast, certain, opens, np.array(live))
        return forecast

    def catch_up(self, market: Market) -> list[int]:
        """Take all rows of a market at once, before any other: the state is that after as many calls of `update`.

        Parameters: `market` without anything before its first row. Returns what `said` is after each row. Raises
        `UserError` as `update` does.
        """
        if not market.n_rows:
            return []
        columns = FeatureColumns(market, self._native)
        for stream, frame in zip(self.streams, columns.frames, strict=True):
            stream.catch_up(frame)
        self.time = int(market.times[-1])
        if self._weights is not None:
            self._weights.catch_up(market, int(np.searchsorted(market.times, self.start)))
        said = [0] * market.n_rows
        if self.time < self.start:
            return said
        if self.held is not None:
            first = int(np.searchsorted(market.times, self.start))
            for tables in self.held.catch_up(columns):
                said[first:] = [
                    crc32(row.data, before) for row, before in zip(tables[first:], said[first:], strict=True)
                ]
            self.said = said[-1]
        if self._statistics is not None:
            self._take_statistics(self._statistics, columns)
        return said

    def _take_statistics(self, statistics: SignalStatistics, columns: FeatureColumns) -> None:
        """Take the state of the statistics through the rows that are caught up with."""
        market = columns.market
        forecast, confidence = np.zeros((len(self.pairs), market.n_rows)), np.ones((len(self.pairs), market.n_rows))
        if self.held is not None:
            for pair in range(len(self.pairs)):
                sure = held_forecast(self.held.strategy, columns, pair, self.extra, forecast[pair])
                if sure is not None:
                    confidence[pair] = sure
        first = int(np.searchsorted(market.times, self.start))
        self._said = taken(self._state, statistics, market, forecast, confidence, first)[:, :, -1]

    def _across(self, feature: CrossSection, live: Sequence[bool]) -> None:
        (source,) = feature.inputs()
        read, slot = self.streams[0].slots[source], self.streams[0].slots[feature]
        values = [s.values[read][0] if present else np.nan for s, present in zip(self.streams, live, strict=True)]
        ranks = feature.across(np.array([values], dtype=np.float64).T)[:, 0].tolist()
        for stream, present, value in zip(self.streams, live, ranks, strict=True):
            if present:
                stream.values[slot] = (value,)

    def columns(self, source: Source) -> FloatArray:
        """Return a declared feature at the newest row, float64 of shape (n_outputs, n_pairs)."""
        return self.read(*self.place(source))

    def place(self, source: Source) -> tuple[int, int]:
        """Return where a declared feature's values are: its slot, and over how many missing bars they are carried."""
        return self.streams[0].slots[source], 0 if isinstance(source, CrossSection) else self.max_gap

    def read(self, slot: int, carry: int) -> FloatArray:
        """Return a place's values at the newest row, float64 of shape (n_outputs, n_pairs)."""
        return np.array([stream.at(slot, carry, self.time) for stream in self.streams]).T

    @property
    def aux(self) -> Mapping[str, FloatArray]:
        """What account nodes declared, by name, at the newest row: float64 of shape (n_pairs,)."""
        found = {name: self.read(*place)[0] for name, place in self._aux.items()}
        if self._statistics is not None:
            found |= dict(zip(self._statistics.names, self._said, strict=True))
        if self._weights is not None:
            found[WEIGHT] = self._weights.value
        return found


class Held:
    """A strategy at work: the forecast that stands for each pair, and its confidence."""

    def __init__(self, strategy: Strategy, stream: SignalStream) -> None:
        self.strategy = strategy
        self.stream = stream
        self._given = {
            name: (source.names if isinstance(source, Feature) else ("value",), stream.place(source))
            for name, source in {**stream.extra, **strategy.features()}.items()
        }
        self.parts = {name: Held(part, stream) for name, part in strategy.parts().items()}
        self.value = np.zeros(len(stream.pairs))
        self.confidence: FloatArray | None = None

    def update(self, live: Sequence[bool]) -> None:
        """Ask the strategy about the newest row, its parts first, and hold what it says of pairs with a real bar."""
        n_pairs = len(self.value)
        given: Given = {}
        for name, (names, place) in self._given.items():
            given[name] = (names, tuple(self.stream.read(*place)))
        for name, part in self.parts.items():
            part.update(live)
            sure = np.ones(n_pairs) if part.confidence is None else part.confidence
            given[name] = (("value", "confidence"), (part.value, sure))
        said, certain = ask(self.strategy, rows_of(given, slice(0, n_pairs)))
        self._hold(self.value, said, live, -1.0)
        if certain is not None:
            if self.confidence is None:
                self.confidence = np.zeros(n_pairs)
            self._hold(self.confidence, certain, live, 0.0)

    def checksum(self, before: int) -> int:
        """Continue a checksum with what is held, parts first."""
        for part in self.parts.values():
            before = part.checksum(before)
        before = crc32(self.value.data, before)
        return before if self.confidence is None else crc32(self.confidence.data, before)

    def catch_up(self, columns: FeatureColumns) -> Iterator[FloatArray]:
        """Hold what the strategy and its parts say of the newest row, as a backtest asks them.

        Yields what was held at all rows, float64 of shape (n_rows, n_pairs), in the order of `checksum`.
        """
        for part in self.parts.values():
            yield from part.catch_up(columns)
        table = np.empty((len(self.value), columns.market.n_rows))
        sure = [held_forecast(self.strategy, columns, p, self.stream.extra, row) for p, row in enumerate(table)]
        self.value = table[:, -1].copy()
        yield np.ascontiguousarray(table.T)
        known = [one for one in sure if one is not None]
        if known:
            certain = np.array(known)
            self.confidence = certain[:, -1].copy()
            yield np.ascontiguousarray(certain.T)

    def _hold(self, held: FloatArray, said: FloatArray, live: Sequence[bool], low: float) -> None:
        answer = as_rows(self.strategy, said, len(held)).tolist()
        # A few pairs a row: numbers of Python's own are faster here than an array's.
        new: list[float] = answer if isinstance(answer, list) else [answer] * len(held)
        for pair, (value, there) in enumerate(zip(new, live, strict=True)):
            if there and value == value:
                if not low <= value <= 1.0:
                    raise UserError(out_of_range(self.strategy, self.stream.pairs[pair], self.stream.time, value, low))
                held[pair] = value

"""What every node of a system says about a market: from whole columns, and bar by bar."""

import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.account_answers import account_by_bar, account_by_columns
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import CONTRACT_COLUMNS, Feature, HigherTimeframe, Source
from kraken_flow.core.feature_grid import FeatureColumns, pick_native
from kraken_flow.core.feature_stream import Bar
from kraken_flow.core.funding import column_of
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import FIELDS, REAL, Market
from kraken_flow.core.node import Node
from kraken_flow.core.signal import account_features, held_forecast
from kraken_flow.core.signal_stream import Held, SignalStream
from kraken_flow.core.strategy import Scripted, Strategy
from kraken_flow.core.times import parse_timeframe

Table: TypeAlias = NDArray[Any]
"""float64 or int64 of shape (n_outputs, n_pairs, n_rows)."""
Answers: TypeAlias = "Mapping[str, Table | Failed]"
"""What nodes say, by name."""

SIGNAL, ACCOUNT = ("feature", "strategy"), ("portfolio", "risk", "execution", "orders")


@dataclass(frozen=True)
class Failed:
    """A node that could not answer. `text` says why."""

    text: str


@dataclass(frozen=True)
class Subject:
    """One node under audit.

    Parameters: `kind` feature, strategy, portfolio, risk, execution, or orders for what the whole system does; `reads`
    the names of the nodes whose answers it gets; `node` of `orders` the strategy that gives them itself, or None.
    """

    name: str
    kind: str
    node: Node | None = None
    reads: tuple[str, ...] = ()


@dataclass
class System:
    """The nodes of a graph, and others that are looked at beside it, each after all that it reads.

    Parameters
    ----------
    graph
        The system that trades.
    beside
        Strategies and features that are no part of it, by the name under which they are shown.
    engine
        auto, rust or python.
    """

    graph: Graph
    beside: Mapping[str, Strategy | Feature] = field(default_factory=dict)
    engine: str = "auto"
    subjects: dict[str, Subject] = field(init=False, default_factory=dict)
    foreign: set[str] = field(init=False, default_factory=set)
    """Names of the nodes that are no part of the graph."""

    def __post_init__(self) -> None:
        """Walk the graph."""
        graph = self.graph
        extra = self._features(graph.features)
        self._strategy("strategy", graph.strategy, extra)
        sizing = self._features(account_features(graph))
        own = set(self.subjects)
        for name, node in self.beside.items():
            if isinstance(node, Strategy):
                self._strategy(name, node, extra)
            else:
                self._feature(node, name)
        self.foreign = set(self.subjects) - own
        scripted = isinstance(graph.strategy, Scripted)
        above = () if scripted else ("strategy", *sizing)
        for kind in ACCOUNT[:3] if not scripted else ():
            self.subjects[kind] = Subject(kind, kind, getattr(graph, kind), above)
            above = (kind,)
        self.subjects["orders"] = Subject("orders", "orders", graph.strategy if scripted else None, above)

    @property
    def strategies(self) -> dict[str, Strategy]:
        """The strategies that are looked at and are no part of another one."""
        found = {"strategy": self.graph.strategy, **self.beside}
        return {n: s for n, s in found.items() if isinstance(s, Strategy) and not isinstance(s, Scripted)}

    @property
    def features(self) -> dict[str, Feature]:
        """All features, those that others read included."""
        return {s.name: s.node for s in self.subjects.values() if isinstance(s.node, Feature)}

    @property
    def lookback(self) -> int:
        """Decision bars until everything has warmed up."""
        bar = parse_timeframe(self.graph.timeframe)
        return max((feature.lookback_at(bar) for feature in self.features.values()), default=0)

    @property
    def higher(self) -> list[int]:
        """Lengths of the higher timeframes that are read, ns, ascending."""
        return sorted({f.timeframe_ns for f in self.features.values() if isinstance(f, HigherTimeframe)})

    def _features(self, sources: Mapping[str, Source]) -> tuple[str, ...]:
        return tuple(self._feature(source) for source in sources.values() if isinstance(source, Feature))

    def _feature(self, feature: Feature, title: str | None = None) -> str:
        """Add a feature after what it reads; equal ones are one subject. A higher timeframe includes its inside."""
        for subject in self.subjects.values():
            if subject.kind == "feature" and subject.node == feature and type(subject.node) is type(feature):
                return subject.name
        inner = () if isinstance(feature, HigherTimeframe) else feature.inputs()
        reads = tuple(self._feature(source) for source in inner if isinstance(source, Feature))
        name = title or str(feature)
        if name in self.subjects:
            name = f"{type(feature).__module__}.{name}"
        self.subjects[name] = Subject(name, "feature", feature, reads)
        return name

    def _strategy(self, name: str, strategy: Strategy, extra: tuple[str, ...]) -> str:
        if isinstance(strategy, Scripted):
            return name
        reads = (*extra, *self._features(strategy.features()))
        parts = tuple(self._strategy(f"{name}.{part}", inner, extra) for part, inner in strategy.parts().items())
        self.subjects[name] = Subject(name, "strategy", strategy, tuple(dict.fromkeys((*reads, *parts))))
        return name

    def by_columns(self, market: Market) -> dict[str, Table | Failed]:
        """Return what a backtest computes: every node asked about whole columns."""
        return self.signals(market) | self._account(lambda: account_by_columns(self.graph, market, self.engine))

    def signals(self, market: Market, asked: Callable[[str], object] = str) -> dict[str, Table | Failed]:
        """Return what the signal half computes over whole columns; `asked` is told the name of each node before."""
        columns = FeatureColumns(market, pick_native(self.engine))
        said: dict[str, Table | Failed] = {}
        for name, subject in self.subjects.items():
            asked(name)
            if isinstance(subject.node, Feature):
                said[name] = _attempt(_feature_columns, columns, subject.node)
            elif isinstance(subject.node, Strategy) and subject.kind == "strategy":
                said[name] = _attempt(_strategy_columns, columns, subject.node, self.graph.features)
        return said

    def by_bar(self, market: Market) -> dict[str, Table | Failed]:
        """Return what a session computes: every node asked about one bar after another, none ever seeing the next."""
        return self.signals_by_bar(market) | self._account(lambda: account_by_bar(self.graph, market, self.engine))

    def signals_by_bar(self, market: Market) -> dict[str, Table | Failed]:
        """Return what the signal half says bar by bar."""
        return self._signals_by_bar(market, self.strategies, self.features)

    def alone_by_bar(self, market: Market, name: str) -> Mapping[str, Table | Failed]:
        """Return what one node of the signal half says bar by bar, or why it cannot; asked when not all can."""
        node = self.subjects[name].node
        strategies = {name: node} if isinstance(node, Strategy) else {}
        features = {name: node} if isinstance(node, Feature) else {}
        try:
            return {name: self._signals_by_bar(market, strategies, features)[name]}
        except Exception as error:  # noqa: BLE001 - a user's node may raise anything; the verdict says so
            return {name: _failed(error)}

    def _signals_by_bar(
        self, market: Market, strategies: Mapping[str, Strategy], features: Mapping[str, Feature]
    ) -> dict[str, Table | Failed]:
        graph = replace(self.graph, strategy=_Watched(strategies, features))
        stream = SignalStream(graph, market.names, market.timeframe_ns, 0, market.max_gap, self.engine)
        said: dict[str, list[Table]] = {}
        for time, bars in _float_bars(market):
            stream.update(time, bars)
            for name, feature in features.items():
                said.setdefault(name, []).append(stream.columns(feature))
            held = {} if stream.held is None else dict(_held(stream.held.parts))
            for name, one in held.items():
                sure = np.ones(len(one.value)) if one.confidence is None else one.confidence
                said.setdefault(name, []).append(np.stack([one.value, sure]))
        return {name: np.stack(rows, axis=-1) for name, rows in said.items()}

    def _account(self, ask: Callable[[], Mapping[str, Table]]) -> dict[str, Table | Failed]:
        """Return the answers of the account half; it answers as a whole, and fails as a whole."""
        names = [name for name, subject in self.subjects.items() if subject.kind in ACCOUNT]
        try:
            said = ask()
        except Exception as error:  # noqa: BLE001 - a user's node may raise anything; the verdict says so
            return dict.fromkeys(names, _failed(error))
        return {name: said[name] for name in names}


class _Watched(Strategy):
    """Reads everything that is looked at, and holds nothing."""

    def __init__(self, watched: Mapping[str, Strategy], features: Mapping[str, Source]) -> None:
        self._parts, self._features = watched, features

    def features(self) -> Mapping[str, Source]:
        return self._features

    def parts(self) -> Mapping[str, Strategy]:
        return self._parts

    def forecast(self, f: Any) -> Any:
        return np.array(0.0)


def _held(parts: Mapping[str, Held]) -> Iterator[tuple[str, Held]]:
    """Yield strategies at work by their dotted names."""
    for name, one in parts.items():
        yield name, one
        yield from ((f"{name}.{inner}", below) for inner, below in _held(one.parts))


def _float_bars(market: Market) -> Iterator[tuple[int, Sequence[Bar | None]]]:
    columns = [
        [*(pair.floats(name) for name in FIELDS), *(column_of(market, p, name) for name in CONTRACT_COLUMNS)]
        for p, pair in enumerate(market.pairs)
    ]
    for row, time in enumerate(market.times.tolist()):
        bars = [
            tuple(float(column[row]) for column in table) if pair.state[row] == REAL else None
            for table, pair in zip(columns, market.pairs, strict=True)
        ]
        yield time, bars


def _feature_columns(columns: FeatureColumns, feature: Feature) -> Table:
    per_pair = [columns.outputs(feature, pair) for pair in range(len(columns.market.pairs))]
    return np.array(per_pair).swapaxes(0, 1)


def _strategy_columns(columns: FeatureColumns, strategy: Strategy, extra: Mapping[str, Source]) -> Table:
    """Return held forecast and confidence."""
    table = np.ones((2, len(columns.market.pairs), columns.market.n_rows))
    for pair in range(table.shape[1]):
        sure = held_forecast(strategy, columns, pair, extra, table[0, pair])
        if sure is not None:
            table[1, pair] = sure
    return table


def _attempt(ask: Callable[..., Table], *arguments: Any) -> Table | Failed:
    try:
        return ask(*arguments)
    except Exception as error:  # noqa: BLE001 - a user's node may raise anything; the verdict says so
        return _failed(error)


def _failed(error: Exception) -> Failed:
    if isinstance(error, UserError):
        return Failed(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_file() and not _is_library(frame.filename)]
    where = (own or frames)[-1]
    return Failed(f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})")


def _is_library(file: str) -> bool:
    return any(Path(file).is_relative_to(place) for place in sysconfig.get_paths().values())

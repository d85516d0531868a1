"""The lines that a strategy reads, for drawing over its candles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kraken_flow.core.feature import Feature, Source
from kraken_flow.core.feature_grid import FeatureColumns, pick_native
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.strategy import Strategy
from kraken_flow.core.units import FloatArray

MOST = 8
"""Lines of a pair; a strategy that reads more shows the first."""
_NEAR = 2.0
"""A line lies among the prices where it is within this factor of most closes."""


@dataclass(frozen=True)
class Indicator:
    """One line.

    Parameters
    ----------
    name
        What it is called.
    values
        float64 of shape (n_pairs, n_rows), NaN where it is not known.
    over
        Whether it lies among the prices, rather than on a scale of its own.
    """

    name: str
    values: FloatArray
    over: bool


def indicators(graph: Graph, market: Market, engine: str = "auto") -> list[Indicator]:
    """Compute what the graph's strategy, its parts and `features` declare, and the features those are made of."""
    columns = FeatureColumns(market, pick_native(engine))
    found: list[Indicator] = []
    for name, feature in _distinct(graph):
        per_pair = [columns.outputs(feature, pair) for pair in range(len(market.pairs))]
        for number, output in enumerate(feature.names):
            if len(found) == MOST:
                return found
            values = np.array([outputs[number] for outputs in per_pair])
            label = name if len(feature.names) == 1 else f"{name}.{output}"
            found.append(Indicator(label, values, _among_prices(values, market)))
    return found


def _distinct(graph: Graph) -> Iterator[tuple[str, Feature]]:
    """Yield each feature once, under the first name it has."""
    seen: set[Feature] = set()
    declared = [*_declared(graph.strategy, ""), *graph.features.items()]
    # What is declared comes before what that is made of.
    queue = [(name, source, 0) for name, source in declared]
    while queue:
        name, source, depth = queue.pop(0)
        if not isinstance(source, Feature) or source in seen:
            continue
        seen.add(source)
        yield name, source
        if depth < 1:
            queue += [(_spelt(part), part, depth + 1) for part in source.inputs() if isinstance(part, Feature)]


def _declared(strategy: Strategy, prefix: str) -> Iterator[tuple[str, Source]]:
    features: Mapping[str, Source] = strategy.features()
    for name, source in features.items():
        yield prefix + name, source
    for name, part in strategy.parts().items():
        yield from _declared(part, f"{prefix}{name}.")


def _spelt(feature: Feature) -> str:
    """Return a feature's name and numbers: `Sma 30`."""
    numbers = [f"{value:g}" for value in feature.parameters()]
    return " ".join([type(feature).__name__, *numbers])


def _among_prices(values: FloatArray, market: Market) -> bool:
    near = known = 0
    for row, pair in zip(values, market.pairs, strict=True):
        closes = pair.floats("close")
        both = np.isfinite(row) & (closes > 0)
        known += int(both.sum())
        near += int(((row[both] * _NEAR > closes[both]) & (row[both] < closes[both] * _NEAR)).sum())
    return known > 0 and near > 0.9 * known

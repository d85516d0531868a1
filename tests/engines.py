"""The two engines behind one call, and graphs without a configuration, for tests that must hold on both engines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from kraken_flow.core import engine as reference
from kraken_flow.core.compile import compile_graph
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import Market
from kraken_flow.core.orders import OrderRequest
from kraken_flow.core.result import Result
from kraken_flow.core.spec import Spec
from kraken_flow.core.strategy import Scripted, Strategy
from kraken_flow.core.units import Int64Array
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.market import MarketOrders
from kraken_flow.native import REASON, native
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionRisk

try:
    from kraken_flow.core import twin
except ImportError:
    twin = None

RUST = native is not None and twin is not None and hasattr(native, "run_engine")
WITHOUT_RUST = REASON or "the Rust engine is not part of the extension"
ENGINES = ["python", pytest.param("rust", marks=pytest.mark.skipif(not RUST, reason=WITHOUT_RUST))]
"""Values of a parameter `engine`."""


def run_engine(
    engine: str,
    spec: Spec,
    market: Market,
    forecast: Int64Array | None = None,
    aux: Mapping[str, Int64Array] | None = None,
) -> Result:
    """Run one of the engines; without a forecast all pairs have 0 throughout. `rust-steps` never takes a short cut."""
    shape = (len(market.pairs), market.n_rows)
    columns = np.zeros(shape, np.int64) if forecast is None else np.ascontiguousarray(forecast)
    if engine == "python":
        return reference.run(spec, market, columns, aux or {})
    return twin.run(native, spec, market, columns, aux or {}, quick=engine == "rust")


class InMemory:
    """A source whose market is already loaded."""

    feed_delay_ns = 0

    def __init__(self, market: Market) -> None:
        self.market = market

    def load(self, *_: object, **__: object) -> Market:
        return self.market


@dataclass(frozen=True)
class Script(Scripted):
    """Orders given by a test: (time in ns, order)."""

    orders: tuple[tuple[int, OrderRequest], ...] = ()

    def requests(self, market: Market, instruments: list[Instrument]) -> list[tuple[int, OrderRequest]]:
        return list(self.orders)


class GivenForecast(Strategy):
    """Stands for any forecasting strategy: its forecast is given to the engine as a column."""


def graph_of(market: Market, orders: Sequence[tuple[int, OrderRequest]] = (), **nodes: Any) -> Graph:
    """A graph over a loaded market: scripted orders on a venue without costs, unless `nodes` says otherwise."""
    minutes = market.timeframe_ns // 60_000_000_000
    defaults: dict[str, Any] = {
        "exchange": SpotExchange(name="bare", tick=0.01),
        "account": Account(),
        "strategy": Script(tuple(orders)),
        "portfolio": FixedQuantity(),
        "risk": PositionRisk(),
        "execution": MarketOrders(),
    }
    return Graph(pairs=market.names, timeframe=f"{minutes}m", source=InMemory(market), **(defaults | nodes))


def spec_of(graph: Graph, market: Market) -> Spec:
    """The specification that both engines run."""
    return compile_graph(graph, market, graph.exchange.instruments(market))

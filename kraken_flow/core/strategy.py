"""Strategies: what a trader wants to hold, said as a forecast in [-1, 1] per pair and decision."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar, TypeAlias

import numpy as np

from kraken_flow.core.feature import Source
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import Market
from kraken_flow.core.node import Node
from kraken_flow.core.orders import OrderRequest
from kraken_flow.core.units import FloatArray

nan = float("nan")
"""As a forecast: keep what you had."""
where = np.where
"""Choose row by row: `where(condition, value, otherwise)`."""

Columns: TypeAlias = SimpleNamespace
"""A strategy's declared features by name: `f.z` is float64 of shape (n,), `f.channel.upper` one of several outputs."""

Forecast: TypeAlias = FloatArray | tuple[FloatArray, FloatArray]
"""Values in [-1, 1], or values with their confidence in [0, 1]; NaN keeps what was there."""


class Strategy(Node):
    """Base of forecasting strategies: declare what is read, then say what to hold, row by row.

    `forecast` is a pure function of its rows: it gets whole columns in a backtest and a row per pair in a stream, and
    may not depend on how many rows it is given. A comparison with NaN is false, so while features warm up
    `where(f.a > f.b, 1.0, -1.0)` says -1: give NaN as the last resort instead.
    """

    kind: ClassVar[str] = "strategy"

    def features(self) -> Mapping[str, Source]:
        """Return the features (or market columns) to read, by the name under which `forecast` finds them."""
        return {}

    def parts(self) -> "Mapping[str, Strategy]":
        """Return the strategies this one reads; `f.<name>.value` and `.confidence` are their held forecasts."""
        return {}

    def forecast(self, f: Any) -> Forecast:
        """Return the wanted position for each row, in [-1, 1], NaN to keep the last one.

        Parameters: `f` the declared features by name, float64 of shape (n,), NaN where undefined.
        Returns float64 of shape (n,), or such a pair of value and confidence.
        """
        raise TypeError(f"{type(self).__name__} defines no forecast()")

    def files(self) -> tuple[str, ...]:
        """Return the paths of files whose content decides what this strategy does; the manifest hashes them."""
        return ()


class Scripted(Strategy):
    """Base of strategies that submit given orders: they skip the portfolio, not risk or execution."""

    def forecast(self, f: Any) -> Forecast:
        """Return nothing to hold: a scripted strategy has no forecast."""
        raise TypeError(f"{type(self).__name__} gives orders, not forecasts")

    def requests(self, market: Market, instruments: list[Instrument]) -> list[tuple[int, OrderRequest]]:
        """Return the orders with their times (ns UTC), by time and then in the order they were given.

        Each acts at the first decision at or after its time; its pair is an index into `market.names`.
        """
        raise TypeError(f"{type(self).__name__} defines no requests()")

"""What forecasts would have earned, whatever the account did with them: statistics of the signal half (DESIGN 4)."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.market import REAL, Market
from kraken_flow.core.units import UNIT, FloatArray

if TYPE_CHECKING:
    from kraken_flow.core.graph import Graph

BoolArray: TypeAlias = NDArray[np.bool_]


class SignalState(Protocol):
    """What a statistic of forecasts remembers between rows."""

    def update(self, forecast: FloatArray, confidence: FloatArray, opens: FloatArray, live: BoolArray) -> FloatArray:
        """Take one row; return its columns, float64 of shape (n_names, n_pairs), NaN where undefined.

        Parameters, each of shape (n_pairs,): `forecast` and `confidence` held at the row's close; `opens` the row's
        opening prices; `live` where the pair has a real bar.
        """


class SignalStatistics(Protocol):
    """Columns that follow from forecasts and prices, which an account node declares as it declares features."""

    @property
    def names(self) -> tuple[str, ...]:
        """Under which the node finds its columns."""

    @abstractmethod
    def state(self, n_pairs: int, taker_fee: float, timeframe_ns: int) -> SignalState:
        """Return a fresh state; `taker_fee` is a fraction of the value traded."""


class Counterfactual:
    """The return of each pair's forecast: from the open after it was made to the open after that, less taker fee.

    A missing bar earns nothing; the next real one earns the whole move since the last.
    """

    def __init__(self, n_pairs: int, taker_fee: float) -> None:
        self.fee = taker_fee
        self.before, self.held, self.coming = (np.zeros(n_pairs) for _ in range(3))
        self.open = np.full(n_pairs, np.nan)

    def update(self, forecast: FloatArray, opens: FloatArray, live: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Take one row; return the returns that its opens complete, and which pairs' positions had just closed.

        A forecast f of row t is held from the open of t+1 to that of t+2, known at t+2:
        f (open / open before - 1) - fee |f - f before|.
        """
        known = live & ~np.isnan(self.open)
        move = np.divide(opens, self.open, out=np.ones(len(opens)), where=known) - 1.0
        earned = np.where(known, self.held * move - self.fee * np.abs(self.held - self.before), 0.0)
        closed = known & (self.before != 0.0) & (self.before * self.held <= 0.0)
        self.before = np.where(live, self.held, self.before)
        self.held = np.where(live, self.coming, self.held)
        self.coming = np.where(live, forecast, self.coming)
        self.open = np.where(live, opens, self.open)
        return earned, closed


class Confidence:
    """The strategy's confidence as a column; 1 where it gives none."""

    names = ("confidence",)

    def state(self, n_pairs: int, taker_fee: float, timeframe_ns: int) -> SignalState:
        """Return a state that remembers nothing."""
        return _Confidence()


class _Confidence:
    def update(self, forecast: FloatArray, confidence: FloatArray, opens: FloatArray, live: BoolArray) -> FloatArray:
        return confidence[None]


def fresh_state(statistics: SignalStatistics, graph: "Graph", n_pairs: int, timeframe_ns: int) -> SignalState:
    """Return the state of a graph's statistics before its first row."""
    taker = graph.exchange.terms().tiers[0].taker / UNIT
    return statistics.state(n_pairs, taker, timeframe_ns)


def signal_columns(
    statistics: SignalStatistics, graph: "Graph", market: Market, forecast: FloatArray, confidence: FloatArray
) -> dict[str, FloatArray]:
    """Return statistics of forecasts as columns, float64 of shape (n_pairs, n_rows), NaN before `market.first_row`.

    Row t uses forecasts and opens up to t.
    """
    if isinstance(statistics, Confidence):
        table = np.full((1, *confidence.shape), np.nan)
        table[0, :, market.first_row :] = confidence[:, market.first_row :]
    else:
        state = fresh_state(statistics, graph, len(market.pairs), market.timeframe_ns)
        table = taken(state, statistics, market, forecast, confidence, market.first_row)
    return dict(zip(statistics.names, table, strict=True))


def taken(
    state: SignalState,
    statistics: SignalStatistics,
    market: Market,
    forecast: FloatArray,
    confidence: FloatArray,
    first: int,
) -> FloatArray:
    """Take a state through a market's rows from `first` on; return its columns, float64 (n_names, n_pairs, n_rows)."""
    n_pairs, n_rows = len(market.pairs), market.n_rows
    table = np.full((len(statistics.names), n_pairs, n_rows), np.nan)
    opens = np.array([pair.floats("open") for pair in market.pairs]).reshape(n_pairs, n_rows)
    live = np.array([pair.state == REAL for pair in market.pairs]).reshape(n_pairs, n_rows)
    for row in range(first, n_rows):
        table[:, :, row] = state.update(forecast[:, row], confidence[:, row], opens[:, row], live[:, row])
    return table

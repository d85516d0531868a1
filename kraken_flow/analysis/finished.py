"""A finished run as analysis sees it: the engine's columns beside the market and the instruments they refer to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.excursion import excursions
from kraken_flow.analysis.flows import by_trip, open_value
from kraken_flow.analysis.price_model import PriceModel
from kraken_flow.analysis.trips import Trips, fee_values, round_trips
from kraken_flow.analysis.wide import Wide
from kraken_flow.core.contract import values
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import ABSENT, REAL, Market
from kraken_flow.core.result import Result
from kraken_flow.core.units import CASH_UNIT, UNIT, FloatArray, Int64Array


@dataclass(frozen=True)
class FinishedRun:
    """What a run made.

    Parameters
    ----------
    start_cash
        Starting equity, exact, units of 10^-16.
    elapsed_s
        Wall time of signals and engine, without reading data and writing files; 0 where it was not measured.
    prices
        How the venue's model moved the prices of takers.
    """

    result: Result
    market: Market
    instruments: Sequence[Instrument]
    start_cash: int
    elapsed_s: float = 0.0
    prices: PriceModel = field(default_factory=PriceModel)

    @cached_property
    def start_equity(self) -> float:
        """Starting equity as a float."""
        return self.start_cash / CASH_UNIT

    @cached_property
    def closes(self) -> Int64Array:
        """Close times of the decision bars, ns UTC, one per row of the equity curve."""
        first = self.market.first_row
        return self.market.times[first : first + len(self.result.equity)] + self.market.timeframe_ns

    @property
    def first_close(self) -> int:
        """Close of the first decision bar, ns UTC."""
        return int(self.market.times[self.market.first_row]) + self.market.timeframe_ns

    @cached_property
    def last_close(self) -> Int64Array:
        """Each pair's last known close, units of 10^-8; 0 for a pair without a bar."""
        prices = []
        for columns in self.market.pairs:
            if len(columns.state) and columns.state[-1] != ABSENT:
                prices.append(int(columns.close[-1]))
            else:
                known = np.flatnonzero(columns.state != ABSENT)
                prices.append(int(columns.close[known[-1]]) if len(known) else 0)
        return np.array(prices, np.int64)

    @cached_property
    def lots(self) -> Int64Array:
        """Lot per pair, units of 10^-8."""
        return np.array([i.lot for i in self.instruments], np.int64)

    @cached_property
    def bars(self) -> int:
        """Market bars over all pairs from the first decision row on; synthetic rows are no bars."""
        first = self.market.first_row
        return sum(
            len(p.state) - first if p.all_real else int(np.count_nonzero(p.state[first:] == REAL))
            for p in self.market.pairs
        )

    @cached_property
    def trips(self) -> Trips:
        """Round trips, open ones included."""
        trips = round_trips(self.result.fills, self.lots, self.last_close, self.inverse)
        rows = self.result.fills["row"]
        brought = by_trip(self.result.flows, trips.pair, rows[trips.first], rows[trips.last], trips.closed)
        if not brought:
            return trips
        return replace(trips, pnl=trips.pnl + Wide.of_ints(brought.get(i, 0) for i in range(len(trips))))

    @cached_property
    def inverse(self) -> NDArray[np.bool_]:
        """Which pairs are settled in their base."""
        return np.array([i.inverse for i in self.instruments], np.bool_)

    @cached_property
    def trades(self) -> Trips:
        """Closed round trips."""
        return self.trips if self.trips.closed.all() else self.trips.where(self.trips.closed)

    @cached_property
    def excursions(self) -> tuple[FloatArray, FloatArray]:
        """How far each closed trip ran against (<= 0) and for (>= 0) its holder, fractions of the entry price."""
        return excursions(self.trades, self.result.fills, self.market)

    @property
    def has_parents(self) -> bool:
        """Whether it worked parent orders."""
        return bool(self.result.parents) and len(self.result.parents["pair"]) > 0

    @cached_property
    def fees(self) -> Wide:
        """Every fill's fee in the quote currency."""
        return fee_values(self.result.fills)

    @cached_property
    def final_equity(self) -> int:
        """Closing cash plus positions at their last close (of contracts their open profit), exact, units of 10^-16."""
        return self.result.final_cash + open_value(self.result, self.instruments, self.last_close.tolist())

    @cached_property
    def fill_times(self) -> Int64Array:
        """Time of each fill, ns UTC: its bar's open in the open phase, else its bar's close."""
        fills = self.result.fills
        opens = self.market.times[fills["row"]]
        times: Int64Array = opens + np.where(fills["open_phase"] != 0, 0, self.market.timeframe_ns)
        return times

    @cached_property
    def notional(self) -> FloatArray:
        """Traded value of each fill in the account's currency."""
        fills = self.result.fills
        price, qty = fills["price"].astype(np.float64), fills["qty"].astype(np.float64)
        return values(self.inverse[fills["pair"]], qty / UNIT, price / UNIT)

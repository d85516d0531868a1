"""A run as other libraries want it: frames of floats by UTC time, daily returns, a Portfolio of vectorbt."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from kraken_flow.analysis.returns import daily_returns, day_ends
from kraken_flow.core.instrument import currency_of, split_pair
from kraken_flow.core.market import Market
from kraken_flow.core.times import DAY
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.runs import arrow
from kraken_flow.runs.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

_INDEX = {"equity": "time", "orders": "time", "fills": "time", "trades": "exit_time"}
"""The time by which a frame is indexed: a row is known from then on."""


class Frames(NamedTuple):
    """A run's tables as floats, each by its UTC time."""

    equity: "pd.DataFrame"
    """By the close of the decision bar: equity, cash, exposure (gross value over equity), drawdown (0 or negative)."""
    orders: "pd.DataFrame"
    """By the time of the decision: the columns of `orders.parquet`, prices and quantities as floats."""
    fills: "pd.DataFrame"
    """By the time of the fill: the columns of `fills.parquet`; a sale's quantity is positive, `side` says sell."""
    trades: "pd.DataFrame"
    """By the time of the exit: the columns of `trades.parquet`; pnl is net of fees, mae and mfe are fractions."""
    positions: "pd.DataFrame"
    """By the close of the decision bar, a column per pair: the signed quantity held then, short below 0."""


class RunView(ABC):
    """What every run gives, whether it has just been made or is read from its folder."""

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Any]:
        """The numbers of `metrics.json`."""

    @property
    @abstractmethod
    def market(self) -> Market:
        """The candles the run was made on."""

    @property
    @abstractmethod
    def pairs(self) -> tuple[str, ...]:
        """The pairs, in the order of their names."""

    @property
    @abstractmethod
    def start_equity(self) -> float:
        """Starting cash."""

    @abstractmethod
    def table(self, name: str) -> pa.Table:
        """Return one of the run's tables as Arrow: orders, fills, trades, equity, risk."""

    @cached_property
    def orders(self) -> "pd.DataFrame":
        """One row per order."""
        return _frame(self.table("orders"))

    @cached_property
    def fills(self) -> "pd.DataFrame":
        """One row per fill, in the order they happened."""
        return _frame(self.table("fills"))

    @cached_property
    def trades(self) -> "pd.DataFrame":
        """One row per closed round trip."""
        return _frame(self.table("trades"))

    @cached_property
    def equity(self) -> "pd.DataFrame":
        """One row per decision bar."""
        return _frame(self.table("equity"))

    @cached_property
    def risk(self) -> "pd.DataFrame":
        """One row per trigger of a limit of day or system."""
        return _frame(self.table("risk"))

    def to_pandas(self) -> Frames:
        """Return equity, orders, fills, trades and positions with a UTC index and floats in place of exact decimals.

        Prices and quantities keep 15 to 17 digits; what is not defined is NaN. The index of orders, fills and trades
        repeats where several happened at once.
        """
        made = {name: _frame(_as_floats(self.table(name))).set_index(by) for name, by in _INDEX.items()}
        return Frames(**made, positions=self._positions())

    def _positions(self) -> "pd.DataFrame":
        import pandas as pd

        times = _nanoseconds(self.table("equity"), "time")
        held = np.zeros((len(times) + 1, len(self.pairs)), np.int64)
        fills = self.table("fills")
        # The first close after a bar's open is that of the bar.
        rows = np.searchsorted(times, _nanoseconds(fills, "bar"), side="right")
        columns = pair_index(fills, self.pairs)
        np.add.at(held, (rows, columns), signed_change(fills))
        index = pd.DatetimeIndex(times, tz="UTC", name="time")
        return pd.DataFrame(held[:-1].cumsum(axis=0) / 1e8, index=index, columns=list(self.pairs))

    def returns(self) -> "pd.Series[float]":
        """Return simple net returns of UTC days, the first measured from the starting cash, as quantstats takes them.

        The index is the day, without a time zone, for that is what quantstats, empyrical and pyfolio join on; a close
        at 00:00 ends the day before. With bars longer than a day there is a return per bar. Crypto trades every day:
        give those libraries 365 periods a year to get the ratios of `metrics`.
        """
        import pandas as pd

        table = self.table("equity")
        times = _nanoseconds(table, "time")
        equity: FloatArray = table.column("equity").to_numpy()
        step = int(times[1] - times[0]) if len(times) > 1 else DAY
        first = int(times[0]) if len(times) else 0
        days = (times[day_ends(first, step, len(times))] - 1) // DAY * DAY
        values = daily_returns(equity, self.start_equity, first, step)
        return pd.Series(values, index=pd.DatetimeIndex(days, name="date"), name="returns")

    def to_vectorbt(self) -> Any:
        """Return a Portfolio of vectorbt made of the run's fills: exact quantities, prices and fees (extra `vectorbt`).

        Its columns are the pairs, which share their cash; its index the opens of the decision bars. A bar in which a
        pair fills more than once takes several rows, a microsecond apart. Raises `UserError` where vectorbt has no such
        account: inverse contracts, and cash below zero (leverage). Funding and interest are left out of it.
        """
        from kraken_flow.runs.vectorbt_replay import portfolio_of

        return portfolio_of(self)


class TablesView(RunView):
    """A run whose tables are at hand: `tables` has them."""

    tables: Tables

    @property
    def market(self) -> Market:
        """The candles the run was made on."""
        return self.tables.run.market

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs, in the order of their names."""
        return self.market.names

    @property
    def start_equity(self) -> float:
        """Starting cash."""
        return self.tables.run.start_equity

    def table(self, name: str) -> pa.Table:
        """Return one of the run's tables as Arrow: orders, fills, trades, equity, risk."""
        return getattr(self.tables, name)


@dataclass(frozen=True)
class MadeRun(TablesView):
    """A run that has just been made, with the numbers of its `metrics.json`."""

    tables: Tables
    measured: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The numbers of `metrics.json`."""
        return self.measured


def _frame(table: pa.Table) -> "pd.DataFrame":
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _as_floats(table: pa.Table) -> pa.Table:
    """Replace exact decimals by floats."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(place, field.name, arrow.nearest_floats(table.column(place)))
    return table


def _nanoseconds(table: pa.Table, name: str) -> Int64Array:
    values: Int64Array = table.column(name).cast(pa.int64()).to_numpy()
    return values


def pair_index(fills: pa.Table, pairs: tuple[str, ...]) -> Int64Array:
    """Return which of the pairs each fill is of."""
    coded = fills.column("pair").combine_chunks().dictionary_encode()
    places = np.array([pairs.index(name) for name in coded.dictionary.to_pylist()], np.int64)
    return places[coded.indices.to_numpy()] if len(fills) else np.zeros(0, np.int64)


def paid_in_base(fills: pa.Table, pairs: tuple[str, ...]) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which fills' fees were paid in the coin that was traded."""
    other = np.array([[split_pair(p)[0], currency_of(p)] for p in pairs], object).reshape(-1, 2)
    place = pair_index(fills, pairs)
    paid = np.array(fills.column("fee_currency").to_pylist(), object)
    found: np.ndarray[Any, np.dtype[np.bool_]] = (paid == other[place, 0]) & (paid != other[place, 1])
    return found


def signed_change(fills: pa.Table) -> Int64Array:
    """Return what each fill changed of the position, units of 10^-8: a fee paid in the coin is taken off."""
    qty = arrow.units(fills.column("qty"))
    sells = np.array(fills.column("side").to_pylist(), object) == "sell"
    pairs = tuple(dict.fromkeys(fills.column("pair").to_pylist()))
    in_base = paid_in_base(fills, pairs)
    change: Int64Array = np.where(sells, -qty, qty)
    if in_base.any():
        fees = fills.column("fee").filter(arrow.booleans(in_base))
        change[in_base] -= arrow.units(fees.cast(pa.decimal128(38, 8)))
    return change

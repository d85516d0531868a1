"""The parquet tables of a run: orders, fills, trades, equity, and what the limits of the account recorded."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kraken_flow.analysis.breakdown import exit_reasons
from kraken_flow.analysis.excursion import initial_risk
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import drawdowns
from kraken_flow.analysis.tca import parents_of_orders
from kraken_flow.analysis.trips import base_fees
from kraken_flow.analysis.wide import Wide
from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.orders import Liquidity, OrderType, Reason, Side, State, Tif
from kraken_flow.core.units import Int64Array
from kraken_flow.runs import arrow
from kraken_flow.runs.parents_table import parents_table
from kraken_flow.runs.past import TABLES

_ENDINGS = {State.FILLED: "filled", State.CANCELLED: "cancelled", State.REJECTED: "rejected", State.EXPIRED: "expired"}
_STATUS = [_ENDINGS.get(state, "open") for state in State]

PARENTS = "parents"

SAMPLE = "synthetic sample market"
"""What every table and report of the sample market says."""


def status(orders: dict[str, Int64Array]) -> pa.Array:
    """Return filled, partial (ended with 0 < filled < qty), cancelled, rejected, expired or open (still alive)."""
    state, filled, qty = orders["state"], orders["filled"], orders["qty"]
    ended = state >= int(State.FILLED)
    partial = ended & (filled > 0) & (filled < qty)
    complete = ended & (filled > 0) & (filled >= qty)
    code = np.where(partial, len(_STATUS), np.where(complete, int(State.FILLED), state))
    return arrow.pick([*_STATUS, "partial"], code)


@dataclass(frozen=True)
class Tables:
    """A run's tables, each made when it is first read; the columns are those of the parquet files.

    Parameters
    ----------
    strategy
        Name of the strategy, part of every client id.
    """

    run: FinishedRun
    strategy: str = ""

    @cached_property
    def client_ids(self) -> pa.Array:
        """One id per order, at most 18 characters: what Kraken accepts. It depends on the run, not on the clock."""
        market = self.run.market
        text = "|".join((self.strategy, *market.names, str(market.timeframe_ns)))
        prefix = "kf" + sha256(text.encode()).hexdigest()[:6]
        numbers = arrow.integers(np.arange(len(self.run.result.orders["pair"]))).cast(pa.string())
        return arrow.join(prefix, "-", pc.utf8_lpad(numbers, 9, "0"))

    @cached_property
    def orders(self) -> pa.Table:
        """One row per order; `time` is its decision, `reason` why it ended unfilled, else why it was sent."""
        result = self.run.result
        orders = result.orders
        ending = status(orders)
        unfilled = pc.is_in(ending, arrow.strings(["rejected", "cancelled", "expired", "partial"]))
        has_end = arrow.booleans(orders["end_reason"] != 0)
        purpose = arrow.words(Reason, orders["reason"])
        columns = {
            "time": arrow.times(orders["time"]),
            "pair": arrow.pick(self.run.market.names, orders["pair"]),
            "side": arrow.words(Side, orders["side"]),
            "qty": arrow.decimals(orders["qty"]),
            "type": arrow.words(OrderType, orders["type"]),
            "limit_price": arrow.decimals(orders["limit_price"], zero_is_null=True),
            "stop_price": arrow.decimals(orders["stop_price"], zero_is_null=True),
            "tif": arrow.words(Tif, orders["tif"]),
            "status": ending,
            "filled_qty": arrow.decimals(orders["filled"]),
            "reason": pc.if_else(pc.and_(unfilled, has_end), arrow.words(Reason, orders["end_reason"]), purpose),
            "tag": arrow.pick(result.tags, orders["tag"]),
            "order_id": arrow.integers(np.arange(len(orders["pair"]))),
            "client_id": self.client_ids,
        }
        if self.run.has_parents:
            parent = parents_of_orders(self.run)
            some = arrow.booleans(parent >= 0)
            columns["parent_id"] = pc.if_else(some, arrow.integers(parent), pa.nulls(len(parent), pa.int64()))
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that the run has: that of parent orders only where it worked some."""
        return (*TABLES, *((PARENTS,) if self.run.has_parents else ()))

    @cached_property
    def parents(self) -> pa.Table:
        """One row per parent order: what it was, what became of it, and what working it cost."""
        return parents_table(self.run, status(self.run.result.parents))

    @cached_property
    def fee_amounts(self) -> pa.Array:
        """Fees in the currency they were paid in, decimal128(38, 16)."""
        fills = self.run.result.fills
        in_base = fills["fee_is_base"] != 0
        cash = Wide.of_split(fills["fee_hi"], fills["fee_lo"])
        if not in_base.any():
            return arrow.wide(cash)
        base = Wide.product(base_fees(fills), np.full(len(in_base), 10**8))
        return arrow.wide(Wide(np.where(in_base, base.hi, cash.hi), np.where(in_base, base.lo, cash.lo)))

    @cached_property
    def fee_currencies(self) -> pa.Array:
        """The currency of each fill's fee."""
        fills, instruments = self.run.result.fills, self.run.instruments
        names = [i.currency for i in instruments] + [i.base for i in instruments]
        return arrow.pick(names, fills["pair"] + len(instruments) * (fills["fee_is_base"] != 0))

    @cached_property
    def fills(self) -> pa.Table:
        """One row per fill in the order they happened; `bar` is the open of its bar."""
        run, fills = self.run, self.run.result.fills
        orders, number = run.result.orders, fills["order"]
        columns = {
            "time": arrow.times(run.fill_times),
            "bar": arrow.times(run.market.times[fills["row"]]),
            "pair": arrow.pick(run.market.names, fills["pair"]),
            "side": arrow.words(Side, fills["side"]),
            "qty": arrow.decimals(fills["qty"]),
            "price": arrow.decimals(fills["price"]),
            "fee": self.fee_amounts,
            "fee_currency": self.fee_currencies,
            "liquidity": arrow.words(Liquidity, fills["liquidity"]),
            "order_id": arrow.integers(number),
            "client_id": self.client_ids.take(arrow.integers(number)),
            "tag": arrow.pick(run.result.tags, orders["tag"][number]),
            "reason": arrow.words(Reason, orders["reason"][number]),
        }
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

    @cached_property
    def trades(self) -> pa.Table:
        """One row per closed round trip, in the order they closed; pnl net of all fees, mae and mfe fractions."""
        run, trades = self.run, self.run.trades
        result = run.result
        mae, mfe = run.excursions
        risk = initial_risk(trades, result.orders, result.fills)
        entry_order = result.fills["order"][trades.first]
        columns = {
            "pair": arrow.pick(run.market.names, trades.pair),
            "side": arrow.pick(("short", "", "long"), trades.side + 1),
            "entry_time": arrow.times(run.fill_times[trades.first]),
            "exit_time": arrow.times(run.fill_times[trades.last]),
            "entry_price": arrow.decimals(trades.entry_price),
            "exit_price": arrow.decimals(trades.exit_price),
            "qty": arrow.decimals(trades.qty),
            "pnl": arrow.wide(trades.pnl),
            "fees": arrow.wide(trades.fees),
            "mae": arrow.floats(mae),
            "mfe": arrow.floats(mfe),
            "mae_r": arrow.known_floats(mae / risk),
            "mfe_r": arrow.known_floats(mfe / risk),
            "tag": arrow.pick(result.tags, result.orders["tag"][entry_order]),
            "exit_reason": arrow.words(Reason, exit_reasons(run)),
        }
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

    @cached_property
    def risk(self) -> pa.Table:
        """One row per trigger of a limit of day or system, with the numbers that caused it; `until` ends its state."""
        run, risk = self.run, self.run.result.risk
        columns = {
            "time": arrow.times(risk["time"]),
            "trigger": arrow.words(Trigger, risk["trigger"]),
            "before": arrow.words(Safety, risk["before"]),
            "after": arrow.words(Safety, risk["after"]),
            "effect": arrow.words(Effect, risk["effect"]),
            "shadow": arrow.booleans(risk["shadow"] != 0),
            "pair": arrow.pick((*run.market.names, ""), risk["pair"] % (len(run.market.names) + 1)),
            "order_id": arrow.integers(risk["order"]),
            "until": pc.if_else(arrow.booleans(risk["until"] != 0), arrow.times(risk["until"]), None),
            "value": arrow.floats(risk["value"]),
            "limit": arrow.floats(risk["limit"]),
            "equity": arrow.floats(risk["equity"]),
            "reference": arrow.floats(risk["reference"]),
        }
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

    @cached_property
    def equity(self) -> pa.Table:
        """One row per decision bar, float64; `time` is the bar's close, `exposure` gross value over equity."""
        run, result = self.run, self.run.result
        alive = result.equity > 0
        exposure = np.divide(result.gross, result.equity, out=np.full(len(alive), np.nan), where=alive)
        columns = {
            "time": arrow.times(run.closes),
            "equity": arrow.floats(result.equity),
            "cash": arrow.floats(result.cash),
            "exposure": arrow.floats(exposure),
            "drawdown": arrow.floats(drawdowns(result.equity, run.start_equity)),
        }
        return pa.Table.from_arrays(list(columns.values()), names=list(columns))

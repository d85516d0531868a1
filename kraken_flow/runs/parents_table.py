"""The table of parent orders: what they were, what became of them, and what working them cost."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.tca import ParentCosts, parent_costs
from kraken_flow.analysis.wide import Wide
from kraken_flow.core.orders import Reason, Side
from kraken_flow.core.plan import Algo, way
from kraken_flow.core.result import Columns
from kraken_flow.runs import arrow


def parents_table(run: FinishedRun, status: pa.Array) -> pa.Table:
    """Return one row per parent order in the order in which they came.

    `status` are their words. Costs are positive, exact in the account's currency; basis points null where undefined.
    """
    parents, costs = run.result.parents, parent_costs(run)
    ended = parents["end_reason"] != 0
    ends = run.market.times[np.array([one.end_row for one in costs], np.int64)] + run.market.timeframe_ns
    columns = {
        "parent_id": arrow.integers(np.arange(len(costs))),
        "time": arrow.times(parents["time"]),
        "pair": arrow.pick(run.market.names, parents["pair"]),
        "side": arrow.words(Side, parents["side"]),
        "algo": _ways(parents),
        "qty": arrow.decimals(parents["qty"]),
        "filled_qty": arrow.decimals(parents["filled"]),
        "limit_price": arrow.decimals(parents["limit_price"], zero_is_null=True),
        "status": status,
        "reason": arrow.words(Reason, np.where(ended, parents["end_reason"], parents["reason"])),
        "manual": arrow.booleans(parents["manual"] != 0),
        "end_time": arrow.times(ends),
        "children": arrow.integers(np.array([one.children for one in costs], np.int64)),
        "arrival_price": arrow.decimals(parents["arrival"]),
        "average_price": _floats(one.shortfall.average for one in costs),
        "execution_cost": _money(one.shortfall.execution for one in costs),
        "opportunity_cost": _money(one.shortfall.opportunity for one in costs),
        "fees": _money(one.shortfall.fees for one in costs),
        "shortfall": _money(one.shortfall.total for one in costs),
        "shortfall_bps": _floats(one.shortfall.total_bps for one in costs),
        "arrival_slippage_bps": _floats(one.shortfall.slippage_bps for one in costs),
        "vwap_slippage_bps": _floats(_against_market(one) for one in costs),
        "wait_cost": _money(one.wait for one in costs),
        "maker_share": _floats(one.maker for one in costs),
        "markout_1_bar_bps": _floats(one.markout_bps for one in costs),
    }
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _ways(parents: Columns) -> pa.Array:
    """Return in a word how each parent was worked."""
    return arrow.strings(
        [way(Algo(a), n) for a, n in zip(*(parents[k].tolist() for k in ("algo", "bars")), strict=True)]
    )


def _against_market(one: ParentCosts) -> float:
    return one.shortfall.against_bps(one.market_vwap)


def _floats(values: Iterable[float]) -> pa.Array:
    """Return float64, null where undefined: two undefined values are the same, which two NaN are not."""
    column = np.array(list(values), np.float64)
    return pc.if_else(arrow.booleans(column == column), arrow.floats(column), pa.nulls(len(column), pa.float64()))


def _money(values: Iterable[int]) -> pa.Array:
    return arrow.wide(Wide.of_ints(list(values)))

"""What portfolio, risk and execution answer at every decision, and what orders come of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kraken_flow.core.account import Execution, Placement, Portfolio, Protection, Risk, View
from kraken_flow.core.allocation import Allocation
from kraken_flow.core.counterfactual import SignalStatistics
from kraken_flow.core.feature import Source
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.limits import Limits
from kraken_flow.core.market import Market
from kraken_flow.core.orders import LogKind, Reason, Side
from kraken_flow.core.plan import Plan
from kraken_flow.core.result import Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.strategy import Scripted
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import Int64Array

NOT_ASKED = -(2**63)
"""What stands at a row where a node was not asked."""
_NONE = NOT_ASKED + 1
_FOLLOWS = [Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP, Reason.LIQUIDATION]
"""Reasons of orders that follow from a fill or a mark; all others are sent by a decision."""


def account_by_columns(graph: Graph, market: Market, engine: str) -> dict[str, Int64Array]:
    """Return the account half's answers in a backtest, each int64 of shape (n_outputs, n_pairs, n_rows).

    Portfolio, risk and execution are asked in Python; the orders are those of the engine as it runs.
    """
    notes = _Notes(market)
    if isinstance(graph.strategy, Scripted):
        return {"orders": _orders(execute(graph, market, engine).result, market)}
    noted = execute(notes.taken_by(graph), market, engine).result
    # The reference engine asks these nodes in Python anyway; Rust has twins of ours, whose orders are what trades.
    result = noted if pick_native(engine) is None else execute(graph, market, engine).result
    return {**notes.tables, "orders": _orders(result, market)}


def account_by_bar(graph: Graph, market: Market, engine: str) -> dict[str, Int64Array]:
    """Return the account half's answers in a session that takes one instant after another."""
    notes = _Notes(market)
    noted = graph if isinstance(graph.strategy, Scripted) else notes.taken_by(graph)
    session = Session(noted, tape_of(market), engine)
    for instant in instants(market):
        session.take(instant)
    return {**notes.tables, "orders": _orders(session.outcome().result, market)}


class _Notes:
    """What the three nodes answered, by row and pair."""

    def __init__(self, market: Market) -> None:
        shape = (1, len(market.pairs), market.n_rows)
        self.tables = {kind: np.full(shape, NOT_ASKED) for kind in ("portfolio", "risk", "execution")}

    def taken_by(self, graph: Graph) -> Graph:
        """Return the graph with nodes that leave notes of what they answer."""
        return replace(
            graph,
            portfolio=_Portfolio(graph.portfolio, self.write),
            risk=_Risk(graph.risk, self.write),
            execution=_Execution(graph.execution, self.write),
        )

    def write(self, kind: str, row: int, pair: int, value: int) -> None:
        """Write an answer down; several in one row are taken together."""
        before = int(self.tables[kind][0, pair, row])
        self.tables[kind][0, pair, row] = value if before == NOT_ASKED else hash((before, value))


Write = Callable[[str, int, int, int], None]


class _Portfolio(Portfolio):
    def __init__(self, inner: Portfolio, write: Write) -> None:
        vars(self).update(drifts=inner.drifts, needs_stop=inner.needs_stop, band=inner.band)
        self.cash_buffer, self._inner, self._write = inner.cash_buffer, inner, write

    def features(self) -> Mapping[str, Source]:
        return self._inner.features()

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        return self._inner.pair_features(n_pairs)

    def statistics(self) -> SignalStatistics | None:
        return self._inner.statistics()

    def allocation(self, pairs: Sequence[str], timeframe_ns: int) -> Allocation | None:
        return self._inner.allocation(pairs, timeframe_ns)

    def targets(self, view: View) -> list[int | None]:
        wanted = self._inner.targets(view)
        for pair, target in enumerate(wanted):
            self._write("portfolio", view.row, pair, _NONE if target is None else target)
        return wanted

    def parameters(self) -> dict[str, int]:
        return self._inner.parameters()

    def rebalance_bars(self, timeframe_ns: int) -> int:
        return self._inner.rebalance_bars(timeframe_ns)


class _Risk(Risk):
    def __init__(self, inner: Risk, write: Write) -> None:
        self._inner, self._write = inner, write

    def features(self) -> Mapping[str, Source]:
        return _declared(self._inner)

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        return self._inner.pair_features(n_pairs)

    def approve(self, view: View, pair: int, target: int) -> int:
        approved = self._inner.approve(view, pair, target)
        self._write("risk", view.row, pair, approved)
        return approved

    def protection(self) -> Protection:
        return self._inner.protection()

    def limits(self) -> Limits:
        return self._inner.limits()

    def rearm_bars(self) -> int:
        return self._inner.rearm_bars()

    def parameters(self) -> dict[str, int]:
        return self._inner.parameters()


class _Execution(Execution):
    def __init__(self, inner: Execution, write: Write) -> None:
        self.timeout, self._inner, self._write = inner.timeout, inner, write

    def features(self) -> Mapping[str, Source]:
        return _declared(self._inner)

    def place(self, view: View, instrument: Instrument, pair: int, side: Side, qty: int, reducing: bool) -> Placement:
        placed = self._inner.place(view, instrument, pair, side, qty, reducing)
        what = (int(side), qty, int(placed.type), placed.limit_price, int(placed.tif), int(placed.post_only))
        self._write("execution", view.row, pair, hash(what))
        return placed

    def plan(self, timeframe_ns: int) -> Plan | None:
        return self._inner.plan(timeframe_ns)

    def parameters(self) -> dict[str, int]:
        return self._inner.parameters()


def _declared(node: Any) -> Mapping[str, Source]:
    found: Mapping[str, Source] = getattr(node, "features", dict)()
    return found


def _orders(result: Result, market: Market) -> Int64Array:
    """Return what was decided, what filled, and the equity, as int64 of shape (3, n_pairs, n_rows).

    A row holds what was decided at its close and what filled inside it: all that is certain when it has closed.
    Integers hash alike in every process.
    """
    table = np.zeros((3, len(market.pairs), market.n_rows), np.int64)
    orders, log, fills = result.orders, result.log, result.fills
    sent = (log["kind"] == LogKind.SUBMIT) & ~np.isin(log["reason"], _FOLLOWS)
    pairs = orders["pair"][log["order"][sent]]
    rows = (log["time"][sent] - market.times[0]) // market.timeframe_ns - 1
    what = [orders[name][log["order"][sent]] for name in ("side", "type", "tif")] + [log["qty"][sent]]
    _fold(table[0], pairs, rows, what)
    _fold(table[1], fills["pair"], fills["row"], [fills[name] for name in ("side", "qty", "price", "fee_hi", "fee_lo")])
    table[2, :, market.first_row :] = result.equity.view(np.int64)
    return table


def _fold(table: Int64Array, pairs: Int64Array, rows: Int64Array, what: list[Int64Array]) -> None:
    columns = [column.tolist() for column in what]
    for pair, row, *values in zip(pairs.tolist(), rows.tolist(), *columns, strict=True):
        table[pair, row] = hash((int(table[pair, row]), *values))

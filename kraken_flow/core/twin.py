"""The Rust engine from Python: a specification and columns in, the same `Result` as the reference engine out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from math import isqrt
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.account import Execution, Portfolio, Protection, Risk, View
from kraken_flow.core.contract import MarginMode, unit_price
from kraken_flow.core.errors import UserError
from kraken_flow.core.funding import by_row
from kraken_flow.core.limits import Safety, Trigger
from kraken_flow.core.market import Market, PairColumns
from kraken_flow.core.orders import OrderRequest, Side
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Plan
from kraken_flow.core.result import Columns, Result, Standing
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import YEAR
from kraken_flow.core.units import CASH_UNIT, TOO_LARGE, FloatArray, Int64Array
from kraken_flow.core.watch import FLOATS

Account = Callable[[], tuple[FloatArray, FloatArray]]
NODES = ("portfolio", "risk", "execution")


def callbacks(spec: Spec) -> tuple[str, ...]:
    """Return the account nodes that have no Rust twin, as `kind: module.Class`; the Rust engine asks their Python."""
    nodes = [(kind, type(getattr(spec, kind))) for kind in NODES]
    return tuple(f"{kind}: {cls.__module__}.{cls.__qualname__}" for kind, cls in nodes if not _kernel(cls))


def run(
    native: ModuleType,
    spec: Spec,
    market: Market,
    forecast: FloatArray | Int64Array,
    aux: Mapping[str, FloatArray | Int64Array],
    quick: bool = True,
    rows: Mapping[str, range] | None = None,
    tell: Callable[[int], object] | None = None,
) -> Result:
    """Run the Rust engine over whole columns.

    Parameters: `forecast` of shape (n_pairs, n_rows), float64 or already int64 of 10^-9, held; `aux` the same shape by
    name, or a column for each of `rows` where that names some. Floats are rounded by the rule of `units.fix` where they
    are read. `quick=False` takes every row step by step; the result is the same. `tell` is told
    how many rows are done, where nodes are asked in Python. Raises `UserError` where an amount leaves the integers that
    the engine computes with.
    """
    detail = market.detail
    fine = None if detail is None else (detail.timeframe_ns, detail.per_bar, [_arrays(p) for p in detail.pairs])
    pairs = [_arrays(pair) for pair in market.pairs]
    equity = np.empty(max(market.n_rows - spec.first_row, 0))
    try:
        done = native.run_engine(
            arguments(spec),
            np.ascontiguousarray(market.times),
            pairs,
            _rows(forecast),
            [_column(aux[name], (rows or {}).get(name)) for name in spec.aux],
            equity,
            fine,
            Nodes(spec, tell) if callbacks(spec) else None,
            quick,
            [_arrays(pair) for pair in market.marks] or None,
            by_row(market.funding, int(market.times[0]), spec.timeframe_ns, market.n_rows, spec.first_row),
        )
    except OverflowError as error:
        raise _too_large(error) from None

    def account() -> tuple[FloatArray, FloatArray]:
        if spec.tracked:
            accounts: tuple[FloatArray, FloatArray] = done["accounts"]
            return accounts
        cash, gross = np.empty_like(equity), np.empty_like(equity)
        native.account_columns(spec.cash, done["fills"], pairs, spec.first_row, cash, gross)
        return cash, gross

    return _as_result(native, spec, done, equity, account)


def scheduled_rows(spec: Spec, n_rows: int) -> range | None:
    """Return the rows at which the portfolio reads its columns while no forecast changes; None where it may at any.

    They are those of scheduled rebalances, the first row being one: targets that drift, stops and nodes in Python may
    read at others.
    """
    drifts = spec.band >= 0 and spec.portfolio.drifts
    if drifts or spec.scripted or spec.protection != Protection() or callbacks(spec):
        return None
    return range(spec.first_row, n_rows, spec.rebalance_bars or max(n_rows, 1))


class Stepper:
    """The Rust engine one instant at a time: the state machine that a whole run loops over.

    `detail_ns` is the length of the finer bars inside decision bars, 0 without.
    """

    def __init__(self, native: ModuleType, spec: Spec, detail_ns: int = 0) -> None:
        self._native, self._spec = native, spec
        self._engine = native.Engine(arguments(spec), Nodes(spec) if callbacks(spec) else None, detail_ns)
        self._fields = native.engine_fields()

    def step(
        self,
        row: int,
        open_time: int,
        values: Int64Array,
        finer: Int64Array | None = None,
        marks: Int64Array | None = None,
        funding: Int64Array | None = None,
    ) -> tuple[int, int, int]:
        """Take one instant; return how many orders, fills and log lines wait to be drained.

        Parameters: `values` int64 (7 + n_aux, n_pairs): open, high, low, close, volume, state, forecast (10^-9), then
        the columns of `spec.aux` (10^-9); `finer` int64 (6, n_pairs, per_bar), open to state of the bars inside it;
        `marks` int64 (6, n_pairs), the bar of the marks; `funding` int64 (4, n), row, pair, time and rate of the events
        that become known in it.
        """
        try:
            waiting: tuple[int, int, int] = self._engine.step(row, open_time, values, finer, marks, funding)
        except OverflowError as error:
            raise _too_large(error) from None
        return waiting

    def warm(self, volume: list[int], state: list[int]) -> None:
        """Take a row of the warm-up."""
        self._engine.warm(volume, state)

    def control(self, what: int, time: int, manual: ManualOrder | None = None) -> tuple[int, int, int]:
        """Do what a user says (a `Control`) at `time` ns; return how many orders, fills and log lines wait."""
        order = None if manual is None else (manual.pair, int(manual.side), manual.qty, _plan(manual.plan))
        waiting: tuple[int, int, int] = self._engine.control(what, time, order)
        return waiting

    def drain(self) -> tuple[Columns, Columns, Columns]:
        """Return (orders, fills, log) that are new since the last call; orders as they stand now."""
        orders, fills, log = self._engine.drain()
        return (
            _named(self._fields["orders"], orders),
            _named(self._fields["fills"], fills),
            _named(self._fields["log"], log),
        )

    def standing(self) -> Standing:
        """Return the account as it stands."""
        cash, position = self._engine.balances()
        working, disarmed, state, cause = self._engine.standing()
        marks = self._engine.marks()
        equity = self._spec.cash / CASH_UNIT if marks is None else marks[0]
        return Standing(equity, cash, position.tolist(), working, disarmed, Safety(state), Trigger(cause))

    def result(self) -> Result:
        """Return everything recorded so far."""
        done = self._engine.result()
        return _as_result(self._native, self._spec, done, done["equity"], lambda: (done["cash"], done["gross"]))


def _too_large(error: OverflowError) -> UserError:
    """Say that an amount left the engine's integers: a quantity 64 bits, or cash 128."""
    return UserError(str(error) if "cash" in str(error) else TOO_LARGE)


def _as_result(native: ModuleType, spec: Spec, done: Mapping[str, Any], equity: FloatArray, account: Account) -> Result:
    """Return the tables of the Rust engine as a `Result`."""
    fields, record = native.engine_fields(), done["record"]
    tracked = spec.tracked
    return Result(
        engine="rust",
        fills=_named(fields["fills"], done["fills"]),
        equity=equity,
        exposure=done["exposure"],
        account=account,
        record=lambda: (_named(fields["orders"], record.orders()), _named(fields["log"], record.log())),
        final_cash=done["final_cash"],
        final_positions=done["final_positions"],
        tags=spec.tags,
        counts=done["counts"],
        parents=_named(fields["parents"], done["parents"]),
        children=_named(fields["children"], done["children"]),
        flows=_named(fields["flows"], done["flows"]) if tracked else {},
        basis=tuple(done["basis"]) if any(i.settle for i in spec.instruments) else (),
        risk=_events(_named(fields["risk"], done["risk"])),
    )


def _events(columns: Columns) -> dict[str, NDArray[Any]]:
    """Return recorded triggers with their numbers as the float64 whose bits the extension gives."""
    return {name: column.view(np.float64) if name in FLOATS else column for name, column in columns.items()}


def _named(fields: Sequence[str], table: NDArray[np.int64]) -> Columns:
    """Return the rows of a table of shape (fields, n) by name."""
    return dict(zip(fields, table, strict=True))


def arguments(spec: Spec) -> dict[str, object]:
    """Return a specification as the plain integers that the extension takes."""
    protection, margin, tags = spec.protection, spec.margin, {tag: i for i, tag in enumerate(spec.tags)}
    same = (
        "timeframe_ns cash short leverage fee_in_base slippage_size latency_ns latency_rate limit_touch participation "
        "price_band max_gap band rebalance_bars rearm_bars first_row funding_interval_ns scripted"
    )
    return {
        **{name: getattr(spec, name) for name in same.split()},
        "instruments": [(i.tick, i.lot, i.qty_min, i.cost_min, i.inverse) for i in spec.instruments],
        **{kind: _node(getattr(spec, kind)) for kind in NODES},
        "margin": (int(margin.mode), margin.maintenance, margin.fee, margin.at_bankruptcy),
        "borrow": astuple(spec.borrow),
        "books": _books(spec),
        "protection": (protection.stop_loss, protection.take_profit, protection.trailing, protection.max_bars),
        "tiers": [(tier.volume, tier.maker, tier.taker) for tier in spec.tiers],
        "slippage": int(spec.slippage),
        "path": int(spec.path),
        "drifts": spec.portfolio.drifts,
        "timeout": -1 if spec.execution.timeout is None or spec.plan else spec.execution.timeout,
        "plan": None if spec.plan is None else _plan(spec.plan),
        "seed": spec.seed % 2**64,
        "periods_root": isqrt(10**18 * YEAR // spec.timeframe_ns),
        "aux": list(spec.aux),
        "requests": [(time, _request(request, tags)) for time, request in spec.requests],
        "limits": vars(spec.limits),
    }


def _books(spec: Spec) -> tuple[list[bool], list[bool], int] | None:
    """Return what the ledger has to know to keep entry values; None where it keeps none."""
    if not spec.tracked:
        return None
    isolated = spec.margin.mode is MarginMode.ISOLATED
    contracts = [bool(i.settle) for i in spec.instruments]
    return [i.inverse for i in spec.instruments], contracts, spec.leverage if isolated else 0


_TOLD = 1024
"""Rows between two looks at how far the engine is."""


class Nodes:
    """Answers the Rust engine for account nodes without a twin, with the same `View` that the reference shows them."""

    def __init__(self, spec: Spec, tell: Callable[[int], object] | None = None) -> None:
        self.tell = tell
        self.told = 0
        root = isqrt(10**18 * YEAR // spec.timeframe_ns)
        self.spec = spec
        self.closes: list[int] = []
        self.units: list[int] = []
        self.view = View(len(spec.instruments), spec.leverage, spec.protection.stop_loss, root)

    def begin(
        self,
        row: int,
        time: int,
        equity: int,
        price: list[int],
        position: list[int],
        forecast: list[int],
        aux: list[list[int]],
    ) -> None:
        """Show the account at one decision."""
        view = self.view
        view.row, view.time, view.equity = row, time, equity
        if self.tell is not None and row - self.told >= _TOLD:
            self.told = row
            self.tell(row)
        self.closes = price
        self.units = [unit_price(i.inverse, close) for i, close in zip(self.spec.instruments, price, strict=True)]
        view.price, view.position, view.forecast = price, position, forecast
        view.aux = dict(zip(self.spec.aux, aux, strict=True))

    def targets(self) -> list[int | None]:
        """Ask the portfolio."""
        self.view.price = self.units
        return self.spec.portfolio.targets(self.view)

    def approve(self, pair: int, target: int) -> int:
        """Ask risk."""
        self.view.price = self.units
        return self.spec.risk.approve(self.view, pair, target)

    def place(self, pair: int, side: int, qty: int, reducing: bool) -> tuple[int, int, int, bool]:
        """Ask the executor."""
        instrument = self.spec.instruments[pair]
        self.view.price = self.closes
        placement = self.spec.execution.place(self.view, instrument, pair, Side(side), qty, reducing)
        return int(placement.type), placement.limit_price, int(placement.tif), placement.post_only


def _kernel(cls: type) -> str:
    """Return the name of a class's twin: its own alone, because a subclass may override what its parent's twin does."""
    return vars(cls).get("kernel") or ""


def _node(node: Portfolio | Risk | Execution) -> tuple[str, dict[str, int]]:
    kernel = _kernel(type(node))
    return (kernel, node.parameters()) if kernel else ("", {})


def _plan(plan: Plan) -> dict[str, int]:
    """Return a plan as the plain integers that the extension takes."""
    return {name: int(value) for name, value in vars(plan).items()}


def _arrays(pair: PairColumns) -> tuple[NDArray[Any], ...]:
    columns = (pair.open, pair.high, pair.low, pair.close, pair.volume, pair.state)
    return tuple(np.ascontiguousarray(column) for column in columns)


def _rows(table: NDArray[Any]) -> NDArray[Any]:
    """Return a table whose rows are contiguous each; one row broadcast to all pairs stays one row in memory."""
    return table if table.strides[1] == table.itemsize else np.ascontiguousarray(table)


def _column(table: NDArray[Any], rows: range | None) -> tuple[int, int, NDArray[Any]]:
    """Return a declared column as the extension takes it: its first row, the distance to the next, its values."""
    return (0, 1, _rows(table)) if rows is None else (rows.start, rows.step, _rows(table))


def _request(request: OrderRequest, tags: Mapping[str, int]) -> list[int]:
    return [int(value) for value in astuple(request)[:-1]] + [tags[request.tag]]

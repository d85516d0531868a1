"""The reference engine: the executable specification of what one instant does. No I/O, no clock, no randomness."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from kraken_flow.core import borrow, safety
from kraken_flow.core.account import View
from kraken_flow.core.contract import MarginMode
from kraken_flow.core.costs import FeeSchedule
from kraken_flow.core.decision import Decider
from kraken_flow.core.detail import Slot, finer_bars
from kraken_flow.core.funding import Accrual, by_row
from kraken_flow.core.ledger import Ledger
from kraken_flow.core.market import REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.orders import Control
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.recorder import Recorder
from kraken_flow.core.result import Result, Standing
from kraken_flow.core.simulator import Bars, Simulator
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import YEAR
from kraken_flow.core.units import CASH_UNIT, Int64Array
from kraken_flow.core.watch import Watch

_CHUNK = 4096


class Engine:
    """One account trading one specification: feed it rows in time order, read the result at any time."""

    def __init__(self, spec: Spec) -> None:
        n = len(spec.instruments)
        self.spec = spec
        self.record = Recorder(spec.tags)
        self.sim = Simulator(
            spec=spec,
            ledger=Ledger(
                spec.cash,
                n,
                [i.inverse for i in spec.instruments],
                [bool(i.settle) for i in spec.instruments],
                spec.tracked,
                spec.leverage if spec.margin.mode is MarginMode.ISOLATED else 0,
            ),
            record=self.record,
            fees=FeeSchedule(spec),
            live=[[] for _ in range(n)],
            gap=[0] * n,
            protection=[None] * n,
            entry_row=[-1] * n,
            stopped_row=[-1] * n,
            watch=Watch(spec.limits, spec.cash, n),
            cap_left=[0] * n,
            loan_due=[0] * n,
        )
        root = math.isqrt(10**18 * YEAR // spec.timeframe_ns)
        self.accrual = Accrual(spec.funding_interval_ns)
        self.view = View(n, spec.leverage, spec.protection.stop_loss, root)
        self.decider = Decider(spec, self.sim, self.view)
        self.equity: list[float] = []
        self.cash: list[float] = []
        self.gross: list[float] = []
        self.exposure = 0.0
        self.exposed_rows = 0

    def step(
        self,
        row: int,
        open_time: int,
        bars: Bars,
        forecast: list[int],
        aux: Mapping[str, list[int]],
        finer: list[Slot] | None = None,
        detailed: list[bool] | None = None,
    ) -> None:
        """Take one instant: fills of the bar that just closed, marks, expiries, then one decision.

        Parameters: `row` grid row; `open_time` ns; `bars` the closed bar of every pair; `forecast` 10^-9 per pair;
        `aux` columns by name, 10^-9 per pair; `finer` (open, close, bars) of the finer bars inside, with `detailed`
        telling which pairs have them.
        """
        sim, spec, view = self.sim, self.spec, self.view
        close_time = open_time + spec.timeframe_ns
        sim.row, sim.row_open = row, open_time
        for p, state in enumerate(bars.state):
            sim.gap[p] = sim.gap[p] + 1 if state == SYNTHETIC else 0
            if detailed is not None and state == REAL and not detailed[p]:
                self.record.count("detail_fallback_bars")
        sim.row_marks = bars.mark
        sim.marks = bars.mark or bars
        self.accrual.settle(sim, bars.funding, open_time)
        if spec.borrow.every_ns:
            borrow.roll_over(sim, open_time)
        if sim.busy():
            for start, stop, part in finer or [(open_time, close_time, bars)]:
                sim.open_time, sim.close_time = start, stop
                sim.play(part, detailed)
                sim.expire()
        sim.bars = bars
        equity, cash, gross = sim.ledger.marks(bars.close)
        self.equity.append(equity)
        self.cash.append(cash)
        self.gross.append(gross)
        if equity > 0:
            self.exposure += gross / equity
            self.exposed_rows += 1
        view.row, view.time = row, close_time
        view.price, view.forecast = bars.close, forecast
        view.position = sim.ledger.position
        view.equity = sim.ledger.equity(bars.close)
        view.aux = dict(aux)
        sim.sigma = view.aux.get("sigma", [])
        sim.mean_volume = view.aux.get("mean_volume", [])
        sim.columns, sim.covariance = view.aux, None
        safety.observe(self.decider, equity)
        self.decider.parents.remember(bars.volume, bars.state)
        if REAL in bars.state:
            self.decider.decide(spec.first_row)

    def control(self, what: Control, time: int, manual: ManualOrder | None = None) -> None:
        """Do what a user says after the newest instant, at `time` ns; see `Decider.control`."""
        self.view.time = time
        self.decider.control(what, manual)

    def standing(self) -> Standing:
        """Return the account as it stands."""
        sim = self.sim
        working = sum(order.alive for orders in sim.live for order in orders)
        equity = self.equity[-1] if self.equity else self.spec.cash / CASH_UNIT
        disarmed = [row >= 0 for row in sim.stopped_row]
        held = list(sim.ledger.position)
        return Standing(equity, sim.ledger.wallet(), held, working, disarmed, sim.watch.state, sim.watch.cause)

    def result(self) -> Result:
        """Return everything recorded so far as columns."""
        orders, fills, log = self.record.columns()
        parents, children = self.decider.parents.columns()
        return Result(
            engine="python",
            fills=fills,
            equity=np.array(self.equity),
            exposure=self.exposure / self.exposed_rows if self.exposed_rows else math.nan,
            record=lambda: (orders, log),
            account=lambda: (np.array(self.cash), np.array(self.gross)),
            final_cash=self.sim.ledger.wallet(),
            final_positions=np.array(self.sim.ledger.position, dtype=np.int64),
            flows=self.record.flow_columns() if self.spec.tracked else {},
            basis=tuple(self.sim.ledger.basis) if any(self.sim.ledger.contracts) else (),
            tags=self.spec.tags,
            counts=dict(self.record.counts),
            risk=self.sim.watch.columns(),
            parents=parents,
            children=children,
        )


def run(
    spec: Spec,
    market: Market,
    forecast: Int64Array,
    aux: Mapping[str, Int64Array],
    tell: Callable[[int], object] | None = None,
) -> Result:
    """Run the reference engine over whole columns.

    Parameters: `forecast` int64 (n_pairs, n_rows), 10^-9, held; `aux` the same shape by name. Row t is decided with
    what is known at its close and filled from row t+1 on. `tell` is told how many rows are done, every so often.
    """
    engine = Engine(spec)
    if spec.plan and spec.plan.lookback:
        for bars in _rows(market.pairs, 0, spec.first_row):
            engine.decider.parents.remember(bars.volume, bars.state)
    news = by_row(market.funding, int(market.times[0]), spec.timeframe_ns, market.n_rows, spec.first_row).T.tolist()
    for lo in range(spec.first_row, market.n_rows, _CHUNK):
        hi = min(lo + _CHUNK, market.n_rows)
        if tell is not None:
            tell(lo)
        rows = _rows(market.pairs, lo, hi)
        if market.marks:
            for bars, mark in zip(rows, _rows(market.marks, lo, hi), strict=True):
                bars.mark = mark
        for row, pair, time, rate in news:
            if lo <= row < hi:
                rows[row - lo].funding.append((pair, time, rate))
        times = market.times[lo:hi].tolist()
        forecasts = forecast[:, lo:hi].T.tolist()
        columns = {name: values[:, lo:hi].T.tolist() for name, values in aux.items()}
        fine = _fine(market, lo, hi)
        for i, bars in enumerate(rows):
            finer, detailed = fine[i] if fine else (None, None)
            engine.step(
                lo + i, times[i], bars, forecasts[i], {name: v[i] for name, v in columns.items()}, finer, detailed
            )
    return engine.result()


def _rows(pairs: tuple[PairColumns, ...], lo: int, hi: int) -> list[Bars]:
    stacked = [
        np.stack([getattr(pair, name)[lo:hi] for pair in pairs], axis=1).tolist()
        for name in ("open", "high", "low", "close", "volume", "state")
    ]
    return [Bars(*row) for row in zip(*stacked, strict=True)]


def _fine(market: Market, lo: int, hi: int) -> list[tuple[list[Slot], list[bool]]]:
    """Return per row the finer bars of all pairs, and which pairs have them."""
    detail = market.detail
    if detail is None:
        return []
    k, step = detail.per_bar, detail.timeframe_ns
    coarse = _rows(market.pairs, lo, hi)
    parts = _rows(detail.pairs, lo * k, hi * k)
    opens = market.times[lo:hi].tolist()
    return [finer_bars(coarse[i], parts[i * k : (i + 1) * k], opens[i], step) for i in range(hi - lo)]

"""A graph taken through a tape one instant at a time: what replay, paper and live share.

A backtest asks the signal half for whole columns and hands them to the engine; a session asks for a row at a time. Both
give the same orders, fills and equity, to the bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core import engine as reference
from kraken_flow.core import twin
from kraken_flow.core.account import Protection
from kraken_flow.core.compile import compile_graph
from kraken_flow.core.contract import RATE_UNIT
from kraken_flow.core.detail import finer_bars
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.funding import Due
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.orders import Control
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.result import Columns, Result, Standing
from kraken_flow.core.run import Outcome, notes_of
from kraken_flow.core.signal import compute
from kraken_flow.core.signal_stream import SignalStream
from kraken_flow.core.simulator import Bars
from kraken_flow.core.tape import Bar, Events, Grid, Instant, Tape, market_of
from kraken_flow.core.units import UNIT, Int64Array, fix_column

Row = tuple[list[int], ...]
"""Open, high, low, close, volume and state of a row, a list over the pairs each."""


@dataclass(frozen=True)
class News:
    """What one instant brought: new orders, fills and lines of the order log, as int64 columns."""

    orders: Columns
    fills: Columns
    log: Columns


class Account(Protocol):
    """The account half, one instant at a time."""

    def step(
        self,
        row: int,
        time: int,
        bars: Row,
        fine: list[Row],
        forecast: Int64Array,
        aux: Mapping[str, Int64Array],
        marks: Row | None = None,
        funding: Sequence[Due] = (),
    ) -> News | None:
        """Take an instant; return what it brought, None where that is nothing."""

    def warm(self, bars: Row) -> None:
        """Take a row of the warm-up, in which nothing is traded."""

    def control(self, what: Control, time: int, manual: ManualOrder | None = None) -> News | None:
        """Do what a user says, at `time` ns; return what it brought."""

    def standing(self) -> Standing:
        """Return the account as it stands."""

    def result(self) -> Result:
        """Return everything so far."""


class Session:
    """One graph on one tape.

    Parameters
    ----------
    graph
        The trading system.
    tape
        What is known of the tape before its first instant.
    engine
        auto, rust or python.

    Raises
    ------
    UserError
        Where the graph cannot run on such a tape, or `engine=rust` without the extension.
    """

    def __init__(self, graph: Graph, tape: Tape, engine: str = "auto") -> None:
        self.graph, self.tape, self.engine = graph, tape, engine
        nothing = market_of(tape, Grid(len(tape.pairs)), Grid(len(tape.pairs)))
        self.instruments = graph.exchange.instruments(nothing)
        self.spec = compile_graph(graph, nothing, self.instruments)
        native = pick_native(engine)
        self.callbacks = () if native is None else twin.callbacks(self.spec)
        self.signals = SignalStream(graph, tape.pairs, tape.timeframe_ns, tape.start, tape.max_gap, engine)
        self.account: Account = (
            ReferenceAccount(reference.Engine(self.spec), tape.detail_ns)
            if native is None
            else RustAccount(twin.Stepper(native, self.spec, tape.detail_ns))
        )
        self._coarse, self._fine, self._marks = (Grid(len(tape.pairs)) for _ in range(3))
        self._events: list[tuple[Events, ...]] = []
        self._early: list[Due] = []
        self._rates = [float("nan")] * len(tape.pairs)
        self.paused = False
        """Whether a user has paused it."""
        self.said = 0
        """Checksum of what all strategies hold after the newest row."""

    @property
    def rows(self) -> int:
        """Rows taken so far, warm-up included."""
        return len(self._coarse.rows)

    @property
    def closes(self) -> list[int]:
        """The newest close of every pair, units of 10^-8; 0 before its first bar."""
        return self._coarse.rows[-1][3] if self._coarse.rows else [0] * len(self.tape.pairs)

    @property
    def protects(self) -> bool:
        """Whether risk attaches orders to what is held."""
        return self.spec.protection != Protection()

    def take(self, instant: Instant) -> News | None:
        """Take the next instant; return what it brought, None where that is nothing.

        Raises `ValueError` where the instant is not the next row of the tape, `UserError` where a forecast leaves its
        range or an amount the engine's integers.
        """
        row = self.rows
        bars, fine = self._lay(instant)
        floats = [None if bar is None else tuple(value / UNIT for value in bar) for bar in instant.bars]
        marks = self._lay_marks(instant, bars) if self.tape.marked else None
        funding = self._events_due(row, instant)
        if self.tape.marked or self.tape.funded:
            floats = self._with_contracts(floats, (marks or bars)[3])
        forecast = self.signals.update(instant.time, floats)
        self.said = self.signals.said
        if row < self.tape.first_row:
            self.account.warm(bars)
            return None
        aux = {name: fix_column(values) for name, values in self.signals.aux.items()}
        return self.account.step(row, instant.time, bars, fine, fix_column(forecast), aux, marks, funding)

    def _events_due(self, row: int, instant: Instant) -> list[Due]:
        """Return the funding events that a row hands to the account; those of the warm-up wait for the first one."""
        self._events.append(instant.funding)
        known = list(self._early)
        for p, events in enumerate(instant.funding):
            known += [(p, due, rate) for due, _, rate in events if due >= self.tape.start]
            if events:
                self._rates[p] = events[-1][2] / RATE_UNIT
        self._early = sorted(known) if row < self.tape.first_row else []
        return [] if row < self.tape.first_row else sorted(known)

    def _with_contracts(self, bars: list[tuple[float, ...] | None], marks: list[int]) -> list[tuple[float, ...] | None]:
        """Add to each bar the newest funding rate that is known at its close, and the mark there."""
        rows = zip(bars, self._rates, marks, strict=True)
        return [None if bar is None else (*bar, rate, mark / UNIT) for bar, rate, mark in rows]

    def _lay_marks(self, instant: Instant, bars: Row) -> Row:
        """Lay the bars of the marks; where a pair has none, its own prices stand for them."""
        laid: list[Bar | None] = []
        for p, mark in enumerate(instant.marks or (None,) * len(instant.bars)):
            own = (bars[0][p], bars[1][p], bars[2][p], bars[3][p], 0)
            laid.append(mark if mark is not None else own if own[0] else None)
        return self._marks.lay(tuple(laid))

    def catch_up(self, instants: Sequence[Instant]) -> Iterator[News | None]:
        """Take the tape's first instants, the signal half of all of them at once; yield what each brought.

        This is what `take` gives one by one, in a fraction of the time, for strategies that are the same bar by bar.
        Controls may come between two. Raises what `take` raises.
        """
        n_pairs = len(self.tape.pairs)
        if self.rows or not instants:
            return
        streamed = Grid(n_pairs)
        rows = [streamed.lay(instant.bars) for instant in instants]
        as_streamed = not any(instant.missed for instant in instants)
        marks = [self._lay_marks(*one) for one in zip(instants, rows, strict=True)] if self.tape.marked else []
        events = [instant.funding for instant in instants]
        market = market_of(replace(self.tape, detail_ns=0), streamed, Grid(n_pairs), self._marks, events)
        signals = compute(self.graph, market, self.engine)
        forecast, aux = signals.forecast_fix, signals.aux_fix
        said = self.signals.catch_up(market)
        for row, instant in enumerate(instants):
            bars, fine = self._lay(instant, rows[row] if as_streamed else None)
            funding = self._events_due(row, instant)
            self.said = said[row]
            if row < self.tape.first_row:
                self.account.warm(bars)
                yield None
            else:
                columns = {name: values[:, row] for name, values in aux.items()}
                mark = marks[row] if marks else None
                yield self.account.step(row, instant.time, bars, fine, forecast[:, row], columns, mark, funding)

    def _lay(self, instant: Instant, laid: Row | None = None) -> tuple[Row, list[Row]]:
        """Lay an instant on the grid that the account sees, where it is not `laid` yet."""
        if instant.time != self.due:
            raise ValueError(f"instant {instant.time} is not row {self.rows} of the tape")
        if laid is None:
            bars = self._coarse.lay((None,) * len(instant.bars) if instant.missed else instant.bars)
        else:
            bars = self._coarse.add(laid)
        return bars, [self._fine.lay(slot) for slot in instant.finer]

    @property
    def due(self) -> int:
        """Open of the next row, ns UTC."""
        return self.tape.first + self.rows * self.tape.timeframe_ns

    @property
    def known(self) -> int:
        """When the newest instant was known, ns UTC: its bar's close and the feed delay."""
        return self.due + self.graph.source.feed_delay_ns

    def control(self, what: Control, time: int, manual: ManualOrder | None = None) -> News | None:
        """Do what a user says between two instants, at `time` ns UTC; return what it brought.

        Pause sends no order that opens or enlarges a position, resume ends that, flatten closes everything and keeps
        each pair out until its forecast changes; reset ends what a limit of the account began, a kill too; an order,
        given with it, is worked by its plan.
        """
        if what in {Control.PAUSE, Control.RESUME}:
            self.paused = what is Control.PAUSE
        return self.account.control(what, time, manual)

    def market(self) -> Market:
        """Return the tape so far as a market."""
        return market_of(self.tape, self._coarse, self._fine, self._marks, self._events)

    def outcome(self) -> Outcome:
        """Return everything so far, as a run over whole columns does."""
        result = self.account.result()
        return Outcome(result, self.instruments, self.spec, notes_of(self.spec, result, self.graph), self.callbacks)


class ReferenceAccount:
    """The reference engine."""

    def __init__(self, engine: reference.Engine, detail_ns: int) -> None:
        self._engine, self._detail_ns = engine, detail_ns

    def step(
        self,
        row: int,
        time: int,
        bars: Row,
        fine: list[Row],
        forecast: Int64Array,
        aux: Mapping[str, Int64Array],
        marks: Row | None = None,
        funding: Sequence[Due] = (),
    ) -> News | None:
        """Take an instant."""
        mark = None if marks is None else Bars(*marks)
        coarse, finer, detailed = Bars(*bars, mark=mark, funding=list(funding)), None, None
        if self._detail_ns:
            finer, detailed = finer_bars(coarse, [Bars(*slot) for slot in fine], time, self._detail_ns)
        columns = {name: values.tolist() for name, values in aux.items()}
        self._engine.step(row, time, coarse, forecast.tolist(), columns, finer, detailed)
        return self._news()

    def warm(self, bars: Row) -> None:
        """Take a row of the warm-up."""
        self._engine.decider.parents.remember(bars[4], bars[5])

    def control(self, what: Control, time: int, manual: ManualOrder | None = None) -> News | None:
        """Do what a user says."""
        self._engine.control(what, time, manual)
        return self._news()

    def _news(self) -> News | None:
        news = self._engine.record.news()
        return None if news is None else News(*news)

    def standing(self) -> Standing:
        """Return the account as it stands."""
        return self._engine.standing()

    def result(self) -> Result:
        """Return everything so far."""
        return self._engine.result()


class RustAccount:
    """The Rust engine."""

    def __init__(self, stepper: twin.Stepper) -> None:
        self._stepper = stepper

    def step(
        self,
        row: int,
        time: int,
        bars: Row,
        fine: list[Row],
        forecast: Int64Array,
        aux: Mapping[str, Int64Array],
        marks: Row | None = None,
        funding: Sequence[Due] = (),
    ) -> News | None:
        """Take an instant."""
        values: NDArray[np.int64] = np.array([*bars, forecast, *aux.values()], np.int64)
        finer = np.ascontiguousarray(np.array(fine, np.int64).transpose(1, 2, 0)) if fine else None
        mark = None if marks is None else np.array(marks, np.int64)
        events = np.array([(row, *event) for event in funding], np.int64).T.copy() if funding else None
        waiting = self._stepper.step(row, time, values, finer, mark, events)
        return News(*self._stepper.drain()) if any(waiting) else None

    def warm(self, bars: Row) -> None:
        """Take a row of the warm-up."""
        self._stepper.warm(bars[4], bars[5])

    def control(self, what: Control, time: int, manual: ManualOrder | None = None) -> News | None:
        """Do what a user says."""
        return News(*self._stepper.drain()) if any(self._stepper.control(int(what), time, manual)) else None

    def standing(self) -> Standing:
        """Return the account as it stands."""
        return self._stepper.standing()

    def result(self) -> Result:
        """Return everything so far."""
        return self._stepper.result()

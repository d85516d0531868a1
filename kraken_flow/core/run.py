"""One run over loaded data: signals, specification, engine. The same call serves every mode that has whole columns."""

import logging
from dataclasses import dataclass
from typing import Protocol

from kraken_flow.core import engine as reference
from kraken_flow.core import twin
from kraken_flow.core.compile import compile_graph
from kraken_flow.core.contract import MarginMode
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import Market
from kraken_flow.core.orders import Reason
from kraken_flow.core.result import Result
from kraken_flow.core.signal import Signals, compute
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import UNIT


class Told(Protocol):
    """Who is told how far a run is."""

    def now(self, doing: str, total: int | None = None) -> None:
        """Hear what is done from here on, and how many steps it has."""

    def done(self, steps: int) -> None:
        """Hear how many steps are done."""


SIGNALS = "computing signals"
ENGINE = "running the engine"
"""What a run does, as it is told."""


@dataclass(frozen=True)
class Outcome:
    """What a run produced: the engine's result with the instruments and the specification that it ran on."""

    result: Result
    instruments: tuple[Instrument, ...]
    spec: Spec
    notes: tuple[str, ...]
    callbacks: tuple[str, ...] = ()
    """Account nodes that the Rust engine asked in Python, as `kind: module.Class`."""
    signals: Signals | None = None
    """The forecasts as whole columns, where the run had them."""


def execute(graph: Graph, market: Market, engine: str = "auto", told: Told | None = None) -> Outcome:
    """Run a graph over a market.

    Parameters: `engine` auto (Rust where the extension is there), rust or python; `told` hears how far it is. Raises
    `UserError` when `rust` is asked for and cannot run.
    """
    instruments = graph.exchange.instruments(market)
    spec = compile_graph(graph, market, instruments)
    native = pick_native(engine)
    if told is not None:
        told.now(SIGNALS)
    signals = compute(graph, market, engine, twin.scheduled_rows(spec, market.n_rows))
    if told is not None:
        told.now(ENGINE, market.n_rows)
    tell = None if told is None else told.done
    if native is None:
        result = reference.run(spec, market, signals.forecast_fix, signals.aux_fix, tell)
        asked: tuple[str, ...] = ()
    else:
        result = twin.run(native, spec, market, signals.forecast, signals.aux, rows=signals.rows, tell=tell)
        asked = twin.callbacks(spec)
    logging.getLogger(__name__).debug("ran %d rows", market.n_rows)
    return Outcome(result, instruments, spec, notes_of(spec, result, graph), asked, signals)


def notes_of(spec: Spec, result: Result, graph: Graph) -> tuple[str, ...]:
    """Say what a user should know about the terms of the run."""
    notes = []
    instruments = spec.instruments
    # Asking for the orders makes their table: only where a script may have left some unsent.
    sent = int((result.orders["reason"] == Reason.SCRIPTED).sum()) if spec.requests else 0
    if unsent := len(spec.requests) - sent:
        notes.append(
            f"scripted orders never sent: {unsent} of {len(spec.requests)}; "
            "no decision came at or after their time, or their pair had no bar from then on"
        )
    from_data = [i.pair for i in instruments if i.origin == "data"]
    if from_data:
        notes.append(
            f"instruments from the data (tick = its decimals, lot 0.00000001, no minima): {', '.join(from_data)}; "
            f"the table of {graph.exchange.name} lacks them"
        )
    from_venue = [i.pair for i in instruments if i.origin == "venue"]
    if from_venue:
        notes.append(
            f"instruments from the venue's own list of markets: {', '.join(from_venue)}; "
            f"the table of {graph.exchange.name} lacks them"
        )
    if any(i.settle for i in instruments) and not spec.funded:
        notes.append("no funding events: holding perpetuals cost and earned nothing; name a file by data.funding")
    if spec.margin.mode in (MarginMode.CROSS, MarginMode.ISOLATED) and not spec.marked:
        notes.append("no mark prices: margin was judged at last prices; name a file by data.mark")
    spot = not any(i.settle for i in instruments)
    if spot and spec.leverage > UNIT and (owed := -float(result.cash.min(initial=0.0))) > 0.0:
        notes.append(
            f"cash was borrowed for long positions, at most {owed:,.2f}: what that costs at a venue is not charged; "
            "exchange.borrow is of the coins of shorts"
        )
    if liquidated := result.counts.get("liquidations", 0):
        notes.append(f"liquidated: {liquidated} positions; margin did not carry them")
    if any(i.origin == "override" for i in instruments):
        notes.append("tick or lot set by exchange.tick, exchange.lot for all pairs")
    return tuple(notes)

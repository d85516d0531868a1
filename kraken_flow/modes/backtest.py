"""The backtest driver: load, compute signals, run the engine, write the run."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from kraken_flow import native
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.config.composition import Composition
from kraken_flow.core.account import Protection
from kraken_flow.core.feature import CrossSection, Feature, Source
from kraken_flow.core.graph import Graph
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import Market
from kraken_flow.core.run import execute
from kraken_flow.core.signal import account_features, required_lookback, sources_of
from kraken_flow.core.times import iso
from kraken_flow.modes import Call
from kraken_flow.runs.console import Report, print_json
from kraken_flow.runs.directory import holds_run
from kraken_flow.runs.record import Declared, Run, recorded
from kraken_flow.runs.tables import SAMPLE, Tables
from kraken_flow.runs.write import write_run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backtest:
    """A backtest that has run: its columns, and what a user should know about its terms."""

    finished: FinishedRun
    notes: tuple[str, ...]
    callbacks: tuple[str, ...] = ()
    """Account nodes that the Rust engine asked in Python."""


def load(graph: Graph) -> Market:
    """Read the graph's data. Raises `UserError` naming file and row, or pair and folder."""
    fill = getattr(graph.exchange, "fill", None)
    detail = fill.detail if fill is not None and fill.path == "detail" else None
    lookback = required_lookback(graph)
    return graph.source.load(graph.pairs, graph.timeframe, graph.start, graph.end, lookback, detail)


def perform(graph: Graph, engine: str = "auto", loaded: Market | None = None) -> Backtest:
    """Load the graph's data and run it.

    Parameters: `engine` auto, rust or python; `loaded` the data where it has been read already. The time measured is
    that of signals and engine, not of reading data. Raises `UserError` naming file and row, pair or key.
    """
    market = load(graph) if loaded is None else loaded
    logger.info("%d pairs, %d rows loaded", len(market.pairs), market.n_rows)
    began = time.perf_counter()
    ran = execute(graph, market, engine)
    elapsed = time.perf_counter() - began
    finished = FinishedRun(ran.result, market, ran.instruments, ran.spec.cash, elapsed)
    logger.info("%d orders, %d fills", len(ran.result.orders["pair"]), len(ran.result.fills["pair"]))
    notes = (*ran.notes, *_idle_notes(graph), *_lonely_notes(graph), *_risk_notes(graph), *_stranded_notes(finished))
    return Backtest(finished, notes, ran.callbacks)


def _risk_notes(graph: Graph) -> tuple[str, ...]:
    """Say so where nothing limits a position."""
    if graph.risk.protection() == Protection() and graph.risk.parameters().get("max_fraction", -1) < 0:
        return ("risk limits are off: no stop, no target and no size limit protects a position",)
    return ()


def _lonely_notes(graph: Graph) -> tuple[str, ...]:
    """Say so where a feature compares pairs and there is one: it has no value, and what reads it does nothing."""
    if len(graph.pairs) > 1:
        return ()
    sources = [*sources_of(graph.strategy), *graph.features.values(), *account_features(graph).values()]
    found = dict.fromkeys(
        type(node).__name__ for source in sources for node in _within(source) if isinstance(node, CrossSection)
    )
    return tuple(
        f"{name} compares pairs and has no value on a single one: it takes two pairs or more" for name in found
    )


def _within(source: Source) -> Iterator[Feature]:
    """Yield a feature and all that it reads."""
    if isinstance(source, Feature):
        yield source
        for inner in source.inputs():
            yield from _within(inner)


def _stranded_notes(run: FinishedRun) -> tuple[str, ...]:
    """Name the positions of pairs whose bars ended long before the run did: equity counts them at a price of then."""
    market, notes = run.market, []
    for pair, held in zip(market.pairs, run.result.final_positions.tolist(), strict=True):
        last = int(pair.real[-1]) if len(pair.real) else 0
        if held and market.n_rows - 1 - last > market.max_gap:
            ended = iso(int(market.times[last]))
            notes.append(f"{pair.pair}: its bars end at {ended}; the position still held counts at the close of then")
    return tuple(notes)


def _idle_notes(graph: Graph) -> tuple[str, ...]:
    """Name the keys that were set and that nothing reads, for they look like costs that were charged."""
    slippage, fill = getattr(graph.exchange, "slippage", None), getattr(graph.exchange, "fill", None)
    notes = [
        f"exchange.slippage.{name} has no effect: exchange.slippage.model is {slippage.model}, not {name}"
        for name in ("bps", "half_spread")
        if slippage is not None and getattr(slippage, name) > 0 and slippage.model != name
    ]
    if fill is not None and fill.detail is not None and fill.path != "detail":
        notes.append(f"exchange.fill.detail has no effect: exchange.fill.path is {fill.path}, not detail")
    return tuple(notes)


def run(call: Call) -> int:
    """Run once, write the run directory, print the report; return the exit code."""
    graph = call.graph
    if graph is None:
        raise TypeError("a backtest needs a graph")
    engine = str(call.cfg.get("engine", "auto"))
    strategy = call.choices.get("strategy") or type(graph.strategy).__name__
    config = Composition(dict(call.cfg), dict(call.choices), dict(call.origins)).yaml() + "\n"
    declared = Declared("backtest", strategy, config, call.overrides, call.cfg.get("run_dir"))
    if call.begin is None:
        warn_of_fallback(engine)
    # Wrong input costs nobody an earlier run: its folder is cleared for one whose data could be read.
    loaded = load(graph) if call.member or holds_run(declared.run_dir) else None
    if call.begin is not None:
        call.begin()
    with recorded(declared) as record:
        record.add(inputs(graph, engine))
        done = perform(graph, engine, loaded)
        record.manifest |= outputs(graph, done)
        metrics = write_run(record.folder, Tables(done.finished, strategy))
    show(call, done, metrics, record)
    return 0


def warn_of_fallback(engine: str) -> None:
    """Say in one line on stderr where `engine=auto` will not run in Rust, and why."""
    if engine == "auto" and native.native is None:
        Console(stderr=True, highlight=False).print(
            f"warning: {native.REASON}; the Python engine runs, slower, with equal results",
            markup=False,
            soft_wrap=True,
        )


def show(call: Call, done: Backtest, metrics: dict[str, Any], record: Run) -> None:
    """Print the report that the user chose; a member of a sweep says nothing, its leaderboard does."""
    if call.member:
        return
    if call.choices.get("report") == "json":
        print_json(metrics)
        return
    report = Report(done.finished, metrics, done.notes)
    report.show()
    report.say(f"run: {record.folder}")


def inputs(graph: Graph, engine: str) -> dict[str, Any]:
    """Return what the manifest says before a bar is read."""
    return {
        "engine_asked": engine,
        "native_reason": native.REASON or None,
        "seed": graph.seed,
        "pairs": list(graph.pairs),
        "timeframe": graph.timeframe,
        "start": None if graph.start is None else iso(graph.start),
        "end": None if graph.end is None else iso(graph.end),
    }


def outputs(graph: Graph, done: Backtest) -> dict[str, Any]:
    """Return what the manifest says about a run that is done."""
    market, result = done.finished.market, done.finished.result
    files = [dict(record) for record in market.files]
    files += [{"role": "strategy", "path": path, "sha256": file_hash(Path(path))} for path in graph.strategy.files()]
    closes = done.finished.closes
    span = [iso(int(closes[0]) - market.timeframe_ns), iso(int(closes[-1]))] if len(closes) else None
    return {
        "engine": result.engine,
        "data": files,
        "span": span,
        "synthetic_sample": market.synthetic_sample,
        "data_notes": list(market.notes),
        "notes": list(done.notes),
        "callbacks": list(done.callbacks),
        "counts": dict(sorted(result.counts.items())),
    } | ({"market": SAMPLE} if market.synthetic_sample else {})

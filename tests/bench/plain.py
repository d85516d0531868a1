"""One pair, one crossing strategy: whole runs against vectorbt, the account half against a compiled loop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.metrics import measure
from kraken_flow.core import engine as reference
from kraken_flow.core import twin
from kraken_flow.core.compile import compile_graph
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.run import execute
from kraken_flow.core.signal import compute
from kraken_flow.core.spec import Spec
from kraken_flow.native import native
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics
from tests.bench import graphs, loops, market, terms
from tests.bench.clock import Contestant, Times, take_turns
from tests.bench.findings import Check, Difference, Finding, Section, against, compare

TICKS = 10_000
"""Ticks in one quote unit: prices have four decimals."""


def whole(graph: Graph, loaded: Market, engine: str = "auto") -> FinishedRun:
    """Run from the engine's columns until equity, fills, trades and metrics are in memory."""
    ran = execute(graph, loaded, engine)
    finished = FinishedRun(ran.result, loaded, ran.instruments, ran.spec.cash)
    measure(finished)
    return finished


def hashed(graph: Graph, loaded: Market) -> dict[str, Any]:
    """Run until everything that stands in `metrics.json` is known, the hashes of orders, ledger and data included."""
    ran = execute(graph, loaded, "auto")
    return full_metrics(Tables(FinishedRun(ran.result, loaded, ran.instruments, ran.spec.cash), "sma_cross"))


def account_half(spec: Spec, loaded: Market, forecast: NDArray[Any]) -> Any:
    """Run the engine alone; the forecast is given."""
    if native is None:
        return reference.run(spec, loaded, np.rint(forecast * 1e9).astype(np.int64), {})
    return twin.run(native, spec, loaded, forecast, {})


def ticks(bars: Mapping[str, market.Floats]) -> NDArray[np.int64]:
    """Prices as whole ticks, int64 of shape (4, n)."""
    return np.array([np.rint(bars[name] * TICKS) for name in ("open", "high", "low", "close")]).astype(np.int64)


def loop_plain(bars: Mapping[str, market.Floats]) -> tuple[float, int, float]:
    """Run the compiled loop without stops."""
    return loops.plain_loop(bars["open"], bars["close"], terms.FAST, terms.SLOW, terms.FEE, float(terms.CASH), 1.0)


def loop_stops(bars: Mapping[str, market.Floats], stop: float, target: float, trail: float) -> tuple[float, int, float]:
    """Run the compiled loop with our stop rules."""
    prices = ticks(bars)
    rates = [round(rate * loops.RATE) for rate in (stop, target, trail)]
    return loops.stops_loop(
        prices, bars["close"], 1 / TICKS, terms.FAST, terms.SLOW, terms.FEE, float(terms.CASH), 1.0, *rates
    )


def same(what: str, run: FinishedRun, other: tuple[float, int, float]) -> list[Check]:
    """Compare a run with a loop: final equity, trades (an open one included), drawdown."""
    final, trades, depth = other
    return [
        Check(f"final equity, {what}", run.final_equity / 1e16, final),
        Check(f"trades, {what}", len(run.trips), trades, 0.5),
        Check(f"drawdown, {what}", -float(measure(run)["max_drawdown"]), depth, 1e-9),
    ]


def crossing(n: int, rounds: int) -> Section:
    """Whole runs without limits against vectorbt, and the account half against the loop."""
    from tests.bench import rivals

    bars, loaded, graph = market.candles(n), market.single(n), graphs.plain()
    rivals.prepare("1min")
    frame = rivals.frame(bars, "1min")
    spec = compile_graph(graph, loaded, graph.exchange.instruments(loaded))
    forecast = compute(graph, loaded).forecast
    times = take_turns(
        {
            "ours": Contestant(lambda m: whole(graph, m), lambda: market.untouched(loaded)),
            "vectorbt": Contestant(lambda _: rivals.crossing(frame)),
            "engine": Contestant(lambda m: account_half(spec, m, forecast), lambda: market.untouched(loaded)),
            "numba": Contestant(lambda _: loop_plain(bars)),
            "hashed": Contestant(lambda m: hashed(graph, m), lambda: market.untouched(loaded)),
        },
        rounds,
    )
    ours, theirs = times.results["ours"], times.results["vectorbt"]
    checks = [
        *same("vectorbt", ours, (theirs["final"], theirs["trades"], -theirs["max_drawdown"])),
        *same("numba loop", ours, times.results["numba"]),
    ]
    findings = [
        against(
            times, "vectorbt", f"whole run, {n:,} bars", "at least", 8.0, label="vectorbt, Rust engine: from_signals"
        ),
        against(
            times,
            "numba",
            f"account half, {n:,} bars",
            "at most",
            1.5,
            ours="engine",
            label="numba, one loop that writes no array",
        ),
        against(
            times,
            "numba",
            f"whole run, {n:,} bars",
            "at most",
            label="numba, one loop that writes no array",
        ),
        Finding("whole run", times.median("ours") / n * 1e9, "ns/bar"),
        Finding("account half", times.median("engine") / n * 1e9, "ns/bar"),
        Finding("numba loop", times.median("numba") / n * 1e9, "ns/bar"),
        Finding("whole run with the hashes of orders, ledger and data", times.median("hashed") / n * 1e9, "ns/bar"),
    ]
    return Section(f"{n:,} bars, SMA {terms.FAST}/{terms.SLOW}, one unit, no limits", checks, findings)


def limits(n: int, rounds: int) -> Section:
    """Stop, target and trail, and limits that never act, against the plain run; vectorbt's one stop slot beside."""
    from tests.bench import rivals

    bars, loaded = market.candles(n), market.single(n)
    rivals.prepare("1min")
    frame = rivals.frame(bars, "1min")
    narrow = (terms.STOP / 10, terms.TARGET / 10, terms.TRAIL / 10)
    systems = {
        "plain": graphs.plain(),
        "stops": graphs.protected(),
        "far": graphs.far_limits(),
        "narrow": graphs.protected(*narrow),
    }
    contestants = {
        name: Contestant(lambda m, graph=graph: whole(graph, m), lambda: market.untouched(loaded))
        for name, graph in systems.items()
    }
    rival = Contestant(lambda _: rivals.trailing(frame, terms.TARGET, terms.TRAIL))
    times = take_turns(contestants | {"vectorbt": rival}, rounds)
    wide = (terms.STOP, terms.TARGET, terms.TRAIL)
    ours, theirs = times.results["stops"], times.results["vectorbt"]
    checks = [
        *same("stop 3 %, target 6 %, trail 2 %, numba loop of our rules", ours, loop_stops(bars, *wide)),
        *same("a tenth of that, numba loop of our rules", times.results["narrow"], loop_stops(bars, *narrow)),
        *same("far limits, numba loop", times.results["far"], loop_plain(bars)),
    ]
    return Section(f"{n:,} bars, position limits", checks, _costs(times, n), _differences(ours, theirs))


def _costs(times: Times, bars: int) -> list[Finding]:
    return [
        compare(times, "stops", "plain", "stop 3 %, target 6 %, trail 2 %: time over the plain run", "at most", 1.3),
        compare(times, "far", "plain", "limits far away: time over the plain run", "at most", 1.3),
        Finding(
            "stop 0.3 %, target 0.6 %, trail 0.2 %: time over the plain run",
            times.ratio("narrow", "plain"),
            note="nearly every trade ends at a stop",
        ),
        against(
            times,
            "vectorbt",
            f"stop, target and trail, {bars:,} bars",
            ours="stops",
            label="vectorbt, Rust engine: its one stop slot as the trail, and the target",
        ),
    ]


def _differences(ours: FinishedRun, theirs: dict[str, float]) -> list[Difference]:
    why = "vectorbt tests no stop in the bar of the entry, fills a touched target, and a jumped one at the open"
    return [
        Difference(
            "final equity with stop, target and trail, vectorbt", ours.final_equity / 1e16, theirs["final"], why
        ),
        Difference("trades with stop, target and trail, vectorbt", len(ours.trips), theirs["trades"], why),
    ]

"""Strategies asked at every bar: backtesting.py's way, our sessions, and a node of the user's own in the engine."""

from collections.abc import Mapping
from typing import Any

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.metrics import measure
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from tests.bench import graphs, loops, market, terms
from tests.bench.clock import Contestant, Times, take_turns
from tests.bench.findings import Check, Difference, Finding, Section, against
from tests.bench.plain import loop_plain, whole


def session(graph: Graph, loaded: Market) -> float:
    """Take every instant as replay and paper do; return the final equity."""
    live = Session(graph, tape_of(loaded))
    for instant in instants(loaded):
        live.take(instant)
    return live.account.standing().equity


def same(what: str, run: FinishedRun, theirs: Mapping[str, float]) -> list[Check]:
    """Compare a run with backtesting.py's, which leaves an open position out of its trades, as `metrics.json` does."""
    ours = measure(run)
    return [
        Check(f"final equity, {what}", run.final_equity / 1e16, theirs["final"]),
        Check(f"closed trades, {what}", ours["trades"], theirs["trades"], 0.5),
        Check(f"drawdown, {what}", ours["max_drawdown"], theirs["max_drawdown"], 1e-9),
    ]


def section(n: int, rounds: int) -> Section:
    """Whole runs against backtesting.py: in columns, with a callback at every decision, and bar by bar."""
    from tests.bench import rivals_backtesting as rival

    bars, loaded = market.candles(n), market.single(n)
    frame, graph, own = rival.frame(bars), graphs.plain(), graphs.called_back()
    stops = graphs.stop_and_target()
    lists = [bars["open"].tolist(), bars["close"].tolist()]
    times = take_turns(
        {
            "ours": Contestant(lambda m: whole(graph, m), lambda: market.untouched(loaded)),
            "callback": Contestant(lambda m: whole(own, m), lambda: market.untouched(loaded)),
            "session": Contestant(lambda m: session(graph, m), lambda: market.untouched(loaded)),
            "stops": Contestant(lambda m: whole(stops, m), lambda: market.untouched(loaded)),
            "backtesting.py": Contestant(lambda _: rival.crossing(frame)),
            "backtesting.py, stops": Contestant(lambda _: rival.crossing(frame, terms.STOP, terms.TARGET)),
            "plain Python": Contestant(lambda _: loop_in_python(*lists)),
        },
        rounds,
    )
    theirs = times.results["backtesting.py"]
    checks = [
        *same("backtesting.py", times.results["ours"], theirs),
        *same("backtesting.py, our portfolio called back", times.results["callback"], theirs),
        Check("final equity, backtesting.py, bar by bar", times.results["session"], theirs["final"]),
        Check("final equity, plain Python loop", loop_plain(bars)[0], times.results["plain Python"][0]),
    ]
    return Section(
        f"{n:,} bars, asked at every bar",
        checks,
        _figures(times, n),
        _differences(times.results["stops"], times.results["backtesting.py, stops"]),
    )


def loop_in_python(opens: list[float], closes: list[float]) -> Any:
    """Run the loop of the same rules as a user without any engine would write it, compiled by nothing."""
    loop = getattr(loops.plain_loop, "py_func", loops.plain_loop)
    return loop(Sized(opens), Sized(closes), terms.FAST, terms.SLOW, terms.FEE, float(terms.CASH), 1.0)


class Sized(list[float]):
    """A list with the one attribute of an array that the loop reads."""

    @property
    def size(self) -> int:
        """Its length."""
        return len(self)


def _figures(times: Times, n: int) -> list[Finding]:
    rival = "backtesting.py: run() with its statistics"
    plain = "plain Python: one loop that keeps nothing"
    return [
        against(times, "backtesting.py", f"whole run, {n:,} bars", label=rival),
        against(
            times, "backtesting.py", f"a portfolio of one's own in Python, {n:,} bars", ours="callback", label=rival
        ),
        against(times, "backtesting.py", f"bar by bar as in replay and paper, {n:,} bars", ours="session", label=rival),
        against(
            times,
            "backtesting.py, stops",
            f"stop and target, {n:,} bars",
            ours="stops",
            label="backtesting.py: sl= and tp=",
        ),
        against(times, "plain Python", f"a portfolio of one's own in Python, {n:,} bars", ours="callback", label=plain),
        against(times, "plain Python", f"bar by bar as in replay and paper, {n:,} bars", ours="session", label=plain),
        Finding("bar by bar", times.median("session") / n * 1e6, "us/bar"),
    ]


def _differences(ours: FinishedRun, theirs: Mapping[str, float]) -> list[Difference]:
    why = "its stop and target are measured from the close that gave the signal, ours from the price of the entry"
    return [
        Difference("final equity with stop and target, backtesting.py", ours.final_equity / 1e16, theirs["final"], why),
        Difference(
            "closed trades with stop and target, backtesting.py", measure(ours)["trades"], theirs["trades"], why
        ),
    ]

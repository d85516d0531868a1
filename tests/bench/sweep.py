"""A grid of fast and slow averages: vectorbt broadcasts it over columns, we run it one combination after the other."""

from itertools import product
from typing import Any

import pandas as pd

from kraken_flow import backtest
from tests.bench import graphs, loops, market, terms
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Section, against
from tests.bench.plain import whole

WINDOWS = tuple(product((5, 10, 15, 20, 30), (50, 75, 100, 150, 200)))
CHUNK = 10
"""Combinations vectorbt is given at a time: with more, its matrices leave the processor's cache."""


def as_user(bars: pd.DataFrame, windows: tuple[tuple[int, int], ...]) -> list[int]:
    """Call `backtest` once per combination, as a script does: each composes and checks its configuration anew."""
    runs = (backtest(graphs.words(*pair), {"BTC/USD": bars}) for pair in windows)
    return [run.tables.run.final_equity for run in runs]


def with_time(bars: dict[str, market.Floats]) -> pd.DataFrame:
    """Bars as `backtest` takes them."""
    times = pd.date_range("2022-01-01", periods=len(bars["close"]), freq="1min", tz="UTC")
    return pd.DataFrame({"time": times, **bars})


def section(n: int, rounds: int, windows: tuple[tuple[int, int], ...] = WINDOWS) -> Section:
    """The whole grid by all sides, metrics included on ours."""
    from tests.bench import rivals

    bars, loaded = market.candles(n), market.single(n)
    rivals.prepare("1min")
    frame, table = rivals.frame(bars, "1min"), with_time(bars)
    systems = [graphs.plain(*pair) for pair in windows]

    def ours(_: Any) -> list[int]:
        fresh = market.untouched(loaded)
        return [whole(graph, fresh).final_equity for graph in systems]

    def loop(_: Any) -> list[float]:
        given = bars["open"], bars["close"]
        return [loops.plain_loop(*given, *pair, terms.FEE, float(terms.CASH), 1.0)[0] for pair in windows]

    times = take_turns(
        {
            "ours": Contestant(ours),
            "backtest()": Contestant(lambda _: as_user(table, windows)),
            "vectorbt": Contestant(lambda _: rivals.swept(frame, windows, CHUNK)),
            "numba": Contestant(loop),
        },
        rounds,
    )
    finals = [final / 1e16 for final in times.results["ours"]]
    theirs = [final for final, _ in times.results["vectorbt"]]
    by_call = [final / 1e16 for final in times.results["backtest()"]]
    checks = [
        Check("sum of the final equities, vectorbt", sum(finals), sum(theirs), 0.005 * len(windows)),
        Check("number of the best combination, vectorbt", finals.index(max(finals)), theirs.index(max(theirs)), 0.5),
        Check("furthest final equity, vectorbt", _apart(finals, theirs), 0.0),
        Check("furthest final equity, numba loop", _apart(finals, times.results["numba"]), 0.0),
        Check("furthest final equity, backtest() for each", _apart(finals, by_call), 0.0),
    ]
    what = f"{len(windows)} combinations x {n:,} bars"
    rival = f"vectorbt, Rust engine: from_signals over columns, {CHUNK} at a time"
    return Section(
        f"sweep of {what}",
        checks,
        [
            against(times, "vectorbt", f"{what}, graphs built", label=rival),
            against(times, "vectorbt", f"{what}, `backtest()` for each", ours="backtest()", label=rival),
            against(times, "numba", f"{what}, graphs built", label="numba, one loop for each, no metrics"),
        ],
    )


def _apart(ours: list[float], theirs: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))

"""Small things, where the work is little and the way to it counts: short backtests, single calls on short arrays."""

from typing import Any

from kraken_flow import backtest
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.market import Market
from tests.bench import graphs, indicators, market
from tests.bench.bar_by_bar import same as same_closed
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Section, against
from tests.bench.plain import same, whole
from tests.bench.sweep import with_time
from tests.bench.talib_calls import calls

CALLS = 100
"""Calls of a feature per reading of the clock."""
SHORT = ("SMA 50", "RSI 14", "ATR 14", "Bollinger 20")


def section(n: int, rounds: int) -> Section:
    """One short backtest, from candles in memory."""
    from tests.bench import rivals, rivals_backtesting

    bars, loaded, graph = market.candles(n), market.single(n), graphs.plain()
    rivals.prepare("1min")
    table, words = with_time(bars), graphs.words()
    frame, theirs = rivals.frame(bars, "1min"), rivals_backtesting.frame(bars)

    def from_words(_: Any) -> FinishedRun:
        ran = backtest(words, {"BTC/USD": table})
        assert ran.metrics["trades"] >= 0
        return ran.tables.run

    times = take_turns(
        {
            "ours": Contestant(lambda m: whole(graph, m), lambda: market.untouched(loaded)),
            "backtest()": Contestant(from_words),
            "vectorbt": Contestant(lambda _: rivals.crossing(frame)),
            "backtesting.py": Contestant(lambda _: rivals_backtesting.crossing(theirs)),
        },
        rounds,
    )
    other, bar_by_bar = times.results["vectorbt"], times.results["backtesting.py"]
    checks = [
        *same("vectorbt", times.results["ours"], (other["final"], other["trades"], -other["max_drawdown"])),
        *same_closed("backtesting.py", times.results["backtest()"], bar_by_bar),
    ]
    engine = "vectorbt, Rust engine: from_signals"
    called = f"{n:,} bars by `backtest()` from a DataFrame"
    return Section(
        f"a backtest of {n:,} bars",
        checks,
        [
            against(times, "vectorbt", f"{n:,} bars, graph built", label=engine),
            against(times, "vectorbt", called, ours="backtest()", label=engine),
            against(times, "backtesting.py", called, ours="backtest()", label="backtesting.py: run()"),
        ],
    )


def arrays(sizes: tuple[int, ...], rounds: int) -> Section:
    """Single calls of features on short columns."""
    checks: list[Check] = []
    findings = []
    for n in sizes:
        bars, loaded = market.candles(n), indicators.with_floats(market.single(n))
        others, features = calls(bars), indicators.features()
        for name in SHORT:
            times = take_turns(
                {
                    "ours": Contestant(_one(name, loaded), calls=CALLS),
                    "TA-Lib": Contestant(lambda _, other=others[name]: other(), calls=CALLS),
                },
                rounds,
            )
            ours = indicators.computed(features[name], loaded)
            checks.append(indicators.same_columns(f"{name}, {n:,} bars", name, ours, times.results["TA-Lib"]))
            findings.append(against(times, "TA-Lib", f"{name}, one call on {n:,} bars", "at most"))
    return Section("single calls on short arrays", checks, findings)


def _one(name: str, loaded: Market) -> Any:
    feature = indicators.features()[name]
    return lambda _: indicators.computed(feature, loaded)

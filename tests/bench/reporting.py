"""What a finished run's numbers cost: metrics, tables and files, next to the statistics of the rivals."""

import tempfile
from pathlib import Path
from typing import Any

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.metrics import measure
from kraken_flow.core.run import execute
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics, write_run
from tests.bench import graphs, market, terms
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Difference, Section, against

RATIOS = (("Sharpe ratio", "sharpe", "Sharpe Ratio"), ("Sortino ratio", "sortino", "Sortino Ratio"))


def section(n: int, rounds: int) -> Section:
    """Metrics of one run that is there already, each time from fresh columns, by all sides."""
    from tests.bench import rivals, rivals_backtesting

    bars, loaded, graph = market.candles(n), market.single(n), graphs.plain()
    rivals.prepare("1min")
    frame, theirs = rivals.frame(bars, "1min"), rivals_backtesting.frame(bars)
    ran = execute(graph, loaded, "auto")
    table = rivals_backtesting.run(theirs)

    def finished() -> FinishedRun:
        return FinishedRun(ran.result, market.untouched(loaded), ran.instruments, ran.spec.cash)

    def written(run: FinishedRun) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as name:
            return write_run(Path(name), Tables(run, "sma_cross"))

    times = take_turns(
        {
            "headline": Contestant(measure, finished),
            "ours": Contestant(lambda run: full_metrics(Tables(run, "sma_cross")), finished),
            "files": Contestant(written, finished),
            "vectorbt": Contestant(lambda p: p.stats(), lambda: rivals.simulated(frame, terms.FAST, terms.SLOW)),
            "backtesting.py": Contestant(lambda _: rivals_backtesting.statistics(theirs, table)),
        },
        rounds,
    )
    ours, vectorbt, other = (times.results[name] for name in ("ours", "vectorbt", "backtesting.py"))
    return Section(
        f"numbers of a finished run, {n:,} bars",
        _checks(ours, vectorbt, other),
        [
            against(times, "vectorbt", f"headline metrics, {n:,} bars", ours="headline", label="vectorbt: stats()"),
            against(times, "vectorbt", f"everything in `metrics.json`, {n:,} bars", label="vectorbt: stats()"),
            against(
                times,
                "backtesting.py",
                f"headline metrics, {n:,} bars",
                ours="headline",
                label="backtesting.py: compute_stats",
            ),
            against(
                times,
                "backtesting.py",
                f"everything in `metrics.json`, {n:,} bars",
                label="backtesting.py: compute_stats",
            ),
            against(
                times,
                "backtesting.py",
                f"run directory written, {n:,} bars",
                ours="files",
                label="backtesting.py: compute_stats",
            ),
        ],
        _differences(ours, vectorbt, table),
    )


def _checks(ours: dict[str, Any], vectorbt: Any, other: Any) -> list[Check]:
    return [
        Check("total return, vectorbt", ours["total_return"], vectorbt["Total Return [%]"] / 100, 1e-9),
        Check("drawdown, vectorbt", -ours["max_drawdown"], vectorbt["Max Drawdown [%]"] / 100, 1e-9),
        Check("closed trades, vectorbt", ours["trades"], vectorbt["Total Closed Trades"], 0.5),
        Check("win rate, vectorbt", ours["win_rate"], vectorbt["Win Rate [%]"] / 100, 1e-9),
        Check("profit factor, vectorbt", ours["profit_factor"], vectorbt["Profit Factor"], 1e-6),
        Check("expectancy, vectorbt", float(ours["expectancy"]), vectorbt["Expectancy"], 1e-6),
        Check("fees, vectorbt", float(ours["fees"]), vectorbt["Total Fees Paid"]),
        Check("total return, backtesting.py", ours["total_return"], other["Return [%]"] / 100, 1e-9),
        Check("drawdown, backtesting.py", ours["max_drawdown"], other["Max. Drawdown [%]"] / 100, 1e-9),
        Check("closed trades, backtesting.py", ours["trades"], other["# Trades"], 0.5),
        Check("win rate, backtesting.py", ours["win_rate"], other["Win Rate [%]"] / 100, 1e-9),
    ]


def _differences(ours: dict[str, Any], vectorbt: Any, other: Any) -> list[Difference]:
    made = {
        "vectorbt": (vectorbt, "ours is of daily returns, vectorbt's of returns of bars"),
        "backtesting.py": (
            other,
            "ours takes the mean of daily returns, backtesting.py their compounded mean without the first day",
        ),
    }
    found = [
        Difference(
            f"{title}, {name}", float(ours[key] or 0.0), float(theirs[column]), f"{why}; see docs/reading-a-run.md"
        )
        for title, key, column in RATIOS
        for name, (theirs, why) in made.items()
    ]
    why = "ours divides sums of money, backtesting.py sums of percents"
    found.append(Difference("profit factor, backtesting.py", ours["profit_factor"], other["Profit Factor"], why))
    why = "backtesting.py leaves the fee of a position that is still open out"
    found.append(Difference("fees, backtesting.py", float(ours["fees"]), other["Commissions [$]"], why))
    return found

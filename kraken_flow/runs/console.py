"""The console report: freqtrade's tables under their titles, then what they lack; made for 80 columns and log files."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from kraken_flow.analysis import breakdown
from kraken_flow.analysis.breakdown import Line
from kraken_flow.analysis.data_summary import data_notes, data_summary
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.safety import first_kill, lines
from kraken_flow.core.account import Risk
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import iso
from kraken_flow.runs import facts
from kraken_flow.runs.limit_facts import limit_facts
from kraken_flow.runs.options import Report as Options
from kraken_flow.runs.summary import Words, duration, summary
from kraken_flow.runs.tables import SAMPLE

PLAIN: dict[str, Any] = {
    "box": box.SIMPLE_HEAD,
    "title_justify": "left",
    "padding": (0, 1, 0, 0),
    "pad_edge": False,
    "show_edge": False,
}
_DATA_HEADS = {
    "bars": "Bars",
    "missing": "Missing",
    "longest_gap": "Longest\ngap",
    "zero_volume": "Zero\nvolume",
    "duplicates": "Dupl.",
    "dropped": "Dropped",
    "outliers": "Jumps",
}
_HEADS = {
    "backtest": ("BACKTESTING REPORT", "Backtesting"),
    "replay": ("REPLAY REPORT", "Replayed"),
    "paper": ("PAPER TRADING REPORT", "Traded on paper"),
}
"""By mode what heads the report, and what it calls the span."""
_MOST_EVENTS = 20
_MOST_WORDS = 20
"""Tags and reasons of a table; the total still counts all."""
_MOST_PERIODS = 60
"""Periods of a table, the newest."""
_MOST_DRAWDOWNS = 5


def wide_console() -> Console:
    """Return a console as wide as the terminal or as COLUMNS says; 160 columns where the output goes to a file."""
    known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return Console(highlight=False, width=None if known else 160)


def print_json(metrics: dict[str, Any], console: Console | None = None) -> None:
    """Print what stands in `metrics.json`, and nothing else."""
    text = orjson.dumps(metrics, option=orjson.OPT_INDENT_2).decode()
    (console or Console()).out(text, highlight=False)


class Report:
    """The report of one run.

    Parameters: `metrics` the numbers of `metrics.json`; `notes` sentences about the run's terms; `audit` whether its
    nodes were audited for look-ahead, in words; `options` what the group `report` sets; `mode` that of the run, which
    heads it; `spec` what the engine was told.
    """

    def __init__(
        self,
        run: FinishedRun,
        metrics: dict[str, Any],
        notes: Sequence[str] = (),
        audit: str = "",
        options: Options | None = None,
        mode: str = "backtest",
        spec: Spec | None = None,
    ) -> None:
        self.run = run
        self.metrics = metrics
        self.notes = notes
        self.spec = spec
        self.audit = audit
        self.options = options or Options()
        self.head, self.verb = _HEADS.get(mode, _HEADS["backtest"])
        self.words = Words(run, metrics)
        self.console = Console(highlight=False)

    def show(self, console: Console | None = None) -> None:
        """Print everything."""
        out = self.console = console or self.console
        run, words = self.run, self.words
        killed = facts.kill_line(words)
        if killed:
            self.say(" ".join(killed))
            self.say("")
        for table in (*self._trade_tables(), *self._periods()):
            out.print(table, "")
        lines_of = list(summary(words, self.audit, self.verb, self.spec))
        out.print(self._facts("SUMMARY METRICS", [*([killed] if killed else []), *lines_of]), "")
        if self.metrics["intervals"]["sharpe"]:
            self.say("[a to b]: where 90 % of the results lie when these returns are drawn again.")
            self.say("")
        if self.spec is not None:
            out.print(self._limits(self.spec.risk), "")
        out.print(self._facts("MORE METRICS", facts.more_metrics(words)), "")
        out.print(self._facts("BENCHMARK: HOLD", facts.benchmark_facts(words)), "")
        if self.metrics["drawdowns"]:
            out.print(self._drawdowns(), "")
        out.print(self._facts("COSTS", facts.cost_facts(words)), "")
        out.print(self._facts("AMBIGUITY", facts.ambiguity_facts(words)), "")
        if run.has_parents:
            out.print(self._facts("EXECUTION OF PARENT ORDERS", facts.execution_facts(words)), "")
        out.print(self._data(), "")
        if len(run.result.risk["time"]):
            out.print(self._risk(), "")
        self._warn()
        for note in [*data_notes(run.market), *self.notes]:
            out.print(f"note: {note}", markup=False)
        speed = self.metrics["bars_per_s"]
        took = f"{run.elapsed_s:.3f} s, {speed:,.0f} bars/s" if speed else "not measured"
        self.say(f"{self.metrics['bars']:,} bars, engine {self.metrics['engine']}: {took}")

    def say(self, line: str) -> None:
        """Print one line, however long it is."""
        self.console.print(line, markup=False, soft_wrap=True)

    def _warn(self) -> None:
        """Print the warnings, a paragraph each."""
        found = self.metrics["warnings"]
        if not found:
            return
        self.console.print(self._title("WARNINGS"), style="italic", markup=False)
        for one in found:
            self.console.print(f"- {one['text']}", markup=False)
        self.say("")

    def _table(self, title: str) -> Table:
        """Return an empty table, as wide as its title at least, so that this stays on one line."""
        words = self._title(title)
        return Table(title=words, min_width=len(words), **PLAIN)

    def _title(self, words: str) -> str:
        return f"{words} ({SAMPLE})" if self.run.market.synthetic_sample else words

    def _trade_tables(self) -> Iterable[Table]:
        run, everything = self.run, breakdown.total(self.run, self.run.trades)
        yield self._lines(self.head, "Pair", "Trades", breakdown.by_pair(run, run.trades), everything)
        still_open = run.trips.where(~run.trips.closed)
        held = [line for line in breakdown.by_pair(run, still_open) if line.trades]
        if held:
            yield self._lines("LEFT OPEN TRADES REPORT", "Pair", "Trades", held, breakdown.total(run, still_open))
        if not len(run.trades):
            return
        tags, reasons = breakdown.tag_words(run), breakdown.reason_words(run)
        mixed = [f"{tag or '-'} {reason}" for tag, reason in zip(tags, reasons, strict=True)]
        if any(tags):
            yield self._lines("ENTER TAG STATS", "Enter Tag", "Entries", breakdown.by_word(run, tags), everything)
        yield self._lines("EXIT REASON STATS", "Exit Reason", "Exits", breakdown.by_word(run, reasons), everything)
        if any(tags):
            yield self._lines(
                "MIXED TAG STATS", "Enter Tag Exit Reason", "Trades", breakdown.by_word(run, mixed), everything
            )

    def _lines(self, title: str, name: str, count: str, found: Sequence[Line], everything: Line) -> Table:
        table = self._table(title)
        # Where 80 columns are not enough, names fold and the last column wraps at a space; no number is cut.
        table.add_column(name, no_wrap=" " not in name, overflow="fold")
        profit = f"Tot Profit\n{self.words.quote}"
        heads = (count, "Avg\nProfit %", profit, "Tot\nProfit %", "Avg\nDuration", "Win Draw\nLoss Win%")
        for head in heads:
            table.add_column(head, justify="right", no_wrap=head is not heads[-1])
        shown = list(found if title.endswith("REPORT") else found[:_MOST_WORDS])
        for line in [*shown, everything]:
            table.add_row(
                line.name or "-",
                str(line.trades),
                _percent(line.mean_return),
                self._amount(line.profit),
                _percent(line.profit / self.run.start_cash),
                duration(line.duration_ns),
                f"{line.wins} {line.draws} {line.losses} {_percent(line.win_rate, 1)}",
                end_section=bool(shown) and line is shown[-1],
            )
        if len(found) > len(shown):
            table.caption = f"{len(found) - len(shown):,} more in metrics.json"
        return table

    def _amount(self, units: int) -> str:
        """Write money without its currency, which the head of the column names."""
        return self.words.exact(units).removesuffix(self.words.quote).rstrip()

    def _periods(self) -> Iterable[Table]:
        """Yield the tables of the periods that `report.breakdown` names."""
        if not len(self.run.trades):
            return
        for period in self.options.breakdown:
            found = breakdown.by_period(self.run, period)
            table = self._table(f"{period.upper()} BREAKDOWN")
            table.add_column(period.capitalize(), no_wrap=True)
            for head in ("Trades", f"Tot Profit {self.words.quote}", "Profit Factor", "Win Draw Loss Win%"):
                table.add_column(head, justify="right", no_wrap=True)
            for line in found[-_MOST_PERIODS:]:
                factor = line.profit_factor
                table.add_row(
                    line.name,
                    str(line.trades),
                    self._amount(line.profit),
                    "-" if isinstance(factor, str) else f"{factor:.2f}",
                    f"{line.wins} {line.draws} {line.losses} {_percent(line.win_rate, 1)}",
                )
            if len(found) > _MOST_PERIODS:
                table.caption = f"{len(found) - _MOST_PERIODS:,} earlier ones are left out"
            yield table

    def _facts(self, title: str, found: Iterable[tuple[str, str]]) -> Table:
        table = self._table(title)
        table.add_column("Metric", overflow="fold")
        table.add_column("Value", overflow="fold")
        for name, value in found:
            table.add_row(name, value)
        return table

    def _limits(self, risk: Risk) -> Table | str:
        """Return which limits shaped the run; a sentence where none was on."""
        found = list(limit_facts(self.run, risk))
        if not found:
            return "RISK LIMITS: none is on; no stop, no target, no bound on positions or losses."
        table = self._table("RISK LIMITS")
        for head in ("Limit", "Set to", "In this run"):
            table.add_column(head, overflow="fold")
        for line in found:
            table.add_row(*line)
        kill = first_kill(self.run)
        if kill is not None and kill.shadow:
            table.caption = (
                f"What halts, pauses or ends trading is counted up to {iso(kill.time)[:16]}, where it would have ended."
            )
            table.caption_justify = "left"
        return table

    def _drawdowns(self) -> Table:
        """Return the deepest drawdowns; `metrics.json` has ten."""
        table = self._table("DRAWDOWNS")
        for head in ("Peak", "Trough", "Recovered"):
            table.add_column(head, no_wrap=True)
        for head in ("Depth", "Days"):
            table.add_column(head, justify="right", no_wrap=True)
        for one in self.metrics["drawdowns"][:_MOST_DRAWDOWNS]:
            back = one["recovered"]
            ends = (one["peak"][:16], one["trough"][:16], back[:16] if back else "not yet")
            table.add_row(*ends, f"{one['depth']:.2%}", f"{one['days']:,.1f}")
        return table

    def _risk(self) -> Table:
        """Return what the limits of day and system did, the newest left out where there is too much of it."""
        found = list(lines(self.run))
        shadow = bool(self.run.result.risk["shadow"].any())
        title = "RISK EVENTS (not acted upon)" if shadow else "RISK EVENTS"
        table = self._table(title)
        for head in ("Time", "Limit", "State", "Measured"):
            table.add_column(head, overflow="fold")
        for line in found[:_MOST_EVENTS]:
            table.add_row(*line)
        if len(found) > _MOST_EVENTS:
            table.add_row(f"{len(found) - _MOST_EVENTS:,} more in risk.parquet")
        kill = first_kill(self.run)
        if kill is not None and not kill.shadow:
            table.caption = "To see what would have come after the kill: risk=research only records it and trades on."
            table.caption_justify = "left"
        return table

    def _data(self) -> Table:
        market = self.run.market
        table = self._table("DATA")
        table.add_column("Pair", no_wrap=True)
        for head in ("First", *_DATA_HEADS.values()):
            table.add_column(head, justify="right", no_wrap=True)
        for row in data_summary(market):
            table.add_row(str(row["pair"]), str(row["first"])[:10], *(str(row[kind]) for kind in _DATA_HEADS))
        return table


def _percent(value: float, places: int = 2) -> str:
    return "-" if value != value else f"{100 * value:.{places}f}"

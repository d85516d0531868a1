"""The console report: the tables that freqtrade users know, costs, data, notes; made for 80 columns."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from kraken_flow.analysis.data_summary import data_summary
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.flows import spent as flows_of
from kraken_flow.analysis.metrics import costs, short_sample
from kraken_flow.analysis.safety import Kill, first_kill, lines
from kraken_flow.analysis.tail_report import tail_facts
from kraken_flow.analysis.tca import parent_costs, totals
from kraken_flow.core.times import iso, timeframe_name
from kraken_flow.core.units import CASH_UNIT
from kraken_flow.runs import summary
from kraken_flow.runs.summary import Line
from kraken_flow.runs.tables import SAMPLE

_PLAIN: dict[str, Any] = {
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
_CRYPTO_QUOTES = frozenset({"BTC", "XBT", "ETH"})


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
    nodes were audited for look-ahead, in words; `mode` that of the run, which heads it.
    """

    def __init__(
        self, run: FinishedRun, metrics: dict[str, Any], notes: Sequence[str] = (), audit: str = "", mode: str = ""
    ) -> None:
        self.run = run
        self.metrics = metrics
        self.notes = notes
        self.audit = audit
        self.head, self.verb = _HEADS.get(mode, _HEADS["backtest"])
        self.quote = run.instruments[0].currency if run.instruments else ""
        self.places = 8 if self.quote in _CRYPTO_QUOTES else 2
        self.console = Console(highlight=False)

    def show(self, console: Console | None = None) -> None:
        """Print everything."""
        out = self.console = console or self.console
        run = self.run
        if kill := first_kill(run):
            self.say(f"{_killed(kill)} {kill.text()}")
            self.say("")
        for table in self._trade_tables():
            out.print(table, "")
        out.print(self._facts("SUMMARY METRICS", self._summary()), "")
        out.print(self._facts("COSTS", self._costs()), "")
        if len(run.result.risk["time"]):
            out.print(self._risk(), "")
        if run.has_parents:
            out.print(self._facts("EXECUTION OF PARENT ORDERS", self._execution()), "")
        out.print(self._data(), "")
        for note in [*run.market.notes, *self.notes]:
            out.print(f"note: {note}", markup=False)
        speed = self.metrics["bars_per_s"]
        took = f"{run.elapsed_s:.3f} s, {speed:,.0f} bars/s" if speed else "not measured"
        self.say(f"{self.metrics['bars']:,} bars, engine {self.metrics['engine']}: {took}")

    def say(self, line: str) -> None:
        """Print one line, however long it is."""
        self.console.print(line, markup=False, soft_wrap=True)

    def _title(self, words: str) -> str:
        return f"{words} ({SAMPLE})" if self.run.market.synthetic_sample else words

    def _money(self, value: float) -> str:
        return f"{value:,.{self.places}f}"

    def _exact(self, units: int) -> str:
        return self._money(units / CASH_UNIT)

    def _trade_tables(self) -> Iterable[Table]:
        run = self.run
        yield self._lines(self.head, "Pair", "Trades", summary.by_pair(run, run.trades))
        still_open = run.trips.where(~run.trips.closed)
        held = [line for line in summary.by_pair(run, still_open) if line.trades]
        if held:
            yield self._lines("LEFT OPEN TRADES REPORT", "Pair", "Trades", held)
        if len(run.trades):
            tags = summary.tag_words(run)
            if any(tags):
                yield self._lines("ENTER TAG STATS", "Enter Tag", "Entries", summary.by_word(run, tags))
            yield self._lines(
                "EXIT REASON STATS", "Exit Reason", "Exits", summary.by_word(run, summary.reason_words(run))
            )

    def _lines(self, title: str, name: str, count: str, lines: Sequence[Line]) -> Table:
        table = Table(title=self._title(title), **_PLAIN)
        table.add_column(name, no_wrap=True)
        profit = f"Tot Profit\n{self.quote}"
        heads = (count, "Avg\nProfit %", profit, "Tot\nProfit %", "Avg\nDuration", "Win Draw\nLoss Win%")
        for head in heads:
            # Where 80 columns are not enough, the last column wraps at a space, and no number is cut.
            table.add_column(head, justify="right", no_wrap=head is not heads[-1])
        for line in lines:
            table.add_row(
                line.name or "-",
                str(line.trades),
                _percent(line.mean_return),
                self._money(line.profit),
                _percent(line.profit / self.run.start_equity),
                summary.duration(line.duration_ns),
                f"{line.wins} {line.draws} {line.losses} {_percent(line.win_rate, 1)}",
                end_section=line is lines[-2] if len(lines) > 1 else False,
            )
        return table

    def _facts(self, title: str, facts: Iterable[tuple[str, str]]) -> Table:
        table = Table(title=self._title(title), **_PLAIN)
        table.add_column("Metric", overflow="fold")
        table.add_column("Value", overflow="fold")
        for name, value in facts:
            table.add_row(name, value)
        return table

    def _ratio(self, name: str, pattern: str, flag: str = "") -> str:
        value = self.metrics[name]
        if value is None:
            return f"undefined ({self.metrics['null_reasons'][name].replace('_', ' ')})"
        return pattern.format(float(value)) + flag

    def _summary(self) -> Iterable[tuple[str, str]]:
        run, market = self.run, self.run.market
        n_open = int((~run.trips.closed).sum())
        flag = "  (short sample, under 90 days)" if short_sample(run) else ""
        if kill := first_kill(run):
            yield _killed(kill), kill.text()
        if len(run.closes):
            yield f"{self.verb} from", iso(int(run.closes[0]) - market.timeframe_ns)
            yield f"{self.verb} to", iso(int(run.closes[-1]))
        yield "Timeframe, pairs", f"{timeframe_name(market.timeframe_ns)}, {len(market.pairs)}"
        if self.audit:
            yield "Look-ahead", self.audit
        yield "Trades closed / left open", f"{len(run.trades)} / {n_open}"
        yield "Starting balance", f"{self._exact(run.start_cash)} {self.quote}"
        yield "Final balance", f"{self._exact(run.final_equity)} {self.quote}"
        yield "Absolute profit", f"{self._exact(run.final_equity - run.start_cash)} {self.quote}"
        yield "Total profit %", self._ratio("total_return", "{:+.2%}")
        yield "CAGR %", self._ratio("cagr", "{:+.2%}", flag)
        for name in ("sharpe", "sortino"):
            yield f"{name.capitalize()} (daily, 365)", self._ratio(name, "{:.3f}")
        yield "Calmar", self._ratio("calmar", "{:.3f}", flag)
        yield "Max % of account underwater", self._ratio("max_drawdown", "{:.2%}")
        yield from summary.curve_facts(run)
        yield from tail_facts(self.metrics, market.timeframe_ns)
        yield "Win rate", self._ratio("win_rate", "{:.1%}")
        yield "Profit factor", self._ratio("profit_factor", "{:.3f}")
        yield "Expectancy", self._ratio("expectancy", f"{{:,.{self.places}f}} {self.quote}")
        yield from summary.trade_facts(run)
        yield "Exposure (mean gross)", self._ratio("exposure", "{:.1%}")
        yield "Turnover (two-sided, per year)", self._ratio("turnover", "{:,.1f}")
        yield "Ambiguous fills", str(self.metrics["ambiguous_fills"])
        ended = summary.unfilled(run)
        yield "Orders unfilled or cut", ", ".join(f"{word} {n}" for word, n in ended.items()) or "none"
        for word, n in sorted(run.result.counts.items()):
            yield word.replace("_", " ").capitalize(), str(n)
        yield "Share of the span halted", f"{self.metrics['halted_share']:.1%}"
        yield "Market change %", _percent(summary.market_change(run))

    def _risk(self) -> Table:
        """Return what the limits of day and system did, the newest left out where there is too much of it."""
        found = list(lines(self.run))
        shadow = bool(self.run.result.risk["shadow"].any())
        title = "RISK EVENTS (not acted upon)" if shadow else "RISK EVENTS"
        table = Table(title=self._title(title), **_PLAIN)
        for head in ("Time", "Limit", "State", "Measured"):
            table.add_column(head, overflow="fold")
        for line in found[:_MOST_EVENTS]:
            table.add_row(*line)
        if len(found) > _MOST_EVENTS:
            table.add_row(f"{len(found) - _MOST_EVENTS:,} more in risk.parquet")
        return table

    def _costs(self) -> Iterable[tuple[str, str]]:
        run = self.run
        spent, flows = costs(run), flows_of(run.result)
        for word, fee in summary.fees_by_liquidity(run).items():
            yield f"Fees, {word}", f"{self._exact(fee)} {self.quote}"
        yield "Slippage", f"{self._exact(spent['slippage'])} {self.quote}"
        yield "Funding", f"{self._exact(spent['funding'])} {self.quote}"
        for word in ("funding_paid", "funding_received", "borrow"):
            if self.metrics[word] != "0":
                yield f"{word.replace('_', ' ').capitalize()}", f"{self._exact(flows[word])} {self.quote}"
        yield "Traded volume", f"{self._money(float(run.notional.sum()))} {self.quote}"
        gross = run.final_equity - run.start_cash + sum(spent.values())
        share = f"{sum(spent.values()) / gross:.1%}" if gross > 0 else "undefined (no profit before costs)"
        yield "Costs over profit before costs", share

    def _execution(self) -> Iterable[tuple[str, str]]:
        worked = totals(parent_costs(self.run))
        yield "Parents filled / all, children", f"{worked.filled} / {worked.parents}, {worked.children}"
        yield "Filled share of the value", f"{worked.filled_share:.1%}"
        for name, value in (
            ("Execution against the decision", worked.execution),
            ("Opportunity, what was not filled", worked.opportunity),
            ("Fees", worked.fees),
            ("Implementation shortfall", worked.shortfall),
        ):
            yield name, f"{self._money(value)} {self.quote}"
        yield "Shortfall, bps of the value on paper", self._ratio("shortfall_bps", "{:+.2f}")

    def _data(self) -> Table:
        market = self.run.market
        table = Table(title=self._title("DATA"), **_PLAIN)
        table.add_column("Pair", no_wrap=True)
        for head in ("First", *_DATA_HEADS.values()):
            table.add_column(head, justify="right", no_wrap=True)
        for row in data_summary(market):
            table.add_row(str(row["pair"]), str(row["first"])[:10], *(str(row[kind]) for kind in _DATA_HEADS))
        return table


def _killed(kill: Kill) -> str:
    return "Would have been killed" if kill.shadow else "Killed"


def _percent(value: float, places: int = 2) -> str:
    return "-" if value != value else f"{100 * value:.{places}f}"

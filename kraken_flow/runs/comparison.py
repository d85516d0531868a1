"""What `mode=compare` prints: one screen of 80 columns, and the details where they are asked for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kraken_flow.core.instrument import currency_of
from kraken_flow.runs.console import PLAIN
from kraken_flow.runs.figures import HEADLINE, MONEY, change, pattern_of, value_at, written
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.sources import of_program

_FIRST = 5
"""Order lines that the details show of each kind."""
_MOST = 10
"""Keys, and sentences of a kind, that one screen has room for."""
_LOGS = {"order_log_sha256": "order log", "ledger_sha256": "ledger"}


class Comparison:
    """The differences of two runs on a console.

    Parameters: `found` what `mode=compare` writes as JSON; `details` whether everything is shown.
    """

    def __init__(self, a: PastRun, b: PastRun, found: Mapping[str, Any], details: bool, console: Console) -> None:
        self.runs = {"a": a, "b": b}
        self.found = found
        self.details = details
        self.console = console
        pairs = a.manifest.get("pairs") or [""]
        self.currency = currency_of(str(pairs[0])) if "/" in str(pairs[0]) else ""

    def show(self) -> None:
        """Print it."""
        self._heads()
        keys = [(key, values["a"], values["b"]) for key, values in self.found["keys"].items()]
        self._table("KEYS THAT DIFFER", ("Key", "a", "b"), keys, "keys")
        for title, of in (
            ("DATA THAT DIFFERS", "data"),
            ("CODE THAT DIFFERS", "code"),
            ("VERSIONS THAT DIFFER", "versions"),
        ):
            told = self.found[of]
            if of == "code" and not self.details:
                told = _gathered(told)
            self._sentences(title, told)
        self._results()
        counts = [(name, str(n["a"]), str(n["b"])) for name, n in self.found["counts"].items()]
        self._table("COUNTS THAT DIFFER", ("Count", "a", "b"), counts, "counts")
        self._orders()
        self._trades()
        if self.details:
            self._metrics()
        elif self.found["metrics"]:
            self.say(f"mode.details=true shows all {len(self.found['metrics'])} numbers that moved, report=json too.")

    def say(self, text: str) -> None:
        """Print a sentence, wrapped to the console."""
        self.console.print(Text(text))

    def _heads(self) -> None:
        """Name the runs, and say what of them is the same."""
        rows = [
            (letter, f"{run.name.partition('=')[2]} ({run.mode} of {run.strategy}, engine {self._engine(letter)})")
            for letter, run in self.runs.items()
        ]
        self._lines(rows)
        equal = {"configuration": not self.found["keys"], "code": not self.found["code"]}
        equal |= {"data": self.found["equal"]["data_sha256"], "versions": not self.found["versions"]}
        equal |= {name: self.found["equal"][of] for of, name in _LOGS.items()}
        for words, wanted in (("the same", True), ("different", False)):
            names = [name for name, same in equal.items() if same is wanted]
            if names:
                self.say(f"{words}: {', '.join(names)}")
        self.say("")

    def _engine(self, letter: str) -> str:
        return str(self.found["engines"][letter])

    def _results(self) -> None:
        """Print the headline numbers side by side."""
        if not self.found["metrics"]:
            self.say("Every number is the same.")
            return
        table = self._empty("RESULTS")
        table.add_column("Metric", overflow="fold")
        for head in ("a", "b", "b - a", "90 % of b - a", ""):
            table.add_column(head, justify="right" if head else "left", no_wrap=True)
        metrics = [run.metrics for run in self.runs.values()]
        intervals, marked = self.found["paired"]["intervals"], False
        for name, label, pattern in HEADLINE:
            before, now = (value_at(of, name) for of in metrics)
            if before is None and now is None:
                continue
            interval = intervals.get(name)
            around = "" if interval is None else " to ".join(change(0, end, pattern) for end in interval)
            beyond = interval is not None and (interval[0] > 0 or interval[1] < 0)
            marked |= beyond
            table.add_row(
                f"{label}, {self.currency}" if pattern == MONEY and self.currency else label,
                *(written(value, pattern, self.currency) for value in (before, now)),
                change(before, now, pattern, self.currency),
                around,
                "*" if beyond else "",
            )
        self.console.print(table)
        if any(intervals.values()):
            self.say(
                "90 % of b - a: where the difference lies when the same days of both are drawn again."
                + (" * 0 is not among it: more than luck." if marked else " 0 is among it: may be luck.")
            )
        elif why := self.found["paired"]["why"]:
            self.say(f"Nothing says how much of it is luck: {why}.")
        self.say("")

    def _orders(self) -> None:
        orders = self.found["orders"]
        alone = ", ".join(f"{len(orders[f'only_{letter}']):,} in {letter} alone" for letter in "ab")
        self.say(f"Order lines: {orders['equal']:,} equal, {len(orders['changed']):,} changed, {alone}.")
        if first := orders["first"]:
            self.say(f"The first that differs is line {first['line']:,}:")
            self._lines([(letter, first[letter]) for letter in "ab"])
        if not self.details:
            return
        for pair in orders["changed"][:_FIRST]:
            self.say("changed:")
            self._lines(pair.items())
        for letter in "ab":
            for line in orders[f"only_{letter}"][:_FIRST]:
                self.say(f"in {letter} alone:")
                self._lines([(letter, line)])
        if max(len(orders[of]) for of in ("changed", "only_a", "only_b")) > _FIRST:
            self.say(f"({_FIRST} of each kind are shown; report=json has all)")

    def _trades(self) -> None:
        trades = self.found["trades"]
        if first := trades["first"]:
            self.say(f"The first trade that differs is number {first['number']:,}:")
            self._lines([(letter, self._trade(first[letter])) for letter in "ab"])
        elif trades["a"]:
            self.say(f"All {trades['a']:,} trades are equal.")

    def _trade(self, trade: Mapping[str, Any] | None) -> str:
        if trade is None:
            return "(no trade)"
        profit = f"{written(trade['pnl'], MONEY, self.currency)} {self.currency}".rstrip()
        return (
            f"{trade['pair']} {trade['side']} {trade['qty']}, {trade['entry_time']} at {trade['entry_price']} to "
            f"{trade['exit_time']} at {trade['exit_price']} ({trade['exit_reason']}): {profit}"
        )

    def _metrics(self) -> None:
        """Print every number that moved, a table for each part of `metrics.json`."""
        groups: dict[str, list[tuple[str, ...]]] = {}
        for name, moved in self.found["metrics"].items():
            if name.endswith(".name"):
                continue
            head, _, rest = name.partition(".")
            if head == "breakdown":
                part, _, rest = rest.partition(".")
                head = f"{head} {part}"
            before, now = moved["a"], moved["b"]
            pattern = pattern_of(name, now if before is None else before)
            if pattern is None:
                told = ["-" if value is None else str(value) for value in (before, now)] + [""]
            else:
                told = [written(value, pattern, self.currency) for value in (before, now)]
                told.append(change(before, now, pattern, self.currency))
            # The trades without a tag have an empty name.
            label = ".".join(part or "-" for part in rest.split(".")) if rest else head
            groups.setdefault(head.replace("_", " ") if rest else "", []).append((label, *told))
        for head, rows in groups.items():
            title = "METRICS THAT MOVED"
            self._table(f"{title}: {head.upper()}" if head else title, ("Metric", "a", "b", "b - a"), rows, "numbers")

    def _table(self, title: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]], what: str) -> None:
        """Print a table, nothing without rows."""
        if not rows:
            return
        table = self._empty(title)
        for head in heads:
            right = heads[-1] == "b - a" and head != heads[0]
            table.add_column(head, overflow="fold", justify="right" if right else "left")
        shown = rows if self.details else rows[:_MOST]
        for row in shown:
            table.add_row(*map(Text, row))
        self.console.print(table)
        if len(rows) > len(shown):
            self.say(f"({len(rows) - len(shown):,} more {what}: mode.details=true)")
        self.say("")

    def _sentences(self, title: str, lines: Sequence[str]) -> None:
        if not lines:
            return
        self.console.print(Text(title, style="italic"))
        shown = lines if self.details else lines[:_MOST]
        for line in shown:
            self.say(f"- {line}")
        if len(lines) > len(shown):
            self.say(f"({len(lines) - len(shown):,} more: mode.details=true)")
        self.say("")

    def _lines(self, rows: Iterable[tuple[str, str]]) -> None:
        """Print what belongs to a and to b, long lines folded beside their letter."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for letter, text in rows:
            table.add_row(f"  {letter}", Text(text))
        self.console.print(table)

    def _empty(self, title: str) -> Table:
        return Table(title=title, min_width=len(title), **PLAIN)


def _gathered(code: Sequence[str]) -> list[str]:
    """Return the sentences about code, those about files of the program as one."""
    own = [line for line in code if not of_program(line.partition(":")[0])]
    count = len(code) - len(own)
    return [*own, *([f"{count} file{'s' * (count > 1)} of the program (mode.details=true)"] if count else [])]

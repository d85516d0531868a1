"""What `mode=compare` prints: one screen of 80 columns, and the details where they are asked for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kraken_flow.analysis.bootstrap import OF_TRADES
from kraken_flow.runs.console import PLAIN
from kraken_flow.runs.figures import HEADLINE, MONEY, Figure, change, pattern_of, value_at, written
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.sources import of_program

_FIRST = 5
"""Order lines that the details show of each kind."""
_MOST = 10
"""Keys, and sentences of a kind, that one screen has room for."""
_LABEL = 20
"""Columns that the label beside a number has at least."""
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
        self.currencies = found["currencies"]
        self.unlike = self.currencies["a"] != self.currencies["b"]

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
        if self.unlike:
            told = " and ".join(f"{letter} in {unit or 'one unknown'}" for letter, unit in self.currencies.items())
            self.say(f"Currencies: {told}. Money is not subtracted; returns are those in each one's own.")
            self.say(
                "Warning: returns are subtracted as they stand. What the currencies gained on each other is not in "
                "them, so the difference does not tell which run made more."
            )
            self.say("")
        if not self.found["metrics"]:
            self.say("Every number is the same.")
            return
        both = {figure: [value_at(run.metrics, figure.name) for run in self.runs.values()] for figure in HEADLINE}
        if not self.unlike and all(before == now for before, now in both.values()):
            self.say("The results are equal: every headline number is the same.")
            self.say("")
            return
        self._headline({figure: pair for figure, pair in both.items() if pair != [None, None]})
        self.say("")

    def _headline(self, both: Mapping[Figure, Sequence[Any]]) -> None:
        """Print numbers of both runs in a table, amounts in one of their own where they are too wide for that."""
        # A metric whose days are the same in both has no interval: 0 is all of it.
        intervals = {name: span for name, span in self.found["paired"]["intervals"].items() if span and any(span)}
        rows, marked = [], False
        for (name, label, pattern), (before, now) in both.items():
            interval = intervals.get(name)
            beyond = interval is not None and (interval[0] > 0 or interval[1] < 0)
            marked |= beyond
            spread = [] if interval is None else [change(0, end, pattern, self.currencies["a"]) for end in interval]
            row = (
                f"{label}, {self.currencies['a']}".removesuffix(", ") if self._alike(pattern) else label,
                *self._pair(before, now, pattern),
                " to ".join(spread),
                "*" if beyond else "",
            )
            rows.append((pattern == MONEY, row))
        heads = ("Metric", "a", "b", "b - a", "90 % of b - a", "")
        if self._fits(heads, [row for _, row in rows]):
            self._numbers("RESULTS", heads, [row for _, row in rows])
        else:
            self._numbers("RESULTS", heads, [row for amount, row in rows if not amount])
            self.say("")
            amounts = [row for amount, row in rows if amount]
            columns = len(heads) if any(row[4] for row in amounts) else 4
            self._numbers("RESULTS: AMOUNTS", heads[:columns], [row[:columns] for row in amounts])
        if intervals:
            opened = "" if intervals.keys().isdisjoint(OF_TRADES) else ", trades with the day that opened them"
            self.say(
                f"90 % of b - a: where the difference lies when the same days of both are drawn again{opened}."
                + (" * 0 is not among it: luck alone does that once in ten." if marked else " 0 is in it: may be luck.")
            )
        elif why := self.found["paired"]["why"]:
            self.say(f"Nothing says how much of it is luck: {why}.")

    def _alike(self, pattern: str) -> bool:
        """Whether numbers of a pattern are amounts of one currency."""
        return pattern == MONEY and not self.unlike

    def _pair(self, before: Any, now: Any, pattern: str) -> tuple[str, str, str]:
        """Write a number of both runs and its difference; amounts of two currencies have none and say theirs."""
        said = [
            written(value, pattern, unit) for value, unit in zip((before, now), self.currencies.values(), strict=True)
        ]
        if pattern != MONEY or self._alike(pattern):
            return said[0], said[1], change(before, now, pattern, self.currencies["a"])
        a, b = (
            text if text == "-" else f"{text} {unit}".rstrip()
            for text, unit in zip(said, self.currencies.values(), strict=True)
        )
        return a, b, "-"

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
            self._lines([(letter, self._trade(letter, first[letter])) for letter in "ab"])
        elif trades["a"]:
            self.say(f"All {trades['a']:,} trades are equal.")

    def _trade(self, letter: str, trade: Mapping[str, Any] | None) -> str:
        if trade is None:
            return "(no trade)"
        unit = self.currencies[letter]
        profit = f"{written(trade['pnl'], MONEY, unit)} {unit}".rstrip()
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
                told = [*self._pair(before, now, pattern)]
            # The trades without a tag have an empty name.
            label = ".".join(part or "-" for part in rest.split(".")) if rest else head
            groups.setdefault(head.replace("_", " ") if rest else "", []).append((label, *told))
        for head, rows in groups.items():
            title = "METRICS THAT MOVED"
            self._numbers(f"{title}: {head.upper()}" if head else title, ("Metric", "a", "b", "b - a"), rows)
            self.say("")

    def _numbers(self, title: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
        """Print a table of numbers, whole ones: where the console is too narrow, each under its label."""
        if not self._fits(heads, rows):
            self.console.print(Text(title, style="italic"))
            for label, *cells in rows:
                self.say(label)
                # A mark, whose column has no head, stands beside what it marks.
                told = [*zip(heads[1:4], cells[:3], strict=True), (heads[-2], " ".join(cells[3:]).strip())]
                self._lines((head, cell) for head, cell in told if cell)
            return
        table = self._empty(title)
        for head in heads:
            number = bool(head) and head != heads[0]
            table.add_column(head, overflow="fold", justify="right" if number else "left", no_wrap=head != heads[0])
        for row in rows:
            table.add_row(*map(Text, row))
        self.console.print(table)

    def _fits(self, heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> bool:
        """Whether rows stand beside their labels without a number being cut."""
        widths = [max(map(cell_len, column)) + 1 for column in zip(heads, *rows, strict=True)]
        return min(widths[0], _LABEL) + sum(widths[1:]) <= self.console.width

    def _table(self, title: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]], what: str) -> None:
        """Print a table, nothing without rows."""
        if not rows:
            return
        table = self._empty(title)
        for head in heads:
            table.add_column(head, overflow="fold")
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

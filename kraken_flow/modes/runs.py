"""Mode `runs`: what has been run, with what outcome; a list, JSON, or one page."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from kraken_flow.core.errors import UserError
from kraken_flow.core.node import Positive, node
from kraken_flow.core.times import iso, parse_time
from kraken_flow.modes import Call, Mode
from kraken_flow.nearest import hint

if TYPE_CHECKING:
    from kraken_flow.runs.index_table import Condition, Row

SHOWN = 20
"""Runs in the list where no limit is given."""
WORDS = {
    "return": "total_return",
    "drawdown": "max_drawdown",
    "equity": "final_equity",
    "order_log": "order_log_sha256",
    "ledger": "ledger_sha256",
    "data": "data_sha256",
    "config": "config_sha256",
}
"""Words of the console for columns of the index."""
_CONDITION = re.compile(r"\s*(\w+)\s*(!=|<=|>=|=|<|>)\s*(.+?)\s*")
_PAGE = "index.html"


@node
class Runs(Mode):
    """List the runs below a folder: strategy, span, numbers, hash, status; newest first."""

    needs_graph = False
    root: str = "runs"
    """Folder of the runs."""
    strategy: str | None = None
    """Runs of this strategy alone; * stands for any letters, as in sma*."""
    only: str | None = None
    """Runs of this mode alone (backtest, paper, audit ...), or sweep."""
    status: Literal["finished", "failed", "interrupted", "killed", "running", "damaged"] | None = None
    """Runs that ended so; killed is one whose process went without a word."""
    pair: str | None = None
    """Runs that traded this pair."""
    since: str | None = None
    """Runs started at or after this time, as in 2026-01-31 or 2026-01-31T12:00:00Z."""
    until: str | None = None
    """Runs started before this time."""
    where: str | None = None
    """Conditions on any column, as in `sharpe>1 and trades>=30`."""
    sort: str = "-started"
    """Column to sort by, with - before it for the largest first; runs without a value come last."""
    limit: Positive[int] | None = None
    """Most runs shown; null: 20 in the list, all of them as JSON and on the page."""
    members: bool = False
    """Whether members of sweeps are listed too, beside the sweep with the numbers of its best one."""
    format: Literal["table", "json"] = "table"
    """What is printed; report=json is the same as json."""
    page: bool | str = False
    """Whether to write one page of all these runs: true for index.html in the folder of the runs, or a path."""

    def drive(self, call: Call) -> int:
        """List, or write the page."""
        from kraken_flow.modes.rerun import refuse_other
        from kraken_flow.runs.index import entries, require

        refuse_other(call, tuple(f"mode.{name}" for name in Runs.__dataclass_fields__))
        require()
        root = Path(self.root).expanduser()
        problems: list[str] = []
        conditions = list(self._conditions(problems))
        sort = self._sort(problems)
        if not root.is_dir():
            problems.append(f"mode.root={self.root}: there is no such folder; no run has been made here")
        if problems:
            raise UserError("\n".join(problems))
        as_json = self.format == "json" or call.choices.get("report") == "json"
        limit = SHOWN if self.limit is None and not as_json and self.page is False else self.limit
        rows, total = entries(root, conditions, sort, limit)
        _show(self, root, rows, total, as_json)
        return 0

    def _conditions(self, problems: list[str]) -> "Iterator[Condition]":
        if self.strategy is not None:
            yield ("strategy", "like", _pattern(self.strategy))
        if self.only == "sweep":
            yield ("kind", "=", "sweep")
        elif self.only is not None:
            yield ("mode", "=", self.only)
        if self.status is not None:
            yield ("status", "=", self.status)
        if self.pair is not None:
            yield ("pairs", "like", _pattern(f"*{self.pair.upper()}*"))
        if not self.members:
            yield ("kind", "!=", "member")
        for name, how in (("since", ">="), ("until", "<")):
            value = getattr(self, name)
            if value is not None:
                try:
                    yield ("started", how, iso(parse_time(value, f"mode.{name}")).rstrip("Z"))
                except UserError as error:
                    problems.append(str(error))
        for part in re.split(r"\s+and\s+", self.where.strip()) if self.where is not None else ():
            try:
                yield _condition(part)
            except UserError as error:
                problems.append(f"mode.where={self.where}: {error}")

    def _sort(self, problems: list[str]) -> str:
        try:
            return "-" * self.sort.startswith("-") + _column(self.sort.removeprefix("-"))
        except UserError as error:
            problems.append(f"mode.sort={self.sort}: {error}")
        return "-started"


def _column(word: str) -> str:
    from kraken_flow.runs.index_table import COLUMNS

    known = [name for name in COLUMNS if name not in ("fingerprint",)]
    name = WORDS.get(word, word)
    if name not in known:
        raise UserError(f"there is no column {word}; there are {', '.join(known)}{hint(word, [*known, *WORDS])}")
    return name


def _condition(part: str) -> "Condition":
    """Read one condition: a column, a comparison, a value."""
    from kraken_flow.runs.index_table import WORDS as TEXT

    found = _CONDITION.fullmatch(part)
    if found is None:
        raise UserError(f"{part!r} is no condition; write column, comparison and value, as in sharpe>1")
    name, how, value = _column(found[1]), found[2], found[3]
    if name in TEXT:
        pattern = {"=": "like", "!=": "unlike"}.get(how)
        return (name, how, value) if pattern is None else (name, pattern, _pattern(value))
    if value in {"true", "false"}:
        return (name, how, value == "true")
    try:
        share = value.endswith("%")
        number = float(value.removesuffix("%"))
    except ValueError:
        raise UserError(f"{found[1]} is a number, and {value} is none") from None
    return (name, how, number / 100 if share else number)


def _pattern(word: str) -> str:
    """Write a word in which * stands for any letters as a pattern of SQL."""
    return re.sub(r"([\\%_])", r"\\\1", word).replace("*", "%")


def _show(asked: Runs, root: Path, rows: "Sequence[Row]", total: int, as_json: bool) -> None:
    from kraken_flow.runs.console import print_json
    from kraken_flow.runs.index_list import lines, plain

    if asked.page is not False:
        from kraken_flow.runs.browser import write_page

        path = root / _PAGE if asked.page is True else Path(asked.page).expanduser()
        write_page(path, root, [plain(root, row) for row in rows])
        if not as_json:
            said = f"written: {path} ({len(rows):,} runs)"
            Console(highlight=False).print(said, markup=False, soft_wrap=True)
            return
    if as_json:
        content: dict[str, Any] = {"root": str(root), "total": total, "runs": [plain(root, row) for row in rows]}
        print_json(content)
        return
    console = Console(highlight=False)
    for line in lines(root, rows, total, console.width):
        console.print(line, soft_wrap=True)

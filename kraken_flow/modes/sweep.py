"""A sweep: its members' outcomes, kept whatever happens to any of them, and the leaderboard."""

import contextlib
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.box import SIMPLE, SIMPLE_HEAD
from rich.table import Table

from kraken_flow.analysis.cautions import FEW_TRADES
from kraken_flow.config.composition import Composition
from kraken_flow.core.blame import users_fault
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.redact import redact
from kraken_flow.core.times import SECOND
from kraken_flow.core.whole import whole
from kraken_flow.modes.driver import warn_of_fallback
from kraken_flow.runs.console import wide_console
from kraken_flow.runs.directory import (
    MADE_BY,
    MANIFEST,
    Claim,
    check_no_latest,
    claim,
    drop_empty,
    explained,
    new_folder,
    point_latest,
    read_manifest,
    write_json,
)
from kraken_flow.runs.progress import Work
from kraken_flow.runs.record import ROOT, command_line
from kraken_flow.runs.summary import duration
from kraken_flow.runs.tables import SAMPLE

METRICS = {
    "sharpe": "sharpe",
    "total_return": "return",
    "max_drawdown": "drawdown",
    "trades": "trades",
    "fees": "fees",
    "final_equity": "equity",
}
"""What the leaderboard shows of each member, with the words of the console; sorted by the first, then the second."""
MARKS = {
    "!": ("killed", "a limit ended its trading"),
    "*": (
        "few trades",
        f"fewer than {FEW_TRADES} trades, of which luck can make any ratio: ranked after those with more",
    ),
}
"""Signs behind a member's number: their words in `leaderboard.csv` and under the table."""
_DISPENSABLE = ("fees", "final_equity", "trades", "max_drawdown", "total_return")
"""What a narrow terminal goes without, in that order."""
_NARROWEST = 12
"""Columns that a swept value keeps before it is folded."""


@dataclass
class Outcome:
    """One member: its number, its overrides, its metrics, or why it failed."""

    number: int
    overrides: dict[str, str]
    metrics: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    wrong_input: bool = False
    synthetic: bool = False
    interrupted: bool = False

    @property
    def few(self) -> bool:
        """Whether it closed fewer trades than its statistics need."""
        return int(self.metrics.get("trades") or 0) < FEW_TRADES

    @property
    def marks(self) -> str:
        """What to mind before believing its metrics, a sign of `MARKS` each."""
        if self.error:
            return ""
        return "!" * bool(self.metrics.get("killed_at")) + "*" * self.few


class Sweep:
    """The members of one sweep and the folder they write to, which is taken when the first of them can start.

    Parameters: `overrides` as the user typed them; `total` how many members there will be, None where the sweeper
    decides as it goes; `flags` the flags that say where the configuration is.
    """

    def __init__(self, overrides: Sequence[str], total: int | None = None, flags: Sequence[str] = ()) -> None:
        self.overrides = list(overrides)
        self.total = total
        self.flags = flags
        self.outcomes: list[Outcome] = []
        self.interrupted = False
        self._unsaid: list[str] = []
        self.console = wide_console()
        self._work = Work()
        self.folder: Path | None = None
        self._asked: Any = None
        self._engine = "auto"
        self._claim: Claim | None = None

    def settle(self, composition: Composition) -> Path:
        """Return the folder: the `run_dir` of the first member whose configuration is right, else a new one.

        Raises `UserError` where a later member has another `run_dir`.
        """
        asked = composition.cfg.get("run_dir")
        if self.folder is not None:
            if asked != self._asked:
                raise UserError(
                    f"run_dir={asked}: the members of a sweep share one folder, and others have {self._asked}; "
                    "give one for all of them with run_dir=FOLDER"
                )
            return self.folder
        self._asked, self._engine = asked, str(composition.cfg.get("engine", "auto"))
        if asked is None:
            given = _by_key(self.overrides)
            names = [given.get(group) or composition.choices.get(group) or "" for group in ("mode", "strategy")]
            mode, strategy = (name if name.replace("_", "").isalnum() else "sweep" for name in names)
            made_of = sha256("\n".join(self.overrides).encode()).hexdigest()
            self.folder = new_folder(ROOT, mode, strategy, made_of)
        else:
            self.folder = Path(str(asked))
        return self.folder

    def begin(self) -> None:
        """Take the folder, in place of an earlier sweep: a member's input is known to be right.

        Raises `UserError` where the folder holds something that is not ours.
        """
        if self._claim is not None or self.folder is None:
            return
        check_no_latest(ROOT, self.folder)
        self._claim = claim(self.folder)
        with explained(self.folder):
            self._manifest(self.folder, "running")
        warn_of_fallback(self._engine)
        for outcome in self.outcomes:
            self._record_failure(outcome)

    def _manifest(self, folder: Path, status: str) -> None:
        content = {
            "made_by": MADE_BY,
            "kind": "sweep",
            "status": status,
            "command": command_line(["-m", *self.flags, *self.overrides]),
            "overrides": [*map(redact, self.overrides)],
            "members": len(self.outcomes),
        }
        write_json(folder / MANIFEST, content)

    def _record_failure(self, outcome: Outcome) -> None:
        """Leave a manifest in the folder of a member that failed before its run began."""
        if self.folder is None or self._claim is None or not outcome.error:
            return
        folder = self.folder / str(outcome.number)
        status = "interrupted" if outcome.interrupted else "failed"
        content = {"made_by": MADE_BY, "status": status, "error": outcome.error}
        # Where the disk is full, the leaderboard is all that can say it.
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            if not any(folder.iterdir()):
                overrides = [f"{key}={value}" for key, value in outcome.overrides.items()]
                write_json(folder / MANIFEST, content | {"overrides": overrides})

    def close(self) -> None:
        """Write and print the leaderboard of what has run; a sweep in which nothing could start leaves no trace."""
        nothing = self.interrupted or all(outcome.wrong_input for outcome in self.outcomes)
        if self.interrupted:
            self._say()
        if self._claim is None and nothing:
            if self.folder is not None and self._asked is None:
                drop_empty(self.folder, ROOT.parent)
            return
        failed = any(outcome.error for outcome in self.outcomes)
        try:
            self.begin()
            if self.folder is not None:
                with explained(self.folder):
                    self.write(self.folder)
                    status = "interrupted" if self.interrupted else "failed" if failed else "finished"
                    self._manifest(self.folder, status)
                if any(not outcome.error for outcome in self.outcomes):
                    point_latest(ROOT, self.folder)
        finally:
            self.show()
        if self.folder is not None:
            self.console.print(f"leaderboard: {self.folder / 'leaderboard.csv'}", markup=False, soft_wrap=True)
        if self._claim is not None:
            self._claim.release()

    def stopped(self) -> str:
        """Say what an interrupted sweep leaves, and what its command does next time."""
        done = sum(not outcome.error for outcome in self.outcomes)
        of = f" of {self.total}" if self.total else ""
        if not done or self.folder is None:
            return f"interrupted: none{of or ' of the runs'} is done; the same command begins anew"
        what = f"{done}{of} runs {'is' if done == 1 else 'are'} done, which {self.folder / 'leaderboard.csv'} holds"
        return (
            f"interrupted: {what}; the same command begins all of them anew, so give it the values that are left, "
            "and another run_dir where it names one"
        )

    def member(self, number: int, overrides: Sequence[str], run: Callable[[], int]) -> float | None:
        """Run one member and keep its outcome; return its Sharpe ratio, None where it has none."""
        outcome = Outcome(number, _by_key([*map(redact, overrides)]))
        self.outcomes.append(outcome)
        try:
            with self._work as work:
                told = f"run {len(self.outcomes)} of {self.total}" if self.total else f"run {len(self.outcomes)}"
                work.now(told, self.total)
                work.done(len(self.outcomes) - 1)
                code = run()
            outcome.error = "" if code == 0 else f"exit code {code}"
        except UserError as error:
            outcome.error, outcome.wrong_input = str(error), True
        except CheckFailed as error:
            outcome.error = str(error)
        except Exception as error:  # noqa: BLE001 - one failed member must not lose the others
            fault = users_fault(error)
            outcome.error, outcome.wrong_input = fault or f"unexpected {type(error).__name__}: {error}", bool(fault)
        except BaseException:
            outcome.error, outcome.interrupted = "interrupted", True
            self.interrupted = True
            self._record_failure(outcome)
            raise
        outcome.error = redact(outcome.error)
        self._record_failure(outcome)
        if not outcome.error and self.folder is not None:
            outcome.metrics = json.loads((self.folder / str(number) / "metrics.json").read_text("utf-8"))
            manifest = read_manifest(self.folder / str(number)) or {}
            outcome.synthetic = bool(manifest.get("synthetic_sample"))
        done = f"{len(self.outcomes)}/{self.total}" if self.total else f"{len(self.outcomes)}"
        said = f"failed: {outcome.error.splitlines()[0]}" if outcome.error else _said(outcome.metrics)
        changed = redact(" ".join(word for word in overrides if word not in self.overrides))
        # What is wrong for all members alike is said once, when all are through.
        self._unsaid.append(f"[{done}] {changed + ': ' if changed else ''}{said}")
        if not all(other.wrong_input for other in self.outcomes):
            self._say()
        value: float | None = outcome.metrics.get("sharpe")
        return value

    def _say(self) -> None:
        for line in self._unsaid:
            self.console.print(line, markup=False, soft_wrap=True)
        self._unsaid.clear()

    def swept(self) -> list[str]:
        """Return the keys whose values differ between members, in the order in which they were given."""
        keys = dict.fromkeys(key for outcome in self.outcomes for key in outcome.overrides)
        return [key for key in keys if len({outcome.overrides.get(key) for outcome in self.outcomes}) > 1]

    def ranked(self) -> list[Outcome]:
        """Return the members, best first; those of few trades after all others, failed ones last.

        Those without a ratio come after those with one.
        """

        def rank(outcome: Outcome) -> tuple[bool, bool, float, float, int]:
            first, second = (_number(outcome.metrics.get(name)) for name in ("sharpe", "total_return"))
            return bool(outcome.error), outcome.few, -first, -second, outcome.number

        return sorted(self.outcomes, key=rank)

    def write(self, folder: Path) -> None:
        """Write `leaderboard.csv`: rank, member, swept keys, metrics, market, note, error; undefined is empty."""
        keys = self.swept()
        with whole(folder / "leaderboard.csv") as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["rank", "member", *keys, *METRICS, "market", "note", "error"])
            for rank, outcome in enumerate(self.ranked(), 1):
                values = [outcome.overrides.get(key, "") for key in keys]
                metrics = ["" if outcome.metrics.get(name) is None else outcome.metrics[name] for name in METRICS]
                error = " | ".join(outcome.error.splitlines())
                market = SAMPLE if outcome.synthetic else ""
                note = ", ".join(MARKS[mark][0] for mark in outcome.marks)
                table.writerow([rank, outcome.number, *values, *metrics, market, note, error])

    def show(self) -> None:
        """Print the leaderboard."""
        keys = self.swept()
        number = len(self.outcomes)
        title = (
            f"{number} run{'s' * (number != 1)}{f' ({SAMPLE})' * any(outcome.synthetic for outcome in self.outcomes)}"
        )
        short = [key.rpartition(".")[2] for key in keys]
        names = short if len(set(short)) == len(short) else keys
        heads = ["member", *names, *METRICS.values()]
        rows = []
        for outcome in self.ranked():
            swept = [outcome.overrides.get(key, "") for key in keys]
            cells = (
                [_cell(name, outcome.metrics.get(name)) for name in METRICS] if not outcome.error else [_ended(outcome)]
            )
            rows.append([f"{outcome.number} {outcome.marks}".rstrip(), *swept, *cells])
        columns = fitting(heads, rows, len(keys), self.console.width)
        table = Table(title=title, title_justify="left", box=SIMPLE)
        for column in columns:
            folds = 0 < column <= len(keys)
            table.add_column(heads[column], no_wrap=not folds, overflow="fold")
        for row in rows:
            table.add_row(*(row[column] for column in columns if column < len(row)))
        self.console.print(table)
        for mark, (_, meaning) in MARKS.items():
            if any(mark in outcome.marks for outcome in self.outcomes):
                self.console.print(f"{mark} {meaning}", markup=False)
        if "strategy" in keys:
            self.console.print(strategy_summary([o for o in self.ranked() if not o.error]))
        left_out = [head for column, head in enumerate(heads) if column not in columns]
        if left_out:
            told = f"left out for want of room: {', '.join(left_out)}; leaderboard.csv has all"
            self.console.print(told, markup=False, soft_wrap=True)

    def exit_code(self) -> int:
        """Return 0 where every member is done, 1 where one failed; all wrong for the user's input is a `UserError`."""
        if self.outcomes and all(outcome.wrong_input for outcome in self.outcomes):
            raise UserError("\n".join(dict.fromkeys(line for o in self.outcomes for line in o.error.splitlines())))
        return int(any(outcome.error for outcome in self.outcomes))


def _ended(outcome: Outcome) -> str:
    return "interrupted" if outcome.interrupted else "failed"


def fitting(heads: Sequence[str], rows: Sequence[Sequence[str]], n_keys: int, width: int) -> list[int]:
    """Return the columns of a leaderboard that a terminal holds without cutting a number.

    The metrics that matter least go first; swept values, which stand behind the member's number, are folded where that
    is enough.
    """
    widths = [max(len(row[column]) for row in [heads, *rows] if column < len(row)) for column in range(len(heads))]
    for column in range(1, n_keys + 1):
        widths[column] = min(widths[column], _NARROWEST)
    columns = list(range(len(heads)))
    for name in _DISPENSABLE:
        # A blank on both sides of a column, and one between two.
        if sum(widths[column] + 3 for column in columns) + 1 <= width:
            break
        columns.remove(1 + n_keys + list(METRICS).index(name))
    return columns


def strategy_summary(outcomes: Sequence[Outcome]) -> Table:
    """Return freqtrade's table of several strategies, a row for each member."""
    title = f"STRATEGY SUMMARY{f' ({SAMPLE})' * any(outcome.synthetic for outcome in outcomes)}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("Strategy", no_wrap=True)
    heads = ("Trades", "Avg\nProfit %", "Tot\nProfit", "Tot\nProfit %", "Avg\nDuration", "Win Draw\nLoss Win%")
    for head in (*heads, "Draw-\ndown %"):
        table.add_column(head, justify="right", no_wrap=head is not heads[-1])
    for outcome in outcomes:
        total = outcome.metrics["breakdown"]["total"]
        rate, seconds = total["win_rate"], total["mean_duration_s"]
        table.add_row(
            str(outcome.overrides.get("strategy", outcome.number)),
            str(total["trades"]),
            "-" if total["mean_return"] is None else f"{100 * total['mean_return']:.2f}",
            f"{float(total['profit']):,.2f}",
            f"{100 * outcome.metrics['total_return']:.2f}" if outcome.metrics["total_return"] is not None else "-",
            "-" if seconds is None else duration(seconds * SECOND),
            f"{total['wins']} {total['draws']} {total['losses']} {'-' if rate is None else f'{100 * rate:.1f}'}",
            f"{100 * outcome.metrics['max_drawdown']:.2f}" if outcome.metrics["max_drawdown"] is not None else "-",
        )
    return table


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    return {key.lstrip("+"): value for key, _, value in (word.partition("=") for word in overrides)}


def _number(value: Any) -> float:
    return float("-inf") if value is None else float(value)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in {"total_return", "max_drawdown"}:
        return f"{round(float(value), 4) + 0.0:+.2%}"
    if name == "trades":
        return str(value)
    # What rounds to zero has no sign: + 0.0 takes it from a zero that is negative.
    return f"{round(float(value), 3) + 0.0:.3f}" if name == "sharpe" else f"{round(float(value), 2) + 0.0:,.2f}"


def _said(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{word} {_cell(name, metrics.get(name))}" for name, word in list(METRICS.items())[:4])

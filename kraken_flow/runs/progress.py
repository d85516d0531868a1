"""A line on the terminal that says what is being done and how far it is, where that takes longer than two seconds."""

import logging
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskProgressColumn, TextColumn
from rich.text import Text

from kraken_flow.core.run import ENGINE, SIGNALS
from kraken_flow.native import native

AFTER_S = 2.0
"""Work that is done sooner shows nothing."""
READING = "reading candles"
WRITING = "writing logs and tables"
MEASURING = "measuring"
PAGE = "drawing the page"
COMPARING = "comparing logs, tables and metrics"
FAST = {READING: 25, SIGNALS: 5, ENGINE: 10, WRITING: 20, MEASURING: 10, PAGE: 30}
"""The stages of a run in the Rust engine, with their shares of the time as they were on two million bars."""
SLOW = {READING: 4, SIGNALS: 20, ENGINE: 70, WRITING: 2, MEASURING: 1, PAGE: 3}
"""The same of a run in the Python engine."""
REPLAYING = "replaying"
STEPPED = {READING: 5, REPLAYING: 85, WRITING: 4, MEASURING: 2, PAGE: 4}
"""The same of a replay."""
_WHOLE = 1000
"""Steps of the bar."""
_WIDTH = 20
"""Columns of the bar, so that 80 hold the line."""

logger = logging.getLogger(__name__)


def stages_of(engine: str) -> Mapping[str, float]:
    """Return the stages of a run; `engine` is auto, rust or python."""
    return SLOW if engine == "python" or native is None else FAST


def stages_again(engine: str) -> Mapping[str, float]:
    """Return the stages of a run that is made again."""
    shares = stages_of(engine)
    made = {doing: shares[doing] for doing in (READING, SIGNALS, ENGINE)}
    return made | {COMPARING: shares[WRITING] + shares[MEASURING]}


class Work:
    """Work under way: what is done now, a bar, its percentage, and how long it has taken.

    It goes to stderr, to terminals only, and leaves nothing behind; a run's own log has a line per stage. The bar
    counts stages by their shares of the time; within one it moves where the number of its steps is known, and stands
    where it is not. It never goes back. Used as a context a second time, it goes on where it was.

    Parameters: `quiet` shows nothing at all; `after_s` seconds until it appears; `stages` their shares in their order,
    none where a single thing is done.
    """

    def __init__(
        self,
        quiet: bool = False,
        console: Console | None = None,
        after_s: float = AFTER_S,
        stages: Mapping[str, float] | None = None,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._shown = self._console.is_terminal and not quiet
        self._after_s = after_s
        self._stages = dict(stages or {})
        self._doing, self._steps = "", 0
        self._total: int | None = None
        self._most = 0.0
        self._began: float | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        """Begin to wait for the time at which it appears."""
        if self._began is None:
            self._began = time.monotonic()
        if self._shown:
            rest = self._after_s - (time.monotonic() - self._began)
            self._timer = threading.Timer(max(rest, 0.0), self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the line away."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def _appear(self) -> None:
        with self._lock:
            if self._timer is None:
                return
            columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(_WIDTH), TaskProgressColumn()
            elapsed = _Elapsed(self._began or time.monotonic())
            # What a strategy prints belongs to stdout, unless both are this terminal, where it goes above the line.
            self._progress = Progress(
                *columns, elapsed, console=self._console, transient=True, redirect_stdout=sys.stdout.isatty()
            )
            self._progress.add_task("", total=None)
            self._draw()
            self._progress.start()

    def now(self, doing: str, total: int | None = None) -> None:
        """Say what is being done from here on. Parameters: `total` how many steps it has, None where that is open."""
        with self._lock:
            if doing in self._stages and doing != self._doing:
                logger.info("stage %s", self._place(doing))
            self._doing, self._total, self._steps = doing, total, 0
            self._draw()

    def done(self, steps: int) -> None:
        """Say how many steps are done."""
        with self._lock:
            self._steps = steps
            self._draw()

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None where nothing is known of it."""
        within = min(self._steps / self._total, 1.0) if self._total else 0.0
        if self._doing not in self._stages:
            return within if self._total else None
        names = list(self._stages)
        before = sum(self._stages[name] for name in names[: names.index(self._doing)])
        self._most = max(self._most, (before + within * self._stages[self._doing]) / sum(self._stages.values()))
        return self._most

    def _place(self, doing: str) -> str:
        names = list(self._stages)
        return f"{names.index(doing) + 1} of {len(names)}: {doing}" if doing in names else doing

    def _draw(self) -> None:
        if self._progress is None:
            return
        share = self.share
        self._progress.update(
            self._progress.task_ids[0],
            description=self._place(self._doing),
            total=None if share is None else _WHOLE,
            completed=0 if share is None else round(share * _WHOLE),
        )


class _Elapsed(ProgressColumn):
    """How long the work has taken, the seconds before it appeared among them."""

    def __init__(self, began: float) -> None:
        super().__init__()
        self._began = began

    def render(self, task: Task) -> Text:
        """Write it as 0:00:05."""
        return Text(str(timedelta(seconds=int(time.monotonic() - self._began))), style="progress.elapsed")

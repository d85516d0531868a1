"""A line on the terminal that says what is being done, where that takes longer than two seconds."""

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

AFTER_S = 2.0
"""Work that is done sooner shows nothing."""


class Work:
    """Work under way: a spinner, the step, a bar where its length is known, and how long it has taken.

    It goes to stderr, to terminals only, and leaves nothing behind. Parameters: `quiet` shows nothing at all; `after_s`
    seconds until it appears.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None, after_s: float = AFTER_S) -> None:
        console = console or Console(stderr=True)
        self._shown = console.is_terminal and not quiet
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._progress.add_task("", total=None)
        self._lock = threading.Lock()
        self._began = self._over = False
        self._timer = threading.Timer(after_s, self._appear)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin to wait for the time at which it appears."""
        if self._shown:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the line away."""
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._began:
                self._progress.stop()

    def _appear(self) -> None:
        with self._lock:
            if not self._over:
                self._began = True
                self._progress.start()

    def now(self, doing: str, total: int | None = None) -> None:
        """Say what is being done from here on. Parameters: `total` how many steps it has, None where that is open."""
        if self._shown:
            self._progress.reset(self._task, description=doing, total=total, start=True)

    def done(self, steps: int) -> None:
        """Say how many steps are done."""
        if self._shown:
            self._progress.update(self._task, completed=steps)

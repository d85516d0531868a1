"""Work in processes of its own: what a node remembers from one computation cannot help it in another."""

import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from kraken_flow.core.blame import exits_refused
from kraken_flow.core.errors import UserError

T = TypeVar("T")


class Fresh(Generic[T]):
    """A piece of work under way in a copy of this process, taken before the work began.

    The copy is made by `fork`: whatever the parent has loaded is there, and nothing that the work leaves behind comes
    back but its result.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.source, sink = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.get_context("fork").Process(target=_do, args=(work, sink), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads; the copy runs this thread alone and takes no lock of others.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        sink.close()

    def result(self) -> T:
        """Wait for the result. Raises what the work raised, as `UserError` or `RuntimeError`."""
        try:
            wrong, value = self.source.recv()
        except EOFError:
            wrong, value = RuntimeError, "a process of the audit was killed; is there enough memory?"
        self._process.join()
        self.source.close()
        if wrong is not None:
            raise wrong(value)
        done: T = value
        return done

    def stop(self) -> None:
        """End it without a result."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


def _do(work: Callable[[], Any], sink: Connection) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere  # what a node prints, it would print a hundred times
        try:
            with exits_refused():
                done = work()
            sink.send((None, done))
        except UserError as error:
            sink.send((UserError, str(error)))
        except Exception as error:  # noqa: BLE001 - a user's node may raise anything; the parent says so
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
            sink.send((RuntimeError, text))


def each_fresh(works: Sequence[Callable[[], T]], done: Callable[[int], object] = lambda n: None) -> list[T]:
    """Do each piece of work in a process of its own, as many at once as there are processors; return their results.

    Parameters: `done` is told how many are done. Raises what the first to fail raised.
    """
    results: dict[int, T] = {}
    running: dict[Connection, tuple[int, Fresh[T]]] = {}
    waiting = list(enumerate(works))[::-1]
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                number, work = waiting.pop()
                child = Fresh(work)
                running[child.source] = number, child
            for source in wait(list(running)):
                if isinstance(source, Connection):
                    number, child = running.pop(source)
                    results[number] = child.result()
                    done(len(results))
    finally:
        for _, child in running.values():
            child.stop()
    return [results[number] for number in range(len(works))]

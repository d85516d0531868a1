"""Where in the user's own code a failure lies, so that a message can name the file and the line."""

import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kraken_flow.core.errors import UserError

_OURS = Path(__file__).resolve().parents[1]
_PYTHON = Path(sysconfig.get_path("stdlib")).resolve()


def users_line(error: BaseException) -> str:
    """Return where an error last came through the user's own code, as `strategies/mine.py, line 7`; "" where nowhere.

    That is code in a file that is neither ours, nor Python's, nor installed. Of a syntax error it is the file's line.
    """
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if _of_user(frame.filename):
            found = f"{_shown(frame.filename)}, line {frame.lineno}"
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _of_user(error.filename):
        found = f"{_shown(error.filename)}, line {error.lineno}"
    return found


def users_fault(error: BaseException) -> str:
    """Return what the user's own code raised and where, as `strategies/mine.py, line 7: KeyError: 'fast'`.

    It is theirs where none of our code stands between their line and the error: in that line itself, or in a library
    that it called. "" where it is not.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _of_user(frame.filename):
            return f"{_shown(frame.filename)}, line {frame.lineno}: {what_it_raised(error)}"
        if Path(frame.filename).resolve().is_relative_to(_OURS):
            return ""
    return ""


def place_of(function: Callable[..., Any]) -> str:
    """Return the file and line that define a function, as `users_line` does; "" where they are unknown."""
    code = getattr(function, "__code__", None)
    return f"{_shown(code.co_filename)}, line {code.co_firstlineno}" if code and _of_user(code.co_filename) else ""


def what_it_raised(error: BaseException) -> str:
    """Say in one line what code of the user's raised."""
    if isinstance(error, SystemExit):
        return "calls sys.exit(), which would end the whole program: raise an error instead"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")


@contextmanager
def exits_refused() -> Iterator[None]:
    """Turn a sys.exit() in the user's code into a `UserError` that names its line: it is no way to end a run."""
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            raise  # rich's own way out where the reader of a pipe has gone
        raise UserError(f"{users_line(stop) or 'code that the run reads'}: {what_it_raised(stop)}") from stop


def _of_user(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or not path.is_file():
        return False
    path = path.resolve()
    installed = "site-packages" in path.parts or path.is_relative_to(_PYTHON)
    return not installed and not path.is_relative_to(_OURS)


def _shown(filename: str) -> str:
    path = Path(filename).resolve()
    here = Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)

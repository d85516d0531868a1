"""The command line: arguments in, exit code out. What a mode does is its own affair.

Imports are late on purpose: `--help` answers before the libraries of a run are loaded.
"""

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kraken_flow import __version__
from kraken_flow.config import paths
from kraken_flow.config.arguments import Arguments, read, typed
from kraken_flow.config.environment import log_level, read_dotenv
from kraken_flow.config.manual import manual

if TYPE_CHECKING:
    from kraken_flow.config.composition import Composition
    from kraken_flow.config.validation import Checked

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code.

    0 done; 1 a run or a check failed; 2 the input is wrong, or the user's own code; 130 interrupted or terminated.
    Errors go to stderr, one line each; a traceback is shown with LOG_LEVEL=DEBUG only.
    """
    folder = os.environ.get(paths.CONFIG_DIR)
    try:
        with _terminated_as_interrupted():
            code = _run(sys.argv[1:] if words is None else words)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _fail(INTERRUPTED, str(stop) or "interrupted", "")
    except BrokenPipeError:
        # The reader has gone; Python would complain once more when it flushes stdout on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        return DONE  # rich met the broken pipe first, and has quieted stdout itself
    except Exception as error:  # noqa: BLE001 - the last resort: a user sees a sentence, never a traceback
        return _report(error)
    finally:
        if folder is None:
            os.environ.pop(paths.CONFIG_DIR, None)
    return code


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM, as `kill`, systemd and containers send it, end a run as Ctrl-C does: its manifest says so."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # a program that calls us decides for itself
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _report(error: Exception) -> int:
    import tempfile

    from kraken_flow.core.blame import users_fault, users_line
    from kraken_flow.core.errors import CheckFailed, UserError

    debugged = os.environ.get("LOG_LEVEL", "").upper() == "DEBUG"
    if debugged:
        traceback.print_exc()
    if isinstance(error, UserError | CheckFailed):
        return _fail(WRONG_INPUT if isinstance(error, UserError) else FAILED, str(error))
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        where = error.filename or f"this folder's disk, or that of {tempfile.gettempdir()}"
        return _fail(FAILED, f"{where}: the disk is full; make room there and repeat the command")
    if fault := users_fault(error):
        return _fail(WRONG_INPUT, fault if debugged else f"{fault} (LOG_LEVEL=DEBUG shows the traceback)")
    places = [*getattr(error, "__notes__", ()), users_line(error)]
    where = "; ".join(filter(None, places)) or "LOG_LEVEL=DEBUG shows where"
    return _fail(FAILED, f"unexpected {type(error).__name__}: {' '.join(str(error).split())} ({where})")


def _fail(code: int, message: str, prefix: str = "error: ") -> int:
    from kraken_flow.core.redact import redact

    with contextlib.suppress(BrokenPipeError):
        for line in redact(message).splitlines():
            print(f"{prefix}{line}", file=sys.stderr)
    return code


def _run(words: Sequence[str]) -> int:
    paths.use_working_directory()
    read_dotenv(Path(".env"))
    logging.getLogger("kraken_flow").setLevel(log_level())
    arguments = read(words)
    if "--help" in arguments.flags:
        print(manual())
        return DONE
    if "--version" in arguments.flags:
        print(f"kraken-flow {__version__}")
        return DONE
    return _run_many(arguments) if arguments.multirun else _run_one(arguments)


def _run_one(arguments: Arguments) -> int:
    """Compose, validate, run; all that is wrong with arguments and configuration is said at once."""
    from kraken_flow.config.composition import compose_arguments
    from kraken_flow.core.errors import UserError

    problems = list(arguments.problems)
    wrong_groups = {problem.partition("=")[0] for problem in problems}
    composition, checked = None, None
    try:
        composition = compose_arguments(arguments)
        checked = _checked(composition)
        problems += [text for text in checked.problems if text.partition(".")[0] not in wrong_groups]
    except UserError as error:
        problems += str(error).splitlines()
    if problems or composition is None or checked is None:
        raise UserError("\n".join(problems))
    if "--cfg" in arguments.flags:
        print(composition.yaml())
        return DONE
    origins: Mapping[str, str] = {}
    if checked.mode.needs_origins:
        from kraken_flow.config.origins import origins_of

        origins = origins_of(arguments)
    return _call(composition, checked, [*arguments.chosen_configuration, *arguments.given], origins)


def _run_many(arguments: Arguments) -> int:
    """Run a sweep: one failed member loses nothing; what is wrong for all members alike is said once."""
    from kraken_flow.config.sweep import run_members
    from kraken_flow.core.errors import UserError
    from kraken_flow.modes.sweep import Sweep

    if arguments.problems:
        raise UserError("\n".join(arguments.problems))
    sweep = Sweep(arguments.given, arguments.members, arguments.chosen_configuration)

    def member(compose: "Callable[[], Composition]", number: int, overrides: Sequence[str]) -> float | None:
        def run() -> int:
            composition = compose()
            checked = _checked(composition)
            if checked.problems:
                raise UserError("\n".join(checked.problems))
            if not checked.mode.sweeps:
                raise UserError(f"mode={composition.choices['mode']}: -m compares backtests; leave it out")
            composition.cfg["run_dir"] = str(sweep.settle(composition) / str(number))
            asked = [*arguments.chosen_configuration, *typed(overrides)]
            return _call(composition, checked, asked, {}, sweep.begin)

        return sweep.member(number, typed(overrides), run)

    try:
        try:
            run_members(arguments, member)
        finally:
            sweep.close()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(sweep.stopped()) from None
    return sweep.exit_code()


def _checked(composition: "Composition") -> "Checked":
    from kraken_flow.config.validation import Checked, check

    if not composition.cfg.get("mode"):
        told = "mode: nothing is chosen; write mode=... (`mode=list` shows the options)"
        return Checked(None, None, (*composition.problems, told))
    return check(composition.cfg, composition.problems)


def _call(
    composition: "Composition",
    checked: "Checked",
    given: Sequence[str],
    origins: Mapping[str, str],
    begin: "Callable[[], None] | None" = None,
) -> int:
    from kraken_flow.core.blame import exits_refused
    from kraken_flow.modes import Call

    call = Call(composition.cfg, given, composition.choices, origins, checked.graph, begin)
    with exits_refused():
        code: int = checked.mode.drive(call)
    return code

import io
import time

from rich.console import Console

from kraken_flow.runs.progress import Work


def shown(terminal, seconds, after_s, quiet=False):
    out = io.StringIO()
    with Work(quiet, Console(file=out, force_terminal=terminal, width=80), after_s) as work:
        work.now("running", total=10)
        time.sleep(seconds)
        work.done(5)
        time.sleep(seconds)
    return out.getvalue()


def test_long_work_is_shown_on_a_terminal_and_taken_away():
    said = shown(True, 0.15, 0.0)
    assert "running" in said
    assert said.endswith("\x1b[2K")  # the line is cleared


def test_short_work_says_nothing():
    assert shown(True, 0.0, 60.0) == ""


def test_logs_and_pipes_stay_clean():
    assert shown(False, 0.05, 0.0) == ""
    assert shown(True, 0.05, 0.0, quiet=True) == ""

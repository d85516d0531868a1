import io
import re
import time

import pytest
from rich.console import Console

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.node import node
from kraken_flow.core.run import ENGINE, SIGNALS, execute
from kraken_flow.modes.driver import load
from kraken_flow.risk.position import PositionRisk
from kraken_flow.runs.progress import FAST, PAGE, SLOW, STEPPED, WRITING, Work, stages_again, stages_of

STAGES = {"reading": 1, "running": 8, "writing": 1}


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def lines(console):
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]", said) if line.strip()]


def shown(on_terminal, seconds, after_s, quiet=False):
    out = io.StringIO()
    with Work(quiet, Console(file=out, force_terminal=on_terminal, width=80), after_s) as work:
        work.now("running", total=10)
        time.sleep(seconds)
        work.done(5)
        time.sleep(seconds)
    return out.getvalue()


def test_long_work_is_shown_on_a_terminal_and_taken_away():
    said = shown(True, 0.15, 0.0)
    assert "running" in said
    assert "50%" in said
    assert said.endswith("\x1b[2K")  # the line is cleared


def test_short_work_says_nothing():
    assert shown(True, 0.0, 60.0) == ""


def test_logs_and_pipes_stay_clean():
    assert shown(False, 0.05, 0.0) == ""
    assert shown(True, 0.05, 0.0, quiet=True) == ""


def test_stages_that_are_done_count_by_their_share_of_the_time_and_rows_within_one():
    work = Work(quiet=True, stages=STAGES)
    seen = []
    for doing, total, steps in (("reading", None, 0), ("running", 100, 0), ("running", 100, 50), ("writing", None, 0)):
        work.now(doing, total)
        work.done(steps)
        seen.append(work.share)
    assert seen == pytest.approx([0.0, 0.1, 0.5, 0.9])


def test_it_never_goes_back_nor_beyond_its_end():
    work = Work(quiet=True, stages=STAGES)
    work.now("running", 100)
    work.done(900)
    assert work.share == pytest.approx(0.9)
    work.now("reading")
    assert work.share == pytest.approx(0.9)


def test_what_is_no_stage_has_a_percentage_where_its_steps_are_known():
    work = Work(quiet=True)
    work.now("waiting")
    assert work.share is None
    work.now("counting", 4)
    work.done(1)
    assert work.share == 0.25


def test_it_goes_on_where_it_was_when_it_is_used_again():
    console = terminal()
    work = Work(console=console, after_s=0.0, stages=STAGES)
    with work:
        work.now("reading")
        time.sleep(0.15)
    between = len(console.file.getvalue())
    time.sleep(0.05)
    assert len(console.file.getvalue()) == between
    with work:
        work.now("writing")
        time.sleep(0.15)
    assert any(line.startswith(("⠋ 3 of 3: writing", "⠙ 3 of 3: writing")) and "90%" in line for line in lines(console))


def test_the_time_of_work_in_parts_counts_from_its_first():
    console = terminal()
    work = Work(console=console, after_s=0.5, stages=STAGES)
    with work:
        work.now("reading")
        time.sleep(0.5)
    with work:
        work.now("writing")
        time.sleep(0.3)
    assert any("writing" in line for line in lines(console))


@pytest.mark.parametrize("stages", [FAST, SLOW, STEPPED, stages_again("rust")])
def test_every_stage_fits_80_columns(stages):
    assert sum(stages.values()) == 100 or PAGE not in stages
    for doing in stages:
        console = terminal()
        work = Work(console=console, after_s=0.0, stages=stages)
        work.now(doing)
        with work:
            time.sleep(0.15)
        told = lines(console)
        assert told
        for line in told:
            assert re.search(r"%\s+\d:\d\d:\d\d$", line)
            assert len(line) <= 80


def test_the_stages_are_those_of_the_engine_that_runs():
    assert stages_of("python") is SLOW
    assert set(FAST) == set(SLOW) >= {SIGNALS, ENGINE, WRITING, PAGE}


class Heard:
    def __init__(self):
        self.stages, self.rows = [], []

    def now(self, doing, total=None):
        self.stages.append((doing, total))

    def done(self, steps):
        self.rows.append(steps)


@node
class Plain(PositionRisk):
    """A rule of the user's own, which is asked in Python."""

    kernel = None


@pytest.mark.parametrize(("engine", "own"), [("python", False), ("rust", True)])
def test_a_run_tells_how_many_rows_are_done(engine, own):
    graph = build(compose(["pairs=[BTC/USD]", "risk=research", "timeframe=15m", "end=2021-04-01"]))
    if own:
        pytest.importorskip("kraken_flow_native")
        graph = type(graph)(**{**vars(graph), "risk": Plain()})
    market, heard = load(graph), Heard()
    execute(graph, market, engine, heard)
    assert heard.stages == [(SIGNALS, None), (ENGINE, market.n_rows)]
    assert heard.rows == sorted(heard.rows)
    assert len(heard.rows) > 2
    assert heard.rows[-1] < market.n_rows

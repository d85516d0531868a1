"""The page at the end of a run: written last, so that a fault in it loses nothing."""

import contextlib
import logging
import shlex

from rich.console import Console

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.redact import redact
from kraken_flow.modes import Call
from kraken_flow.modes.driver import Done
from kraken_flow.runs.log import attached, run_log
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.progress import PAGE, Work
from kraken_flow.runs.record import Run
from kraken_flow.runs.report.content import Seen
from kraken_flow.runs.report.indicators import indicators
from kraken_flow.runs.report.page import NAME, write_page

logger = logging.getLogger(__name__)

OPTION = "html"


def wanted(call: Call) -> bool:
    """Return whether a run writes its page: where `report=html` is chosen, for one of a sweep where it was typed."""
    if call.choices.get("report") != OPTION:
        return False
    return not call.member or any(word.lstrip("+") == f"report={OPTION}" for word in call.overrides)


def leave_page(call: Call, graph: Graph, done: Done, record: Run, work: Work | None = None) -> int:
    """Write `report.html` into a run's folder where that is wanted, and say where it is; return the exit code.

    Parameters: `work` goes on with it.

    The run is done and written: whatever goes wrong here is told in one line, and the run stands. A disk that refuses
    the page is a failure (1), though not of a member of a sweep, whose results are what is compared.
    """
    if not wanted(call):
        return 0
    past = PastRun(f"run_dir={record.folder}", record.folder.absolute(), record.manifest, finished=True)
    again = shlex.quote(f"mode.run={record.folder}")
    try:
        market = done.finished.market
        engine = "python" if done.finished.result.engine == "python" else "auto"
        whole = "the results of the run are whole, only the page is missing"
        then = f"{whole}: make room there, and mode=report {again} makes it"
        with work or Work(quiet=call.member) as work:
            work.now(PAGE)
            write_page(past, Seen(market, indicators(graph, market, engine)), record.folder / NAME, then)
    except CheckFailed as error:
        _tell(record, error, f"{'warning' if call.member else 'error'}: {error}")
        return int(not call.member)
    except Exception as error:  # noqa: BLE001 - a run may take days, and its page can be made again
        told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        _tell(record, error, f"warning: {NAME} was not written ({told}); mode=report {again} tries again")
        return 0
    if not call.member:
        Console(highlight=False).print(f"report: {record.folder / NAME}", markup=False, soft_wrap=True)
    return 0


def _tell(record: Run, error: Exception, told: str) -> None:
    """Say in a line why there is no page; the run's log has where."""
    with contextlib.suppress(OSError), attached(run_log(record.folder / "run.log")):
        logger.warning("%s was not written", NAME, exc_info=error)
    Console(stderr=True, highlight=False).print(redact(told), markup=False, soft_wrap=True)

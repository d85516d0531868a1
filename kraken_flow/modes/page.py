"""The page at the end of a run: written last, so that a fault in it loses nothing."""

import logging

from rich.console import Console

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.redact import redact
from kraken_flow.modes import Call
from kraken_flow.modes.driver import Done
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


def leave_page(call: Call, graph: Graph, done: Done, record: Run, work: Work | None = None) -> None:
    """Write `report.html` into a run's folder where that is wanted, and say where it is; `work` goes on with it.

    The run is done and written: whatever goes wrong here is told in one line, and the run stands.
    """
    if not wanted(call):
        return
    past = PastRun(f"run_dir={record.folder}", record.folder.absolute(), record.manifest, finished=True)
    try:
        market = done.finished.market
        engine = "python" if done.finished.result.engine == "python" else "auto"
        with work or Work(quiet=call.member) as work:
            work.now(PAGE)
            write_page(past, Seen(market, indicators(graph, market, engine)))
    except Exception as error:
        # A run may take days, and its page can be made again.
        told = str(error) if isinstance(error, UserError | CheckFailed) else f"{type(error).__name__}: {error}"
        logger.warning("%s was not written", NAME, exc_info=error)
        Console(stderr=True, highlight=False).print(
            redact(f"warning: {NAME} was not written ({told}); mode=report mode.run={record.folder} tries again"),
            markup=False,
            soft_wrap=True,
        )
        return
    if not call.member:
        Console(highlight=False).print(f"report: {record.folder / NAME}", markup=False, soft_wrap=True)

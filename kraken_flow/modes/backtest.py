"""The backtest driver: load, compute signals, run the engine, write the run."""

import logging
import time

from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.run import execute
from kraken_flow.modes import Call
from kraken_flow.modes.driver import Done, Job, concluded, inputs, load, load_checked, show, warn_of_fallback, write
from kraken_flow.modes.page import leave_page
from kraken_flow.runs.progress import READING, Work, stages_of
from kraken_flow.runs.record import recorded

logger = logging.getLogger(__name__)


def perform(graph: Graph, engine: str = "auto", loaded: Market | None = None, work: Work | None = None) -> Done:
    """Load the graph's data and run it.

    Parameters: `engine` auto, rust or python; `loaded` the data where it has been read already; `work` is told what is
    being done. The time measured is that of signals and engine, not of reading data. Raises `UserError` naming file and
    row, pair or key.
    """
    work = work or Work(quiet=True)
    if loaded is None:
        work.now(READING)
    market = load(graph) if loaded is None else loaded
    logger.info("%d pairs, %d rows loaded", len(market.pairs), market.n_rows)
    began = time.perf_counter()
    ran = execute(graph, market, engine, work)
    elapsed = time.perf_counter() - began
    logger.info("%d orders, %d fills", len(ran.result.orders["pair"]), len(ran.result.fills["pair"]))
    return concluded(graph, ran, market, elapsed)


def run(call: Call) -> int:
    """Run once, write the run directory, print the report; return the exit code."""
    job = Job.of(call, "backtest")
    if call.begin is None:
        warn_of_fallback(job.engine)
    # Wrong input leaves no folder, and costs nobody an earlier run: data and orders are read before one is taken.
    work = Work(quiet=call.member, stages=stages_of(job.engine))
    with work:
        work.now(READING)
        loaded = load_checked(job.graph)
        if call.begin is not None:
            call.begin()
        with recorded(job.declared) as record:
            record.add(inputs(job.graph, job.engine))
            done = perform(job.graph, job.engine, loaded, work)
            metrics = write(record, job, done, work)
    show(call, done, metrics, record)
    return leave_page(call, job.graph, done, record, work)

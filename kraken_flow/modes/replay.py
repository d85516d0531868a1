"""The replay driver: one instant after another, over history or over what a session wrote down."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from kraken_flow.config.validation import build
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.redact import redact
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.modes import Call
from kraken_flow.modes.driver import Done, Job, concluded, configuration_of, inputs, load, show, warn_of_fallback, write
from kraken_flow.modes.page import leave_page
from kraken_flow.runs.directory import damage, kind_of, read_manifest
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.progress import READING, REPLAYING, STEPPED, Work
from kraken_flow.runs.record import recorded
from kraken_flow.runs.session_journal import begin, fold

logger = logging.getLogger(__name__)


def drive(call: Call, run: str | None) -> int:
    """Replay once, write the run directory, print the report; return the exit code."""
    session = None if run is None else Path(run)
    job = Job.of(call, "replay") if session is None else _of_session(call, session)
    warn_of_fallback(job.engine)
    work = Work(quiet=call.member, stages=STEPPED)
    try:
        with work:
            done = _history(job, work) if session is None else _journalled(job, session / JOURNAL, work)
    except KeyboardInterrupt:
        if call.choices.get("report") == "json":
            raise
        raise KeyboardInterrupt("interrupted: of this replay nothing is kept; the same command makes it anew") from None
    with work, recorded(job.declared) as record:
        record.add(inputs(job.graph, job.engine) | ({} if session is None else {"replays": redact(str(session))}))
        metrics = write(record, job, done, work)
        same = None if session is None else _compare(metrics, session)
    show(call, done, metrics, record)
    code = leave_page(call, job.graph, done, record, work)
    if same is not None and call.choices.get("report") != "json":
        Console(highlight=False).print(redact(same), markup=False, soft_wrap=True)
    return code


def _history(job: Job, work: Work) -> Done:
    """Take the graph through its data, row by row."""
    work.now(READING)
    market = load(job.graph)
    session = Session(job.graph, tape_of(market), job.engine)
    began = time.perf_counter()
    work.now(REPLAYING, market.n_rows)
    for row, instant in enumerate(instants(market)):
        session.take(instant)
        if row % _TOLD == 0:
            work.done(row)
    return concluded(job.graph, session.outcome(), market, time.perf_counter() - began)


_TOLD = 256
"""Instants between two looks at how far a replay is."""


_OWN = frozenset({"mode", "mode.run", "run_dir", "report", "engine"})
"""What may be said of the replay of a session; all else is the session's."""


def _of_session(call: Call, run: Path) -> Job:
    """Return the job that a session did, under this mode. Raises `UserError` where that cannot be."""
    manifest = read_manifest(run)
    if manifest is None and (damaged := damage(run)) is not None:
        raise UserError(f"mode.run={run}: {damaged}")
    if manifest is None or not (run / JOURNAL).is_file():
        what = (
            "there is no run of ours" if manifest is None else f"this is {kind_of(manifest)}, no session with a journal"
        )
        raise UserError(f"mode.run={run}: {what}; give the folder of a paper session")
    other = [word for word in call.overrides if word.lstrip("+").partition("=")[0] not in _OWN]
    if other:
        raise UserError(f"{', '.join(other)}: leave that out; with mode.run the configuration is that of the session")
    folder = call.cfg.get("run_dir")
    if folder is not None and Path(folder).resolve() == run.resolve():
        raise UserError(f"run_dir={folder}: that is the session itself; choose another folder for its replay")
    cfg = configuration_of(run)
    cfg |= {key: call.cfg[key] for key in ("mode", "report", "engine", "run_dir") if key in call.cfg}
    choices = {**call.choices, "strategy": str(manifest.get("strategy"))}
    return Job.of(replace(call, cfg=cfg, choices=choices, graph=build(cfg)), "replay")


def _journalled(job: Job, path: Path, work: Work) -> Done:
    """Take the graph through a journal, as far as that goes."""
    work.now(REPLAYING)
    tape, frames, reader = begin(path)
    if tape is None:
        raise UserError(f"{path}: the session stopped before its first instant; there is nothing to replay")
    session = Session(job.graph, tape, job.engine)
    began = time.perf_counter()
    fold(session, frames, path)
    if reader.torn:
        logger.warning("%s: a torn tail of %d bytes is left out", path, reader.torn)
    if session.rows <= tape.first_row:
        raise UserError(f"{path}: the session stopped before its first decision; there is nothing to replay")
    return concluded(job.graph, session.outcome(), session.market(), time.perf_counter() - began)


def _compare(metrics: dict[str, Any], run: Path) -> str:
    """Say that the replay made what the session made. Raises `CheckFailed` naming the log that differs."""
    try:
        theirs = orjson.loads((run / "metrics.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return f"{run} is not finished: nothing to compare with"
    differ = [name for name in ("order_log_sha256", "ledger_sha256") if theirs.get(name) != metrics[name]]
    if differ:
        raise CheckFailed(f"the replay of {run} made another {' and another '.join(differ)}")
    return f"equal to {run}: order log {metrics['order_log_sha256'][:12]}, ledger {metrics['ledger_sha256'][:12]}"

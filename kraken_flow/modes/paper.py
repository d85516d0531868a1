"""The paper driver: a tape that streams, simulated fills, a journal, and a session that a restart continues."""

import asyncio
import logging
import shlex
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from kraken_flow.config.composition import flat, read_yaml
from kraken_flow.core.errors import UserError
from kraken_flow.core.session import News, Session
from kraken_flow.core.signal import required_lookback
from kraken_flow.core.source import Stream, StreamingSource
from kraken_flow.core.tape import Instant
from kraken_flow.modes import Call
from kraken_flow.modes.driver import Job, concluded, inputs, load, show, warn_of_fallback, write
from kraken_flow.modes.finite import Finite
from kraken_flow.modes.live_console import Watch
from kraken_flow.modes.page import leave_page
from kraken_flow.modes.rerun import pin_from
from kraken_flow.runs.directory import LOST, check_replaceable, read_manifest, unfinished_session
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.record import Run, recorded
from kraken_flow.runs.session_journal import JournalledSession, begin

logger = logging.getLogger(__name__)

_FREE = ("mode.speed", "run_dir", "report.")
"""Keys in which a restart may differ from the session it continues."""
_DEFAULT = "the default"
_CHOICES = "choices"
"""Key of the manifest under which stand the options chosen, by group."""
_TOLD = 5
"""Keys that are named where a configuration differs; the rest is counted."""


def drive(call: Call, speed: float | None) -> int:
    """Trade until the tape ends; return the exit code. An interrupt ends it in order, to be continued."""
    job = Job.of(call, "paper")
    job = job.resuming(lambda folder: _same_configuration(folder, job.declared.config, call.choices))
    warn_of_fallback(job.engine)
    try:
        with asyncio.Runner() as runner:
            stream = runner.run(_opened(job, speed))
            try:
                return _session(call, job, stream, runner)
            finally:
                runner.run(stream.close())
    except KeyboardInterrupt as stop:
        folder = None if job.declared.run_dir is None else Path(job.declared.run_dir)
        silent = str(stop) or call.choices.get("report") == "json"
        if silent or folder is None or unfinished_session(folder) is None:
            raise
        # Opened and recovered, but not yet trading on.
        raise KeyboardInterrupt(_goes_on("interrupted", folder)) from None


async def _opened(job: Job, speed: float | None) -> Stream:
    """Return the tape: the data of the configuration, or what streams from now on."""
    source = job.graph.source
    if not isinstance(source, StreamingSource):
        return _finite(job, inf if speed is None else speed)
    head = None
    if job.declared.run_dir is not None:
        folder = Path(job.declared.run_dir)
        if unfinished_session(folder) is not None:
            if job.declared.resume is not None:
                job.declared.resume(folder)  # before the system is laid on the journal's tape
            head = begin(folder / JOURNAL)[0]
        else:
            check_replaceable(folder)  # before the venue is asked for anything
    return await source.stream(job.graph, required_lookback(job.graph), head, speed)


def _finite(job: Job, speed: float) -> Finite:
    """Return the data as a tape; that of an unfinished session reads on to where it ended when the session began."""
    folder = None if job.declared.run_dir is None else Path(job.declared.run_dir)
    if folder is None or unfinished_session(folder) is None:
        return Finite(load(job.graph), speed)
    if job.declared.resume is not None:
        job.declared.resume(folder)  # another configuration is told as that, not as other data
    head = begin(folder / JOURNAL)[0]
    pin = None if head is None else pin_from(head.read)
    if head is None or pin is None:
        return Finite(load(job.graph), speed)
    market = load(job.graph, pin)
    if other := pin.changes(market):
        files = {str(r["pair"]): str(r["path"]) for r in market.files if r.get("role") == "bars"}
        named = dict.fromkeys(files[pair] for pair, _ in other if pair in files)
        raise UserError(
            f"run_dir={folder}: the session there ran on other data "
            f"({', '.join(named) or 'the span'} differs: {'; '.join(what for _, what in other)}); "
            "bring the old data back, or choose another run_dir for a new session"
        )
    return Finite(market, speed, head)


def _session(call: Call, job: Job, stream: Stream, runner: asyncio.Runner) -> int:
    """Trade on an open tape, write the run directory, print the report; return the exit code."""
    quiet = call.choices.get("report") == "json"
    session = Session(job.graph, stream.tape, job.engine)  # what it refuses leaves no folder
    with recorded(job.declared) as record:
        record.add(inputs(job.graph, job.engine) | {_CHOICES: dict(call.choices)})
        began = time.perf_counter()
        journalled = JournalledSession(session, record.folder)
        try:
            _tell_recovery(journalled, record, quiet)
            with Watch(session, stream.rows, quiet, lambda: stream.said(journalled.happened)) as watch:
                whole = runner.run(trade(journalled, stream, watch))
            journalled.end(stream.counts())
        finally:
            record.manifest |= stream.facts(journalled.happened)
            journalled.close()
        if session.rows <= session.tape.first_row:
            raise _interrupted(session, record, quiet)
        done = concluded(job.graph, session.outcome(), session.market(), time.perf_counter() - began)
        record.manifest["journal"] = written = journalled.journal.facts()
        told = f"journal: {written['bytes'] / 1e6:,.1f} MB, {written['fsyncs']:,} fsyncs in {written['fsync_s']:.1f} s"
        done = replace(done, notes=(*done.notes, *stream.notes(journalled.happened), told))
        metrics = write(record, job, done)
        if not whole:
            record.manifest["status"] = "interrupted"  # so that the page of now says it
            try:
                show(call, done, metrics, record)
                leave_page(call, job.graph, done, record)
            finally:
                raise _interrupted(session, record, quiet)
    # Here a reader that has gone, as of `| head`, is no failure of a session that is finished and written.
    show(call, done, metrics, record)
    return leave_page(call, job.graph, done, record)


def _interrupted(session: Session, record: Run, quiet: bool) -> KeyboardInterrupt:
    """Return what ends an interrupted session, with how it goes on for the terminal."""
    if quiet:
        return KeyboardInterrupt()
    return KeyboardInterrupt(_goes_on(f"interrupted after {session.rows} instants", record.folder))


def _goes_on(what: str, folder: Path) -> str:
    return f"{what}; the same command with {shlex.quote(f'run_dir={folder}')} goes on"


class Trading(Protocol):
    """A session that is traded, with whatever writes it down."""

    session: Session

    def take(self, instant: Instant, counts: Mapping[str, Mapping[str, int]]) -> News | None:
        """Take the next instant, and what the stream counted since the one before; return what it brought."""
        ...

    def obey(self, time: int) -> bool:
        """Do what users asked for since the last call, at `time` ns UTC."""
        ...


class Shown(Protocol):
    """What shows a session."""

    def show(self, news: News | None) -> None:
        """Show what an instant brought."""
        ...


async def trade(session: Trading, stream: Stream, watch: Shown) -> bool:
    """Take instant after instant; return whether the tape came to its end, rather than somebody interrupting."""
    stop = asyncio.Event()
    async with aclosing(stream.instants(session.session.rows)) as coming:
        with _stopped_by_signals(stop):
            async for instant in coming:
                if instant is None:
                    session.obey(session.session.known)
                    watch.show(None)
                else:
                    watch.show(session.take(instant, stream.counts()))
                # Signals are seen between instants, never inside one.
                await asyncio.sleep(0)
                if stop.is_set():
                    return session.session.rows == stream.rows
    return True


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set the event; a second one ends the program at once, which loses nothing either.

    Outside the main thread, which alone gets signals, the program around it decides for itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def interrupt(number: signal.Signals) -> None:
        if stop.is_set():
            signal.default_int_handler(number, None)
        stop.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)  # the loop leaves the system's own


def _same_configuration(folder: Path, config: str, choices: Mapping[str, str | None]) -> None:
    """Refuse to continue a session under another configuration; name the options and the first keys that differ."""
    path = folder / "config.yaml"
    if not path.is_file():
        if (folder / JOURNAL).exists():
            raise UserError(f"run_dir={folder}: the unfinished session there has lost its config.yaml; bring it back")
        return  # stopped before it was written
    old, new = read_yaml(path.read_text("utf-8")), read_yaml(config)
    before, now = flat(old), flat(new)
    # A key that is not there has its default, which is another thing than null: no stop.
    values = {key: (before.get(key, _DEFAULT), now.get(key, _DEFAULT)) for key in sorted(before.keys() | now.keys())}
    keys = [key for key, (was, is_now) in values.items() if was != is_now and not key.startswith(_FREE)]
    if not keys:
        return
    known = (read_manifest(folder) or {}).get(_CHOICES)
    # A manifest that is lost, or older than this key: some options have their name among their keys.
    was_chosen, is_chosen = (known, choices) if isinstance(known, dict) else (_names(old), _names(new))
    options = {
        group: (was_chosen[group], is_chosen[group])
        for group in dict.fromkeys(key.partition(".")[0] for key in keys)
        if group in was_chosen and group in is_chosen and was_chosen[group] != is_chosen[group]
    }
    # What an option changed follows from it: keys that somebody set come first.
    keys.sort(key=lambda key: key.partition(".")[0] in options)
    differ = {group: f"{group} was {_shown(was)}, is {_shown(now)}" for group, (was, now) in options.items()}
    told = [
        *differ.values(),
        *(f"{key} was {_shown(values[key][0])}, is {_shown(values[key][1])}" for key in keys[:_TOLD]),
    ]
    if len(keys) > _TOLD:
        told.append(f"and {len(keys) - _TOLD} more")
    raise UserError(
        f"run_dir={folder}: the unfinished session there has another configuration ({'; '.join(told)}); "
        "repeat its own command to continue it, or choose another run_dir"
    )


def _names(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the names that options give themselves, by group."""
    return {group: keys["name"] for group, keys in config.items() if isinstance(keys, Mapping) and "name" in keys}


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def _tell_recovery(session: JournalledSession, record: Run, quiet: bool) -> None:
    """Write down what was found in the journal, and say it on the terminal unless that is to be `quiet`."""
    if not record.continues:
        return
    told = [(logging.INFO, f"continues after {session.recovered} instants")]
    if session.torn:
        told.append((logging.WARNING, f"a torn tail of {session.torn} bytes was cut from the journal"))
    if record.manifest.get(LOST) == record.manifest["continued"][-1]:
        lost = "the session's manifest.json was lost or damaged and is written anew; its journal is whole"
        told.append((logging.WARNING, lost))
    for level, line in told:
        logger.log(level, line)
        if not quiet:
            Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
    record.add({"recovered_instants": session.recovered, "torn_bytes": session.torn})

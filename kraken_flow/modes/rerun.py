"""Making a past run again from what its folder says."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from kraken_flow import native
from kraken_flow.config.validation import ENGINES, build
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import FIELDS, Market
from kraken_flow.core.orders import Control
from kraken_flow.core.pin import Pin
from kraken_flow.core.session import Session
from kraken_flow.core.source import StreamingSource
from kraken_flow.core.tape import Instant, instants, tape_of
from kraken_flow.core.times import iso
from kraken_flow.core.units import text
from kraken_flow.modes import Call
from kraken_flow.modes.backtest import perform
from kraken_flow.modes.driver import READ, Done, concluded, configuration_from, load
from kraken_flow.nearest import hint
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.past import IN_MEMORY, PastRun
from kraken_flow.runs.progress import READING, Work
from kraken_flow.runs.session_journal import begin, fold, instant_of

MODES = ("backtest", "replay", "paper")
"""Modes whose runs can be made again."""


@dataclass(frozen=True)
class Again:
    """A run that was made again.

    Parameters
    ----------
    done
        What came out.
    journal
        Whether a journal was folded, and came to what stands in it.
    problems
        What of its journal does not come out again, in sentences.
    """

    done: Done
    journal: bool = False
    problems: tuple[str, ...] = ()
    other: tuple[tuple[str, str], ...] = ()
    """Pairs whose data is not what was read, each with a sentence."""


def refuse_other(call: Call, own: tuple[str, ...]) -> None:
    """Refuse arguments that a mode which reads past runs does not take."""
    words = [word for word in call.overrides if not word.startswith("-")]
    other = [word for word in words if word.lstrip("+").partition("=")[0] not in ("mode", "report", *own)]
    if other:
        raise UserError(f"{', '.join(other)}: leave that out; this mode reads what is done ({', '.join(own)})")


def engine_for(call: Call, past: PastRun) -> tuple[str, str | None]:
    """Return the engine that makes a run again, that which made it unless the call says; and a warning."""
    asked = str(call.cfg.get("engine", "auto"))
    if asked not in ENGINES:
        raise UserError(f"engine={asked}: must be {', '.join(ENGINES)}{hint(asked, ENGINES, prefix='engine=')}")
    if asked != "auto":
        return asked, None
    made_by = str(past.metrics.get("engine"))
    if made_by == "rust" and native.native is None:
        return "python", f"engine rust made the run; {native.REASON}: engine python makes it again"
    return (made_by if made_by in ENGINES else "auto"), None


def graph_of(past: PastRun) -> Graph:
    """Return the graph of a run, from its `config.yaml`; values of secrets come from the environment."""
    if any(record.get("path") == IN_MEMORY for record in past.records):
        raise UserError(f"{past.name}: a program gave its candles (bars=...); they stand in no file to read anew")
    return build(configuration_from(past.config, past.name))


def again(past: PastRun, graph: Graph, engine: str, work: Work | None = None) -> Again:
    """Make a run again, its data read anew, a session's from its journal too; `work` is told what is being done.

    Raises `UserError` where that cannot be, `CheckFailed` where all there is of it is a journal that does not come out
    again.
    """
    work = work or Work(quiet=True)
    if past.mode not in MODES:
        raise UserError(f"{past.name}: a run of mode={past.mode} cannot be made again; those of {', '.join(MODES)} can")
    if past.session is not None:
        return _session_again(past, graph, engine, past.session)
    if past.journal is not None:
        return _paper_again(past, graph, engine, past.journal)
    pin = pin_from(past.manifest.get(READ))
    work.now(READING)
    market = load(graph, pin)
    return Again(perform(graph, engine, market, work), other=() if pin is None else tuple(pin.changes(market)))


def pin_from(content: Any) -> Pin | None:
    """Read what a manifest or a journal says of the data that was read; None where it says nothing of use."""
    try:
        return Pin.from_plain(content) if content else None
    except (KeyError, TypeError, ValueError, AttributeError, UserError):
        return None


def _session_again(past: PastRun, graph: Graph, engine: str, folder: Path) -> Again:
    """Replay the session that a run was the replay of."""
    path = folder / JOURNAL
    if not path.is_file():
        homes = " and ".join(map(str, past.homes()))
        raise UserError(f"{past.name}: it replayed the session {folder}; there is no journal (seen from {homes})")
    return Again(_folded(graph, engine, path), journal=True)


def _paper_again(past: PastRun, graph: Graph, engine: str, path: Path) -> Again:
    """Fold a session's journal, and hold its bars to the data read anew."""
    if isinstance(graph.source, StreamingSource):
        # What a venue sent is gone; the journal is all there is of it.
        return Again(_folded(graph, engine, path), journal=True)
    if not path.is_file():
        market = load(graph, pin_from(past.manifest.get(READ)))
        return Again(perform(graph, engine, market), problems=("the journal is missing",))
    market = load(graph, _pinned(past, path))
    whole = past.manifest.get("status") == "finished"
    try:
        done = _folded(graph, engine, path)
        other = _other_bar(path, market, whole)
    except CheckFailed as error:
        return Again(_over_data(graph, engine, market, path, whole), problems=(str(error),))
    if other is None:
        return Again(done, journal=True)
    return Again(_over_data(graph, engine, market, path, whole), journal=True, problems=(other,))


def _pinned(past: PastRun, path: Path) -> Pin | None:
    """Return what a session read, from its journal: the manifest of one that stopped tells of a part."""
    try:
        tape = begin(path)[0]
    except CheckFailed:
        return pin_from(past.manifest.get(READ)) if past.manifest.get("status") == "finished" else None
    return None if tape is None else pin_from(tape.read)


def _over_data(graph: Graph, engine: str, market: Market, path: Path, whole: bool) -> Done:
    """Take a graph through as much of its data as a session took, with what users told that at the same instants."""
    session = Session(graph, tape_of(market), engine)
    coming = instants(market)
    # What stands beyond damage is unknown; a session that came to its end took the rest of its data.
    with suppress(CheckFailed):
        for frame in begin(path)[1]:
            if "instant" in frame.content:
                instant = next(coming, None)
                if instant is None:
                    break
                session.take(instant)
            elif "control" in frame.content:
                session.control(Control[frame.content["control"].upper()], frame.content["at"])
    if whole:
        for instant in coming:
            session.take(instant)
    if session.rows <= session.tape.first_row:
        return perform(graph, engine, market)
    return concluded(graph, session.outcome(), session.market(), 0.0)


def _folded(graph: Graph, engine: str, path: Path) -> Done:
    """Take a graph through a journal. Raises `CheckFailed` where what stands there does not come out again."""
    tape, frames, reader = begin(path)
    if tape is None:
        raise CheckFailed(f"{path}: the journal is empty")
    session = Session(graph, tape, engine)
    fold(session, frames, path)
    if reader.torn:
        raise CheckFailed(f"{path}: a torn tail of {reader.torn} bytes follows its last frame")
    if session.rows <= tape.first_row:
        raise CheckFailed(f"{path}: the journal ends before the first decision")
    return concluded(graph, session.outcome(), session.market(), 0.0)


def _other_bar(path: Path, market: Market, whole: bool) -> str | None:
    """Name the first bar in which the data, read anew, is not what a journal holds; None where it is that.

    Parameters: `whole` whether the session came to the end of its data.
    """
    tape, frames, _ = begin(path)
    written = (instant_of(frame.content) for frame in frames if "instant" in frame.content)
    if tape is None or tape.pairs != market.names:
        return f"{path}: the data has other pairs than the journal"
    for number, (there, now) in enumerate(zip_longest(written, instants(market))):
        if there is None and not whole:
            return None
        if there != now:
            return f"{path}: {_parted(there, now, tape.pairs, number)}"
    return None


def _parted(there: Instant | None, now: Instant | None, pairs: tuple[str, ...], number: int) -> str:
    """Say how an instant of a journal and one of the data differ."""
    if there is None or now is None or there.time != now.time:
        times = ["no instant" if one is None else iso(one.time) for one in (there, now)]
        return f"instant {number} is {times[0]} in the journal, {times[1]} in the data"
    slots = [(there.bars, now.bars), *zip_longest(there.finer, now.finer, fillvalue=())]
    for old, new in slots:
        for pair, was, is_now in zip_longest(pairs, old, new):
            if was != is_now:
                return f"the bar of {pair} that opens at {iso(there.time)} {_values(was, is_now)}"
    return f"the instant of {iso(there.time)} differs"


def _values(was: Any, is_now: Any) -> str:
    if was is None or is_now is None:
        return "is missing in the data" if is_now is None else "is missing in the journal"
    return ", ".join(
        f"{name} was {text(a)}, is {text(b)}" for name, a, b in zip(FIELDS, was, is_now, strict=True) if a != b
    )

"""A session that writes down what it does: instants before they are taken, commands before they are carried out.

Its state is the fold of its journal: what a killed session was is found by taking the journalled instants again, and
the commands that come out have to be those that were written.
"""

import gc
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.orders import Control
from kraken_flow.core.redact import redact, revealed
from kraken_flow.core.session import News, Session
from kraken_flow.core.source import Happened
from kraken_flow.core.tape import Instant, Tape
from kraken_flow.core.times import iso
from kraken_flow.runs.control import order_of, requests
from kraken_flow.runs.journal import JOURNAL, Frame, Journal, Reader
from kraken_flow.runs.record import redacted_paths
from kraken_flow.runs.write import remove_results

logger = logging.getLogger(__name__)

SENT = (
    *("pair", "side", "type", "tif", "qty", "limit_price", "stop_price", "trail", "trail_rate", "expire_time"),
    *("post_only", "reduce_only", "reason", "time", "tag"),
)
"""What an order is when it is sent; the rest is what becomes of it."""

COUNTS = "counts"
"""Key of a frame under which stands what a stream counted since the frame before that has it."""


def commands_of(news: News) -> dict[str, Any]:
    """Return the commands of an instant as they stand in a journal: new orders, and submits, amends and cancels."""
    orders = zip(*(news.orders[name].tolist() for name in SENT), strict=True)
    lines = zip(*(column.tolist() for column in news.log.values()), strict=True)
    return {"orders": [list(order) for order in orders], "log": [list(line) for line in lines]}


def instant_frame(instant: Instant, counts: Mapping[str, Mapping[str, int]], said: int) -> dict[str, Any]:
    """Return an instant as it stands in a journal, with what its stream counted and strategies held before it."""
    frame: dict[str, Any] = {"instant": instant.time, "bars": instant.bars}
    more = {"finer": instant.finer, "missed": instant.missed, "marks": instant.marks, "funding": instant.funding}
    more |= {COUNTS: counts, "said": said}
    return frame | {name: value for name, value in more.items() if value}


def instant_of(frame: dict[str, Any]) -> Instant:
    """Read an instant."""
    finer = tuple(_bars(slot) for slot in frame.get("finer", ()))
    funding = tuple(tuple(tuple(event) for event in events) for events in frame.get("funding", ()))
    marks = _bars(frame.get("marks", []))
    return Instant(frame["instant"], _bars(frame["bars"]), finer, frame.get("missed", False), marks, funding)


def _bars(bars: list[list[int] | None]) -> tuple[Any, ...]:
    return tuple(None if bar is None else tuple(bar) for bar in bars)


def plain(tape: Tape) -> dict[str, Any]:
    """Return what is known of a tape as a journal's first frame holds it."""
    content: dict[str, Any] = orjson.loads(orjson.dumps(asdict(tape)))
    return content | {"files": redacted_paths(tape.files)}


def tape_from(content: dict[str, Any]) -> Tape:
    """Read what a journal says of its tape; values of secrets in paths come from the environment."""
    sequences = {name: tuple(content[name]) for name in ("pairs", "notes")}
    files = tuple({**record, "path": revealed(str(record["path"]))[0]} for record in content["files"])
    return Tape(**(content | sequences | {"files": files}))


def commands_in(news: News | None) -> dict[str, Any] | None:
    """Return the commands of an instant, orders that were refused at once included; None where there are none."""
    silent = news is None or (len(news.log["kind"]) == 0 and len(news.orders["pair"]) == 0)
    return None if silent or news is None else commands_of(news)


def control_frame(what: Control, time: int, name: str) -> dict[str, Any]:
    """Return what a user said, when, and the request's name, as it stands in a journal."""
    return {"control": what.word, "at": time, "request": name}


def _order_in(request: Path, pairs: Sequence[str]) -> dict[str, Any] | None:
    """Return the order of a request; None, and a line in the log, where it holds none that the session can work."""
    try:
        content: dict[str, Any] = orjson.loads(request.read_bytes())
        order_of(content, pairs)
    except (OSError, ValueError, UserError) as error:
        logger.warning("%s is left out: %s", request, error)
        return None
    return content


def fold(session: Session, frames: Iterable[Frame], path: Path, at_once: bool = False) -> dict[str, Any] | None:
    """Take the instants and controls of a journal and hold what they command to what stands there.

    Parameters: `frames` after the first; `at_once` asks the signal half about all instants together, as a backtest
    does, which is faster. Returns the last one's commands where the journal ends before them. Raises
    `CheckFailed` naming the first instant whose commands or forecasts differ.
    """
    pending: dict[str, Any] | None = None
    time = session.tape.first
    taken: Iterator[News | None] | None = None
    if at_once:
        frames = list(frames)
        instants = [instant_of(frame.content) for frame in frames if "instant" in frame.content]
        taken = _all_at_once(session, instants)
    for frame in frames:
        commanded = "log" in frame.content
        if commanded != (pending is not None) or (commanded and frame.content != pending):
            raise CheckFailed(
                f"{path}: the instant of {iso(time)} does not command again what stands there (frame {frame.number}); "
                "the program or a strategy changed since. Go back to that version, or start anew in another run_dir"
            )
        pending = None
        if "instant" in frame.content:
            time = frame.content["instant"]
            if time != session.due:
                raise CheckFailed(
                    f"{path}: frame {frame.number} holds the instant of {iso(time)}, due is that of "
                    f"{iso(session.due)}: frames are missing; nothing was changed. Restore the file from a copy"
                )
            if frame.content.get("said", session.said) != session.said:
                raise CheckFailed(
                    f"{path}: strategies do not hold again what they held before the instant of {iso(time)} (frame "
                    f"{frame.number}); the program or a strategy changed since. Go back to that version, or start anew "
                    "in another run_dir"
                )
            pending = commands_in(next(taken) if taken else session.take(instant_of(frame.content)))
        elif "control" in frame.content:
            what = Control[frame.content["control"].upper()]
            given = frame.content.get("order")
            order = None if given is None else order_of(given, session.tape.pairs)
            pending = commands_in(session.control(what, frame.content["at"], order))
    return pending


def _all_at_once(session: Session, instants: list[Instant]) -> Iterator[News | None]:
    """Take instants together, the last one by itself: what follows from it stands nowhere yet."""
    yield from session.catch_up(instants[:-1])
    yield session.take(instants[-1])


@dataclass(frozen=True)
class Recovered:
    """What a journal leaves.

    Parameters: `session` as it stands; `pending` the last instant's commands where the journal ends before them;
    `answered` the names of the requests that were; `happened` what became of the bars; `reader` at the journal's end.
    """

    session: Session
    pending: dict[str, Any] | None
    answered: set[str]
    happened: Happened
    reader: Reader


def recover(session: Session, path: Path) -> Recovered:
    """Fold a journal into a session: all at once, or where that does not command what stands there, bar by bar.

    Parameters: `session` before its first instant. Raises what `fold` raises bar by bar: a strategy that is not the
    same bar by bar is one for the second way, a journal that is no good fails in both.
    """
    with _no_collection():
        _, coming, reader = begin(path)
        frames = list(coming)
        answered = {frame.content["request"] for frame in frames if "request" in frame.content}
        happened = _counted(session, frames)
        try:
            pending = fold(session, frames, path, at_once=True)
        except Exception:  # noqa: BLE001 - a strategy may answer bar by bar alone; else the same is raised again
            session = Session(session.graph, session.tape, session.engine)
            pending = fold(session, frames, path)
        return Recovered(session, pending, answered, happened, reader)


def _counted(session: Session, frames: Iterable[Frame]) -> Happened:
    """Count again what stands in a journal."""
    happened = Happened(session.tape.pairs, session.tape.start)
    for frame in frames:
        content, counts = frame.content, frame.content.get(COUNTS, {})
        if "instant" in content:
            instant = Instant(content["instant"], content["bars"], missed=content.get("missed", False))
            happened.take(instant, counts)
        else:
            happened.add(counts)
    return happened


@contextmanager
def _no_collection() -> Iterator[None]:
    """Look for no garbage meanwhile: among millions of rows that stay it finds none, and takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def begin(path: Path) -> tuple[Tape | None, Iterator[Frame], Reader]:
    """Open a journal: what it says of its tape (None where it was never begun), its other frames, and the reader.

    Raises `CheckFailed` where it is no journal of a session.
    """
    reader = Reader(path)
    frames = iter(reader)
    first = next(frames, None)
    if first is not None and "tape" not in first.content:
        raise CheckFailed(f"{path}: its first frame does not say what it is about; it is no journal of a session")
    try:
        return None if first is None else tape_from(first.content["tape"]), frames, reader
    except (KeyError, TypeError):
        raise CheckFailed(f"{path}: another version of the program wrote it; go on with that version") from None


class JournalledSession:
    """A session and its journal in a run's folder.

    Parameters
    ----------
    session
        Before its first instant.
    folder
        The run's folder, held by the caller. A journal there is continued: its instants are taken again.

    Raises
    ------
    CheckFailed
        Where the journal is damaged, or what it says was commanded does not come out again.
    UserError
        Where it was written on other data.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self.folder = folder
        tape, _, _ = begin(folder / JOURNAL)
        if tape is not None:
            _same_tape(tape, session.tape, folder)
            _same_files(folder, session)
        found = recover(session, folder / JOURNAL)
        self.session, self._answered, reader = found.session, found.answered, found.reader
        """The session as the journal leaves it."""
        self.happened = found.happened
        """What became of the bars, from the first instant on."""
        self.recovered = self.session.rows
        """Instants that stood in the journal."""
        self.torn = reader.torn
        """Bytes of a torn tail that were cut."""
        if tape is not None:
            remove_results(folder)
        self.journal = Journal(reader.path, reader.end)
        try:
            if tape is None:
                for request, _ in requests(folder):
                    request.unlink(missing_ok=True)  # asked of an earlier session
                self._write({"tape": plain(session.tape), "strategy_files": strategy_files(session)})
            if found.pending is not None:
                self._write(found.pending)
        except BaseException:
            self.journal.close()
            raise

    def take(self, instant: Instant, counts: Mapping[str, Mapping[str, int]]) -> News | None:
        """Write an instant down, take it, and write down what it commands; then that may be carried out.

        Parameters: `counts` what the stream counted since the instant before.
        """
        self.journal.append(instant_frame(instant, counts, self.session.said))
        self.happened.take(instant, counts)
        news = self.session.take(instant)
        commands = commands_in(news)
        if commands is not None and commands["log"]:
            self._write(commands)
        elif commands is not None:
            self.journal.append(commands)  # nothing goes out
        return news

    def obey(self, time: int) -> bool:
        """Do what users asked for since the last call, at `time` ns UTC; return whether anything was asked.

        A request is removed once it stands in the journal: one that a crash left behind is not done twice.
        """
        found = False
        for request, what in requests(self.folder):
            if request.name not in self._answered:
                found = True
                self._answered.add(request.name)
                self._do(what, time, request)
            request.unlink(missing_ok=True)
        return found

    def _do(self, what: Control, time: int, request: Path) -> None:
        """Write a request down and do it, unless it is an order that cannot be read."""
        frame, order = control_frame(what, time, request.name), None
        if what is Control.ORDER:
            given = _order_in(request, self.session.tape.pairs)
            if given is None:
                return
            frame["order"], order = given, order_of(given, self.session.tape.pairs)
        self._write(frame)
        commands = commands_in(self.session.control(what, time, order))
        if commands is not None:
            self._write(commands)

    def end(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Write down what the stream counted after the last instant."""
        if counts:
            self.journal.append({COUNTS: counts})
            self.happened.add(counts)

    def close(self) -> None:
        """Put everything on the disk."""
        self.journal.close()

    def _write(self, content: dict[str, Any]) -> None:
        self.journal.append(content)
        self.journal.sync()


def strategy_files(session: Session) -> dict[str, str]:
    """Return the hashes of the files that decide what the strategy does, by path without the values of secrets."""
    return {redact(path): file_hash(Path(path)) for path in session.graph.strategy.files()}


def _same_files(folder: Path, session: Session) -> None:
    """Refuse to continue a session whose strategy reads other files than it began with."""
    first = next(iter(Reader(folder / JOURNAL)))
    written = first.content.get("strategy_files", {})
    before, now = {redact(path): known for path, known in written.items()}, strategy_files(session)
    if before != now:
        differ = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        raise UserError(
            f"run_dir={folder}: the strategy of the session there read other files ({', '.join(differ)} differs); "
            "bring the old ones back, or choose another run_dir for a new session"
        )


def _same_tape(before: Tape, now: Tape, folder: Path) -> None:
    """Refuse to continue a session on other data than it began with."""
    old, new = plain(before), plain(now)
    if not old["read"]:
        new["read"] = {}  # the session began before that was written down
    if old == new:
        return
    names = [name for name in new if old[name] != new[name]]
    hashes = {str(file["path"]): file["sha256"] for file in before.files}
    files = [str(file["path"]) for file in now.files if hashes.pop(str(file["path"]), None) != file["sha256"]]
    files += hashes  # those that are no longer read
    raise UserError(
        f"run_dir={folder}: the session there ran on other data ({', '.join(files or names)} differs); "
        "bring the old data back, or choose another run_dir for a new session"
    )

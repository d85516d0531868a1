"""In what the data of two past runs differs: files, spans, counters of late and missing bars, the bars themselves."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from kraken_flow.core.tape import Instant
from kraken_flow.core.times import iso
from kraken_flow.runs.differences import by_source
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.session_journal import begin, instant_of

_OF_FILE = ("path", "sha256", "first", "last", "rows")
_OF_STREAM = "missed_instants"
"""A key that the facts of a stream have, wherever they stand in the manifest."""


def data_differences(a: PastRun, b: PastRun) -> Iterator[str]:
    """Say how what was read differs: files, their content, their span, what was made of missing bars."""
    old, new = by_source(a.records), by_source(b.records)
    for source in dict.fromkeys([*old, *new]):
        role, name = source
        what = name if role == "bars" else f"{name} ({role})"
        if source not in new or source not in old:
            yield f"{what}: read by {'a' if source in old else 'b'} alone"
            continue
        for field in _OF_FILE:
            was, now = (str(records[source].get(field)) for records in (old, new))
            if was != now:
                yield f"{what}: {field} {' and '.join(text[:12] if field == 'sha256' else text for text in (was, now))}"
    if a.manifest.get("span") != b.manifest.get("span"):
        yield f"span: {_span(a)} and {_span(b)}"
    for run, other, letter in ((a, b, "a"), (b, a, "b")):
        notes = other.manifest.get("data_notes") or []
        yield from (f"{letter} alone: {note}" for note in run.manifest.get("data_notes") or [] if note not in notes)


def _span(run: PastRun) -> str:
    return " to ".join(run.manifest.get("span") or ["nothing"])


def count_differences(a: PastRun, b: PastRun) -> dict[str, dict[str, int]]:
    """Return the counters that differ: late and missing bars, missed instants, and what the engine counted."""
    old, new = dict(_counts(a.manifest)), dict(_counts(b.manifest))
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name, 0) != new.get(name, 0)]
    return {name: {"a": old.get(name, 0), "b": new.get(name, 0)} for name in names}


def _counts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    yield from dict(manifest.get("counts") or {}).items()
    for facts in (manifest, *manifest.values()):
        if isinstance(facts, Mapping) and _OF_STREAM in facts:
            yield _OF_STREAM, facts[_OF_STREAM]
            for place in facts.values():
                yield from _per_pair(place)


def _per_pair(counted: Any) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers of a table by pair."""
    for pair, numbers in counted.items() if isinstance(counted, Mapping) else ():
        if "/" in pair and isinstance(numbers, Mapping):
            yield from ((f"{pair} {name}", number) for name, number in numbers.items() if isinstance(number, int))


def bar_differences(a: PastRun, b: PastRun) -> Iterator[str]:
    """Say in how many bars the journals of two sessions differ, and name the first; nothing where one has none."""
    if a.journal is None or b.journal is None:
        return
    (old_tape, old), (new_tape, new) = _instants(a), _instants(b)
    if old_tape is None or new_tape is None or old_tape.pairs != new_tape.pairs:
        return
    count, first = 0, ""
    for was, now in _by_time(old, new):
        pairs = zip_longest(old_tape.pairs, was.bars if was else (), now.bars if now else ())
        other = [pair for pair, before, after in pairs if before != after]
        count += len(other)
        if other and not first:
            first = f"{other[0]} at {iso((was or now).time)}"  # type: ignore[union-attr]  # one of the two is there
    if count:
        yield f"{count} bars differ between the journals; the first is that of {first}"


def _instants(run: PastRun) -> tuple[Any, Iterator[Instant]]:
    if run.journal is None:
        raise TypeError("a run without a journal")
    tape, frames, _ = begin(run.journal)
    return tape, (instant_of(frame.content) for frame in frames if "instant" in frame.content)


def _by_time(old: Iterator[Instant], new: Iterator[Instant]) -> Iterator[tuple[Instant | None, Instant | None]]:
    """Walk two sequences of instants in time order, those of one time together."""
    was, now = next(old, None), next(new, None)
    while was is not None or now is not None:
        if now is None or (was is not None and was.time < now.time):
            yield was, None
            was = next(old, None)
        elif was is None or now.time < was.time:
            yield None, now
            now = next(new, None)
        else:
            yield was, now
            was, now = next(old, None), next(new, None)

"""In what two runs differ: lines of their logs, metrics, data, versions."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import Any

from kraken_flow.runs.sources import of_program

NO_LINE = "(no line)"
_UNTIMED = frozenset({"elapsed_s", "bars_per_s", "engine", "null_reasons", "warnings"})
"""Metrics that say how a run was made, or in words what others say; two runs of one system may differ in them."""
_CLOSE = 1e-9
"""Relative difference that the floats of another machine's libraries may have."""


@dataclass(frozen=True)
class FirstDifference:
    """The first line in which two logs differ; `NO_LINE` where one has ended."""

    line: int
    before: str
    now: str


def first_difference(before: str, now: str) -> FirstDifference | None:
    """Return where two logs part, None where they are equal. Lines count from 1."""
    if before == now:
        return None
    pairs = zip_longest(before.splitlines(), now.splitlines(), fillvalue=NO_LINE)
    for number, (old, new) in enumerate(pairs, 1):
        if old != new:
            return FirstDifference(number, old, new)
    return FirstDifference(before.count("\n") + 1, "(another line ending)", "")


@dataclass(frozen=True)
class Moved:
    """How the order logs of two runs, a and b, lie to each other.

    Parameters
    ----------
    equal
        Number of lines that both have.
    changed
        Lines of the same time, kind, pair, side and type that differ in the rest, a's and b's.
    only_a, only_b
        Lines without such a partner, in the order of their log.
    """

    equal: int
    changed: tuple[tuple[str, str], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    def __len__(self) -> int:
        """How many lines moved; a changed one counts once."""
        return len(self.changed) + len(self.only_a) + len(self.only_b)


def moved(a: str, b: str) -> Moved:
    """Match the lines of two order logs."""
    lines_a, lines_b = a.splitlines(), b.splitlines()
    left_a, left_b = _without(lines_a, Counter(lines_b)), _without(lines_b, Counter(lines_a))
    waiting: dict[tuple[str, ...], list[int]] = {}
    for place, line in enumerate(left_b):
        waiting.setdefault(_subject(line), []).append(place)
    changed, only_a, taken = [], [], set()
    for line in left_a:
        places = waiting.get(_subject(line))
        if places:
            taken.add(places[0])
            changed.append((line, left_b[places.pop(0)]))
        else:
            only_a.append(line)
    only_b = tuple(line for place, line in enumerate(left_b) if place not in taken)
    return Moved(len(lines_a) - len(left_a), tuple(changed), tuple(only_a), only_b)


def _without(lines: Sequence[str], others: Counter[str]) -> list[str]:
    """Return the lines that have no equal one among the others; each of these matches one line."""
    left = []
    for line in lines:
        if others[line] > 0:
            others[line] -= 1
        else:
            left.append(line)
    return left


def _subject(line: str) -> tuple[str, ...]:
    """Return what an order line is about: time, kind, pair, side, type."""
    return tuple(line.split(" ", 5)[:5])


@dataclass(frozen=True)
class MetricChange:
    """A metric with two values; `by` is the exact difference where both are numbers."""

    name: str
    before: Any
    now: Any
    by: Decimal | None


def metric_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[MetricChange]:
    """Return the metrics that differ; those that tell time or engine, and hashes, are left out."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    found = []
    for name in dict.fromkeys([*old, *new]):
        was, is_now = old.get(name), new.get(name)
        if was != is_now:
            pair = _number(was), _number(is_now)
            by = None if pair[0] is None or pair[1] is None else pair[1] - pair[0]
            found.append(MetricChange(name, was, is_now, by))
    return found


def beyond_rounding(change: MetricChange) -> bool:
    """Whether two values differ by more than the last digits of floats, which another processor may round otherwise."""
    if isinstance(change.before, float) and isinstance(change.now, float):
        return abs(change.before - change.now) > _CLOSE * max(abs(change.before), abs(change.now))
    return True


def _leaves(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in metrics.items():
        if name not in _UNTIMED and not name.endswith("_sha256"):
            yield from _inside(name, value)


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what stands in nested mappings and lists, by the path to it; rows that have a name go by that."""
    if isinstance(value, Mapping):
        for inner, amount in value.items():
            yield from _inside(f"{name}.{inner}", amount)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            named = item.get("name") if isinstance(item, Mapping) else None
            yield from _inside(f"{name}.{place if named is None else named}", item)
    else:
        yield name, value


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def by_source(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return a manifest's data records by role and pair; a record without a pair by its path.

    One that is a part of a series, as a year in the data store, has that beside the pair.
    """
    return {(str(r.get("role")), _subject_of(r)): r for r in records}


def _subject_of(record: Mapping[str, Any]) -> str:
    name, part = str(record.get("pair") or record.get("path")), record.get("part")
    return f"{name} {part}" if part else name


def version_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each version that is not what it was."""
    return [
        f"{name} was {before.get(name) or 'not installed'}, is {now.get(name) or 'not installed'}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def code_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a sentence for each source file that is another one in the second run.

    Parameters: the hashes by module that the manifests have. Modules that only one run loaded are told where they are
    the user's: which of its own the program loads hangs on the mode.
    """
    found = []
    for name in sorted({*before, *now} - {"__main__"}):
        if name in before and name in now:
            if before[name] != now[name]:
                found.append(f"{name}: the file is another one")
        elif not of_program(name) and not name.startswith("strategies"):
            found.append(f"{name}: loaded by {'a' if name in before else 'b'} alone")
    return found

"""The rules a candle table must keep before it becomes market columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import FIELDS
from kraken_flow.core.resample import Bars
from kraken_flow.core.times import iso, timeframe_name
from kraken_flow.core.units import (
    INT64_MAX,
    PRICE_DECIMALS,
    QTY_DECIMALS,
    UNIT,
    FloatArray,
    Int64Array,
    decimals_of,
    to_units,
)
from kraken_flow.data.stamps import UNREADABLE
from kraken_flow.data.table import Table

PRICES = ("open", "high", "low", "close")
PRICE_LIMIT = 9e10
"""Prices above this do not fit an int64 of 10^-8."""
SHOWN = 3
Mask: TypeAlias = NDArray[np.bool_]
Rule: TypeAlias = tuple[Mask, Callable[[int], str]]


@dataclass(frozen=True)
class Checked:
    """A table that kept the rules: bars in units, and what was found on the way.

    `step_ns` is the file's own timeframe, `decimals` the decimals of its prices, `duplicates` the identical rows and
    `dropped` the bad rows that were left out.
    """

    bars: Bars
    step_ns: int
    decimals: int
    duplicates: int
    dropped: int
    notes: tuple[str, ...]


def _row_rules(table: Table) -> list[Rule]:
    """Return the rules that a row keeps or breaks by itself."""
    o, h, low, c, v = (table.columns[name] for name in FIELDS)
    rules: list[Rule] = [
        (table.times == UNREADABLE, lambda i: "the time cannot be read (write ISO-8601 with zone, or Unix time)")
    ]
    for name in FIELDS:
        values = table.columns[name]
        rules.append((~np.isfinite(values), lambda i, name=name: f"{name} is not a number"))  # type: ignore[misc]  # bound now
    for name in PRICES:
        values = table.columns[name]
        rules.append((values <= 0, lambda i, n=name, x=values: f"{n} {x[i]:.12g} is not above 0"))  # type: ignore[misc]  # bound now
        rules.append(
            (
                (values > 0) & (values < 0.5 / UNIT) | (values > PRICE_LIMIT),
                lambda i, n=name, x=values: (  # type: ignore[misc]  # bound now
                    f"{n} {x[i]:.12g} is out of range: prices are held between 1e-8 and {PRICE_LIMIT:.0e}"
                ),
            )
        )
    rules += [
        (v < 0, lambda i: f"volume {v[i]:.12g} is below 0"),
        (low > o, lambda i: f"low {low[i]:.12g} is above open {o[i]:.12g}"),
        (low > c, lambda i: f"low {low[i]:.12g} is above close {c[i]:.12g}"),
        (h < o, lambda i: f"high {h[i]:.12g} is below open {o[i]:.12g}"),
        (h < c, lambda i: f"high {h[i]:.12g} is below close {c[i]:.12g}"),
    ]
    return rules


def _order_rules(times: Int64Array, columns: dict[str, FloatArray]) -> tuple[Mask, list[Rule]]:
    """Return which rows repeat the row before them, and the rules on the order of rows with readable times."""
    newest = np.maximum.accumulate(times)
    before = np.concatenate((times[:1] - 1, newest[:-1]))
    early = times < before
    # The row that set the newest time so far: a row of the same time is compared with it.
    holder = np.maximum.accumulate(np.where(times > before, np.arange(len(times)), 0))
    same = times == before
    equal = same.copy()
    for values in columns.values():
        equal &= values == values[holder]
    return equal, [
        (early, lambda i: f"time {iso(int(times[i]))} is before {iso(int(before[i]))} of a row above it"),
        (same & ~equal, lambda i: f"time {iso(int(times[i]))} stands in the row above with other values"),
    ]


def step_of(times: Int64Array, hints: tuple[int, ...]) -> int:
    """Return the timeframe of bar opens: the most common distance, unless the bars do not lie on its grid.

    Parameters: `times` strictly increasing, ns; `hints` timeframes the file's name or the user names: each wins where
    it is also the smallest distance, breaks ties, and stands in where there is one bar only. Where more than one bar in
    twenty lies off the grid of the most common distance, the greatest common divisor of all common distances is taken.
    """
    if len(times) < 2:
        return hints[0]
    gaps, counts = np.unique(np.diff(times), return_counts=True)
    for hint in hints:
        if gaps[0] == hint and not np.any((times - times[0]) % hint):
            return hint
    best = gaps[counts == counts.max()]
    step = next((hint for hint in hints if hint in best), int(best[0]))
    if off_grid(times, step).mean() > 0.05:
        common = gaps[counts * 100 >= counts.sum()]
        divisor = int(np.gcd.reduce(common)) if len(common) else step
        # Months have a divisor too, a day: it is the timeframe only where bars come about that close.
        step = divisor if gaps[0] <= 2 * divisor else step
    return step


def off_grid(times: Int64Array, step: int) -> Mask:
    """Return which bar opens do not share the phase that most of them have."""
    phase = times % step
    values, counts = np.unique(phase, return_counts=True)
    result: Mask = phase != values[counts.argmax()]
    return result


def _distinct(times: Int64Array) -> Int64Array:
    """Return each time once, in order; numpy's own `unique` hashes, twenty times slower on what is sorted already."""
    ordered = np.sort(times)
    found: Int64Array = ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]
    return found


def _report(table: Table, rules: list[Rule], rows: NDArray[np.intp], broken: Mask) -> UserError:
    """Name the first rows that break a rule; `rows` maps the rules' rows to the table's."""
    bad = np.flatnonzero(broken)
    lines = []
    for i in bad[:SHOWN]:
        say = next(text for mask, text in rules if mask[i])
        lines.append(f"{table.where}, {table.place(int(rows[i]))}: {say(int(i))}")
    if len(bad) > SHOWN:
        lines[-1] += f", and {len(bad) - SHOWN} more bad rows"
    lines[-1] += "; correct the rows, or leave them out with data.on_bad=drop"
    return UserError("\n".join(lines))


def _any(rules: list[Rule], size: int) -> Mask:
    broken = np.zeros(size, np.bool_)
    for mask, _ in rules:
        broken |= mask
    return broken


def check(table: Table, on_bad: str, hints: tuple[int, ...], step_ns: int | None = None) -> Checked:
    """Apply every rule, whole columns at a time, and convert what is left to units.

    Parameters: `table` as read; `on_bad` `error` (raise) or `drop` (leave bad rows out and count them); `hints` see
    `step_of`; `step_ns` the timeframe where it is known, which then is not inferred. Raises `UserError` naming file,
    row and rule, also where dropping would leave less than half of the rows.
    """
    rows = np.arange(len(table.times))
    times, columns = table.times, table.columns
    dropped = table.skipped

    def apply(rules: list[Rule], also: Mask | None = None) -> None:
        nonlocal rows, times, columns, dropped
        broken = _any(rules, len(rows))
        if broken.any() and on_bad == "error":
            raise _report(table, rules, rows, broken)
        dropped += int(broken.sum())
        keep = ~(broken if also is None else broken | also)
        if not keep.all():
            rows, times = rows[keep], times[keep]
            columns = {name: values[keep] for name, values in columns.items()}

    total = len(rows) + table.skipped
    # Of all readable times, so that a row left out does not look like a coarser timeframe.
    step = step_ns or step_of(_distinct(times[times != UNREADABLE]), hints)
    apply(_row_rules(table))
    repeated, rules = _order_rules(times, columns) if len(rows) else (np.zeros(0, np.bool_), [])
    duplicates = int(repeated.sum())
    apply(rules, repeated)
    if len(rows):
        grid = off_grid(times, step)
        name = timeframe_name(step)
        apply([(grid, lambda i: f"time {iso(int(times[i]))} is not on the file's grid of {name} bars")])
    if dropped * 2 > total:
        raise UserError(
            f"{table.where}: {dropped} of {total} rows are bad, so this is not a matter of single rows; "
            "load it without data.on_bad=drop to see the first ones"
        )
    notes = list(table.notes)
    bars, decimals = _convert(times, columns, notes)
    return Checked(bars, step, decimals, duplicates, dropped, tuple(notes))


def _convert(times: Int64Array, columns: dict[str, FloatArray], notes: list[str]) -> tuple[Bars, int]:
    """Convert to units; say where digits were lost."""
    decimals = max((decimals_of(columns[name]) for name in PRICES), default=0)
    prices = {name: to_units(columns[name], decimals) for name in PRICES}
    rounded = 0
    if decimals == PRICE_DECIMALS:
        lost = np.zeros(len(times), np.bool_)
        for name in PRICES:
            lost |= np.abs(prices[name] / UNIT - columns[name]) > columns[name] * 2**-51
        rounded = int(lost.sum())
    if rounded:
        notes.append(f"rows with prices of more than {PRICE_DECIMALS} decimals, rounded half to even: {rounded}")
    volume = columns["volume"]
    units = to_units(volume)
    finer = int((np.abs(units / UNIT - volume) > volume * 2**-51).sum()) if volume.max() < PRICE_LIMIT else 0
    if finer:
        notes.append(f"rows with volumes of more than {QTY_DECIMALS} decimals, rounded half to even: {finer}")
    huge = int((volume >= INT64_MAX / UNIT).sum())
    if huge:
        notes.append(f"rows with a volume above {INT64_MAX // UNIT}, held as that number: {huge}")
    return Bars(times, prices["open"], prices["high"], prices["low"], prices["close"], units), decimals

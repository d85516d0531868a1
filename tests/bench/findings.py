"""What a benchmark found, and how it is printed: equal results first, then the differences, then the times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

from tests.bench.clock import Times

Sense = Literal["at least", "at most"]


@dataclass(frozen=True)
class Check:
    """Two results that have to be equal before their times are compared."""

    what: str
    ours: float
    theirs: float
    tolerance: float = 0.005

    @property
    def equal(self) -> bool:
        """Whether they are, to the cent unless another tolerance was given."""
        return bool(abs(self.ours - self.theirs) < self.tolerance)


@dataclass(frozen=True)
class Difference:
    """Two results that differ because the rules do, and which rules."""

    what: str
    ours: float
    theirs: float
    why: str


@dataclass(frozen=True)
class Sides:
    """Our time beside a rival's: median seconds, and the rival's over ours, median and range of the rounds."""

    ours: str
    theirs: str
    ours_s: float
    theirs_s: float
    faster: float
    least: float
    most: float
    busy: float
    """The same ratio of processor times."""


@dataclass(frozen=True)
class Finding:
    """One figure: a ratio, a time or a rate, and what is wanted of it."""

    what: str
    value: float
    unit: str = "x"
    sense: Sense | None = None
    wanted: float | None = None
    note: str = ""
    sides: Sides | None = None

    @property
    def verdict(self) -> str:
        """Whether it is as wanted; empty where nothing is."""
        if self.wanted is None:
            return ""
        met = self.value >= self.wanted if self.sense == "at least" else self.value <= self.wanted
        return "yes" if met else "NO"


@dataclass(frozen=True)
class Section:
    """One benchmark: equality checks, differences by rule, figures."""

    title: str
    checks: Sequence[Check] = ()
    findings: Sequence[Finding] = ()
    differences: Sequence[Difference] = ()

    @property
    def equal(self) -> bool:
        """Whether everything is equal that has to be; without that no time is worth printing."""
        return all(check.equal for check in self.checks)


def compare(times: Times, ours: str, theirs: str, what: str, sense: Sense, wanted: float | None = None) -> Finding:
    """Return how many times faster (`at least`) we are than the other side, or how many times as long we take."""
    above, below = (theirs, ours) if sense == "at least" else (ours, theirs)
    note = (
        f"{ours} {seconds(times.median(ours))}, {theirs} {seconds(times.median(theirs))}; "
        f"of processor time {times.busy_ratio(above, below):.2f}x"
    )
    return Finding(what, times.ratio(above, below), "x", sense, wanted, note)


def against(
    times: Times,
    theirs: str,
    what: str,
    sense: Sense = "at least",
    wanted: float | None = None,
    ours: str = "ours",
    label: str = "",
) -> Finding:
    """`compare` with a rival, kept for the table of both sides; `label` says what of the rival ran."""
    found = compare(times, ours, theirs, what, sense, wanted)
    ratios = times.ratios(theirs, ours)
    sides = Sides(
        ours,
        label or theirs,
        times.median(ours),
        times.median(theirs),
        times.ratio(theirs, ours),
        min(ratios),
        max(ratios),
        times.busy_ratio(theirs, ours),
    )
    return Finding(found.what, found.value, found.unit, sense, wanted, found.note, sides)


def seconds(value: float) -> str:
    """Write a duration with a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def show(console: Console, section: Section) -> None:
    """Print a section, equality first; no times where results differ that should not."""
    console.rule(section.title, align="left")
    for check in section.checks:
        word = "equal" if check.equal else "[bold red]DIFFERENT[/]"
        console.print(f"  {word}: {check.what}: {check.ours:,.10g} and {check.theirs:,.10g}")
    for one in section.differences:
        console.print(f"  other rules: {one.what}: {one.ours:,.10g} and {one.theirs:,.10g} ({one.why})")
    if not section.equal:
        console.print("  no times: the results differ")
        return
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("figure", "value", "wanted", "met", "how"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for row in section.findings:
        wanted = "" if row.wanted is None else f"{row.sense} {row.wanted:,g}"
        table.add_row(row.what, f"{row.value:,.3g} {row.unit}", wanted, row.verdict, row.note)
    console.print(table)

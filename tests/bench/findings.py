"""What a benchmark found, as a table to print and a record to keep."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
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
        return abs(self.ours - self.theirs) < self.tolerance


@dataclass(frozen=True)
class Finding:
    """One figure: a ratio, a time or a rate, and what is wanted of it."""

    what: str
    value: float
    unit: str = "x"
    sense: Sense | None = None
    wanted: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether it is as wanted; empty where nothing is."""
        if self.wanted is None:
            return ""
        met = self.value >= self.wanted if self.sense == "at least" else self.value <= self.wanted
        return "yes" if met else "NO"


@dataclass(frozen=True)
class Section:
    """One benchmark's equality checks and figures."""

    title: str
    checks: Sequence[Check] = ()
    findings: Sequence[Finding] = ()


def compare(times: Times, ours: str, theirs: str, what: str, sense: Sense, wanted: float) -> Finding:
    """Return how many times faster (`at least`) we are than the other side, or how many times as long we take."""
    above, below = (theirs, ours) if sense == "at least" else (ours, theirs)
    note = (
        f"{ours} {seconds(times.median(ours))}, {theirs} {seconds(times.median(theirs))}; "
        f"of processor time {times.busy_ratio(above, below):.2f}x"
    )
    return Finding(what, times.ratio(above, below), "x", sense, wanted, note)


def seconds(value: float) -> str:
    """Write a duration with a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def machine() -> dict[str, object]:
    """Return where this ran and with which versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("numpy", "pandas", "numba", "vectorbt", "vectorbt-rust", "ta-lib")},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def show(console: Console, section: Section) -> None:
    """Print a section, equality first."""
    console.rule(section.title, align="left")
    for check in section.checks:
        word = "equal" if check.equal else "[bold red]DIFFERENT[/]"
        console.print(f"  {word}: {check.what}: {check.ours:,.10g} and {check.theirs:,.10g}")
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("figure", "value", "wanted", "met", "how"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for row in section.findings:
        wanted = "" if row.wanted is None else f"{row.sense} {row.wanted:,g}"
        table.add_row(row.what, f"{row.value:,.3g} {row.unit}", wanted, row.verdict, row.note)
    console.print(table)


def save(path: Path, sections: Iterable[Section]) -> None:
    """Write everything as JSON."""
    record = {
        "machine": machine(),
        "sections": [
            {
                "title": section.title,
                "checks": [asdict(check) | {"equal": check.equal} for check in section.checks],
                "findings": [asdict(row) | {"met": row.verdict} for row in section.findings],
            }
            for section in sections
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")

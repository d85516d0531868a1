"""Benchmarks side by side: `make bench`, or `python -m tests.bench [names] [--bars N]`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from kraken_flow.native import REASON, native
from tests.bench import (
    bar_by_bar,
    execution,
    indicators,
    paper,
    plain,
    portfolio,
    process,
    reporting,
    risk_check,
    small,
    startup,
    stepping,
    sweep,
)
from tests.bench.findings import Section, show
from tests.bench.record import ROOT, machine, newest, now, save, versions
from tests.bench.table import PAGE, put

RECORDS = ROOT / "runs" / "bench"


def suite(bars: int, rounds: int) -> dict[str, Callable[[], Section]]:
    """The benchmarks by name, sizes in proportion to `bars`; what takes seconds has fewer rounds."""
    few = min(rounds, 5)
    reports = sorted(path.stem for path in (ROOT / "conf" / "report").glob("*.yaml"))
    return {
        "plain": lambda: plain.crossing(bars, rounds),
        "limits": lambda: plain.limits(bars, rounds),
        "asked": lambda: bar_by_bar.section(bars // 20, few),
        "portfolio": lambda: portfolio.weekly(50, bars // 10, rounds),
        "sweep": lambda: sweep.section(bars // 5, few),
        "indicators": lambda: indicators.batch(bars, rounds),
        "arrays": lambda: small.arrays((100, 1000, 10_000), rounds),
        "small": lambda: small.section(500, rounds),
        "streaming": lambda: indicators.streaming(bars // 5, rounds),
        "stepping": lambda: stepping.section(bars // 5, bars // 50, few),
        "risk": lambda: risk_check.section(50, rounds),
        "paper": lambda: paper.section(bars // 10, min(rounds, 3)),
        "orders": lambda: execution.section(bars // 50),
        "metrics": lambda: reporting.section(bars // 10, few),
        "report": lambda: startup.reports(bars, min(rounds, 3), reports),
        "startup": lambda: startup.backtests(1000, few),
        "imports": lambda: startup.imports(few),
        "process": lambda: process.section(bars, min(rounds, 7)),
    }


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which benchmarks (default: all)")
    parser.add_argument("--bars", type=int, default=1_000_000, help="bars of the single-pair runs")
    parser.add_argument("--rounds", type=int, default=11, help="rounds in which the sides take turns")
    parser.add_argument("--json", type=Path, help="where the record goes (default: runs/bench/<time>.json)")
    parser.add_argument("--docs", action="store_true", help=f"then put its tables into {PAGE.relative_to(ROOT)}")
    parser.add_argument(
        "--table",
        nargs="?",
        type=Path,
        const=RECORDS,
        metavar="JSON",
        help="run nothing: put the tables of a record there",
    )
    return parser


def main() -> int:
    """Run what was asked for, print and save it; 1 where results that have to be equal differ."""
    parser = arguments()
    asked = parser.parse_args()
    if asked.table:
        record = newest(asked.table) if asked.table.is_dir() else asked.table
        if record is None or not record.is_file():
            parser.error(f"{asked.table}: no record there; run the benchmarks first")
        put(record)
        return 0
    benchmarks = suite(asked.bars, asked.rounds)
    unknown = set(asked.names) - set(benchmarks)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(benchmarks)}")
    if asked.docs and asked.names:
        parser.error("--docs needs all benchmarks: leave the names out")
    began = now()
    return run(
        [benchmarks[name] for name in asked.names or benchmarks], asked, began, asked.json or RECORDS / f"{began}.json"
    )


def run(benchmarks: list[Callable[[], Section]], asked: argparse.Namespace, began: str, path: Path) -> int:
    """Run benchmarks one after the other, each printed and the record saved as soon as it is there."""
    console = Console(width=max(120, Console().width))
    if native is None:
        console.print(f"The Rust extension is missing ({REASON}): these are the figures of the Python engine.")
    console.print(", ".join(f"{name} {value}" for name, value in (machine() | versions()).items()))
    about = {"began": began, "bars": asked.bars, "rounds": asked.rounds, "load_before": round(os.getloadavg()[0], 2)}
    sections: list[Section] = []
    for benchmark in benchmarks:
        sections.append(benchmark())
        show(console, sections[-1])
        save(path, sections, about | {"ended": now()})
    different = [check for section in sections for check in section.checks if not check.equal]
    missed = [row for section in sections for row in section.findings if row.verdict == "NO"]
    console.print(f"{len(missed)} figures short of what is wanted; {len(different)} results differ; {path}")
    if asked.docs:
        put(path)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

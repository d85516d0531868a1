"""Benchmarks side by side: `make bench`, or `python -m tests.bench [names] [--bars N]`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from kraken_flow.native import REASON, native
from tests.bench import execution, indicators, paper, plain, portfolio, process, risk_check, stepping
from tests.bench.findings import Section, machine, save, show


def suite(bars: int, rounds: int) -> dict[str, Callable[[], Section]]:
    """The benchmarks by name, sizes in proportion to `bars`."""
    return {
        "plain": lambda: plain.crossing(bars, rounds),
        "limits": lambda: plain.limits(bars, rounds),
        "portfolio": lambda: portfolio.weekly(50, bars // 10, rounds),
        "indicators": lambda: indicators.batch(bars, rounds),
        "streaming": lambda: indicators.streaming(bars // 5, rounds),
        "stepping": lambda: stepping.section(bars // 5, bars // 50, min(rounds, 5)),
        "risk": lambda: risk_check.section(50, rounds),
        "paper": lambda: paper.section(bars // 10, min(rounds, 3)),
        "orders": lambda: execution.section(bars // 50),
        "process": lambda: process.section(bars, min(rounds, 7)),
    }


def main() -> int:
    """Run what was asked for, print and save it; 1 where results that have to be equal differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which benchmarks (default: all)")
    parser.add_argument("--bars", type=int, default=1_000_000, help="bars of the single-pair runs")
    parser.add_argument("--rounds", type=int, default=11, help="rounds in which the sides take turns")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where the record goes")
    asked = parser.parse_args()
    benchmarks = suite(asked.bars, asked.rounds)
    unknown = set(asked.names) - set(benchmarks)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(benchmarks)}")
    console = Console(width=max(120, Console().width))
    if native is None:
        console.print(f"The Rust extension is missing ({REASON}): these are the figures of the Python engine.")
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))
    sections = []
    for name in asked.names or benchmarks:
        sections.append(benchmarks[name]())
        show(console, sections[-1])
        save(asked.json, sections)
    different = [check for section in sections for check in section.checks if not check.equal]
    missed = [row for section in sections for row in section.findings if row.verdict == "NO"]
    console.print(f"{len(missed)} figures short of what is wanted; {len(different)} results differ; {asked.json}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

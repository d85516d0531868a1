"""The record of a run of the benchmarks as the tables of docs/benchmarks.md."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.findings import seconds
from tests.bench.record import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- figures: begin (made by `python -m tests.bench --table`) -->"
END = "<!-- figures: end -->"
EVEN = 0.05
"""Share within which two times are called even: rounds on a shared machine vary by more."""


def put(record: Path, page: Path = PAGE) -> None:
    """Replace what stands between the marks of a page by the tables of a record."""
    text = page.read_text("utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{page}: the lines {BEGIN!r} and {END!r} are missing; the tables go between them")
    tables = rendered(json.loads(record.read_text("utf-8")))
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", "utf-8")


def rendered(record: Mapping[str, Any]) -> str:
    """Return the tables in Markdown: where it ran, both sides, where we lose, where results differ, other figures."""
    sections = record["sections"]
    rows = [row for section in sections for row in section["findings"]]
    sides = [(row["what"], row["sides"]) for row in rows if row["sides"]]
    parts = [
        _about(record, sections),
        "### Both sides\n",
        _table(
            ("what", "ours", "the other side", "its time", "we are", "in the rounds", "of processor time"),
            [(what, seconds(s["ours_s"]), s["theirs"], seconds(s["theirs_s"]), *_faster(s)) for what, s in sides],
        ),
        "### Where we lose\n",
        _table(
            ("what", "to", "we are slower by"),
            [
                (what, s["theirs"], _times(1 / s["faster"]))
                for what, s in sorted(sides, key=lambda one: float(one[1]["faster"]))
                if s["faster"] < 1 - EVEN
            ],
        ),
        "### Where results differ by rule\n",
        _table(
            ("what", "ours", "theirs", "why"),
            [
                (one["what"], f"{one['ours']:,.10g}", f"{one['theirs']:,.10g}", one["why"])
                for section in sections
                for one in section["differences"]
            ],
        ),
        "### Other figures, and what is wanted\n",
        _table(
            ("benchmark", "figure", "value", "wanted", "met", "how"),
            [
                (section["title"], *_figure(row))
                for section in sections
                for row in section["findings"]
                if not row["sides"] or row["wanted"] is not None
            ],
        ),
    ]
    return "\n".join(parts)


def _about(record: Mapping[str, Any], sections: Sequence[Mapping[str, Any]]) -> str:
    machine, versions = dict(record["machine"]), dict(record["versions"])
    day = record["began"]
    load, cores = machine.pop("load"), machine.pop("processors")
    checks = [check for section in sections for check in section["checks"]]
    different = [check["what"] for check in checks if not check["equal"]]
    verdict = f"All {len(checks)} equalities held." if not different else f"Different: {', '.join(different)}."
    return (
        f"{cores} processors, {machine['processor']}, {machine['memory_gb']} GB, {machine['system']}; "
        f"load {record['load_before']} before, {load} after.\n"
        f"{', '.join(f'{name} {value}' for name, value in versions.items())}.\n"
        f"{day[:4]}-{day[4:6]}-{day[6:8]}, sizes by `--bars {record['bars']}`, {record['rounds']} rounds "
        f"(fewer where one takes seconds). {verdict}\n"
    )


def _faster(sides: Mapping[str, float]) -> tuple[str, str, str]:
    ratio, spread, busy = sides["faster"], f"{_times(sides['least'])} to {_times(sides['most'])}", _times(sides["busy"])
    if abs(ratio - 1) <= EVEN:
        return "even", spread, busy
    return (f"{_times(ratio)} faster" if ratio > 1 else f"**{_times(1 / ratio)} slower**"), spread, busy


def _times(ratio: float) -> str:
    """Write a ratio with three digits."""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def _figure(row: Mapping[str, Any]) -> tuple[str, ...]:
    wanted = "" if row["wanted"] is None else f"{row['sense']} {row['wanted']:,g} {row['unit']}".rstrip()
    name = row["what"] if not row["sides"] else f"{row['what']}, {row['sides']['theirs']}"
    return name, f"{row['value']:,.3g} {row['unit']}".rstrip(), wanted, row["met"], row["note"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)

"""Entries of the run index as lines of a terminal of 80 columns, and as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from kraken_flow.runs.tables import SAMPLE

_HEADS = (
    ("Strategy", 15, "<"),
    ("Mode", 9, "<"),
    ("Span", 22, "<"),
    ("Return", 8, ">"),
    ("Sharpe", 6, ">"),
    ("Drawdn", 8, ">"),
    ("Trades", 6, ">"),
)
_COLOURS = {"finished": "green", "running": "cyan", "failed": "red", "damaged": "red", "killed": "yellow"}
_REPORT = "report.html"


def plain(root: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as JSON shows it: its columns, its folder, and its report where there is one."""
    folder = root / row["path"]
    report = folder / _REPORT
    shown = {name: value for name, value in row.items() if name != "fingerprint"}
    return shown | {"folder": str(folder), "report": str(report) if report.is_file() else None}


def lines(root: Path, rows: Sequence[Mapping[str, Any]], total: int, width: int) -> Iterator[Text]:
    """Yield the list: two lines per run, its numbers and its folder.

    Parameters: `width` of the terminal; the strategy's column takes what is left of it.
    """
    if not rows:
        yield Text(f"no runs below {root} that were asked for" if not total else f"{total:,} runs")
        return
    heads = list(_HEADS)
    spare = max(0, min(width, 110) - sum(w for _, w, _ in heads) - len(heads) + 1)
    heads[0] = (heads[0][0], heads[0][1] + spare, "<")
    yield Text(" ".join(f"{name:{side}{size}}" for name, size, side in heads), style="bold")
    for row in rows:
        cells = zip(_cells(row), heads, strict=True)
        yield Text(" ".join(f"{_cut(cell, size):{side}{size}}" for cell, (_, size, side) in cells))
        yield _second(root, row)
    if total > len(rows):
        yield Text(f"{len(rows):,} of {total:,} runs; mode.limit={total} shows all, mode.page=true makes a page")
    else:
        yield Text(f"{total:,} run{'s' * (total != 1)}")
    if any(row["synthetic"] for row in rows):
        yield Text(f"*: on the {SAMPLE}")


def _second(root: Path, row: Mapping[str, Any]) -> Text:
    status = _clean(row["status"])
    verdict = _clean(row["verdict"] or "") if status == "finished" else ""
    if verdict:
        line = Text("  ").append(f"audit {verdict}", style="green" if verdict == "passed" else "red").append(" ")
    else:
        line = Text("  ").append(status, style=_COLOURS.get(status, "")).append(" ")
    # The start of a hash tells runs apart that traded differently.
    known = _clean(row["order_log_sha256"] or "")[:8]
    line.append(f"{known} " if known else "", style="dim").append(_clean(root / row["path"]), style="dim")
    if row["killed_at"]:
        line.append(f"\n  trading ended by a limit at {_clean(row['killed_at'])}", style="yellow")
    if row["would_have_been_killed_at"]:
        when = _clean(row["would_have_been_killed_at"])
        line.append(f"\n  limits only recorded: would have been killed at {when}", style="yellow")
    if row["error"]:
        line.append(f"\n  {_clean(row['error'])}", style="red")
    return line


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    sweep = row["kind"] == "sweep"
    mode = f"sweep {row['members'] or ''}".strip() if sweep else _clean(row["mode"] or "-")
    name = _clean(row["strategy"] or "-") + "*" * bool(row["synthetic"])
    first, last = (_clean(row[key] or "")[:10] for key in ("first", "last"))
    return (
        name,
        mode,
        f"{first}..{last}" if first or last else "-",
        _share(row["total_return"]),
        "-" if row["sharpe"] is None else f"{row['sharpe']:.2f}",
        _share(row["max_drawdown"]),
        "-" if row["trades"] is None else f"{row['trades']}",
    )


def _share(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.2%}" if abs(value) < 100 else f"{value:+.1e}"


def _clean(value: Any) -> str:
    """Return what a run says of itself on one line and without what steers a terminal: a run may have been received."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(value).split()))


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"

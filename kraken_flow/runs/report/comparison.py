"""The page that lays several runs side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kraken_flow.analysis import series
from kraken_flow.analysis.returns import drawdowns
from kraken_flow.core.redact import redact
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report import words
from kraken_flow.runs.report.content import MOST_POINTS, Content
from kraken_flow.runs.report.packing import Pack
from kraken_flow.runs.report.page import rendered, write_html

BETTER = {
    **dict.fromkeys(("total_return", "cagr", "max_drawdown", "sharpe", "sortino", "calmar"), 1),
    **dict.fromkeys(("win_rate", "profit_factor", "expectancy"), 1),
    "final_equity": 1,
    "fees": -1,
}
"""Numbers of which more (1) or less (-1) is better; a drawdown is negative."""
_MORE = (
    ("final_equity", "Final equity", "money"),
    ("fees", "Fees", "money"),
    ("ambiguous_fills", "Ambiguous fills", "count"),
    ("killed_at", "Trading ended, UTC", "time"),
)
_MS = 1_000_000

Keys = Sequence[tuple[str, Sequence[str]]]
"""Keys of the configuration, each with its value in every run."""


def write_comparison(runs: Sequence[PastRun], keys: Keys, path: Path) -> Path:
    """Write a page that compares runs; return its path. Raises `UserError` where a table of one is damaged."""
    facts, blobs = comparison(runs, keys)
    return write_html(path, rendered("Comparison of " + ", ".join(run["name"] for run in facts["runs"]), facts, blobs))


def comparison(runs: Sequence[PastRun], keys: Keys) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the page reads: the runs, a line per number, the keys in which they differ; and their curves."""
    blobs: dict[str, str] = {}
    shown = []
    for number, (past, name) in enumerate(zip(runs, names_of(runs), strict=True)):
        facts, pack = _run(past, name)
        shown.append({**facts, "columns": pack.index})
        blobs[f"run{number}"] = pack.text()
    return {
        "kind": "comparison",
        "said": f"{len(runs)} runs",
        "runs": shown,
        "warnings": cautions(runs, [run["name"] for run in shown]),
        "rows": rows_of(runs),
        "keys": [{"key": key, "values": list(values)} for key, values in keys],
    }, blobs


def names_of(runs: Sequence[PastRun]) -> list[str]:
    """Return a name for each run: its strategy, with its folder's where two have the same."""
    strategies = [run.strategy for run in runs]
    return [
        name if strategies.count(name) == 1 else f"{name} ({run.folder.name})"
        for name, run in zip(strategies, runs, strict=True)
    ]


def rows_of(runs: Sequence[PastRun]) -> list[dict[str, Any]]:
    """Return a line per number that one of the runs has: its values as text and as numbers, and their intervals."""
    wanted = [(key, title, kind) for key, title, kind, _ in words.HEADLINE] + list(_MORE)
    found = []
    for key, title, kind in wanted:
        values = [run.metrics.get(key) for run in runs]
        if all(value is None for value in values):
            continue
        currencies = [Content(run).currency for run in runs]
        found.append(
            {
                "key": key,
                "title": title,
                "better": BETTER.get(key, 0) if len(set(currencies)) == 1 or kind != "money" else 0,
                "values": [
                    words.NONE if value is None else words.formatted(value, kind, currency)
                    for value, currency in zip(values, currencies, strict=True)
                ],
                "numbers": [_number(value) for value in values],
                "intervals": [_interval(run.metrics, key, kind) for run in runs],
            }
        )
    return found


def cautions(runs: Sequence[PastRun], names: Sequence[str]) -> list[str]:
    """Say what makes the runs hard to compare."""
    found = []
    if len({run.metrics.get("data_sha256") for run in runs}) > 1:
        found.append("The runs did not trade on the same data: their numbers are not those of one market.")
    if len({tuple(run.manifest.get("span") or ()) for run in runs}) > 1:
        found.append("The runs do not cover the same span.")
    for run, name in zip(runs, names, strict=True):
        if killed := run.metrics.get("killed_at"):
            found.append(f"{name}: a risk limit ended trading on {str(killed)[:10]}.")
    if any(run.manifest.get("synthetic_sample") for run in runs):
        found.append("Synthetic market: nothing in it ever traded.")
    if len(runs) > 2:
        found.append(f"The best of {len(runs)} runs looks better than it is: some of its lead is luck of the draw.")
    return found


def _run(past: PastRun, name: str) -> tuple[dict[str, Any], Pack]:
    content, pack = Content(past), Pack()
    start = content.start_equity
    growth = content.equity / start - 1.0 if start else np.zeros(len(content.equity))
    depth = drawdowns(content.equity, start) if len(content.equity) else growth
    rows = series.thinned([growth, depth], MOST_POINTS // 2) if len(growth) else np.zeros(0, np.intp)
    first = int(content.times[0]) if len(content.times) else 0
    pack.whole("seconds", (content.times[rows] - first) // (1000 * _MS))
    pack.real("growth", growth[rows])
    pack.real("drawdown", depth[rows])
    manifest, metrics = past.manifest, past.metrics
    return {
        "name": name,
        "mode": past.mode,
        "pairs": manifest.get("pairs") or [],
        "timeframe": manifest.get("timeframe"),
        "span": manifest.get("span"),
        "folder": redact(str(past.folder)),
        "orders": str(metrics.get("order_log_sha256", ""))[:12],
        "data": str(metrics.get("data_sha256", ""))[:12],
        "first_ms": first // _MS,
    }, pack


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _interval(metrics: Mapping[str, Any], key: str, kind: str) -> str | None:
    found = words.interval_of(metrics, key)
    return None if found is None else words.between(found, kind, "")

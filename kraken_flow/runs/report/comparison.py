"""The page that lays several runs side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kraken_flow.analysis import series
from kraken_flow.analysis.returns import drawdowns
from kraken_flow.core.redact import redact
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report import standing, words
from kraken_flow.runs.report.content import MOST_POINTS, Content
from kraken_flow.runs.report.packing import Pack
from kraken_flow.runs.report.page import rendered, write_html

BETTER = {
    *("total_return", "cagr", "max_drawdown", "sharpe", "sortino", "calmar"),
    *("win_rate", "profit_factor", "expectancy", "final_equity"),
}
"""Numbers of which more is better; a drawdown is negative. Fees are none: who does not trade pays none."""
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
    contents = [Content(run) for run in runs]
    would_have = [words.would_have_ended(content.shadow_kills) for content in contents]
    names, marks = names_of(runs), standing.marks_of(runs, would_have)
    shown = []
    apart = standing.told_apart(runs, keys)
    for number, (content, name, signs, differs) in enumerate(zip(contents, names, marks, apart, strict=True)):
        facts, pack = _run(content, name)
        shown.append({**facts, "columns": pack.index, "marks": signs, "differs": differs})
        blobs[f"run{number}"] = pack.text()
    return {
        "kind": "comparison",
        "said": f"{len(runs)} runs of {', '.join(dict.fromkeys(run.strategy for run in runs))}",
        "runs": shown,
        "marks": [{"mark": mark, "text": text} for mark, text in standing.MARKS.items() if mark in "".join(marks)],
        "warnings": standing.warnings(runs, names, would_have) + cautions(runs, [one.currency for one in contents]),
        "rows": rows_of(contents, marks, would_have),
        "keys": [{"key": key, "values": list(values)} for key, values in keys],
    }, blobs


def names_of(runs: Sequence[PastRun]) -> list[str]:
    """Return a name for each run: its strategy, with its folder's where two have the same."""
    strategies = [run.strategy for run in runs]
    return [
        name if strategies.count(name) == 1 else f"{name} ({run.folder.name})"
        for name, run in zip(strategies, runs, strict=True)
    ]


def rows_of(
    contents: Sequence[Content], marks: Sequence[str], would_have: Sequence[Mapping[str, Any] | None]
) -> list[dict[str, Any]]:
    """Return a line per number that one of the runs has: its values as text and as numbers, their intervals, the best.

    Parameters: `marks` the signs behind the runs' names; `would_have` what would have ended their trading.
    """
    runs = [content.past for content in contents]
    wanted = [(key, title, kind) for key, title, kind, _ in words.HEADLINE] + list(_MORE)
    accounts = {(content.currency, content.start_equity) for content in contents}
    found = []
    for key, title, kind in wanted:
        values = [run.metrics.get(key) for run in runs]
        currencies = [content.currency for content in contents]
        texts = [
            words.NONE if value is None else words.formatted(value, kind, currency)
            for value, currency in zip(values, currencies, strict=True)
        ]
        if key == "killed_at":
            texts = [
                text if event is None else f"would have been stopped at {words.formatted(str(event['time']), kind)}"
                for text, event in zip(texts, would_have, strict=True)
            ]
        if all(text == words.NONE for text in texts):
            continue
        numbers = [_number(value) for value in values]
        better = key in BETTER and (kind != "money" or len(accounts) == 1)
        found.append(
            {
                "key": key,
                "title": title,
                "best": standing.best_of(numbers, marks) if better else -1,
                "values": texts,
                "numbers": numbers,
                "intervals": [_interval(run.metrics, key, kind) for run in runs],
            }
        )
    return found


def cautions(runs: Sequence[PastRun], currencies: Sequence[str]) -> list[words.Row]:
    """Say what makes the runs hard to compare: level and text."""
    found = []
    if len(set(currencies)) > 1:
        told = " and ".join(unit or "one unknown" for unit in dict.fromkeys(currencies))
        found.append(
            f"The accounts are in {told}: each run's returns are in its own currency, without what the currencies "
            "gained on each other, and do not tell which run made more."
        )
    if len({run.metrics.get("data_sha256") for run in runs}) > 1:
        found.append("The runs did not trade on the same data: their numbers are not those of one market.")
    if len({tuple(run.manifest.get("span") or ()) for run in runs}) > 1:
        found.append("The runs do not cover the same span.")
    if len(runs) > 2:
        found.append(f"The best of {len(runs)} runs looks better than it is: some of its lead is luck of the draw.")
    return [{"level": "care", "text": text} for text in found]


def _run(content: Content, name: str) -> tuple[dict[str, Any], Pack]:
    past, pack = content.past, Pack()
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
    return None if found is None else words.between(found, kind, "") + words.basis(metrics, key)

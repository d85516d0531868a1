"""Where runs stand beside each other: which of them can be the best of a line, and what to mind of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report import words
from kraken_flow.runs.report.words import FEW_TRADES, GRAVE, Row

MARKS = {
    "!": "a limit ended its trading, or would have: limits were only recorded",
    "*": (
        f"fewer than {FEW_TRADES} closed trades, of which luck can make any ratio: never bold, and behind those with "
        "more"
    ),
    "~": "covers another span than the others: never bold",
}
"""Signs behind a run's name and what they say; the first two are those of a leaderboard."""
_NOT_BEST = set("*~")
_SAID = {
    "would_have": "Would have been stopped, had limits not been only recorded, and not have traded what came after",
    "interrupted": "Ended before the data did",
    "killed": "A risk limit ended trading, and the rest is idle time",
    "ruined": "Equity fell to zero or below",
    "liquidated": "The venue closed positions for lack of margin",
    "made_up": "Synthetic market, nothing in it ever traded",
    "no_trades": "No trade was closed",
    "few_trades": f"Fewer than {FEW_TRADES} trades were closed",
    "costs_exceed_edge": "Costs took all that was made before them",
    "no_costs": "Trading cost nothing, as at no venue",
    "takers_paid": "Orders that took liquidity were paid for it, as at hardly any venue",
    "wide_half_spread": "The half-spread, in quote units for every pair, is a large share of a pair's price",
    "too_good": "The Sharpe ratio is rare, look for a mistake first",
    "sign_ambiguous": "Prices inside bars decide whether the run won or lost",
    "unaudited": "Nothing shows that the system does not know the future, see mode=audit",
}
"""What several runs are warned of in one line, the gravest first; their own pages say more, and the rest."""
_MOST_KEYS = 3
"""Differing keys that stand under a run's name."""
_MOST_LETTERS = 14


def ranked(runs: Sequence[PastRun]) -> list[PastRun]:
    """Return the runs as they were given, those of few trades after all others as in a leaderboard."""
    return sorted(runs, key=_few)


def marks_of(runs: Sequence[PastRun], would_have: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """Return the signs of `MARKS` behind each run's name.

    Parameters: `would_have` of each run what would have ended its trading, None where nothing would.
    """
    return [
        "!" * bool(run.metrics.get("killed_at") or event) + "*" * _few(run) + "~" * odd
        for run, event, odd in zip(runs, would_have, odd_spans(runs), strict=True)
    ]


def best_of(numbers: Sequence[float | None], marks: Sequence[str]) -> int:
    """Return which run has most of a number, -1 where fewer than two can be the best, or several have most."""
    fit = {
        at: value
        for at, (value, signs) in enumerate(zip(numbers, marks, strict=True))
        if value is not None and not _NOT_BEST & set(signs)
    }
    top = max(fit.values(), default=0.0)
    first = [at for at, value in fit.items() if value == top]
    return first[0] if len(fit) > 1 and len(first) == 1 else -1


def odd_spans(runs: Sequence[PastRun]) -> list[bool]:
    """Return which runs cover another span than most; all of them where no span is that of most."""
    spans = [tuple(run.manifest.get("span") or ()) for run in runs]
    (span, most), *others = Counter(spans).most_common()
    usual = span if not others or others[0][1] < most else None
    return [own != usual for own in spans]


def warnings(
    runs: Sequence[PastRun], names: Sequence[str], would_have: Sequence[Mapping[str, Any] | None]
) -> list[Row]:
    """Return the gravest warnings of all runs, a line each that names the runs it is of: level and text."""
    told: dict[str, list[str]] = {}
    for run, name, event in zip(runs, names, would_have, strict=True):
        if event is not None:
            told.setdefault("would_have", []).append(f"{name} on {_day(event['time'])} by {event['trigger']}")
        for code in words.codes(run.manifest, run.metrics):
            more = {
                "killed": f" on {_day(run.metrics.get('killed_at'))}",
                "few_trades": f" ({run.metrics.get('trades')})",
            }.get(code, "")
            told.setdefault(code, []).append(f"{name}{more}")
    found = []
    for code, said in _SAID.items():
        of = told.get(code, [])
        if not of:
            continue
        # What is told of each run names all of them.
        everyone = "both runs" if len(runs) == 2 else f"all {len(runs)} runs"
        whose = everyone if of == list(names) and len(runs) > 1 else ", ".join(of)
        level = "bad" if code in (*GRAVE, "would_have", "interrupted") else "care"
        found.append({"level": level, "text": f"{said}: {whose}."})
    return sorted(found, key=lambda row: row["level"] != "bad")


def told_apart(runs: Sequence[PastRun], keys: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return in a few words in which values each run differs from others of its strategy; nothing where none has."""
    found = []
    for run in runs:
        alike = [at for at, other in enumerate(runs) if other.strategy == run.strategy]
        own = next(at for at, other in enumerate(runs) if other is run)
        apart = [
            (key, values[own])
            for key, values in keys
            if len({values[at] for at in alike}) > 1 and not key.endswith("_target_")
        ]
        apart.sort(key=lambda pair: (not pair[0].startswith("strategy."), pair[0]))
        short = [f"{key.rpartition('.')[2]} {_cut(value)}" for key, value in apart]
        more = len(short) - _MOST_KEYS
        found.append(", ".join([*short[:_MOST_KEYS], *([f"{more} more"] if more > 0 else [])]))
    return found


def _few(run: PastRun) -> bool:
    return int(run.metrics.get("trades") or 0) < FEW_TRADES


def _day(time: Any) -> str:
    return str(time)[:10]


def _cut(value: str) -> str:
    return value if len(value) <= _MOST_LETTERS else value[: _MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"

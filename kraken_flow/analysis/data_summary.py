"""What the market data that a run saw is: a row per pair for the console, sentences for the manifest and the page.

Gaps, jumps and the like are counted over the rows that are there: of a session that was stopped, up to its last bar.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import SYNTHETIC, Market, PairColumns
from kraken_flow.core.notes import Notes, sentences, tell
from kraken_flow.core.redact import redact
from kraken_flow.core.times import SECOND, iso

COLUMNS = (
    "pair",
    "first",
    "last",
    "bars",
    "missing",
    "longest_gap",
    "zero_volume",
    "duplicates",
    "dropped",
    "outliers",
    "file",
)


OUTLIER_MADS = 20.0
"""Median absolute deviations from which on a move of the close is a jump."""


@dataclass(frozen=True)
class Seen:
    """What is counted of one pair over the decision bars of a market.

    Parameters: `longest_gap` in bars; `outliers` closes that jumped, the largest of them by `largest` (a share) in the
    bar that opens at `largest_at`, ns UTC.
    """

    missing: int
    longest_gap: int
    zero_volume: int
    outliers: int
    largest: float = 0.0
    largest_at: int = 0


def data_summary(market: Market) -> list[dict[str, str | int]]:
    """Describe each pair's bars from `start` on, warm-up left out; `duplicates` and `dropped` are of the whole file.

    Returns rows with the keys `COLUMNS`: `first` and `last` are bar opens in ISO-8601, `longest_gap` is in bars,
    `outliers` counts closes that moved by more than 20 median absolute deviations (flagged, never deleted).
    """
    files = {str(record["pair"]): _place(record) for record in market.files if record.get("role") != "detail"}
    rows: list[dict[str, str | int]] = []
    for pair in market.pairs:
        seen, of_file = _seen(market, pair), market.counts.get(pair.pair, {})
        real = _real(market, pair)
        rows.append(
            {
                "pair": pair.pair,
                "first": iso(int(market.times[real[0]])) if len(real) else "",
                "last": iso(int(market.times[real[-1]])) if len(real) else "",
                "bars": len(real),
                "missing": seen.missing,
                "longest_gap": seen.longest_gap,
                "zero_volume": seen.zero_volume,
                "duplicates": of_file.get("duplicates", 0),
                "dropped": of_file.get("dropped", 0),
                "outliers": seen.outliers,
                "file": redact(files.get(pair.pair, "")),
            }
        )
    return rows


def data_notes(market: Market) -> tuple[str, ...]:
    """Return what is to be said of a market: what was met while it was read, then gaps, jumps and funding in it.

    Of a live tape its stream tells what did not come.
    """
    notes: Notes = {}
    for pair in market.pairs:
        if pair.pair not in market.counts:
            continue
        seen = _seen(market, pair)
        if seen.outliers:
            jumps = (
                f"closes that moved by more than {OUTLIER_MADS:.0f} median deviations, kept: {seen.outliers}, "
                f"the largest by {seen.largest:+.1%} at {iso(seen.largest_at)}"
            )
            tell(notes, pair.pair, jumps)
        if seen.longest_gap:
            tell(notes, pair.pair, f"missing bars: {seen.missing}, longest gap {seen.longest_gap}")
    for events in market.funding:
        if events.pair in market.counts:
            tell(notes, events.pair, _funding(events))
    return (*market.notes, *sentences(notes, len(market.pairs)))


def _real(market: Market, pair: PairColumns) -> NDArray[np.intp]:
    return pair.real[pair.real >= market.first_row]


def _seen(market: Market, pair: PairColumns) -> Seen:
    """Count over the rows from `start` on; kept with the columns, for several parts of a report ask."""
    kept: dict[int, Seen] = pair.__dict__.setdefault("_seen", {})
    if market.first_row not in kept:
        kept[market.first_row] = _count(market, pair)
    return kept[market.first_row]


def _count(market: Market, pair: PairColumns) -> Seen:
    missing = pair.state[market.first_row :] == SYNTHETIC
    edges = np.flatnonzero(np.diff(np.concatenate(([0], missing.astype(np.int8), [0]))))
    longest = int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
    real = _real(market, pair)
    still = int((pair.volume[real] == 0).sum())
    moves = np.diff(np.log(pair.floats("close")[real]))
    mad = float(np.median(np.abs(moves - np.median(moves)))) if len(moves) > 1 else 0.0
    jumps = int((np.abs(moves) > OUTLIER_MADS * mad).sum()) if mad > 0 else 0
    if not jumps:
        return Seen(int(missing.sum()), longest, still, 0)
    worst = int(np.abs(moves).argmax())
    at = int(market.times[real[worst + 1]])
    return Seen(int(missing.sum()), longest, still, jumps, float(np.expm1(moves[worst])), at)


def _funding(columns: FundingColumns) -> str:
    """Say how many events a run has, and how far apart they are."""
    n = len(columns.time)
    if n < 2:
        return f"funding events: {n}"
    gaps = np.diff(np.sort(columns.time))
    common = int(np.median(gaps))
    longer = int(np.count_nonzero(gaps > common))
    late = f"; later than that: {longer}" if longer else ""
    return f"funding events: {n}, every {common / (3600 * SECOND):g} h{late}"


def _place(record: Mapping[str, object]) -> str:
    """Return the file that a record is of, or the folder of the series that it is a part of."""
    path = str(record["path"])
    return str(Path(path).parent) if record.get("part") else path

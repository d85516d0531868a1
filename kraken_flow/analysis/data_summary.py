"""What a run's market data is: one row per pair for the console, the manifest and the report."""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from kraken_flow.core.market import SYNTHETIC, Market, PairColumns
from kraken_flow.core.redact import redact
from kraken_flow.core.times import iso

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


def data_summary(market: Market) -> list[dict[str, str | int]]:
    """Describe each pair's bars from `start` on, warm-up left out; `duplicates` and `dropped` are of the whole file.

    Returns rows with the keys `COLUMNS`: `first` and `last` are bar opens in ISO-8601, `longest_gap` is in bars,
    `outliers` counts closes that moved by more than 20 median absolute deviations (flagged, never deleted).
    """
    files = {str(record["pair"]): _place(record) for record in market.files if record.get("role") != "detail"}
    rows: list[dict[str, str | int]] = []
    for pair in market.pairs:
        counts = market.counts.get(pair.pair) or _counted(pair, market.first_row)
        real = pair.real[pair.real >= market.first_row]
        rows.append(
            {
                "pair": pair.pair,
                "first": iso(int(market.times[real[0]])) if len(real) else "",
                "last": iso(int(market.times[real[-1]])) if len(real) else "",
                "bars": len(real),
                **{name: counts.get(name, 0) for name in COLUMNS[4:10]},
                "file": redact(files.get(pair.pair, "")),
            }
        )
    return rows


def _place(record: Mapping[str, object]) -> str:
    """Return the file that a record is of, or the folder of the series that it is a part of."""
    path = str(record["path"])
    return str(Path(path).parent) if record.get("part") else path


def _counted(pair: PairColumns, first_row: int) -> dict[str, int]:
    """Count the missing bars of a tape that nobody knew before it was there."""
    gaps = [len(list(run)) for state, run in groupby(pair.state[first_row:].tolist()) if state == SYNTHETIC]
    return {"missing": sum(gaps), "longest_gap": max(gaps, default=0)}

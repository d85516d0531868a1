"""The members of a sweep that are done, read back from its folder."""

import csv
from contextlib import suppress
from pathlib import Path

from kraken_flow.runs.directory import read_manifest


def ranked(folder: Path) -> list[Path]:
    """Return the folders of a sweep's finished members, best first as in its leaderboard; by number without one."""
    found = [path for path in folder.iterdir() if path.name.isdecimal() and _finished(path)]
    order: dict[str, int] = {}
    with suppress(OSError, UnicodeDecodeError, csv.Error):
        lines = (folder / "leaderboard.csv").read_text("utf-8").splitlines()
        order = {str(row.get("member")): rank for rank, row in enumerate(csv.DictReader(lines))}
    return sorted(found, key=lambda path: (order.get(path.name, len(order)), int(path.name)))


def _finished(folder: Path) -> bool:
    return (read_manifest(folder) or {}).get("status") == "finished"

"""The run index: what the manifests below a folder say, kept in a table that is brought up to date when it is asked."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from kraken_flow.core.errors import UserError
from kraken_flow.runs import lock
from kraken_flow.runs.directory import MANIFEST, damage, read_manifest

if TYPE_CHECKING:
    from kraken_flow.runs.index_table import Condition, Index, Row

FILE = ".index.sqlite"
"""The index, in the folder of all runs."""
INSTALL = 'pip install --editable ".[index]"'
_READ = (MANIFEST, "metrics.json", "leaderboard.csv")
"""The files that an entry is made of."""
_METRICS = (
    *("total_return", "cagr", "sharpe", "sortino", "max_drawdown", "profit_factor", "win_rate", "exposure", "trades"),
    *("fees", "final_equity", "order_log_sha256", "ledger_sha256", "data_sha256", "killed_at"),
)
_BEST = ("sharpe", "total_return", "max_drawdown", "trades", "fees")
_SKIPPED = frozenset({"audits"})


def require() -> None:
    """Raise `UserError` with the command that installs SQLModel where it is missing; imports nothing."""
    if find_spec("sqlmodel") is None:
        raise UserError(f"mode=runs needs the library sqlmodel, which is not installed: {INSTALL}")


def entries(
    root: Path, conditions: Sequence["Condition"] = (), sort: str = "-started", limit: int | None = None
) -> tuple[list["Row"], int]:
    """Return what there is to say of the runs below a folder, and how many there are without the limit.

    The index beside them is brought up to date first: folders whose files have other times, sizes or inodes than when
    they were read are read anew, those that are gone are taken out. One that is damaged, or of an older version, is
    made anew; where it cannot be written, an index in memory does, and everything is read.

    Parameters: `conditions`, `sort` and `limit` as `Index.find` takes them. A run whose manifest says running, and
    whose folder nobody holds, was killed.
    """
    from kraken_flow.runs.index_table import Damaged, Unusable

    path = root / FILE
    for place in (path, path, None):
        try:
            return _answer(place, root, conditions, sort, limit)
        except Damaged:
            with suppress(OSError):
                for stale in (path, path.with_name(f"{FILE}-journal")):
                    stale.unlink(missing_ok=True)
        except Unusable:
            continue
    raise UserError(f"{path}: cannot be read or written; remove it")


def _answer(
    place: Path | None, root: Path, conditions: Sequence["Condition"], sort: str, limit: int | None
) -> tuple[list["Row"], int]:
    from kraken_flow.runs.index_table import Index

    index = Index(place)
    try:
        update(index, root)
        return index.find(conditions, sort, limit)
    finally:
        index.close()


def update(index: "Index", root: Path) -> None:
    """Bring an index up to date with the folders below `root`."""
    known = index.known()
    found = dict(_folders(root, {path for path, (_, kind) in known.items() if kind != "sweep"}))
    rows = []
    for path, fingerprint in found.items():
        before, _ = known.get(path, ("", ""))
        stopped = before.endswith(_RUNNING) and not lock.is_held(root / path)
        if before.removesuffix(_RUNNING) != fingerprint or stopped:
            rows.append(_row(root, path, fingerprint))
    gone = [path for path in known if path not in found]
    if rows or gone:
        index.update(rows, gone)


_RUNNING = "+"
"""Ends the fingerprint of a run that was under way when it was read: a kill changes nothing in its folder."""


def _folders(root: Path, runs: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the folders with a manifest, relative to `root`, each with its fingerprint.

    A run holds no other runs, a sweep holds its numbered members. Links are not followed: `latest` is one.

    Parameters: `runs` the folders that are known to be no sweeps.
    """
    waiting = [""]
    while waiting:
        path = waiting.pop()
        folder = os.path.join(root, path)  # noqa: PTH118 - ten thousand Path objects cost more than all the rest
        fingerprint = _fingerprint(folder) if path else ""
        if fingerprint:
            yield path, fingerprint
            if path in runs or not os.path.isdir(f"{folder}/0"):  # noqa: PTH112 - as above
                continue
        with suppress(OSError), os.scandir(folder) as inside:
            waiting += [
                f"{path}/{entry.name}" if path else entry.name
                for entry in inside
                if (entry.name.isdecimal() or not fingerprint)
                and not entry.name.startswith(".")
                and entry.name not in _SKIPPED
                and entry.is_dir(follow_symlinks=False)
            ]


def _fingerprint(folder: str) -> str:
    """Return times, sizes and inodes of the files that an entry is made of; nothing for a folder without a manifest."""
    said = []
    for name in _READ:
        try:
            found = os.stat(f"{folder}/{name}")  # noqa: PTH116 - as above
        except OSError:
            if name == MANIFEST:
                return ""
            continue
        said.append(f"{found.st_mtime_ns:x}.{found.st_size:x}.{found.st_ino:x}")
    return "-".join(said)


def _row(root: Path, path: str, fingerprint: str) -> dict[str, Any]:
    """Read a folder."""
    from kraken_flow.runs.index_table import COLUMNS

    folder = root / path
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"path": path, "fingerprint": fingerprint, "kind": "run", "status": "unknown", "synthetic": False}
    manifest = read_manifest(folder)
    if manifest is None:
        return row | {"status": "damaged", "error": damage(folder)}
    above = path.rpartition("/")[0]
    if manifest.get("kind") == "sweep":
        row |= _sweep(folder, manifest)
    elif path.rpartition("/")[2].isdecimal() and above and (root / above / MANIFEST).is_file():
        row |= {"kind": "member", "parent": above}
    row |= _of_manifest(manifest)
    if row["status"] == "running":
        if lock.is_held(folder):
            row["fingerprint"] += _RUNNING
        else:
            row["status"] = "killed"
    metrics = _object(folder / "metrics.json")
    row |= {name: _plain(name, metrics[name]) for name in _METRICS if metrics.get(name) is not None}
    if row["kind"] == "sweep":
        made_by = _object(folder / "0" / MANIFEST)
        names = ("mode", "strategy", "timeframe", "started", "pairs", "first", "last", "synthetic")
        first = _of_manifest(made_by)
        row |= {name: row[name] or first[name] for name in names}
    return row


def _of_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    span = manifest.get("span")
    first, last = span if isinstance(span, list) and len(span) == 2 else (manifest.get("start"), manifest.get("end"))
    if first is None or last is None:
        first, last = (known or read for known, read in zip((first, last), _data_span(manifest), strict=True))
    error, audit = manifest.get("error"), manifest.get("audit")
    said = {name: _text(manifest.get(name)) for name in ("mode", "strategy", "timeframe", "started", "finished")}
    return said | {
        "status": _text(manifest.get("status")) or "unknown",
        "pairs": _pairs(manifest),
        "first": _text(first),
        "last": _text(last),
        "error": _text(error.get("message") if isinstance(error, dict) else error),
        "engine": _text(manifest.get("engine")),
        "synthetic": manifest.get("synthetic_sample") is True,
        "audited": bool(audit["audited"]) if isinstance(audit, dict) and "audited" in audit else None,
        "verdict": _text(manifest.get("verdict")) if manifest.get("mode") == "audit" else None,
        "would_have_been_killed_at": _text(manifest.get("would_have_been_killed_at")),
        "config_sha256": _text(manifest.get("config_sha256")),
    }


def _data_span(manifest: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the first and the last bar of the data, for what says no span: an audit by an older version."""
    data = manifest.get("data")
    files = [f for f in data if isinstance(f, dict) and f.get("role") == "bars"] if isinstance(data, list) else []
    first, last = ([str(file[name]) for file in files if file.get(name)] for name in ("first", "last"))
    return min(first, default=None), max(last, default=None)


def _sweep(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a sweep is: how many members, and the numbers of the best of them."""
    members = manifest.get("members")
    row: dict[str, Any] = {"kind": "sweep", "members": members if isinstance(members, int) else None}
    with suppress(OSError, UnicodeDecodeError, csv.Error):
        with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
            best = next(csv.DictReader(file), {})
        row |= {name: _plain(name, best[name]) for name in _BEST if best.get(name)}
    return row


def _object(path: Path) -> dict[str, Any]:
    """Return an object of a JSON file, empty where there is none."""
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _pairs(manifest: Mapping[str, Any]) -> str | None:
    pairs = manifest.get("pairs")
    return ", ".join(map(str, pairs)) if isinstance(pairs, list) and pairs else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _plain(name: str, value: Any) -> Any:
    """Return a metric as its column holds it; None for what does not fit."""
    from kraken_flow.runs.index_table import NUMBERS, WHOLE

    try:
        if name in NUMBERS:
            return float(value)
        return int(value) if name in WHOLE else str(value)
    except (TypeError, ValueError):
        return None

"""Certificates of audits: what was shown of which code, and whether a run is covered by one."""

import dataclasses
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.graph import Graph
from kraken_flow.core.hashes import file_hash
from kraken_flow.runs.directory import explained, write_json
from kraken_flow.runs.record import ROOT
from kraken_flow.runs.sources import loaded_sources

CERTIFICATE = "audit.json"
AUDITS = "audits"
_NODES = ("strategy", "portfolio", "risk", "execution", "exchange")
_DRIVERS = tuple(
    f"kraken_flow.{name}" for name in ("analysis", "api", "app", "config", "data", "modes", "nearest", "ops", "runs")
)
"""Our modules that no node's answer depends on: they read data, drive, measure and write."""


def graph_key(graph: Graph) -> str:
    """Return the SHA-256 of the nodes that decide what is traded, their parameters and their files.

    Pairs, dates, data and the account's cash are left out: a certificate speaks of code and parameters.
    """
    said = {name: _described(getattr(graph, name)) for name in _NODES}
    said |= {"features": _described(graph.features), "timeframe": graph.timeframe}
    said |= {"files": [file_hash(Path(path)) for path in graph.strategy.files()]}
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _described(value: Any) -> Any:
    """Return a node as plain data: its class by full name, and its fields with their defaults filled in."""
    if isinstance(value, Enum):
        return str(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"_target_": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, Mapping):
        return {str(key): _described(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_described(item) for item in value]
    return value if isinstance(value, str | int | float | None) else repr(value)


def node_sources() -> dict[str, str]:
    """Return module -> SHA-256 of every loaded source file that a node's answers can depend on, ours and the user's."""
    return {
        name: digest
        for name, digest in loaded_sources().items()
        if name not in {"__main__", "kraken_flow", "kraken_flow.__main__"}
        and not name.startswith("hydra_plugins")
        and not any(name == driver or name.startswith(f"{driver}.") for driver in _DRIVERS)
    }


def issue(folder: Path, content: Mapping[str, Any], root: Path = ROOT) -> None:
    """Write a certificate into a run's folder, and a copy to where runs of the same graph look for it."""
    kept = root / AUDITS / f"{content['graph_sha256']}.json"
    with explained(folder):
        write_json(folder / CERTIFICATE, content)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, content)


def standing(graph: Graph, root: Path = ROOT) -> dict[str, Any]:
    """Return what a run says of its audit: `audited`, `why` in words, and the folder of the audit.

    Audited is a run whose nodes and parameters the newest audit of them passed, when every source file that the run
    loaded was there with the same hash. What failed beside the system counts for nothing.
    """
    try:
        found = orjson.loads((root / AUDITS / f"{graph_key(graph)}.json").read_bytes())
        day, run, sources = str(found["made"])[:10], str(found["run"]), dict(found["sources"])
        passed = found["system"] == "passed"
    except (OSError, ValueError, KeyError, TypeError):
        return {"audited": False, "why": "not audited; mode=audit does it", "run": None}
    # A module of the core that the audit did without gave none of its answers; one of the user's may hold a node.
    loaded = {
        n: digest for n, digest in node_sources().items() if n in sources or not n.startswith("kraken_flow.core.")
    }
    changed = sorted(name for name, digest in loaded.items() if sources.get(name) != digest)
    if not passed:
        why = f"not audited: the audit of {day} did not pass"
    elif changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        why = f"not audited: {changed[0]}{more} changed since {day}"
    else:
        why = f"audited on {day}"
    return {"audited": passed and not changed, "why": why, "run": run}

"""Certificates of audits: what was shown of which code, and whether a run is covered by one."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.graph import Graph
from kraken_flow.core.hashes import file_hash
from kraken_flow.runs.directory import explained, write_json
from kraken_flow.runs.reach import beside
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


def node_hashes(graph: Graph) -> dict[str, str]:
    """Return the SHA-256 of each part of a system by its name, so that what differs between two can be named."""
    parts = {name: _described(getattr(graph, name)) for name in (*_NODES, "features")}
    parts |= {"timeframe": graph.timeframe, "files": [file_hash(Path(path)) for path in graph.strategy.files()]}
    return {name: sha256(orjson.dumps(part, option=orjson.OPT_SORT_KEYS)).hexdigest() for name, part in parts.items()}


def issue(folder: Path, content: Mapping[str, Any], root: Path = ROOT) -> None:
    """Write a certificate into a run's folder, and a copy to where runs of the same graph look for it.

    There is one copy for each state of the source files, so that an audit of other ones takes nothing away.
    """
    sources = sha256(orjson.dumps(content["sources"], option=orjson.OPT_SORT_KEYS)).hexdigest()
    kept = root / AUDITS / f"{content['graph_sha256']}-{sources[:16]}.json"
    with explained(folder):
        write_json(folder / CERTIFICATE, content)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, content)


@dataclasses.dataclass(frozen=True)
class _Certificate:
    """What a run has to know of one audit."""

    made: str
    run: str
    sources: dict[str, str]
    passed: bool
    parts: dict[str, str]

    @property
    def day(self) -> str:
        """The day it was made."""
        return self.made[:10]

    def changed(self, loaded: Mapping[str, str]) -> list[str]:
        """Return the modules that are not those of the audit.

        A module of the core that the audit did without gave none of its answers; one of the user's may hold a node.
        """
        return sorted(
            name
            for name, digest in loaded.items()
            if self.sources.get(name) != digest and (name in self.sources or not name.startswith("kraken_flow.core."))
        )


def _read(folder: Path, pattern: str) -> list[_Certificate]:
    """Return the certificates whose files a pattern names, the newest first; what cannot be read is none."""
    found = []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            c = orjson.loads(path.read_bytes())
            passed, parts = c["system"] == "passed", dict(c.get("parts", {}))
            found.append(_Certificate(str(c["made"]), str(c["run"]), dict(c["sources"]), passed, parts))
    return sorted(found, key=lambda one: one.made, reverse=True)


def standing(graph: Graph, root: Path = ROOT) -> dict[str, Any]:
    """Return what a run says of its audit: `audited`, `why` in words, and the folder of the audit.

    Audited is a run whose nodes and parameters passed the newest audit that had every source file which the run loaded
    with the same hash. What failed beside the system counts for nothing, nor do the files of other systems alone.
    """
    found = _read(root / AUDITS, f"{graph_key(graph)}*.json")
    if not found:
        return {"audited": False, "why": _unaudited(graph, root), "run": None}
    loaded = _sources_of(graph, found[0])
    one = next((one for one in found if not one.changed(loaded)), found[0])
    changed = one.changed(loaded)
    if not one.passed:
        why = f"not audited: the audit of {one.day} did not pass"
    elif changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        why = f"not audited: {changed[0]}{more} changed since {one.day}"
    else:
        why = f"audited on {one.day}"
    return {"audited": one.passed and not changed, "why": why, "run": one.run}


def _sources_of(graph: Graph, one: _Certificate) -> dict[str, str]:
    """Return the loaded sources on which the answers of a system can depend; other systems may be loaded beside it."""
    loaded = node_sources()
    if not one.changed(loaded):
        return loaded
    parts = [*(_described(getattr(graph, name)) for name in (*_NODES, "features"))]
    # What the audit itself had loaded may have answered it, also where no import says so.
    others = beside({target.rpartition(".")[0] for target in _targets(parts)}, loaded) - one.sources.keys()
    return {name: digest for name, digest in loaded.items() if name not in others}


def _targets(described: Any) -> Iterator[str]:
    """Yield the full name of each node's class in what `_described` returned."""
    if isinstance(described, Mapping):
        if "_target_" in described:
            yield str(described["_target_"])
        described = list(described.values())
    if isinstance(described, list):
        for part in described:
            yield from _targets(part)


def _unaudited(graph: Graph, root: Path) -> str:
    """Say that there was no audit of a system, and in what the one of the same strategy was another."""
    parts = node_hashes(graph)
    for one in _read(root / AUDITS, "*.json"):
        if one.parts.get("strategy") == parts["strategy"]:
            other = [name for name, digest in parts.items() if one.parts.get(name) != digest]
            return f"not audited: the audit of {one.day} had another {' and another '.join(other)}; mode=audit does it"
    return "not audited; mode=audit does it"

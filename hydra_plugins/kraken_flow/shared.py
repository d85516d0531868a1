"""Hydra's loader, which keeps what it has composed from files and sets the values of each call on a copy.

Picking, reading and merging the files takes Hydra longer than a short backtest runs. Calls of one program mostly
differ in values alone, and Hydra sets values after the files. What is kept holds as long as nothing that composition
reads has changed; whatever else is asked, and all that goes wrong, goes to Hydra as it was asked.
"""

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime
from hydra.types import RunMode

MOST_FILES = 4_000
"""Files and folders of a search path beyond which looking them through is no gain."""
MOST_KEPT = 32
"""Compositions of files kept at a time, and surroundings that they hold in."""


@dataclass
class _Surroundings:
    """What has been found where nothing that composition reads was different."""

    held: tuple[Any, ...]
    """Objects that the key of the surroundings names by their address, which must not be another's meanwhile."""
    groups: dict[str, bool] = field(default_factory=dict)
    composed: dict[Any, bytes | None] = field(default_factory=dict)


_KNOWN: dict[Any, _Surroundings] = {}


class SharedComposition(ConfigLoaderImpl):
    """A loader that returns what the given one returns, and picks and merges the same files once."""

    def __init__(self, loader: Any) -> None:
        self.__dict__.update(loader.__dict__)
        self._leaves_search_path = False

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> Any:
        """Return what Hydra's loader returns for these overrides, or raise what it raises."""
        with suppress(Exception):  # Hydra says it again, of all overrides at once
            shared = self._shared(config_name, overrides, run_mode)
            if shared is not None:
                return shared
        return super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)

    def _shared(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> Any | None:
        surroundings = self._surroundings()
        divided = None if surroundings is None else self._divided(overrides, surroundings.groups)
        if surroundings is None or divided is None:
            return None
        files, values = divided
        key = (config_name, run_mode, tuple(word.input_line for word in files))
        kept = surroundings.composed
        if key not in kept:
            _make_room(kept)
            kept[key] = self._composed(config_name, [str(word.input_line) for word in files], run_mode)
        content = kept[key]
        if content is None:
            return None
        # Unpickling copies faster than `deepcopy`, and two threads may do it at once.
        config = pickle.loads(content)  # noqa: S301 - made by this process
        self._apply_overrides_to_config(values, config)
        own = [word for word in map(_parsed, overrides) if not word.is_hydra_override()]
        config.hydra.runtime.cwd = str(Path.cwd())
        config.hydra.overrides.task = [word.input_line for word in own]
        job = config.hydra.job
        rules = job.config.override_dirname
        job.override_dirname = get_overrides_dirname(own, rules.exclude_keys, rules.item_sep, rules.kv_sep)
        return config

    def _composed(self, config_name: str | None, files: list[str], run_mode: RunMode) -> bytes | None:
        """Compose files; None where they lie outside what was looked through."""
        self._leaves_search_path = False
        config = super().load_configuration(config_name, files, run_mode)
        if self._leaves_search_path or config.hydra.searchpath:
            return None
        return pickle.dumps(config, pickle.HIGHEST_PROTOCOL)

    def _compose_config_from_defaults_list(self, defaults: Any, repo: Any) -> Any:
        self._leaves_search_path = any(".." in (entry.config_path or "") for entry in defaults)
        return super()._compose_config_from_defaults_list(defaults, repo)

    def _divided(self, overrides: list[str], groups: dict[str, bool]) -> tuple[list[Override], list[Override]] | None:
        """Divide overrides, as Hydra does, in what picks files and what sets values; its own values stay with files.

        None where that would change the order of values, or where an override changes what is looked through.
        """
        files: list[Override] = []
        values: list[Override] = []
        for word in map(_parsed, overrides):
            key = word.key_or_group
            if key not in groups:
                groups[key] = self.repository.group_exists(key)
            picks = groups[key] and not isinstance(word.value(), dict)
            if word.is_sweep_override() or key in {"hydra", "hydra.searchpath"}:
                return None
            if word.is_hydra_override() and not picks and values:
                return None
            (files if picks or word.is_hydra_override() else values).append(word)
        return files, values

    def _surroundings(self) -> _Surroundings | None:
        """Return what is known where files, variables and the rest are as they are now; None where nobody can tell."""
        files: list[Any] = []
        folder = ""
        for source in self.get_sources():
            scheme = source.scheme()
            files.append((scheme, source.provider, source.path))
            if scheme == "file":
                if not Path(source.path).is_absolute():
                    folder = str(Path.cwd())
                for found in _looked_through(source.path):
                    files.append(found)
                    if len(files) > MOST_FILES:
                        return None
            elif scheme != "structured" and (scheme, source.path) != ("pkg", "hydra.conf"):
                return None
        held = tuple(_stored(ConfigStore.instance().repo))
        stored = tuple((path, id(node)) for path, node in held)
        job = JobRuntime.instance().get("name")
        key = (tuple(files), tuple(os.environ.items()), folder, job, stored)
        if key not in _KNOWN:
            _make_room(_KNOWN)
            _KNOWN[key] = _Surroundings(held)
        return _KNOWN[key]


def _make_room(kept: dict[Any, Any]) -> None:
    """Drop what has been kept longest."""
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]


def _looked_through(folder: str) -> Iterator[tuple[object, ...]]:
    """Yield the folders and YAML files below a folder, with what changes when a file does."""
    if not Path(folder).is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield (entry.path,)
                yield from _looked_through(entry.path)
            elif entry.name.endswith(".yaml"):
                about = entry.stat()
                yield entry.path, about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino


def _stored(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what programs have registered with Hydra."""
    for name, node in content.items():
        if isinstance(node, dict):
            yield from _stored(node, f"{path}{name}/")
        else:
            yield f"{path}{name}", node


def _parsed(word: str) -> Override:
    """Read an override; a function such as `shuffle` may return something else each time."""
    return _read(word) if "(" in word else _read_once(word)


def _read(word: str) -> Override:
    return OverridesParser.create().parse_overrides([word])[0]


_read_once = lru_cache(maxsize=4_096)(_read)

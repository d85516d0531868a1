"""Where each key of a composed configuration comes from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from kraken_flow.config.arguments import Arguments
from kraken_flow.config.composition import hydra_ready
from kraken_flow.config.paths import own_conf, user_folders

COMMAND_LINE = "command line"


def origins_of(arguments: Arguments) -> dict[str, str]:
    """Return the file that states each key, by dotted path, or that the command line does."""
    with hydra_ready(arguments) as name:
        return _origins(name, arguments)


def _origins(name: str, arguments: Arguments) -> dict[str, str]:
    hydra = GlobalHydra.instance().hydra
    if hydra is None:
        return {}
    loader: Any = hydra.config_loader  # the repository belongs to the implementation, not to the interface
    found: dict[str, str] = {}
    listed = loader.compute_defaults_list(name, list(arguments.overrides), RunMode.RUN)
    for entry in listed.defaults:
        loaded = loader.repository.load_config(entry.config_path or "")
        if loaded is None or (entry.config_path or "").startswith("hydra/"):
            continue
        content = OmegaConf.to_container(loaded.config, resolve=False)
        package = entry.package or ""
        if isinstance(content, dict):
            for key in _leaves(content, package):
                found[key] = _file(entry.config_path or "")
    for override in arguments.overrides:
        key = override.partition("=")[0].lstrip("+")
        found[key] = COMMAND_LINE
    return found


def _leaves(content: Mapping[Any, Any], prefix: str) -> Iterator[str]:
    for key, value in content.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, path)
        else:
            yield path


def _file(config_path: str) -> str:
    for folder in [*user_folders(), own_conf()]:
        path = folder / f"{config_path.removesuffix('.yaml')}.yaml"
        if path.is_file():
            if folder == own_conf():
                return f"conf/{config_path}.yaml"
            return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)
    return "the file of --config-name"

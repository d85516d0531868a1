"""Composition: arguments in, one plain dictionary out. Hydra does the work; this module asks and translates."""

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]  # omegaconf brings it, without types

from hydra_plugins.kraken_flow.shared import SharedComposition
from kraken_flow.config.arguments import Arguments, rewrite
from kraken_flow.config.paths import GROUPS, own_conf, user_folders
from kraken_flow.core.errors import UserError
from kraken_flow.core.redact import redact
from kraken_flow.nearest import hint

_FOLDERS = "KRAKEN_FLOW_SEARCH_PATH"
_ONE_AT_A_TIME = threading.RLock()
"""Hydra has one state in a process, and so has the environment."""
SINGLE_FILE = "_single_file"
MISSING = "???"
"""A value that has to be given and was not."""


@dataclass(frozen=True)
class Composition:
    """A composed configuration.

    Parameters
    ----------
    cfg
        Plain dictionaries, lists and scalars, interpolations resolved, in the order of the files.
    choices
        The option picked per group, None where a group is empty.
    origins
        The file that states each key, by dotted path; keys set on the command line say so. Empty until asked for:
        `origins.origins_of` reads them.
    """

    cfg: dict[str, Any]
    choices: dict[str, str | None]
    origins: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """Interpolations that do not resolve, one sentence each; their keys hold `???`."""

    def yaml(self) -> str:
        """Return the configuration as YAML text, without the values of secret variables."""
        return redact(OmegaConf.to_yaml(OmegaConf.create(self.cfg)).rstrip())


def read_yaml(text: str) -> dict[str, Any]:
    """Return a configuration that `Composition.yaml` wrote."""
    with hydra_errors():
        content = OmegaConf.to_container(OmegaConf.create(text))
    return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}


def flat(cfg: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the values of a configuration by dotted path."""
    found: dict[str, Any] = {}
    for key, value in cfg.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, Mapping) and value else {f"{path}{key}": value}
    return found


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the configuration that the overrides, written as on the command line, describe.

    Raises `UserError` with all that is wrong with the overrides; what is wrong with values is for `build` to say.
    """
    arguments = rewrite(overrides)
    if arguments.problems:
        raise UserError("\n".join(arguments.problems))
    composition = compose_arguments(arguments)
    if composition.problems:
        raise UserError("\n".join(composition.problems))
    return composition.cfg


def compose_arguments(arguments: Arguments) -> Composition:
    """Compose one run's configuration from arguments already read."""
    with hydra_ready(arguments) as name:
        composed = hydra_compose(name, overrides=list(arguments.overrides), return_hydra_config=True)
    cfg, problems = plain(composed)
    return Composition(cfg, chosen(composed.hydra), {}, problems)


@contextmanager
def hydra_ready(arguments: Arguments) -> Iterator[str]:
    """Initialise Hydra for as long as the context lasts; gives the name of the primary configuration."""
    with search_path(), hydra_errors(), own_hydra():
        name = primary(arguments)
        with initialize_config_dir(config_dir=str(own_conf()), job_name="kraken_flow", version_base="1.3"):
            hydra = GlobalHydra.instance().hydra
            if hydra is not None:
                hydra.config_loader = SharedComposition(hydra.config_loader)
            yield name


def chosen(hydra: Any) -> dict[str, str | None]:
    """Return the option picked per group of ours."""
    choices = OmegaConf.to_container(hydra.runtime.choices)
    if not isinstance(choices, dict):
        return {}
    picked = {str(key): value for key, value in choices.items() if not str(key).startswith("hydra/")}
    return {key: None if value is None else str(value) for key, value in picked.items()}


def plain(composed: DictConfig) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Resolve to plain values; return also a sentence per interpolation that does not resolve."""
    problems: list[str] = []
    keys: list[Any] = list(composed)
    cfg = {str(key): _plain(composed, key, str(key), problems) for key in keys if key != "hydra"}
    return cfg, tuple(problems)


def _plain(container: DictConfig | ListConfig, key: Any, path: str, problems: list[str]) -> Any:
    try:
        value = container[key]
    except MissingMandatoryValue:
        return MISSING
    except InterpolationResolutionError as error:
        unset = re.search(r"Environment variable '(\w+)' not found", str(error))
        problems.append(f"{path}: " + (f"the variable {unset[1]} is not set" if unset else str(error).splitlines()[0]))
        return MISSING
    if isinstance(value, DictConfig):
        found: dict[str, Any] = {}
        keys: list[Any] = list(value)
        for inner in keys:
            item = _plain(value, inner, f"{path}.{inner}", problems)
            # A file may write a key as the number 0 and the command line as the text "0": they are one key.
            before = found.get(str(inner))
            found[str(inner)] = {**before, **item} if isinstance(before, dict) and isinstance(item, dict) else item
        return found
    if isinstance(value, ListConfig):
        return [_plain(value, i, f"{path}.{i}", problems) for i in range(len(value))]
    return value


def primary(arguments: Arguments) -> str:
    """Return the name of the primary configuration, registering a user's single file as a difference from ours."""
    name = arguments.config_name
    if name == "config":
        return name
    path = next((path for folder in user_folders() if (path := folder / f"{name}.yaml").is_file()), None)
    if path is None:
        places = ", ".join(str(folder) for folder in user_folders()) or "no folder; say where with --config-dir"
        raise UserError(f"--config-name {name}: there is no {name}.yaml in {places}")
    content = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping of keys, as in `timeframe: 4h`")
    ConfigStore.instance().store(name=SINGLE_FILE, node=_difference(content, path))
    return SINGLE_FILE


def _difference(content: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """Read a single file as a difference from the shipped configuration, with or without a defaults list.

    `strategy: momentum` picks an option, `pairs: [BTC/USD]` lists pairs, and a node with a `_target_` of its own
    replaces the group's option.
    """
    listed = content.get("defaults", [])
    if not isinstance(listed, list):
        raise UserError(f"{path}: defaults must be a list, as in `- strategy: momentum`")
    defaults: list[Any] = []
    rest: dict[str, Any] = {}
    for entry in listed:
        if isinstance(entry, dict) and len(entry) == 1 and next(iter(entry)) in GROUPS:
            group, option = next(iter(entry.items()))
            defaults.append({f"override {group}": option})
        elif not isinstance(entry, str) or entry not in {"config", "_self_"}:
            defaults.append(entry)
    for key, value in content.items():
        if key == "defaults":
            continue
        if key == "pairs" and isinstance(value, list):
            defaults.append({"override pairs": "custom"})
            rest["pairs"] = {"names": value}
        elif key in GROUPS and isinstance(value, str):
            defaults.append({f"override {key}": value})
        else:
            if key in GROUPS and isinstance(value, dict) and "_target_" in value:
                defaults.append({f"override {key}": None})
            rest[str(key)] = value
    return {"defaults": ["config", *defaults, "_self_"], **rest}


@contextmanager
def search_path() -> Iterator[None]:
    """Tell the search path plugin where the user's configuration lies; other threads wait until the context ends."""
    with _ONE_AT_A_TIME:
        os.environ[_FOLDERS] = os.pathsep.join(str(folder) for folder in user_folders())
        try:
            yield
        finally:
            del os.environ[_FOLDERS]


@contextmanager
def own_hydra() -> Iterator[None]:
    """Compose beside a Hydra program that calls us, leaving its state as it was."""
    state = GlobalHydra.instance()
    before, state.hydra = state.hydra, None
    try:
        yield
    finally:
        state.hydra = before


@contextmanager
def hydra_errors() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's exceptions into sentences for the user."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_sentence(error)) from error
    except YAMLError as error:
        raise UserError(f"a YAML file cannot be read: {' '.join(str(error).split())}") from error


def _sentence(error: Exception) -> str:
    text = str(error).strip()
    missing = re.search(r"Could not find '([\w./-]+?)/([\w.-]+)'", text)
    if missing:
        from kraken_flow.config.paths import no_option

        return no_option(*missing.groups())
    absent = re.search(r"Could not override '([\w./-]+)'", text)
    if absent:
        return f"{absent[1]}: the configuration has no such group; begin its defaults list with `- config`"
    if isinstance(error, OverrideParseException):
        return f"{error.override.lstrip('+')}: {_unreadable(text)}"
    first = " ".join(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("See https"))
    return f"the configuration cannot be composed: {first}"


_SWEEPS = {
    "range": "write range(START,STOP,STEP) in numbers, as in range(5,30,5)",
    "interval": "write interval(START,END) in numbers, as in interval(0.1,0.5)",
    "choice": "write the values, as in choice(5,10,20)",
    "glob": "write a pattern of options, as in glob(*)",
}
"""How values that stand for several are written, by their function."""
_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


def _unreadable(text: str) -> str:
    """Say what Hydra could not make of a value, from its message."""
    # "TypeError while evaluating 'range(1,x)': mismatch type argument stop: str is incompatible with ..."
    failed = re.search(r"while evaluating '(\w+)\(.*\)': (.*)", text)
    if failed is None:
        return "cannot be read; put the value in quotes"
    name, why = failed.groups()
    if why.startswith("Unknown function"):
        near = hint(name, _SWEEPS, suffix="(...)")
        return f"{name} is no function; there are {', '.join(_SWEEPS)}{near or ', and any other text goes in quotes'}"
    wrong = re.search(r"mismatch type argument (\w+): (\w+) is", why)
    if wrong:
        why = f"its {wrong[1]} is {_WORDS.get(wrong[2], wrong[2])}, which it cannot be"
    return f"{why}; {_SWEEPS.get(name, 'put the value in quotes')}"

"""Which keys two configurations differ in, defaults filled in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import Any

from kraken_flow.config.composition import flat
from kraken_flow.config.nodes import node_class
from kraken_flow.config.paths import DEFAULTS, GROUPS, SETTINGS
from kraken_flow.config.schema import REQUIRED, dataclass_in, fields_of, is_mapping, written
from kraken_flow.core.node import Node

_FEES = "exchange.fees."
_TABLES = (f"{_FEES}tiers.", "exchange.instruments_table.")
"""Tables of a venue: two venues differ in dozens of their lines, which say less than a single key of a strategy."""
UNSET = "not set"
"""Stands for a key that a configuration does not have, and that has no default there."""


@dataclass(frozen=True)
class Changed:
    """A key whose value differs, with both values as a user would type them."""

    key: str
    before: str
    now: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.key} was {self.before}, is {self.now}"


def changed_keys(
    before: Mapping[str, Any], now: Mapping[str, Any], free: Iterable[str] = ("run_dir",)
) -> list[Changed]:
    """Return the keys in which two composed configurations differ: by group, and the tables of a venue last.

    A key that only one of them states is held to the other's default, so that stating a default is no difference.
    Parameters: `free` keys that do not count.
    """
    old, new = flat(before), flat(now)
    order = {name: number for number, name in enumerate([*GROUPS, *SETTINGS])}

    def place(key: str) -> tuple[bool, int]:
        return key.startswith(_TABLES), order.get(key.partition(".")[0], len(order))

    found = []
    for key in sorted(old | new, key=place):
        if key in free:
            continue
        was = old[key] if key in old else default(before, key)
        is_now = new[key] if key in new else default(now, key)
        # True equals 1, and a file that says one for the other was edited.
        if was != is_now or isinstance(was, bool) != isinstance(is_now, bool):
            found.append(Changed(key, _shown(was), _shown(is_now)))
    return found


def in_force(cfg: Mapping[str, Any], key: str, value: str) -> str:
    """Return a key's value with what it stands for: of a fee that is null, the rate of the first tier behind it.

    Parameters: `value` as `changed_keys` writes it.
    """
    head, _, name = key.rpartition(".")
    if value != "null" or f"{head}." != _FEES or name not in ("maker_bps", "taker_bps"):
        return value
    known = flat(cfg)
    rate = known.get(f"{_FEES}tiers.0.{name}")
    if rate is None:
        usual = default(cfg, f"{_FEES}tiers")
        rate = getattr(usual.get(0), name, None) if isinstance(usual, Mapping) else None
    if not isinstance(rate, int | float):
        return value
    # One flat fee switches the table off, and its first tier gives the other.
    alone = any(known.get(f"{_FEES}{other}") is not None for other in ("maker_bps", "taker_bps"))
    return f"null ({rate:g}{'' if alone else ' by tier'})"


def default(cfg: Mapping[str, Any], key: str) -> Any:
    """Return the value that a key has where a configuration does not state it, `UNSET` where it has none."""
    if key in DEFAULTS:
        return DEFAULTS[key]
    parts = key.split(".")
    inner: Any = cfg
    owner: Any = None
    for at, part in enumerate(parts):
        if isinstance(inner, Mapping) and "_target_" in inner:
            owner = node_class(inner["_target_"], key, None, [])
        field = fields_of(owner).get(part) if owner is not None else None
        if isinstance(inner, Mapping) and part in inner:
            inner = inner[part]
            owner = None if field is None or is_mapping(field.hint) else dataclass_in(field.hint)
            continue
        return UNSET if field is None else _below(field.default, parts[at + 1 :])
    # What the other configuration has as a value is a mapping here: its keys are compared one by one.
    return UNSET


def _below(value: Any, parts: Iterable[str]) -> Any:
    """Return what lies below a default value."""
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part, UNSET)
        elif is_dataclass(value) and hasattr(value, part):
            value = getattr(value, part)
        elif isinstance(value, Node) and part == "_target_":
            value = f"{type(value).__module__}.{type(value).__qualname__}"
        else:
            return UNSET
    if value is REQUIRED:
        return UNSET
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    return "''" if value == "" else written(value)

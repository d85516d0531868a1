"""A JSON schema of the user's YAML files, from the nodes' own fields, for editors that complete and check."""

import pkgutil
import types
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from importlib import import_module
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from kraken_flow.config.nodes import node_class
from kraken_flow.config.paths import GROUPS, SETTINGS, options, target_of
from kraken_flow.config.schema import dataclass_in, fields_of, mapped
from kraken_flow.config.validation import ENGINES, NODES

Schema = dict[str, Any]

_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_LATER = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
"""An interpolation, or a value that has to be given."""
_NAMES = {"type": "array", "items": {"type": "string"}}
_RUN: dict[str, Schema] = {
    "timeframe": {"type": "string"},
    "start": {"type": ["string", "null"]},
    "end": {"type": ["string", "null"]},
    "seed": {"type": "integer", "minimum": 0},
    "engine": {"enum": list(ENGINES)},
    "run_dir": {"type": ["string", "null"]},
}


def json_schema() -> Schema:
    """Return a schema (draft 7) that holds for an option's file, for an experiment and for a file of everything.

    A file with a `_target_` is checked as that node, one with `names` as a list of pairs, any other as a difference
    from the shipped configuration. A key that is left out is never an error: Hydra may take it from elsewhere.
    """
    definitions: dict[str, Schema] = {}
    by_group = {group: dict(_nodes_of(group)) for group in ("mode", *NODES, "report")}
    features = dict(_features())
    for target, cls in (features | {t: c for known in by_group.values() for t, c in known.items()}).items():
        definitions[target] = _node(cls, target, definitions)
    # Filled in place, for features read features.
    definitions["feature"] = _one_of(features)
    for group, known in by_group.items():
        definitions[group] = _one_of(known)
    nodes = [target for target in definitions if "." in target]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Kraken Flow configuration",
        "type": "object",
        "if": {"required": ["_target_"]},
        "then": {"allOf": [_when(target) for target in nodes]},
        "else": {
            "if": {"required": ["names"]},
            "then": {"properties": {"names": _NAMES}, "additionalProperties": False},
            "else": {"properties": _keys(by_group), "additionalProperties": False},
        },
        "definitions": definitions,
    }


def _keys(by_group: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the keys of a file that holds everything: groups and keys of the run."""
    found: dict[str, Schema] = {"defaults": {"type": "array"}}
    for group, about in GROUPS.items():
        kinds: list[Schema] = [{"enum": [*options(group), None]}]
        if group in by_group:
            kinds.append({"$ref": f"#/definitions/{group}"})
        elif group == "pairs":
            kinds += [_NAMES, {"type": "object", "properties": {"names": _NAMES}, "additionalProperties": False}]
        elif group == "features":
            kinds.append({"type": "object", "additionalProperties": {"$ref": "#/definitions/feature"}})
        found[group] = {"description": about, "anyOf": kinds}
    return found | {key: {"description": SETTINGS[key], "anyOf": [_RUN[key], _LATER]} for key in SETTINGS}


def _nodes_of(group: str) -> Iterator[tuple[str, type[Any]]]:
    for target in sorted({target for path in options(group).values() if (target := target_of(path))}):
        cls = node_class(target, group, None, [])
        if cls is not None:
            yield target, cls


def _features() -> Iterator[tuple[str, type[Any]]]:
    """Yield the shipped features under each name that a `_target_` may give them."""
    package = import_module("kraken_flow.features")
    modules = [
        package,
        *(import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)),
    ]
    for module in modules:
        for name, cls in sorted(vars(module).items()):
            own = module is package or getattr(cls, "__module__", "") == module.__name__
            if own and isinstance(cls, type) and getattr(cls, "kind", "") == "feature" and is_dataclass(cls):
                yield f"{module.__name__}.{name}", cls


def _one_of(known: Mapping[str, Any]) -> Schema:
    """Return what a node of a kind looks like: by its `_target_` where it has one, else keys of any of them."""
    return {
        "type": "object",
        "if": {"required": ["_target_"]},
        "then": {"allOf": [_when(target) for target in known]},
        "else": {"anyOf": [{"$ref": f"#/definitions/{target}"} for target in known]},
    }


def _when(target: str) -> Schema:
    return {"if": {"properties": {"_target_": {"const": target}}}, "then": {"$ref": f"#/definitions/{target}"}}


def _node(cls: type[Any], target: str, definitions: dict[str, Schema]) -> Schema:
    found = _fields(cls, definitions)
    found["properties"] |= {"_target_": {"const": target}, "defaults": {"type": "array"}}
    return found


def _fields(cls: type[Any], definitions: dict[str, Schema]) -> Schema:
    properties = {}
    for field in fields_of(cls).values():
        value = _schema(field.hint, definitions)
        default = field.default.value if isinstance(field.default, Enum) else field.default
        if default is None or isinstance(default, int | float | str):
            value = {"default": default} | value
        properties[field.name] = {"description": field.doc} | value if field.doc else value
    title = (cls.__doc__ or cls.__name__).split("\n")[0]
    return {"description": title, "type": "object", "properties": properties, "additionalProperties": False}


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """Return what an annotation allows."""
    kinds = list(_alternatives(hint, definitions))
    if not all(kinds):
        return {}
    if not any(kind.get("type") in {"string", "object"} for kind in kinds):
        kinds.append(_LATER)
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _alternatives(hint: Any, definitions: dict[str, Schema]) -> Iterator[Schema]:
    origin: Any = get_origin(hint)
    if origin is Annotated:
        inner, *metadata = get_args(hint)
        bounds = {
            word: bound
            for part in metadata
            for name, word in _BOUNDS.items()
            if (bound := getattr(part, name, None)) is not None
        }
        for kind in _alternatives(inner, definitions):
            yield kind | (bounds if kind.get("type") in {"integer", "number"} else {})
    elif origin in {Union, types.UnionType}:
        for part in get_args(hint):
            yield from _alternatives(part, definitions)
    elif origin is Literal:
        yield {"enum": list(get_args(hint))}
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield {"enum": [member.value for member in hint]}
    elif hint in _TYPES:
        yield {"type": _TYPES[hint]}
    elif origin in {dict, Mapping}:
        yield {"type": "object", "additionalProperties": _schema(mapped(hint), definitions)}
    elif origin in {tuple, list}:
        yield {"type": "array", "items": _schema(get_args(hint)[0], definitions)}
    elif getattr(hint, "kind", "") in {"feature", *NODES}:
        yield {"$ref": f"#/definitions/{hint.kind}", "type": "object"}
    elif (cls := dataclass_in(hint)) is not None:
        if cls.__name__ not in definitions:
            definitions[cls.__name__] = _fields(cls, definitions)
        yield {"$ref": f"#/definitions/{cls.__name__}", "type": "object"}
    else:
        yield {}

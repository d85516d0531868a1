"""A node's fields as a user needs them: what each allows, its default and its documentation."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


@dataclass(frozen=True)
class Field:
    """One field of a node: its type as annotated, its default (`REQUIRED` without), its documentation."""

    name: str
    hint: Any
    default: Any
    doc: str


REQUIRED: Any = object()


_KNOWN: dict[Any, dict[str, Field]] = {}


def fields_of(cls: Any) -> dict[str, Field]:
    """Return a dataclass's fields by name."""
    if cls not in _KNOWN:
        _KNOWN[cls] = _fields_of(cls)
    return _KNOWN[cls]


def _fields_of(cls: Any) -> dict[str, Field]:
    hints = typing.get_type_hints(cls, include_extras=True)
    known = getattr(cls, "__pydantic_fields__", {})
    found = {}
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        info = known.get(field.name)
        if info is not None:
            default = REQUIRED if info.is_required() else info.get_default(call_default_factory=True)
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            default = REQUIRED if field.default is dataclasses.MISSING else field.default
        doc = _said(cls, field.name)
        found[field.name] = Field(field.name, hints[field.name], default, " ".join(doc.split()))
    return found


def _said(cls: Any, name: str) -> str:
    """Return what stands below a field, in the class or in the nearest one above it that says something."""
    known = (getattr(base, "__pydantic_fields__", {}).get(name) for base in cls.__mro__)
    return next((info.description for info in known if info is not None and info.description), "")


def allowed(hint: Any) -> str:
    """Say what an annotation allows: `a whole number above 0`, `through or touch`, `a number or null`."""
    return " or ".join(dict.fromkeys(_alternatives(hint)))


def _alternatives(hint: Any) -> list[str]:
    origin: Any = get_origin(hint)
    if origin is Annotated:
        inner, *metadata = get_args(hint)
        bounds = [
            f"{word} {bound}"
            for part in metadata
            for name, word in _BOUNDS.items()
            if (bound := getattr(part, name, None)) is not None
        ]
        words = _alternatives(inner)
        first = f"{words[0]} {' and '.join(bounds)}" if bounds else words[0]
        return [first, *words[1:]]
    if origin in {Union, types.UnionType}:
        return [word for part in get_args(hint) for word in _alternatives(part)]
    if origin is Literal:
        return [", ".join(str(value) for value in get_args(hint))]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [", ".join(str(member.value) for member in hint)]
    if hint in _WORDS:
        return [_WORDS[hint]]
    if origin in {tuple, list, set, frozenset}:
        return ["a list"]
    if origin is not None or hint in {dict, Mapping}:
        return ["a mapping"]
    kind = getattr(hint, "kind", "")
    if kind:
        return [f"a {kind} (a mapping with a _target_)"]
    if dataclasses.is_dataclass(hint):
        return [f"a mapping of {', '.join(fields_of(hint))}"]
    return [getattr(hint, "__name__", str(hint))]


def dataclass_in(hint: Any) -> type[Any] | None:
    """Return the dataclass that an annotation holds, directly or as one of its alternatives."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        found: type[Any] = hint
        return found
    return next((inner for part in get_args(hint) if (inner := dataclass_in(part)) is not None), None)


def is_mapping(hint: Any) -> bool:
    """Whether the annotation is a mapping from names that the user chooses."""
    return get_origin(hint) in {dict, Mapping} or any(is_mapping(part) for part in get_args(hint))


def hint_at(cls: type[Any], loc: tuple[str | int, ...]) -> Any:
    """Return the annotation of the field at a location below a dataclass, None where there is none."""
    hint: Any = cls
    for part in loc:
        if is_mapping(hint):
            hint = mapped(hint)
            continue
        owner = dataclass_in(hint)
        if owner is None or part not in fields_of(owner):
            return None
        hint = fields_of(owner)[str(part)].hint
    return hint


def mapped(hint: Any) -> Any:
    """Return the annotation of a mapping's values."""
    if get_origin(hint) in {dict, Mapping}:
        return get_args(hint)[1]
    return next((mapped(part) for part in get_args(hint) if is_mapping(part)), None)


def takes_bool(hint: Any) -> bool:
    """Whether true and false are values of the annotation; pydantic would read them as 1 and 0."""
    if hint in {bool, Any, object}:
        return True
    if get_origin(hint) is Literal:
        return any(isinstance(value, bool) for value in get_args(hint))
    return any(takes_bool(part) for part in get_args(hint))


def written(value: Any) -> str:
    """Write a value as a user would type it after `key=`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return short(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    return str(value)


def short(node: Any) -> str:
    """Write a node in one line: its class, and the fields that differ from their defaults."""
    fields = fields_of(type(node)).values()
    shown = [f"{f.name}={written(getattr(node, f.name))}" for f in fields if getattr(node, f.name) != f.default]
    return f"{type(node).__name__}({', '.join(shown)})"

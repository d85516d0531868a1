"""Nodes from plain dictionaries: every `_target_` checked, every field validated, all problems collected."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kraken_flow.config.paths import GROUPS, options, target_of
from kraken_flow.config.schema import Field, allowed, dataclass_in, fields_of, hint_at, takes_bool
from kraken_flow.core.blame import users_line, what_it_raised
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import Node, forgotten, lacks_node
from kraken_flow.nearest import hint as did_you_mean

ROOTS = ("kraken_flow.", "strategies.")
LARGEST_INTEGER = 2**63 - 1
FAILED: Any = object()
"""Stands for a node that could not be built; the reason is among the problems."""


def build_node(value: Any, path: str, kind: str | None, problems: list[str]) -> Any:
    """Build the node at a key path, nested nodes first; `FAILED` where something is wrong with it.

    Parameters: `value` a mapping with `_target_`; `kind` what it must be, None where the parent's field decides.
    """
    what = f"a {kind}" if kind else "a node"
    if not isinstance(value, Mapping) or "_target_" not in value:
        problems.append(f"{path}{_shown(value)}: must be {what}: a mapping with a _target_ (see mode=list)")
        return FAILED
    cls = node_class(value["_target_"], f"{path}._target_", kind, problems)
    if cls is None:
        return FAILED
    fields = fields_of(cls)
    before = len(problems)
    given: dict[str, Any] = {}
    for key, item in value.items():
        if key == "_target_":
            continue
        if key not in fields:
            problems.append(f"{path}.{key}{_shown(item)}: {_unknown(key, cls, path)}")
        elif item == "???":
            problems.append(f"{path}.{key}: {_lacking(fields[key])}")
        else:
            given[key] = _value(item, f"{path}.{key}", problems)
            _refuse_bools(given[key], fields[key].hint, f"{path}.{key}", problems)
    told = {_key_of(problem) for problem in problems[before:]}
    failed = {key for key, item in given.items() if item is FAILED}
    skip = failed | {key for key, item in value.items() if item == "???"}
    built = FAILED
    # A node looks at what its fields say together once each is right by itself: without what is told, it goes on.
    while fresh := _told_by(cls, path, given, skip):
        if isinstance(fresh, Node):
            built = fresh
            break
        fresh = [text for text in fresh if not any(_related(_key_of(text), key) for key in told)]
        problems += fresh
        told |= {_key_of(text) for text in fresh}
        dropped = [_drop(given, _key_of(text).removeprefix(f"{path}.").split(".")) for text in fresh]
        if not any(dropped):
            break
    return built if len(problems) == before else FAILED


def _told_by(cls: type[Node], path: str, given: Mapping[str, Any], skip: set[str]) -> Node | list[str]:
    """Make a node of what is given; return it, or what it says of that."""
    try:
        made: Node = cls(**{key: item for key, item in given.items() if item is not FAILED})
    except ValidationError as error:
        return messages(error.errors(include_url=False), cls, path, given, skip)
    except UserError as error:
        return [f"{path}: {error}" if not str(error).startswith(path) else str(error)]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's own class may raise anything when it is made
        return [f"{path}: {_at(error)}{cls.__name__} cannot be made: {what_it_raised(error)}"]
    return made


def _key_of(problem: str) -> str:
    return re.split("[:=]", problem, maxsplit=1)[0]


def _related(one: str, other: str) -> bool:
    """Whether one key is the other, or stands above or below it."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _drop(given: dict[str, Any], parts: Sequence[str]) -> bool:
    """Take a key out of nested mappings, copied on the way; False where it is not there."""
    first, *rest = parts
    inside = given.get(first)
    if rest and isinstance(inside, Mapping):
        copy = dict(inside)
        given[first] = copy
        return _drop(copy, rest)
    return given.pop(first, None) is not None


def _at(error: BaseException) -> str:
    where = users_line(error)
    return f"{where}: " if where else ""


def node_class(target: Any, path: str, kind: str | None, problems: list[str]) -> type[Node] | None:
    """Return the class that a `_target_` names, None (and a problem) where it may not be named."""
    if not isinstance(target, str) or not target.startswith(ROOTS) or target.count(".") < 1:
        problems.append(f"{path}{_shown(target)}: must name a class below {' or '.join(r.rstrip('.') for r in ROOTS)}")
        return None
    module_name, _, name = target.rpartition(".")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            problems.append(f"{path}={target}: there is no module {error.name}")
        else:
            problems.append(f"{path}={target}: {module_name} needs {error.name}, which is not installed")
        return None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's own file may raise anything when it is imported
        problems.append(f"{path}={target}: {_at(error)}{module_name} cannot be imported: {what_it_raised(error)}")
        return None
    nodes = {n: c for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, Node) and c is not Node}
    cls = nodes.get(name)
    if cls is None:
        here = [n for n, c in nodes.items() if kind is None or c.kind == kind]
        other = vars(module).get(name)
        if isinstance(other, type) and other is not Node:
            base = (kind or "node").title()
            problems.append(f"{path}={target}: {name} is no {kind or 'node'}: write @node and class {name}({base})")
            return None
        problems.append(
            f"{path}={target}: {module_name} has no node {name}" + did_you_mean(name, here, prefix=f"{module_name}.")
        )
        return None
    if kind is not None and cls.kind != kind:
        problems.append(f"{path}={target}: is a {cls.kind or 'node'}, and this must be a {kind}")
        return None
    if lacks_node(cls):
        problems.append(f"{path}={target}: {forgotten(cls)}")
        return None
    return cls


def _value(value: Any, path: str, problems: list[str]) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build_node(value, path, None, problems)
        built = {key: _value(item, f"{path}.{key}", problems) for key, item in value.items()}
        return FAILED if any(item is FAILED for item in built.values()) else built
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [_value(item, f"{path}.{i}", problems) for i, item in enumerate(value)]
        return FAILED if any(item is FAILED for item in items) else items
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        problems.append(f"{path}={value}: must be at most {LARGEST_INTEGER}, which is what 64 bits hold")
        return FAILED
    return value


def _refuse_bools(value: Any, hint: Any, path: str, problems: list[str]) -> None:
    owner = dataclass_in(hint)
    if isinstance(value, bool) and not takes_bool(hint):
        problems.append(f"{path}={str(value).lower()}: must be {allowed(hint)}")
    elif isinstance(value, Mapping) and owner is not None:
        fields = fields_of(owner)
        for key, item in value.items():
            if key in fields:
                _refuse_bools(item, fields[key].hint, f"{path}.{key}", problems)


def _lacking(field: Field) -> str:
    about = f" ({field.doc.rstrip('.')})" if field.doc else ""
    return f"must be given; it is {allowed(field.hint)}{about}"


def _unknown(key: str, cls: type[Any], path: str) -> str:
    known = list(fields_of(cls))
    listed = ", ".join(known) if known else "no keys"
    near = did_you_mean(key, known, prefix=f"{path}.") or _owners(key, path)
    return f"no such key; {cls.__name__} has {listed}{near}"


def _owners(key: str, group: str) -> str:
    """Say which other options of a group have the key, as `data=files` has `data.path`."""
    if group not in GROUPS:
        return ""
    classes = {name: node_class(target_of(path), group, None, []) for name, path in options(group).items()}
    owners = [f"{group}={name}" for name, cls in classes.items() if cls is not None and key in fields_of(cls)]
    return f"; it is a key of {', '.join(owners)}" if owners else ""


def messages(
    errors: list[ErrorDetails], cls: type[Any], path: str, given: Mapping[str, Any], skip: set[str]
) -> list[str]:
    """One sentence per field, however many alternatives of its type refused the value."""
    found: dict[str, str] = {}
    for error in errors:
        loc = _location(error, given)
        if loc and loc[0] in skip:
            continue
        key = ".".join([path, *map(str, loc)])
        hint = hint_at(cls, loc)
        owner = cls if len(loc) < 2 else dataclass_in(hint_at(cls, loc[:-1]))
        if error["type"] in {"unexpected_keyword_argument", "extra_forbidden"} and owner is not None:
            text = f"{key}{_shown(error['input'])}: {_unknown(str(loc[-1]), owner, key.rpartition('.')[0])}"
        elif error["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
            fields = {} if owner is None else fields_of(owner)
            field = fields.get(str(loc[-1])) if loc else None
            text = f"{key}: " + (f"must be given; it is {allowed(hint)}" if field is None else _lacking(field))
        elif error["type"] in {"value_error", "assertion_error"} or hint is None:
            shown = _shown(error["input"]) if loc else ""
            text = f"{key}{shown}: {error['msg'].removeprefix('Value error, ').removeprefix('Assertion failed, ')}"
        else:
            text = f"{key}{_shown(error['input'])}: must be {allowed(hint)}{_nearest_word(error['input'], hint, key)}"
            text += _percent(error["input"], hint)
        found.setdefault(key, text)
    return list(found.values())


def _location(error: ErrorDetails, given: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Where in the user's input an error lies: pydantic's location without the alternatives of unions."""
    loc: list[str | int] = []
    data: Any = given
    for part in error["loc"]:
        inside = isinstance(data, Mapping) and part in data
        inside = inside or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if not inside:
            if error["type"].startswith("missing") and part == error["loc"][-1]:
                loc.append(part)
            continue
        loc.append(part)
        data = data[part]
    return tuple(loc)


def _nearest_word(value: Any, hint: Any, key: str) -> str:
    words = [word for part in allowed(hint).split(" or ") for word in part.split(", ") if " " not in word]
    return did_you_mean(value, words, prefix=f"{key}=") if isinstance(value, str) else ""


def _percent(value: Any, hint: Any) -> str:
    """Say how a share is written that looks like a percentage."""
    share = (
        isinstance(value, int | float)
        and 1 < value <= 100
        and allowed(hint).split(" or ")[0] == "a number above 0 and at most 1"
    )
    return f"; {value:g} % is {value / 100:g}" if share else ""


def _shown(value: Any) -> str:
    """Write a value after its key as the user would have typed it; long or nested values are left out."""
    if value is None:
        return "=null"
    if isinstance(value, bool):
        return f"={str(value).lower()}"
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return ""
    text = str(value)
    return f"={text if len(text) <= 60 else text[:57] + '...'}"

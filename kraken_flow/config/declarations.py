"""What a node says it reads: checked before a run, since the user's own code says it."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kraken_flow.config.nodes import messages
from kraken_flow.config.schema import fields_of
from kraken_flow.core.blame import place_of, users_line, what_it_raised
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Column, Feature
from kraken_flow.core.node import Node, forgotten, lacks_node
from kraken_flow.core.strategy import Strategy
from kraken_flow.nearest import hint

_EXAMPLE = 'as in {"fast": Sma("close", 10)}'


def check_declarations(node: Any, problems: list[str]) -> None:
    """Ask a node, and the strategies it pools, what they read; add a sentence for all that is no feature or column."""
    if isinstance(node, Strategy):
        problems += [f"{type(node).__name__}.{text}" for text in _handed(node)]
    _check(node, "features", problems)
    if isinstance(node, Strategy) and _check(node, "parts", problems):
        for part in node.parts().values():
            check_declarations(part, problems)


def _handed(node: Node) -> Iterator[str]:
    """Say of each field of a strategy or a feature that holds a node of another kind, with which it could read more."""
    for name, value in vars(node).items():
        held = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
        for each in held:
            if isinstance(each, Strategy | Feature):
                yield from (f"{name}.{text}" for text in _handed(each))
            elif isinstance(each, Node):
                yield (
                    f"{name} is a {type(each).__name__}, a node of data or of the account: a strategy reads features "
                    "alone, which features() declares"
                )


def _check(node: Any, method: str, problems: list[str]) -> bool:
    asked = getattr(node, method, None)
    if asked is None:
        return False
    name = f"{type(node).__name__}.{method}"
    try:
        said = asked()
    except ValidationError as error:
        told = refusals(error)
        where = users_line(error)
    except UserError as error:
        told, where = str(error).splitlines(), users_line(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's own code may raise anything
        told, where = [what_it_raised(error)], users_line(error)
    else:
        told, where = list(_wrong(said, method)), place_of(getattr(type(node), method))
    begin = f"{where}: {name}" if where else name
    problems += [f"{begin}{' ' if text.startswith(('returned ', 'calls ')) else ': '}{text}" for text in told]
    return not told


def _wrong(said: Any, method: str) -> list[str]:
    """Say what is wrong with what a node declares."""
    if method == "parts":
        wanted = "a mapping of names to strategies"
        if isinstance(said, Mapping) and all(isinstance(part, Strategy) for part in said.values()):
            return []
    else:
        wanted = f"a mapping of names to features or columns, {_EXAMPLE}"
    if said is None:
        return [f"returned nothing: end it with return and {wanted}"]
    if not isinstance(said, Mapping):
        return [f"returned a {type(said).__name__}: it must be {wanted}"]
    if method == "parts":
        return [f"returned what is no strategy under {', '.join(map(str, said))}: it must be {wanted}"]
    return [text for name, source in said.items() if (text := _wrong_source(name, source))]


def _wrong_source(name: Any, source: Any) -> str:
    columns = get_args(Column)
    if not isinstance(name, str) or not name.isidentifier():
        return f"the name {name!r} must be a name of Python: write it with letters, digits and underscores"
    if isinstance(source, Feature):
        handed = "; ".join(_handed(source))
        return f"{name}: {forgotten(type(source))}" if lacks_node(type(source)) else handed and f"{name}.{handed}"
    if isinstance(source, str):
        wrong = f"{name}={source}: must be a feature or one of the columns {', '.join(columns)}{hint(source, columns)}"
        return "" if source in columns else wrong
    if isinstance(source, type) and issubclass(source, Feature):
        return f"{name}={source.__name__}: is a class of features; make one of it, as in {source.__name__}(...)"
    return f"{name} is a {type(source).__name__}: must be a feature or one of the columns {', '.join(columns)}"


def refusals(error: ValidationError) -> list[str]:
    """Return a sentence per argument that a node, made in Python, refused: the field, its value, what is allowed."""
    cls = _class_named(error.title, Node)
    errors = error.errors(include_url=False)
    if cls is None:
        return [f"{error.title}: {one['msg']}" for one in errors]
    names = list(fields_of(cls))
    found = []
    if any(one["type"] == "unexpected_positional_argument" for one in errors):
        found.append(f"{error.title}: takes {len(names)} arguments at most: {', '.join(names)}")
    placed = [_by_name(one, names) for one in errors if one["type"] != "unexpected_positional_argument"]
    given = {str(one["loc"][0]): one["input"] for one in placed if one["loc"]}
    found += messages(placed, cls, error.title, given, set())
    return [text.replace(" (a mapping with a _target_)", "") for text in found]


def _by_name(error: ErrorDetails, names: list[str]) -> ErrorDetails:
    """Name the field of a positional argument."""
    loc = error["loc"]
    if loc and isinstance(loc[0], int) and loc[0] < len(names):
        error["loc"] = (names[loc[0]], *loc[1:])
    return error


def _class_named(name: str, base: type[Node]) -> type[Node] | None:
    """Return the node of that name that was defined last."""
    for cls in reversed(base.__subclasses__()):
        if cls.__name__ == name and "__dataclass_fields__" in vars(cls):
            return cls
        if (found := _class_named(name, cls)) is not None:
            return found
    return None

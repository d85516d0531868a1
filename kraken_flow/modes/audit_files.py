"""What lies in the working directory's `strategies/` beside the system that was chosen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from kraken_flow.config.composition import compose
from kraken_flow.config.declarations import check_declarations
from kraken_flow.config.nodes import build_node
from kraken_flow.config.paths import options, target_of
from kraken_flow.config.schema import REQUIRED, fields_of
from kraken_flow.core.blame import users_line, what_it_raised
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Feature
from kraken_flow.core.graph import Graph
from kraken_flow.core.node import Node
from kraken_flow.core.signal import sources_of
from kraken_flow.core.strategy import Scripted, Strategy

FOLDER = Path("strategies")


@dataclass(frozen=True)
class Beside:
    """Strategies and features of the files, by the name under which they are shown, and why others are left out."""

    nodes: Mapping[str, Strategy | Feature]
    notes: tuple[str, ...]


def found_beside(graph: Graph) -> Beside:
    """Import every file of `strategies/` and make what it defines: as a YAML file says, else by its defaults.

    Raises `UserError` naming every file that cannot be imported, and every node that declares what is no feature.
    """
    nodes: dict[str, Strategy | Feature] = {}
    notes: list[str] = []
    problems: list[str] = []
    for path in sorted(FOLDER.rglob("*.py")):
        if path.name == "__init__.py":
            continue
        module = _imported(path, problems)
        for cls in _defined(module) if module is not None else ():
            for title, made in _made(path, cls, notes):
                wrong: list[str] = []
                check_declarations(made, wrong)
                problems += [text if text.startswith(str(path)) else f"{path}: {text}" for text in wrong]
                nodes |= {} if wrong or _chosen(made, graph) else {title: made}
    if problems:
        more = "mode.strategies=chosen audits the composed system alone"
        raise UserError("\n".join(f"{problem}; {more}" for problem in problems))
    return Beside(nodes, tuple(notes))


def _chosen(node: Node, graph: Graph) -> bool:
    """Return whether a node is audited with the system."""
    chosen = [*_whole(graph.strategy), *sources_of(graph.strategy), *graph.features.values()]
    return any(type(node) is type(other) and node == other for other in chosen)


def _whole(strategy: Strategy) -> Iterator[Strategy]:
    """Yield a strategy and its parts, theirs included."""
    yield strategy
    for part in strategy.parts().values():
        yield from _whole(part)


def _imported(path: Path, problems: list[str]) -> ModuleType | None:
    try:
        return import_module(".".join(path.with_suffix("").parts))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's own file may raise anything when it is imported
        problems.append(f"{users_line(error) or path}: cannot be imported: {what_it_raised(error)}")
        return None


def _defined(module: ModuleType) -> Iterator[type[Node]]:
    """Yield the nodes that a module defines itself."""
    for name, cls in vars(module).items():
        if not isinstance(cls, type) or cls.__module__ != module.__name__ or name.startswith("_"):
            continue
        if issubclass(cls, Node) and "__dataclass_fields__" in vars(cls):
            yield cls


def _made(path: Path, cls: type[Node], notes: list[str]) -> Iterator[tuple[str, Strategy | Feature]]:
    """Yield what a class stands for: one node per option that names it, else one with all defaults."""
    title = f"{path}: {cls.__name__}"
    if not issubclass(cls, Strategy | Feature):
        notes.append(f"{title} is left out: a {cls.kind or 'node'} is audited as part of the system that chooses it")
        return
    if issubclass(cls, Scripted):
        notes.append(f"{title} is left out: given orders are audited with strategy=... that chooses them")
        return
    target = f"{cls.__module__}.{cls.__name__}"
    named = [name for name, file in options("strategy").items() if target_of(file) == target]
    for name in named:
        problems: list[str] = []
        built = build_node(compose([f"strategy={name}"])["strategy"], "strategy", "strategy", problems)
        if problems:
            notes.append(f"{title} (strategy={name}) is left out: {problems[0]}")
        else:
            yield (f"{title} ({name})" if len(named) > 1 else title), built
    if named:
        return
    missing = [field.name for field in fields_of(cls).values() if field.default is REQUIRED]
    if missing and issubclass(cls, Feature):
        notes.append(f"{title} is looked at where a strategy reads it: {', '.join(missing)} has no default")
    elif missing:
        notes.append(f"{title} is left out: {', '.join(missing)} must be given, in a file of conf/strategy/")
    else:
        try:
            yield title, cls()
        except (UserError, ValueError) as error:
            notes.append(f"{title} is left out: its defaults are refused ({' '.join(str(error).split())})")

"""Which loaded modules a system is made of, told from those that only happen to be loaded beside it."""

import ast
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from kraken_flow.core.node import Node


def beside(own: Iterable[str], loaded: Iterable[str]) -> set[str]:
    """Return the loaded modules that belong to other nodes alone.

    The default strategy is loaded before a past run's own is, and one process may run many systems. What is neither
    reached by imports from the system's modules nor from those of another node is none of them: it was loaded in a way
    that no import says, and may be a part of either.

    Parameters: `own` the modules that hold the system's nodes; `loaded` all whose answers could count.
    """
    known = set(loaded)
    imports = {name: _imported(name, known) for name in known}
    mine = _reached(own, imports)
    others = {name for name in known - mine if _holds_node(name)}
    return _reached(others, imports) - mine


def _reached(start: Iterable[str], imports: Mapping[str, set[str]]) -> set[str]:
    """Return modules and all that they import, and those import, as far as `imports` knows."""
    found: set[str] = set()
    waiting = [name for name in start if name in imports]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports[name] - found
    return found


def _holds_node(name: str) -> bool:
    """Whether a module defines a class of nodes."""
    held = list(vars(sys.modules[name]).values()) if name in sys.modules else []
    return any(isinstance(one, type) and issubclass(one, Node) and one.__module__ == name for one in held)


def _imported(name: str, known: set[str]) -> set[str]:
    """Return the modules among `known` that a module's file imports anywhere in it; none where it cannot be read."""
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    try:
        tree = ast.parse(Path(path).read_bytes()) if path else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return set()
    package = str(getattr(module, "__package__", None) or "")
    found: set[str] = set()
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            found.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
            base = ".".join([*above, *([statement.module] if statement.module else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in statement.names)
    parents = {name.rpartition(".")[0]} | {one.rpartition(".")[0] for one in found}
    return (found | parents) & known

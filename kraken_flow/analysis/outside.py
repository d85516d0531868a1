"""What nodes read besides the market they are given: files and connections, whose content no check can cut off."""

import contextlib
import importlib
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from kraken_flow.analysis.answers import System
from kraken_flow.core.market import Market

_CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".dylib", ".pth"})
_PLACES = tuple({sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/usr", "/etc", "/proc", "/sys", "/dev"})
_CONNECTIONS = frozenset({"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "sqlite3.connect"})


class Outside:
    """Notes the first file or connection that is opened while a node answers; lasts as long as its process.

    Attributes: `node` the name of the node that is being asked, None while nobody watches; `seen` what was read, by
    node.
    """

    def __init__(self) -> None:
        self.node: str | None = None
        self.seen: dict[str, str] = {}
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.node is None:
            return
        if event in _CONNECTIONS:
            self.seen.setdefault(self.node, f"a connection ({event})")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = Path(os.fsdecode(arguments[0])).absolute()
            reads = arguments[2] & os.O_WRONLY == 0
            if reads and path.suffix not in _CODE and not any(path.is_relative_to(place) for place in _PLACES):
                here = Path.cwd()
                self.seen.setdefault(self.node, str(path.relative_to(here) if path.is_relative_to(here) else path))


def read_outside(system: System, market: Market) -> dict[str, str]:
    """Return what each node reads besides the market, by name; to be done in a process of its own.

    The user's files are imported once more, for what they read then; after that every node of the signal half answers.
    """
    outside = Outside()
    for name, subject in system.subjects.items():
        module = sys.modules.get(type(subject.node).__module__)
        if module is not None and module.__name__.startswith("strategies."):
            outside.node = name
            with contextlib.suppress(Exception):  # what cannot be imported twice is asked all the same
                importlib.reload(module)
    outside.node = None
    system.signals(market, lambda name: setattr(outside, "node", name))
    outside.node = None
    return outside.seen

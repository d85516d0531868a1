"""What nodes read besides the market they are given: files and connections, whose content no check can cut off.

Seen in two ways. What Python opens is noted while nodes answer. And they answer once more in a process that can open
nothing any more, whatever language would open it: who then fails, or says something else, has read something.
"""

import ast
import contextlib
import importlib
import os
import resource
import sys
import sysconfig
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from kraken_flow.analysis.answers import Answers, Failed, System
from kraken_flow.core.market import Market

_CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".dylib", ".pth"})
_PLACES = tuple({sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/usr", "/etc", "/proc", "/sys", "/dev"})
_CONNECTIONS = frozenset({"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "sqlite3.connect"})
_OURS = "kraken_flow"
_FOR_STRATEGIES = ("core", "features", "native", "api", "testing", "nearest")
"""Our packages that code of strategies may use; `api` and `testing` open files when they are called."""


@dataclass
class Seen:
    """What was noted while nodes answered.

    Parameters: `paths` the first file or connection that was read, by node; `unsure` the nodes that opened what says
    nothing of the market, files of the system, as of time zones, or logs that they write; `imported` the modules that
    were imported meanwhile; `refused` the user's modules that cannot be run twice.
    """

    paths: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    imported: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)


class Outside:
    """Notes the first file or connection that is opened while a node answers; lasts as long as its process.

    Attributes: `node` the name of the node that is being asked, None while nobody watches; `seen` what was read.
    """

    def __init__(self) -> None:
        self.node: str | None = None
        self.seen = Seen()
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.node is None:
            return
        if event in _CONNECTIONS:
            self.seen.paths.setdefault(self.node, f"a connection ({event})")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = Path(os.fsdecode(arguments[0])).absolute()
            if path.suffix in _CODE:
                return
            if arguments[2] & os.O_WRONLY or _is_of_the_system(path):
                self.seen.unsure.add(self.node)
            else:
                here = Path.cwd()
                shown = path.relative_to(here) if path.is_relative_to(here) else path
                self.seen.paths.setdefault(self.node, str(shown))


def _is_of_the_system(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in _PLACES)


def read_outside(system: System, market: Market) -> Seen:
    """Return what each node reads besides the market; to be done in a process of its own.

    The user's files are run once more, for what they read then; after that every node of the signal half answers.
    """
    outside = Outside()
    before = set(sys.modules)
    for name, module in _modules(system):
        code = _code(module)
        outside.node = name
        try:
            _run(code, module)
        except Exception:  # noqa: BLE001 - what cannot be run twice is asked all the same
            outside.seen.refused.add(module.__name__)
        outside.node = None
    system.signals(market, lambda name: setattr(outside, "node", name))
    outside.node = None
    outside.seen.imported = [name for name in sys.modules if name not in before]
    return outside.seen


def missed(system: System, market: Market, seen: Seen, whole: Answers, varies: Collection[str]) -> dict[str, str]:
    """Answer where nothing can be opened any more, in a process of its own; return what each node misses there.

    Parameters: `seen` what was noted where all could be opened; `whole` the answers there; `varies` nodes that answer
    otherwise each time, of which this shows nothing.
    """
    for name in seen.imported:
        with contextlib.suppress(Exception):  # what was imported for one answer need not be importable by itself
            importlib.import_module(name)
    codes = [(name, module, _code(module)) for name, module in _modules(system)]
    unsure = seen.unsure | set(varies)
    _close_ours()
    _seal()
    told: dict[str, str] = {}
    for name, module, code in codes:
        try:
            if module.__name__ not in seen.refused and name not in unsure:
                _run(code, module)
        except Exception as error:  # noqa: BLE001 - a user's own file may raise anything when it is run
            if not _makes_a_lock(error):
                told.setdefault(name, _without(error))
    for name, answer in system.signals(market).items():
        before = whole[name]
        if name in unsure or isinstance(before, Failed):
            continue
        if isinstance(answer, Failed):
            told.setdefault(name, f"more than the market (where it may open nothing, it fails: {answer.text})")
        elif not np.array_equal(before, answer, equal_nan=True):
            told.setdefault(name, "more than the market (where it may open nothing, it says something else)")
    return told


def _modules(system: System) -> Iterator[tuple[str, ModuleType]]:
    """Yield the user's modules with the node that needs each, those that others import first."""
    done: set[str] = set()
    for name, subject in system.subjects.items():
        module = sys.modules.get(type(subject.node).__module__)
        if module is not None and module.__name__.startswith("strategies."):
            yield from ((name, each) for each in _below(module, done))


def _below(module: ModuleType, done: set[str]) -> Iterator[ModuleType]:
    """Yield what a module of the user's imports from other files of the user's, then the module itself."""
    if module.__name__ in done:
        return
    done.add(module.__name__)
    for name in _imports(module):
        other = sys.modules.get(name)
        if other is not None and _is_the_users(other):
            yield from _below(other, done)
    yield module


def _imports(module: ModuleType) -> Iterator[str]:
    """Yield the full names of what a module's text imports, anywhere in it, and of the packages around it."""
    package = module.__package__ or ""
    for statement in ast.walk(ast.parse(_text(module))):
        names: list[str] = []
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            begin = package.rsplit(".", statement.level - 1)[0] if statement.level else ""
            base = ".".join(part for part in (begin, statement.module) if part)
            names = [base, *(f"{base}.{alias.name}" for alias in statement.names)]
        for name in names:
            yield from (name.rsplit(".", up)[0] for up in range(name.count("."), 0, -1))
            yield name


def _is_the_users(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    ours = module.__name__.partition(".")[0] in {_OURS, "hydra_plugins", "tests", "__main__"}
    return file is not None and not ours and not _is_of_the_system(Path(file)) and Path(file).suffix == ".py"


def _text(module: ModuleType) -> bytes:
    path = Path(module.__file__ or "")
    return path.read_bytes() if path.is_file() else b""


def _code(module: ModuleType) -> CodeType:
    return compile(_text(module), module.__file__ or module.__name__, "exec")


def _run(code: CodeType, module: ModuleType) -> None:
    """Run a user's file beside the module that it is: nodes keep the classes that they were made of."""
    names = ("__name__", "__file__", "__package__", "__spec__", "__loader__", "__path__")
    exec(code, {name: vars(module)[name] for name in names if name in vars(module)})  # noqa: S102 - as its import would


def _makes_a_lock(error: Exception) -> bool:
    """Return whether a lock between processes could not be made, which opens something and reads nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).parent.name == "multiprocessing" for frame in frames)


def _close_ours() -> None:
    """Take away what makes markets and runs: with it a strategy could make the market that it is asked about."""
    root = sys.modules[_OURS]
    for name in [name for name in sys.modules if name.startswith(f"{_OURS}.")]:
        package = name.split(".")[1]
        if package not in _FOR_STRATEGIES:
            sys.modules[name] = None  # type: ignore[assignment]  # None is how Python says that it cannot be imported
            with contextlib.suppress(AttributeError):
                delattr(root, package)


def _seal() -> None:
    """Let this process open nothing any more: the next descriptor is beyond its limit."""
    unused = os.dup(0)
    os.close(unused)
    resource.setrlimit(resource.RLIMIT_NOFILE, (unused, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _without(error: Exception) -> str:
    """Say what a user's file missed when it was imported."""
    name = getattr(error, "name", None) if isinstance(error, ImportError) else getattr(error, "filename", None)
    if isinstance(name, str) and name.partition(".")[0] == _OURS:
        return f"{name}, which makes markets and runs; kraken_flow.core and kraken_flow.features are for strategies"
    return str(name) if name else f"more than the market (where it may open nothing, {type(error).__name__}: {error})"

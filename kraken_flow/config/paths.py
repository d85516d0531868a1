"""Where configuration is found, and what there is to choose from. Imports the standard library only."""

import ast
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from kraken_flow.nearest import hint

GROUPS = {
    "mode": "what to do with the system",
    "exchange": "fees, ticks, minima and how fills are simulated",
    "account": "starting cash, leverage, short positions",
    "pairs": "what is traded",
    "data": "where bars come from",
    "features": "feature columns besides those that the strategy declares",
    "strategy": "what to hold, as a forecast in [-1, 1] per pair",
    "portfolio": "how a forecast becomes a quantity",
    "risk": "stops, take profits and limits",
    "execution": "how a change of position becomes orders",
    "report": "what is made besides the run's tables",
    "experiment": "a named difference from all of the above, applied last",
}
"""The config groups, in the order of the graph, each with what it decides."""

SETTINGS = {
    "timeframe": "the decision bar: 1m, 5m, 15m, 1h, 4h, 1d",
    "start": "first bar, inclusive, by its open: 2019-01-01 or 2019-01-01T12:00:00Z",
    "end": "last bar, exclusive, by its open",
    "seed": "seed of what is random in the run; the sample market has its own, data.seed",
    "engine": "auto, rust or python",
    "run_dir": "the run's folder; with -m the sweep's",
}
"""The keys that stand beside the groups."""

DEFAULTS = {"timeframe": "1h", "start": None, "end": None, "seed": 0, "engine": "auto", "run_dir": None}
"""Their values where nothing is said; `conf/config.yaml` says the same, and a test compares."""

CONFIG_DIR = "KRAKEN_FLOW_CONFIG_DIR"
CONF = "KRAKEN_FLOW_CONF"


def own_conf() -> Path:
    """Return the folder of our own YAML: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def user_folders() -> list[Path]:
    """Return the folders searched before ours: --config-dir, the working directory's conf/, then KRAKEN_FLOW_CONF."""
    named = [os.environ.get(CONFIG_DIR, ""), "conf", *os.environ.get(CONF, "").split(os.pathsep)]
    found: list[Path] = []
    for folder in (Path(name).resolve() for name in named if name):
        if folder.is_dir() and folder != own_conf() and folder not in found:
            found.append(folder)
    return found


def options(group: str) -> dict[str, Path]:
    """Return the group's options by name, sorted; the file that comes first in the search path wins.

    A file whose name begins with an underscore is a part of others and no option.
    """
    found: dict[str, Path] = {}
    for folder in [*user_folders(), own_conf()]:
        root = folder / group
        for path in sorted(root.rglob("*.yaml")):
            if path.name.startswith("_"):
                continue
            found.setdefault(path.relative_to(root).with_suffix("").as_posix(), path)
    return dict(sorted(found.items()))


def use_working_directory() -> None:
    """Let the user's `strategies/` be imported, and come before ours, however the program was started."""
    here = str(Path.cwd())
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)


def no_option(group: str, name: str) -> str:
    """Return a sentence on an option that there is not, with what there is, and what is lacking of a user's own."""
    known = options(group)
    text = f"{group}={name}: no such option; there are {', '.join(known)}"
    if group == "strategy" and name.isidentifier() and Path("strategies", f"{name}.py").is_file():
        return f"{text}; strategies/{name}.py is there, conf/strategy/{name}.yaml is missing (mode=new writes both)"
    return text + hint(name, known, prefix=f"{group}=")


def summary(path: Path) -> str:
    """Return an option's one line: its YAML's first comment, else its class's docstring (read, not imported)."""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#") and not line.startswith(("# @", "# yaml-language-server")):
            return line.lstrip("# ").rstrip()
        if line and not line.startswith("#"):
            break
    return _docstring(target_of(path) or "")


def target_of(path: Path) -> str | None:
    """Return the `_target_` that stands at the top level of a YAML file, None without one."""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("_target_:"):
            return line.partition(":")[2].partition(" #")[0].strip()
    return None


def _docstring(target: str) -> str:
    module, _, name = target.rpartition(".")
    found = None
    search: list[str] | None = None
    for part in range(module.count(".") + 1):
        found = PathFinder.find_spec(".".join(module.split(".")[: part + 1]), search)
        search = list(found.submodule_search_locations or []) if found else []
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        return ""
    for statement in ast.parse(Path(found.origin).read_text("utf-8")).body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return (ast.get_docstring(statement) or "").split("\n")[0]
    return ""

"""What code a run was made by: the hash of every source file loaded, versions, the git commit."""

import platform
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kraken_flow import __version__
from kraken_flow.core.hashes import file_hash

_OURS = ("kraken_flow", "hydra_plugins", "strategies", "kraken_flow_native")
PROGRAM = ("kraken_flow", "hydra_plugins", "kraken_flow_native")
"""Packages of the program itself; other sources are what it was given to run."""
_LIBRARIES = (
    "hydra-core",
    "numpy",
    "omegaconf",
    "orjson",
    "pandas",
    "pyarrow",
    "pydantic",
    "rich",
    "kraken-flow-native",
)


@lru_cache(maxsize=4096)
def _unchanged_file_hash(path: str, size: int, modified_ns: int) -> str:
    """Return a source file's hash; members of a sweep ask for the same files over and over."""
    return file_hash(Path(path))


def loaded_sources() -> dict[str, str]:
    """Return module name -> SHA-256 of the file of every loaded module of ours and of the user's.

    The user's are strategies, and what they import from below the working directory (installed packages apart).
    """
    found: dict[str, str] = {}
    here = Path.cwd()
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if not path:
            continue
        own = name.partition(".")[0] in _OURS
        if (own or (Path(path).is_relative_to(here) and "site-packages" not in path)) and Path(path).is_file():
            state = Path(path).stat()
            found[name] = _unchanged_file_hash(path, state.st_size, state.st_mtime_ns)
    return found


def source_file(module: str, folders: Sequence[str] | None = None) -> Path | None:
    """Return the file that a module would be loaded from, without importing anything; None where there is none.

    Parameters: `folders` in which to search, None for those of `sys.path`.
    """
    search = None if folders is None else list(folders)
    found = None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:count]), search)
        if found is None:
            return None
        search = list(found.submodule_search_locations or [])
    return Path(found.origin) if found is not None and found.origin else None


def changed_sources(before: Mapping[str, str]) -> dict[str, Path | None]:
    """Return module -> file of the sources that are not what they were, None where the file is gone.

    Parameters: `before` what `loaded_sources` returned. The script that called the program is left out.
    """
    found: dict[str, Path | None] = {}
    for module, known in before.items():
        if module == "__main__":
            continue
        path = source_file(module)
        if path is None or not path.is_file() or file_hash(path) != known:
            found[module] = path if path is not None and path.is_file() else None
    return found


def of_program(module: str) -> bool:
    """Whether a module is the program's own: no strategy, and nothing of the user's."""
    return module.partition(".")[0] in PROGRAM


@lru_cache(maxsize=1)
def versions() -> dict[str, str | None]:
    """Return the versions of Python, the platform, Kraken Flow and its libraries; None for one that is missing."""
    found: dict[str, str | None] = {
        "kraken-flow": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def program_commit() -> str | None:
    """Return the commit at which the program itself is checked out; None outside a repository."""
    return git_commit(Path(__file__).resolve().parents[1])


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out at a folder or above it, read from `.git`; None outside a repository."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_file():
            git = (place / git.read_text("utf-8").partition(":")[2].strip()).resolve()
        if git.is_dir():
            return _head(git)
    return None


def _head(git: Path) -> str | None:
    head = _text(git / "HEAD")
    if not head.startswith("ref: "):
        return head or None
    name = head.removeprefix("ref: ")
    common = git / _text(git / "commondir") if (git / "commondir").is_file() else git
    for place in (git, common):
        if commit := _text(place / name):
            return commit
    for line in _text(common / "packed-refs").splitlines():
        if line.endswith(f" {name}"):
            return line.split()[0]
    return None


def _text(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.is_file() else ""

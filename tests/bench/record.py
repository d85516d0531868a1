"""The record of a run of the benchmarks: machine, versions, checks, differences and figures, as JSON."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kraken_flow.native import REASON, native
from tests.bench.findings import Section

LIBRARIES = (
    *("numpy", "pandas", "pyarrow", "pydantic", "hydra-core", "numba", "llvmlite", "vectorbt", "vectorbt-rust"),
    *("backtesting", "bokeh", "TA-Lib"),
)
"""What either side runs on."""
ROOT = Path(__file__).parents[2]


def machine() -> dict[str, Any]:
    """Return where this runs."""
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part; what is not installed is absent."""
    return {
        "kraken-flow": f"{version_of('kraken-flow')}{_commit()}",
        "engine": "rust" if native else f"python ({REASON})",
        "python": platform.python_version(),
        **{name: version_of(name) for name in LIBRARIES},
    }


def version_of(name: str) -> str:
    """Return a distribution's version, `absent` where there is none; ours is the checkout's."""
    if name == "kraken-flow":
        from kraken_flow import __version__

        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def save(path: Path, sections: Iterable[Section], about: Mapping[str, Any]) -> None:
    """Write everything as JSON; figures of a section whose results differ are left out."""
    record = {
        "machine": machine(),
        "versions": versions(),
        **about,
        "sections": [
            {
                "title": section.title,
                "equal": section.equal,
                "checks": [asdict(check) | {"equal": check.equal} for check in section.checks],
                "differences": [asdict(one) for one in section.differences],
                "findings": [asdict(row) | {"met": row.verdict} for row in section.findings if section.equal],
            }
            for section in sections
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, default=_plain) + "\n", "utf-8")


def _plain(value: Any) -> Any:
    """Return a numpy scalar as Python's own."""
    return value.item()


def now() -> str:
    """The time, as file names have it."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def newest(folder: Path) -> Path | None:
    """Return the newest record of a folder; their names sort by time."""
    return max(folder.glob("*.json"), default=None)


def _first(path: str, key: str) -> str:
    """Return the value of the first line of a file that begins with `key`; empty where there is none."""
    file = Path(path)
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _commit() -> str:
    """Return the commit of the checkout, marked where files differ from it; empty outside git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10"],  # noqa: S607 - whichever git is on the path
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" {said}"

"""One page over many runs: sortable, filterable, in one file that needs nothing from elsewhere."""

import base64
import contextlib
import html
import os
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from kraken_flow.core.errors import UserError
from kraken_flow.core.whole import write_whole
from kraken_flow.nearest import nearest
from kraken_flow.runs.directory import explained

_HERE = Path(__file__).parent
_MARK = '<meta name="generator" content="kraken-flow runs">'
"""By this a page of ours is known: no other file is replaced."""
_ELSEWHERE = "the page is not written: make room there and repeat the command, or name another file by mode.page"
_SHOWN = (
    *("path", "kind", "members", "mode", "strategy", "pairs", "timeframe", "first", "last", "started", "status"),
    *("error", "engine", "synthetic", "verdict", "killed_at", "would_have_been_killed_at", "total_return", "sharpe"),
    *("max_drawdown", "trades", "order_log_sha256", "config_sha256"),
)


def write_page(path: Path, root: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Write the page.

    Parameters: `root` the folder of the runs; `runs` as JSON shows them. Raises `UserError` where a file is there that
    is no page of ours, or where its folder is not.
    """
    if path.is_dir():
        raise UserError(f"mode.page={path}: is a folder; name a file, as in mode.page={path / 'index.html'}")
    if not path.parent.is_dir():
        near = nearest(path.parent.name, _folders(path.parent.parent))
        meant = f"; did you mean mode.page={path.parent.parent / near / path.name}?" if near else ""
        raise UserError(f"mode.page={path}: there is no folder {path.parent}; make it first{meant}")
    if path.exists() and _MARK not in path.read_text("utf-8", errors="replace")[:2000]:
        raise UserError(f"mode.page={path}: a file is there that is no page of runs; choose another one")
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"mode.page={path}: name a file that ends in .html, or true for index.html among the runs")
    with explained(path.parent, _ELSEWHERE, "mode.page"):
        write_whole(path, page(path.parent, root, runs).encode())


def _folders(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [path.name for path in folder.iterdir() if path.is_dir()]
    return []


def page(folder: Path, root: Path, runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as it is to lie in `folder`: links to reports are relative to it.

    What runs say of themselves is data to the page, never markup; no script but its own runs, and nothing is loaded.
    """
    style, script = ((_HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    rows = [[*(run[name] for name in _SHOWN), _link(folder, run["report"])] for run in runs]
    # Inside a script element only < could end the data.
    data = orjson.dumps({"columns": [*_SHOWN, "report"], "rows": rows}).decode().replace("<", "\\u003c")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    parts = {
        "mark": _MARK,
        "policy": html.escape(policy),
        "style": style,
        "script": script,
        "root": html.escape(root.absolute().name if root == Path() else str(root)),
        "data": data,
    }
    frame = (_HERE / "page.html").read_text("utf-8")
    return re.sub(rf"{{({'|'.join(parts)})}}", lambda found: parts[found[1]], frame)


def _link(folder: Path, report: str | None) -> str | None:
    if report is None:
        return None
    return "./" + quote(os.path.relpath(report, folder).replace(os.sep, "/"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"

"""The page itself: a template, a style sheet, scripts and data in one file that asks nobody for anything."""

import pkgutil
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.whole import write_whole
from kraken_flow.runs.directory import explained
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report.content import Content, Seen, folder_facts
from kraken_flow.runs.report.packing import packed

NAME = "report.html"
ELSEWHERE = "the page is not written: make room there and repeat the command, or name another file by mode.out"
"""What to do where the disk is full."""
SCRIPTS = ("format", "unpack", "theme", "table", "charts", "curves", "market", "trades", "sections", "compare", "start")
"""The page's scripts, in the order in which they are put together."""
_STATIC = Path(__file__).with_name("static")
_CHARTS = ("plotly", "package_data/plotly.min.js")
"""Package and path of the library that draws."""


def write_page(past: PastRun, seen: Seen, path: Path | None = None, then: str = ELSEWHERE) -> Path:
    """Write a run's page, `report.html` in its folder unless `path` says otherwise; return its path.

    Parameters: `then` what to do where the disk is full. Raises `UserError` where a table of the run is damaged, or the
    page cannot be written, `CheckFailed` where the disk is full.
    """
    facts, blobs = Content(past, seen).facts()
    return write_html(path or past.folder / NAME, rendered(folder_facts(facts), facts, blobs), then)


def write_html(path: Path, text: str, then: str = ELSEWHERE) -> Path:
    """Write a page as a whole or not at all."""
    with explained(path.parent, then, "mode.out"):
        path.parent.mkdir(exist_ok=True)
        write_whole(path, text.encode())
    return path


def rendered(title: str, facts: Mapping[str, Any], blobs: Mapping[str, str]) -> str:
    """Return a page as text. What comes from a run stands in it as JSON that no `<` can end, or as base64."""
    script, library = _script(), _library()
    data = [_json("facts", facts)]
    data += [f'<script type="text/plain" id="blob-{name}">{blob}</script>' for name, blob in blobs.items()]
    parts = {
        "title": escape(title),
        "policy": _policy(script, library),
        "style": _text("page.css"),
        "data": "\n".join(data),
        "library": packed(library.encode()),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _text("page.html"))


def _json(name: str, content: Any) -> str:
    text = orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()
    return f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>'


def _policy(*scripts: str) -> str:
    """Return what a browser may do with the page: run these scripts, and ask for nothing."""
    allowed = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _text(name: str) -> str:
    return (_STATIC / name).read_text("utf-8")


@cache
def _script() -> str:
    """Return the page's own script: all files in one scope of their own."""
    return "(() => {\n'use strict';\n" + "\n".join(_text(f"{name}.js") for name in SCRIPTS) + "})();\n"


@cache
def _library() -> str:
    """Return the chart library's script as its Python package brings it, licence included."""
    content = pkgutil.get_data(*_CHARTS)
    if content is None:
        raise FileNotFoundError(f"{_CHARTS[0]} has no {_CHARTS[1]}")
    # An end tag inside the script would end it; none of its strings holds one today.
    return content.decode().replace("</script", "<\\/script")

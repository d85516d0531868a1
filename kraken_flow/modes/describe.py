"""Mode `describe`: every key with its value, its default and its origin, and the graph."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kraken_flow.config.paths import DEFAULTS, GROUPS, SETTINGS
from kraken_flow.config.schema import REQUIRED, fields_of, written
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.core.redact import redact
from kraken_flow.modes import Call, Mode
from kraken_flow.modes.diagram import SIGNATURE, boxes, svg, terminal

_NODES = {"data": "source"}
_WIDE = 110
"""Columns of a terminal from which on the meaning of each key is shown beside it."""


@dataclass(frozen=True)
class Row:
    """One key as it is shown."""

    key: str
    value: str
    default: str
    origin: str
    doc: str


@node
class Describe(Mode):
    """Show every key with its value, default and origin, and draw the graph."""

    needs_origins = True
    svg: str | None = None
    """Where the drawing goes; null: graph.svg in run_dir, else in the working directory."""

    def run(self, call: Call) -> int:
        """Print the keys group by group, then the graph; write the drawing."""
        if call.graph is None:
            raise TypeError("a description needs a graph")
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        for group in [*GROUPS, "run"]:
            rows = list(_settings(call)) if group == "run" else list(_rows(group, call))
            choice = call.choices.get(group)
            title = "keys of the run" if group == "run" else f"{group}={choice or 'null'}"
            if rows:
                console.print(_table(title, rows, console.width >= _WIDE))
            else:
                console.print(title, style="bold", markup=False)
        drawn = boxes(call.graph)
        console.print(terminal(drawn))
        path = self._path(call)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(svg(drawn), "utf-8")
        console.print(f"drawn in {path}", markup=False, soft_wrap=True)
        return 0

    def _path(self, call: Call) -> Path:
        if self.svg is not None:
            return Path(self.svg)
        path = Path(call.cfg.get("run_dir") or ".") / "graph.svg"
        if path.exists() and SIGNATURE not in path.read_text("utf-8", errors="replace"):
            raise UserError(f"mode.svg: {path} is not a drawing of ours; say where to draw with mode.svg=PATH")
        return path


def _table(title: str, rows: list[Row], wide: bool) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("default", overflow="fold", style="dim")
    table.add_column("from", overflow="fold")
    if wide:
        table.add_column("meaning", overflow="fold", style="dim")
    for row in rows:
        cells = [row.key, redact(row.value), "same" if row.default == row.value else row.default, row.origin]
        table.add_row(*map(Text, [*cells, row.doc] if wide else cells))
    return table


def _origin(key: str, call: Call) -> str:
    """Return the file or argument that states a key, or one above or below it; "default" where none does."""
    for other in (key, *(known for known in call.origins if known.startswith(f"{key}."))):
        if other in call.origins:
            return call.origins[other]
    return "default"


def _settings(call: Call) -> Iterator[Row]:
    for key, about in SETTINGS.items():
        yield Row(key, written(call.cfg.get(key)), written(DEFAULTS[key]), _origin(key, call), about)


def _rows(group: str, call: Call) -> Iterator[Row]:
    if group == "pairs":
        yield Row("pairs.names", written(call.graph.pairs if call.graph else ()), "", _origin("pairs.names", call), "")
    elif group == "features":
        for name, feature in (call.graph.features if call.graph else {}).items():
            yield from _node(f"features.{name}", feature, call)
    elif group in call.cfg and group not in {"mode", "report", "experiment"}:
        yield from _node(group, getattr(call.graph, _NODES.get(group, group)), call)


def _node(path: str, value: Any, call: Call) -> Iterator[Row]:
    """Yield a row per leaf below a node, nested ones included."""
    cls = type(value)
    if f"{path}._target_" in call.origins:
        target = f"{cls.__module__}.{cls.__qualname__}"
        yield Row(
            f"{path}._target_", target, target, _origin(f"{path}._target_", call), (cls.__doc__ or "").split("\n")[0]
        )
    for field in fields_of(cls).values():
        item, key = getattr(value, field.name), f"{path}.{field.name}"
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            yield from _node(key, item, call)
        elif isinstance(item, Mapping) and any(dataclasses.is_dataclass(inner) for inner in item.values()):
            for name, inner in item.items():
                yield from _node(f"{key}.{name}", inner, call)
        else:
            default = "must be given" if field.default is REQUIRED else written(field.default)
            yield Row(key, written(item), default, _origin(key, call), field.doc)

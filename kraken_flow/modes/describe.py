"""Mode `describe`: every key with its value, its default and its origin, and the graph."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kraken_flow.config.paths import DEFAULTS, GROUPS, SETTINGS
from kraken_flow.config.schema import REQUIRED, fields_of, written
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.core.redact import redact
from kraken_flow.modes import Call, Mode
from kraken_flow.modes.diagram import SIGNATURE, boxes, svg, terminal
from kraken_flow.runs.console import wide_console
from kraken_flow.runs.options import report_of

_NODES = {"data": "source"}
_WIDE = 150
"""Columns of a terminal from which on the keys are a table; in a narrower one each has lines of its own."""


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

    def drive(self, call: Call) -> int:
        """Print the keys group by group, then the graph; write the drawing."""
        if call.graph is None:
            raise TypeError("a description needs a graph")
        console = wide_console()
        for group in [*GROUPS, "run"]:
            rows = list(_settings(call)) if group == "run" else list(_rows(group, call))
            choice = call.choices.get(group)
            title = "keys of the run" if group == "run" else f"{group}={choice or 'null'}"
            if rows and console.width >= _WIDE:
                console.print(_table(title, rows))
            else:
                console.print(title, style="bold", markup=False)
                for row in rows:
                    console.print(*_lines(row), sep="\n")
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


def _table(title: str, rows: list[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("default", overflow="fold", style="dim")
    table.add_column("from", overflow="fold")
    table.add_column("meaning", overflow="fold", style="dim")
    for row in rows:
        default = "same" if row.default == row.value else row.default
        table.add_row(*map(Text, [row.key, redact(row.value), default, row.origin, row.doc]))
    return table


def _lines(row: Row) -> tuple[Padding, Padding]:
    """Return key and value, and below them the origin, the default where it differs, and the meaning."""
    known = row.default not in {row.value, "must be given", ""}
    said = f"{row.origin}{f' (default {row.default})' * known}{f': {row.doc}' * bool(row.doc)}"
    first = Text.assemble((row.key, "cyan"), " = ", redact(row.value), overflow="fold")
    return Padding(first, (0, 0, 0, 2)), Padding(Text(said, "dim", overflow="fold"), (0, 0, 0, 6))


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
    elif group == "report":
        yield from _node(group, report_of(call.cfg), call)
    elif group in call.cfg and group not in {"mode", "experiment"}:
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

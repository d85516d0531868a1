"""The graph as boxes in layers, drawn in the terminal and as SVG."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from rich.align import Align
from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from kraken_flow.config.schema import fields_of, short, written
from kraken_flow.core.feature import Feature
from kraken_flow.core.graph import Graph
from kraken_flow.core.redact import redact

COLOURS = {
    "data": "#0f766e",
    "feature": "#2563eb",
    "strategy": "#7c3aed",
    "portfolio": "#b45309",
    "risk": "#b91c1c",
    "execution": "#4d7c0f",
    "exchange": "#334155",
}
SIGNATURE = "<!-- graph drawn by kraken_flow -->"
"""Second line of every SVG of ours: only such a file is overwritten unasked."""


@dataclass
class Box:
    """One node: its kind, what is written in it, and the names of the boxes it reads."""

    kind: str
    label: str
    reads: list[str] = field(default_factory=list)
    layer: int = 0


def boxes(graph: Graph) -> dict[str, Box]:
    """Return the graph's boxes by name, each after all that it reads."""
    found: dict[str, Box] = {}
    pairs = ", ".join(graph.pairs) if len(graph.pairs) <= 3 else f"{len(graph.pairs)} pairs"
    _add(found, "data", "data", f"{short(graph.source)}\n{pairs}, {graph.timeframe}", [])
    for feature in graph.features.values():
        _feature(found, feature)
    strategy = _strategy(found, "strategy", graph.strategy)
    sizing = [_feature(found, source) for source in graph.portfolio.features().values()]
    _add(found, "portfolio", "portfolio", short(graph.portfolio), [strategy, *sizing])
    _add(found, "risk", "risk", short(graph.risk), ["portfolio"])
    _add(found, "execution", "execution", short(graph.execution), ["risk"])
    impact = [_feature(found, source) for source in graph.exchange.features().values()]
    account = ", ".join(f"{f}={written(getattr(graph.account, f))}" for f in fields_of(type(graph.account)))
    name = getattr(graph.exchange, "name", type(graph.exchange).__name__)
    _add(found, "exchange", "exchange", f"{name}\n{account}", ["execution", *impact])
    return found


def _add(found: dict[str, Box], name: str, kind: str, label: str, reads: list[str]) -> str:
    layer = 1 + max((found[other].layer for other in reads), default=-1)
    found[name] = Box(kind, redact(label), list(dict.fromkeys(reads)), layer)
    return name


def _feature(found: dict[str, Box], source: Any) -> str:
    """Add a feature and what it reads; equal features are one box, columns of the market are the data."""
    if not isinstance(source, Feature):
        return "data"
    name = short(source)
    if name not in found:
        _add(found, name, "feature", name, [_feature(found, inner) for inner in source.inputs()] or ["data"])
    return name


def _strategy(found: dict[str, Box], name: str, strategy: Any) -> str:
    parts: Mapping[str, Any] = strategy.parts()
    reads = [_feature(found, source) for source in strategy.features().values()]
    reads += [_strategy(found, f"{name}.{part}", inner) for part, inner in parts.items()]
    title = type(strategy).__name__ if parts else short(strategy)
    return _add(found, name, "strategy", title, reads or ["data"])


def _layers(drawn: Mapping[str, Box]) -> list[list[str]]:
    depth = max(box.layer for box in drawn.values())
    return [[name for name, box in drawn.items() if box.layer == layer] for layer in range(depth + 1)]


def _title(name: str, box: Box) -> str:
    return name if box.kind == "strategy" else box.kind


def terminal(drawn: Mapping[str, Box]) -> Group:
    """Return the boxes layer by layer, with arrows between, for a rich console."""
    rows: list[Any] = []
    for layer in _layers(drawn):
        if rows:
            rows.append(Align.center(Text("│\n▼")))
        panels = [
            Panel(
                Text(drawn[name].label),
                title=Text(_title(name, drawn[name])),
                subtitle=Text(f"reads {len(drawn[name].reads)}") if len(drawn[name].reads) > 1 else None,
                border_style=COLOURS[drawn[name].kind],
                expand=False,
            )
            for name in layer
        ]
        rows.append(Align.center(panels[0] if len(panels) == 1 else Columns(panels, expand=False)))
    return Group(*rows)


def svg(drawn: Mapping[str, Box]) -> str:
    """Return the boxes as an SVG image: data at the top, the exchange at the bottom, an arrow per thing read."""
    height, gap_x, gap_y, margin = 56, 24, 56, 24
    widths = {
        name: 24 + 7 * max(len(line) for line in (_title(name, box), *box.label.split("\n")))
        for name, box in drawn.items()
    }
    layers = _layers(drawn)
    spans = [sum(widths[name] for name in layer) + gap_x * (len(layer) - 1) for layer in layers]
    full = max(spans) + 2 * margin
    place: dict[str, tuple[int, int]] = {}
    for row, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        x = (full - span) // 2
        for name in layer:
            place[name] = (x, margin + row * (height + gap_y))
            x += widths[name] + gap_x
    tall = 2 * margin + len(layers) * height + (len(layers) - 1) * gap_y
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {tall}" width="{full}" height="{tall}"'
        ' font-family="ui-monospace, monospace" font-size="11">',
        SIGNATURE,
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#94a3b8"/></marker></defs>',
        f'<rect width="{full}" height="{tall}" fill="#ffffff"/>',
    ]
    for name, box in drawn.items():
        x, y = place[name][0] + widths[name] // 2, place[name][1]
        for other in box.reads:
            from_x, from_y = place[other][0] + widths[other] // 2, place[other][1] + height
            bend = (from_y + y) // 2
            lines.append(
                f'<path d="M{from_x} {from_y}C{from_x} {bend} {x} {bend} {x} {y}" fill="none" stroke="#94a3b8"'
                ' marker-end="url(#tip)"/>'
            )
    for name, box in drawn.items():
        x, y = place[name]
        colour, title = COLOURS[box.kind], _title(name, box)
        lines.append(
            f'<rect x="{x}" y="{y}" width="{widths[name]}" height="{height}" rx="6" fill="#f8fafc" stroke="{colour}"/>'
        )
        lines.append(f'<text x="{x + 12}" y="{y + 17}" fill="{colour}" font-weight="bold">{escape(title)}</text>')
        for number, text in enumerate(box.label.split("\n")):
            lines.append(f'<text x="{x + 12}" y="{y + 33 + 14 * number}" fill="#0f172a">{escape(text)}</text>')
    return "\n".join([*lines, "</svg>", ""])

"""Mode `compare`: in what two past runs differ."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kraken_flow.core.node import node
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.console import print_json, wide_console
from kraken_flow.runs.data_differences import bar_differences, count_differences, data_differences
from kraken_flow.runs.differences import MetricChange, metric_changes, moved, version_changes
from kraken_flow.runs.past import LOGS, PastRun

_FIRST = 5
"""Orders that are shown of each kind."""


@node
class Compare(Mode):
    """Show in what two runs differ: keys, data, metrics, orders."""

    needs_graph = False
    a: str
    """Folder of one run."""
    b: str
    """Folder of the other run."""

    def drive(self, call: Call) -> int:
        """Print the differences, or with report=json write them as JSON."""
        from kraken_flow.modes.rerun import refuse_other

        refuse_other(call, ("mode.a", "mode.b"))
        a, b = PastRun.at("mode.a", self.a), PastRun.at("mode.b", self.b)
        content = differences(a, b)
        if call.choices.get("report") == "json":
            print_json(content)
        else:
            _show(a, b, content)
        return 0


def differences(a: PastRun, b: PastRun) -> dict[str, Any]:
    """Return in what two runs differ, as plain values."""
    from kraken_flow.config.composition import read_yaml
    from kraken_flow.config.differences import changed_keys

    keys = changed_keys(read_yaml(a.config), read_yaml(b.config))
    orders = moved(a.text("orders.log"), b.text("orders.log"))
    return {
        "a": str(a.folder),
        "b": str(b.folder),
        "equal": {of: a.metrics.get(of) == b.metrics.get(of) for of in (*LOGS.values(), "data_sha256")},
        "keys": {key.key: {"a": key.before, "b": key.now} for key in keys},
        "engines": {"a": a.metrics.get("engine"), "b": b.metrics.get("engine")},
        "versions": version_changes(a.manifest.get("versions") or {}, b.manifest.get("versions") or {}),
        "data": [*data_differences(a, b), *bar_differences(a, b)],
        "counts": count_differences(a, b),
        "metrics": {c.name: _metric(c) for c in metric_changes(a.metrics, b.metrics)},
        "orders": {
            "equal": orders.equal,
            "moved": len(orders),
            "changed": [{"a": old, "b": new} for old, new in orders.changed],
            "only_a": list(orders.only_a),
            "only_b": list(orders.only_b),
        },
    }


def _metric(change: MetricChange) -> dict[str, Any]:
    exact = isinstance(change.before, str) or isinstance(change.now, str)
    by = None if change.by is None else f"{change.by:f}" if exact else float(change.by)
    return {"a": change.before, "b": change.now, "difference": by}


def _show(a: PastRun, b: PastRun, found: dict[str, Any]) -> None:
    console = wide_console()
    _line(console, f"a: {found['a']} ({a.mode} of {a.strategy}, engine {found['engines']['a']})")
    _line(console, f"b: {found['b']} ({b.mode} of {b.strategy}, engine {found['engines']['b']})")
    names = {"order_log_sha256": "order log", "ledger_sha256": "ledger", "data_sha256": "data"}
    for of, equal in found["equal"].items():
        _line(console, f"{names[of]:<9} {'equal' if equal else 'differs'}")
    keys = [(key, values["a"], values["b"]) for key, values in found["keys"].items()]
    _table(console, "keys that differ", ("key", "a", "b"), keys)
    for title, lines in (("data that differs", found["data"]), ("versions that differ", found["versions"])):
        if lines:
            _line(console, title)
            for line in lines:
                _line(console, f"  {line}")
    counts = [(name, str(n["a"]), str(n["b"])) for name, n in found["counts"].items()]
    _table(console, "counts that differ", ("count", "a", "b"), counts)
    metrics = [
        (name, _number(m["a"]), _number(m["b"]), "" if m["difference"] is None else _number(m["difference"]))
        for name, m in found["metrics"].items()
    ]
    _table(console, "metrics that moved", ("metric", "a", "b", "difference"), metrics)
    _orders(console, found["orders"])


def _number(value: Any) -> str:
    if value is None:
        return "undefined"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _orders(console: Console, orders: dict[str, Any]) -> None:
    """Print how many order lines moved, and the first few."""
    changed, alone = orders["changed"], {letter: orders[f"only_{letter}"] for letter in "ab"}
    counts = ", ".join(f"{len(lines)} in {letter} alone" for letter, lines in alone.items())
    _line(console, f"order lines: {orders['equal']} equal, {len(changed)} changed, {counts}")
    for pair in changed[:_FIRST]:
        for letter, line in pair.items():
            _line(console, f"  {letter} {line}")
    for letter, lines in alone.items():
        for line in lines[:_FIRST]:
            _line(console, f"  {letter} alone: {line}")
    if max(map(len, (changed, *alone.values()))) > _FIRST:
        _line(console, f"  ({_FIRST} of each kind are shown; report=json has all)")


def _table(console: Console, title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, overflow="fold", justify="left" if number == 0 or head in "ab" else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)

"""Mode `compare`: in what two past runs differ."""

from typing import Any

from rich.console import Console

from kraken_flow.core.node import node
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.comparison import Comparison
from kraken_flow.runs.console import print_json
from kraken_flow.runs.data_differences import bar_differences, count_differences, data_differences
from kraken_flow.runs.differences import (
    MetricChange,
    code_changes,
    first_difference,
    metric_changes,
    moved,
    version_changes,
)
from kraken_flow.runs.figures import MONEY, pattern_of
from kraken_flow.runs.paired import paired_intervals
from kraken_flow.runs.past import LOGS, PastRun
from kraken_flow.runs.trade_differences import trade_differences


@node
class Compare(Mode):
    """Show in what two runs differ: keys, data, code, results, orders, trades."""

    needs_graph = False
    a: str
    """Folder of one run."""
    b: str
    """Folder of the other run."""
    details: bool = False
    """Whether every number that moved, every key and the first orders of each kind are shown."""

    def drive(self, call: Call) -> int:
        """Print the differences, or with report=json write them as JSON."""
        from kraken_flow.modes.rerun import refuse_other

        refuse_other(call, ("mode.a", "mode.b", "mode.details"))
        a, b = PastRun.at("mode.a", self.a), PastRun.at("mode.b", self.b)
        content = differences(a, b)
        if call.choices.get("report") == "json":
            print_json(content)
        else:
            shown = content | {"keys": _in_force(content["keys"], a, b)}
            Comparison(a, b, shown, self.details, Console(highlight=False)).show()
        return 0


def differences(a: PastRun, b: PastRun) -> dict[str, Any]:
    """Return in what two runs differ, as plain values."""
    from kraken_flow.config.composition import read_yaml
    from kraken_flow.config.differences import changed_keys

    keys = changed_keys(read_yaml(a.config), read_yaml(b.config))
    logs = a.text("orders.log"), b.text("orders.log")
    orders, first = moved(*logs), first_difference(*logs)
    return {
        "a": str(a.folder),
        "b": str(b.folder),
        "equal": {of: a.metrics.get(of) == b.metrics.get(of) for of in (*LOGS.values(), "data_sha256")},
        "keys": {key.key: {"a": key.before, "b": key.now} for key in keys},
        "currencies": {"a": a.currency, "b": b.currency},
        "engines": {"a": a.metrics.get("engine"), "b": b.metrics.get("engine")},
        "versions": version_changes(a.manifest.get("versions") or {}, b.manifest.get("versions") or {}),
        "code": code_changes(a.manifest.get("sources") or {}, b.manifest.get("sources") or {}),
        "data": [*data_differences(a, b), *bar_differences(a, b)],
        "counts": count_differences(a, b),
        "metrics": {c.name: _metric(c, a.currency == b.currency) for c in metric_changes(a.metrics, b.metrics)},
        "paired": paired_intervals(a, b),
        "orders": {
            "equal": orders.equal,
            "moved": len(orders),
            "first": None if first is None else {"line": first.line, "a": first.before, "b": first.now},
            "changed": [{"a": old, "b": new} for old, new in orders.changed],
            "only_a": list(orders.only_a),
            "only_b": list(orders.only_b),
        },
        "trades": trade_differences(a, b),
    }


def _in_force(keys: dict[str, dict[str, str]], a: PastRun, b: PastRun) -> dict[str, dict[str, str]]:
    """Return the keys that differ, a null that stands for something with what that is."""
    from kraken_flow.config.composition import read_yaml
    from kraken_flow.config.differences import in_force

    configs = {"a": read_yaml(a.config), "b": read_yaml(b.config)}
    return {key: {run: in_force(configs[run], key, values[run]) for run in configs} for key, values in keys.items()}


def _metric(change: MetricChange, alike: bool) -> dict[str, Any]:
    """Return both values and their difference, None where it is one of money and that is not `alike`."""
    value = change.now if change.before is None else change.before
    if not alike and pattern_of(change.name, value) == MONEY:
        return {"a": change.before, "b": change.now, "difference": None}
    exact = isinstance(change.before, str) or isinstance(change.now, str)
    by = None if change.by is None else f"{change.by:f}" if exact else float(change.by)
    return {"a": change.before, "b": change.now, "difference": by}

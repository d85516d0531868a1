"""What the group `report` sets beside which report is made."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from kraken_flow.core.node import Node, node


@node
class Report(Node):
    """What the report of a run shows."""

    kind: ClassVar[str] = "report"

    crosscheck: Literal["vectorbt"] | None = None
    """A library that is given the run's fills and whose account is compared with ours: vectorbt (an extra), or null."""


def report_of(cfg: Mapping[str, Any]) -> Report:
    """Return the report that a validated configuration asks for."""
    return Report(**{key: value for key, value in (cfg.get("report") or {}).items() if key != "_target_"})

"""What the group `report` sets beside which report is made."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from kraken_flow.core.node import Node, node

Period = Literal["day", "week", "month", "year", "weekday"]


@node
class Report(Node):
    """What the report of a run shows."""

    kind: ClassVar[str] = "report"

    crosscheck: Literal["vectorbt"] | None = None
    """A library that is given the run's fills and whose account is compared with ours: vectorbt (an extra), or null."""
    breakdown: Annotated[tuple[Period, ...], Field(max_length=5)] = ("year",)
    """By what time the console breaks trades down, a table each; [] for none."""


def report_of(cfg: Mapping[str, Any]) -> Report:
    """Return the report that a validated configuration asks for."""
    return Report(**{key: value for key, value in (cfg.get("report") or {}).items() if key != "_target_"})

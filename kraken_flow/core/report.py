"""What is written of a run besides its tables: the keys of the group `report`."""

from typing import ClassVar, Literal

from kraken_flow.core.node import Node, node


@node
class Report(Node):
    """What is written of a run besides its tables."""

    kind: ClassVar[str] = "report"
    crosscheck: Literal["vectorbt"] | None = None
    """A library that is given the run's fills and whose account is compared with ours: vectorbt (an extra), or null."""


TARGET = f"{Report.__module__}.{Report.__qualname__}"
"""The `_target_` that its YAML does not have to name."""

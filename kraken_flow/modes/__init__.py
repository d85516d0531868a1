"""Modes: what can be done with a declared system. A mode is a node; `conf/mode/` names them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kraken_flow.core.graph import Graph
from kraken_flow.core.node import Node, node


@dataclass(frozen=True)
class Call:
    """One call of a mode.

    Parameters
    ----------
    cfg
        The composed configuration: plain dictionaries, lists and scalars.
    overrides
        The arguments as the user typed them, with the flags that say where the configuration is.
    choices
        The option picked per group, None where a group is empty.
    origins
        Where each key of `cfg` comes from, by dotted path; empty unless the mode needs it.
    graph
        The validated graph; None in a mode that needs none.
    begin
        For one run of a sweep: to be called when its data has been read and before anything is written; it makes the
        sweep's folder, in place of an earlier sweep. None for a run of its own.
    """

    cfg: Mapping[str, Any]
    overrides: Sequence[str] = ()
    choices: Mapping[str, str | None] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    graph: Graph | None = None
    begin: Callable[[], None] | None = None

    @property
    def member(self) -> bool:
        """Whether this is one run of a sweep."""
        return self.begin is not None


class Mode(Node):
    """Drives a graph, or shows it."""

    kind: ClassVar[str] = "mode"
    needs_graph: ClassVar[bool] = True
    """Whether the whole configuration has to be valid for this mode to run."""
    needs_origins: ClassVar[bool] = False
    """Whether `Call.origins` has to be filled, which takes as long as composing again."""
    sweeps: ClassVar[bool] = False
    """Whether -m may run many of it: each leaves a run, and the leaderboard compares them."""

    def run(self, call: Call) -> int:
        """Do it; return the exit code. Raises `UserError` and `CheckFailed`."""
        raise TypeError(f"{type(self).__name__} has no run(call)")


@node
class Backtest(Mode):
    """Run the system over history and write a run directory."""

    sweeps = True

    def run(self, call: Call) -> int:
        """Run once."""
        from kraken_flow.modes.backtest import run  # reads tables, which --help and mode=list do not pay for

        return run(call)

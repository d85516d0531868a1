"""Modes: what can be done with a declared system. A mode is a node; `conf/mode/` names them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar

from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.node import Node, node

FASTEST = 10_000_000
"""Largest multiple of real time; `max` does not wait at all."""


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

    def drive(self, call: Call) -> int:
        """Do it; return the exit code. Raises `UserError` and `CheckFailed`."""
        raise TypeError(f"{type(self).__name__} has no drive(call)")


@node
class Backtest(Mode):
    """Run the system over history and write a run directory."""

    sweeps = True

    def drive(self, call: Call) -> int:
        """Run once."""
        from kraken_flow.modes.backtest import run  # reads tables, which --help and mode=list do not pay for

        return run(call)


@node
class Replay(Mode):
    """Run the system event by event: over history, or over the journal of an earlier session."""

    run: str | None = None
    """Folder of a paper session whose journal is the tape; null: the data of the configuration."""

    def drive(self, call: Call) -> int:
        """Replay once."""
        from kraken_flow.modes.replay import drive

        return drive(call, self.run)


@node
class Paper(Mode):
    """Trade a tape with simulated fills, instant by instant, with a journal that a restart continues."""

    speed: str | None = None
    """How fast time goes: `max`, or a multiple of real time as in 1x and 60x; null: max where the tape has an end."""

    def __post_init__(self) -> None:
        """Refuse what is no speed."""
        factor(self.speed)

    def drive(self, call: Call) -> int:
        """Trade until the tape ends or somebody interrupts."""
        from kraken_flow.modes.paper import drive

        return drive(call, factor(self.speed))


def factor(speed: str | None) -> float | None:
    """Return how many seconds of the tape pass in one of real time: infinity for max, None where nothing is said."""
    if speed is None:
        return None
    if speed == "max":
        return inf
    number = re.fullmatch(r"(\d+(\.\d+)?|\.\d+)x", speed)
    if number is None or not 0 < float(number[1]) <= FASTEST:
        raise UserError(f"mode.speed={speed}: must be max, or a multiple of real time up to {FASTEST:,}x, as in 60x")
    return float(number[1])

"""A crisis as configuration: when it was, who says so, and what it did to each asset."""

from typing import Annotated

import annotated_types
import numpy as np
from pydantic import Field

from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import split_pair
from kraken_flow.core.node import Reserve, node
from kraken_flow.core.times import parse_time
from kraken_flow.core.units import FloatArray

Shock = Annotated[float, annotated_types.Ge(-1), annotated_types.Le(100)]
"""A move as a fraction: -0.52 is a fall by 52 %."""


@node
class Scenario:
    """One crisis. Stored bars from `start` to `end` are used for the pairs that have them, else the figures here."""

    date: str
    """When it was, or a date for what never was."""
    source: str
    """Who says so."""
    shocks: dict[str, Shock] = Field(default_factory=dict)
    """Move of each asset, by its name: BTC: -0.52."""
    path: dict[str, list[Shock]] = Field(default_factory=dict)
    """Moves of each asset from the start, step by step; all lists are equally long. Goes before `shocks`."""
    others: Shock | None = None
    """Move of every asset that is not named; null: that of BTC, or 0 where that is not named either."""
    start: str | None = None
    """Open of the first bar to use where bars are stored."""
    end: str | None = None
    """Open of the first bar after the crisis."""
    quote: Annotated[float, annotated_types.Ge(-1), annotated_types.Le(0)] = 0.0
    """Move of the quote currency, cash included: a stablecoin that loses its peg, a venue that does not pay."""
    correlation: Annotated[float, annotated_types.Ge(0), annotated_types.Le(1)] | None = None
    """How far correlations move toward 1; the loss is then the one-day value at risk at 99 %, and no price moves."""
    blocks: bool = True
    """Whether `mode.max_loss` holds for it; else it is only reported."""
    exit_cost: Reserve = 0.0
    """Share of the positions that it costs to leave them."""

    def check(self, key: str) -> None:
        """Refuse what is no date, has one side, differs in length or moves nothing; `key` is the scenario's own."""
        parse_time(self.date, f"{key}.date")
        if (self.start is None) != (self.end is None):
            raise UserError(f"{key}: start and end: give both or none")
        if self.start is not None and self.end is not None:
            start, end = parse_time(self.start, f"{key}.start"), parse_time(self.end, f"{key}.end")
            if start >= end:
                raise UserError(f"{key}.start={self.start}: must be before end={self.end}")
        if len({len(steps) for steps in self.path.values()}) > 1:
            raise UserError(f"{key}.path: all lists must be equally long")
        if any(not steps for steps in self.path.values()):
            raise UserError(f"{key}.path: a list is empty")
        if not self._shocked and self.correlation is None and not self.exit_cost:
            raise UserError(
                f"{key}: moves nothing; give shocks, path, others, quote, correlation or exit_cost, or start and end "
                "where bars are stored"
            )

    @property
    def moves_correlations(self) -> bool:
        """Whether correlations move, and nothing else."""
        return self.correlation is not None and not self._shocked

    @property
    def steps(self) -> int:
        """Number of steps of the figures."""
        return max((len(steps) for steps in self.path.values()), default=1)

    def quoted(self, pair: str) -> FloatArray:
        """Return a pair's moves from the figures, float64 of shape (steps,)."""
        asset = split_pair(pair)[0]
        if asset in self.path:
            return np.array(self.path[asset], np.float64)
        known = self.shocks.get(asset, self.others)
        if known is None:
            known = self.shocks.get("BTC", 0.0)
        # An instantaneous shock beside a path is there from its last step on: it comes with the worst.
        result = np.zeros(self.steps)
        result[-1:] = known
        return result

    @property
    def _shocked(self) -> bool:
        return bool(self.shocks or self.path or self.others is not None or self.start is not None or self.quote)

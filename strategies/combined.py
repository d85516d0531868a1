"""Pool strategies."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from kraken_flow.core import Forecast, NonNegative, Strategy, node
from kraken_flow.core.units import FloatArray
from strategies.donchian_breakout import DonchianBreakout
from strategies.mean_reversion import MeanReversion
from strategies.sma_cross import SmaCross


def default_members() -> dict[str, Strategy]:
    """Return the strategies that are pooled unless others are named."""
    return {
        "sma_cross": SmaCross(),
        "mean_reversion": MeanReversion(),
        "donchian_breakout": DonchianBreakout(),
    }


@node
class Combined(Strategy):
    """A linear pool: the mean of what its members hold, by weight and confidence.

    The forecast is sum(weight x confidence x forecast) / sum(weight), so a member in doubt makes the pool smaller, not
    the others larger. Each member holds its own forecast between the rows on which it says something.
    """

    members: dict[str, Strategy] = Field(default_factory=default_members)
    """The strategies to pool, by name."""
    weights: dict[str, NonNegative[float]] = Field(default_factory=dict)
    """Weight of each member; a member without one weighs 1."""

    @model_validator(mode="after")
    def weighted(self) -> Self:
        """Refuse weights of strangers, and a pool in which nothing weighs."""
        strangers = sorted(set(self.weights) - set(self.members))
        if strangers:
            raise ValueError(f"weights name {', '.join(strangers)}; the members are {', '.join(sorted(self.members))}")
        if not sum(self.weight(name) for name in self.members) > 0:
            raise ValueError("no member has a weight above 0")
        return self

    def weight(self, name: str) -> float:
        """Return a member's weight."""
        return self.weights.get(name, 1.0)

    def parts(self) -> Mapping[str, Strategy]:
        """Return the members."""
        return self.members

    def forecast(self, f: Any) -> Forecast:
        """Return the weighted mean of the members' held forecasts, added up in the order of their names."""
        names = sorted(self.members)
        pooled: FloatArray = sum(self.weight(n) * getattr(f, n).confidence * getattr(f, n).value for n in names)
        return pooled / sum(self.weight(n) for n in names)

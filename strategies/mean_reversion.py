"""Fade extremes."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from kraken_flow.core import Forecast, NonNegative, Positive, Source, Strategy, nan, node, where
from kraken_flow.features import ZScore
from kraken_flow.features.volatility import Sample


@node
class MeanReversion(Strategy):
    """Buy a close far below its rolling mean, sell one far above it, and leave when it is back near the mean."""

    window: Sample = 60
    """Bars of the rolling mean and deviation."""
    entry: Positive[float] = 2.0
    """Distance from the mean, in deviations, at which to enter."""
    exit: NonNegative[float] = 0.5
    """Distance at which to leave."""

    @model_validator(mode="after")
    def ordered(self) -> Self:
        """Refuse an exit that is not nearer to the mean than the entry."""
        if self.exit >= self.entry:
            raise ValueError(f"exit ({self.exit:g}) must be below entry ({self.entry:g})")
        return self

    def features(self) -> Mapping[str, Source]:
        """Return the z-score of the close."""
        return {"z": ZScore("close", self.window)}

    def forecast(self, f: Any) -> Forecast:
        """Return 1 below -entry, -1 above entry, 0 within exit, NaN between."""
        inside = where(abs(f.z) < self.exit, 0.0, nan)
        return where(f.z < -self.entry, 1.0, where(f.z > self.entry, -1.0, inside))

"""Follow the crossing of two moving averages."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from numpy import maximum
from pydantic import model_validator

from kraken_flow.core import Forecast, Source, Strategy, Window, nan, node, where
from kraken_flow.features import Cross, Sma


@node
class SmaCross(Strategy):
    """Enter when the fast average crosses above the slow one, leave (or reverse) when it crosses below.

    It acts on crossings only: with the fast average already above at the first bar it stays out until the next one.
    """

    fast: Window = 10
    """Bars in the fast average."""
    slow: Window = 30
    """Bars in the slow average."""
    side: Literal["long", "both"] = "long"
    """Whether a crossing below closes the position (`long`) or reverses it (`both`)."""

    @model_validator(mode="after")
    def ordered(self) -> Self:
        """Refuse a fast average that is not faster."""
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) must be below slow ({self.slow})")
        return self

    def features(self) -> Mapping[str, Source]:
        """Return the crossings of the averages of the close."""
        return {"cross": Cross(Sma("close", self.fast), Sma("close", self.slow))}

    def forecast(self, f: Any) -> Forecast:
        """Return 1 at a crossing above, 0 or -1 at one below, NaN between."""
        return where(f.cross == 0, nan, f.cross if self.side == "both" else maximum(f.cross, 0.0))

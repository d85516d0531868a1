"""Follow breakouts from a price channel."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from kraken_flow.core import Forecast, Source, Strategy, Window, nan, node, where
from kraken_flow.features import Donchian


@node
class DonchianBreakout(Strategy):
    """Buy a close above the highest high of the bars before it.

    With `side=long` a close below the lowest low of a shorter channel ends the position; with `side=both` a close below
    the lowest low of the entry channel reverses it.
    """

    entry: Window = 48
    """Bars in the channel whose breakout is followed."""
    exit: Window = 24
    """Bars in the channel that ends a long position; used with `side=long`."""
    side: Literal["long", "both"] = "long"
    """Long and flat, or long and short."""

    @model_validator(mode="after")
    def ordered(self) -> Self:
        """Refuse an exit channel that is longer than the entry channel."""
        if self.exit > self.entry:
            raise ValueError(f"exit ({self.exit}) must not be above entry ({self.entry})")
        return self

    def features(self) -> Mapping[str, Source]:
        """Return the close and both channels."""
        left = Donchian(self.exit if self.side == "long" else self.entry)
        return {"close": "close", "broken": Donchian(self.entry), "left": left}

    def forecast(self, f: Any) -> Forecast:
        """Return 1 on a breakout above, 0 or -1 on one below, NaN between."""
        below = -1.0 if self.side == "both" else 0.0
        return where(f.close > f.broken.upper, 1.0, where(f.close < f.left.lower, below, nan))

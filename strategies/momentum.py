"""Follow what has been moving."""

from collections.abc import Mapping
from typing import Any, Literal

from kraken_flow.core import Forecast, NonNegative, Source, Strategy, Window, nan, node, where
from kraken_flow.features import Rank, Roc


@node
class Momentum(Strategy):
    """Hold in the direction of the rate of change, each pair by itself or compared with the others."""

    window: Window = 48
    """Bars over which the change is taken."""
    threshold: NonNegative[float] = 2.0
    """Change in percent that makes a trend; within it a position is given up. Used where `ranked` is off."""
    ranked: bool = False
    """Compare pairs instead: hold the strongest, against the weakest. It takes at least two pairs."""
    share: Literal["half", "third", "quarter"] = "third"
    """How much of the ranking counts as strongest, and as weakest. Used where `ranked` is on."""
    side: Literal["long", "both"] = "both"
    """Whether weakness is sold short (`both`) or left alone (`long`)."""

    def features(self) -> Mapping[str, Source]:
        """Return the rate of change of the close, ranked across pairs if so wished."""
        change = Roc("close", self.window)
        return {"strength": Rank(change, centred=True) if self.ranked else change}

    def forecast(self, f: Any) -> Forecast:
        """Return 1 for strength, -1 (or 0) for weakness, 0 between, NaN where it is unknown."""
        level = {"half": 0.0, "third": 1 / 3, "quarter": 0.5}[self.share] if self.ranked else self.threshold
        weak = -1.0 if self.side == "both" else 0.0
        between = where(abs(f.strength) <= level, 0.0, nan)
        return where(f.strength > level, 1.0, where(f.strength < -level, weak, between))

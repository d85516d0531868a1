"""Dispersion of the last bars: rolling deviation, z-score, Bollinger bands, z-score of volume."""

from typing import ClassVar, Literal

from kraken_flow.core.feature import Feature, Source, State
from kraken_flow.core.logarithm import ln
from kraken_flow.core.node import Positive, node
from kraken_flow.core.strategy import nan
from kraken_flow.features.volatility import Moments, Sample


class StdState:
    """The moments of a window, read as a deviation."""

    __slots__ = ("moments", "scale")

    def __init__(self, window: int, ddof: int) -> None:
        self.moments = Moments(window)
        self.scale = 1.0 / (window - ddof)

    def update(self, x: float) -> float:
        """Take one value; return the deviation of the window, NaN before it is full."""
        return self.moments.deviation(self.scale) if self.moments.add(x) else nan


@node
class RollingStd(Feature):
    """Standard deviation of the last `window` values; first valid at index window - 1, 0 where all are equal."""

    kernel = "std"

    source: Source = "close"
    """What to measure."""
    window: Sample = 20
    """Bars in the sample."""
    ddof: Literal[0, 1] = 1
    """1 for the sample deviation, 0 for the population's (as TA-Lib)."""

    def state(self) -> State:
        """Return an empty window."""
        return StdState(self.window, self.ddof)

    def parameters(self) -> tuple[float, ...]:
        """Return window and ddof."""
        return (self.window, self.ddof)

    @property
    def warmup(self) -> int:
        """Bars before the first full window."""
        return self.window - 1


class ZScoreState:
    """The moments of a window, read as the newest value's distance from the mean."""

    __slots__ = ("moments", "scale")

    def __init__(self, window: int) -> None:
        self.moments = Moments(window)
        self.scale = 1.0 / (window - 1)

    def update(self, x: float) -> float:
        """Take one value; return its z-score, 0 where the deviation is 0, NaN before the window is full."""
        if not self.moments.add(x):
            return nan
        deviation = self.moments.deviation(self.scale)
        return self.moments.distance(x) / deviation if deviation > 0.0 else 0.0


@node
class ZScore(Feature):
    """Distance from the mean of the last `window` values in sample deviations (ddof 1); 0 in a flat market."""

    kernel = "zscore"

    source: Source = "close"
    """What to measure."""
    window: Sample = 20
    """Bars in the sample, the current one included."""

    def state(self) -> State:
        """Return an empty window."""
        return ZScoreState(self.window)

    def parameters(self) -> tuple[float, ...]:
        """Return the window."""
        return (self.window,)

    @property
    def warmup(self) -> int:
        """Bars before the first full window."""
        return self.window - 1


class VolumeZState(ZScoreState):
    """The z-score of ln(volume) over the bars that traded."""

    __slots__ = ()

    def update(self, x: float) -> float:
        """Take one volume; NaN for a bar without trades, which leaves the window as it is."""
        return super().update(ln(x)) if x > 0.0 else nan


@node
class VolumeZ(Feature):
    """z-score of log volume over the last `window` bars with trades (ddof 1).

    A bar without trades has no log volume: its output is NaN and it takes no place in the window.
    """

    kernel = "volume_z"

    window: Sample = 20
    """Bars in the sample, the current one included."""

    def inputs(self) -> tuple[Source, ...]:
        """Return the volume."""
        return ("volume",)

    def state(self) -> State:
        """Return an empty window."""
        return VolumeZState(self.window)

    def parameters(self) -> tuple[float, ...]:
        """Return the window."""
        return (self.window,)

    @property
    def warmup(self) -> int:
        """Bars before the first full window."""
        return self.window - 1


class BollingerState:
    """The moments of a window, read as a band."""

    __slots__ = ("deviations", "moments", "scale")

    def __init__(self, window: int, deviations: float) -> None:
        self.moments = Moments(window)
        self.scale = 1.0 / window
        self.deviations = deviations

    def update(self, x: float) -> tuple[float, float, float]:
        """Take one value; return upper, middle and lower line, NaN before the window is full."""
        if not self.moments.add(x):
            return (nan, nan, nan)
        middle = self.moments.mean()
        distance = self.deviations * self.moments.deviation(self.scale)
        return (middle + distance, middle, middle - distance)


@node
class Bollinger(Feature):
    """Bollinger bands: the mean of the last `window` values and `deviations` population deviations to either side.

    Outputs upper, middle, lower; first valid at index window - 1; the lines coincide in a flat market.
    """

    kernel = "bollinger"
    names: ClassVar[tuple[str, ...]] = ("upper", "middle", "lower")

    source: Source = "close"
    """What to measure."""
    window: Sample = 20
    """Bars in the sample, the current one included."""
    deviations: Positive[float] = 2.0
    """Distance of the bands from the mean, in deviations."""

    def state(self) -> State:
        """Return an empty window."""
        return BollingerState(self.window, self.deviations)

    def parameters(self) -> tuple[float, ...]:
        """Return window and width."""
        return (self.window, self.deviations)

    @property
    def warmup(self) -> int:
        """Bars before the first full window."""
        return self.window - 1

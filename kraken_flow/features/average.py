"""Moving averages: SMA, EMA and Wilder's RMA."""

from collections import deque

from kraken_flow.core.feature import Feature, Source, State, Window, recursive_warmup
from kraken_flow.core.node import node
from kraken_flow.core.strategy import nan


class SmaState:
    """A running sum: add the new bar, take off the one that leaves."""

    __slots__ = ("bars", "total", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.bars: deque[float] = deque()
        self.total = 0.0

    def update(self, x: float) -> float:
        """Take one value; return the mean of the last `window`, NaN before that many."""
        self.total += x
        self.bars.append(x)
        if len(self.bars) > self.window:
            self.total -= self.bars.popleft()
        return self.total / self.window if len(self.bars) == self.window else nan


@node
class Sma(Feature):
    """Simple moving average: the mean of the last `window` bars; first valid at index window - 1.

    Examples
    --------
    >>> state = Sma("close", 3).state()
    >>> [state.update(x) for x in (1.0, 2.0, 3.0, 4.0)]
    [nan, nan, 2.0, 3.0]
    """

    kernel = "sma"

    source: Source = "close"
    """What to average."""
    window: Window = 20
    """Bars in the average."""

    def state(self) -> State:
        """Return a fresh running sum."""
        return SmaState(self.window)

    def parameters(self) -> tuple[float, ...]:
        """Return the window."""
        return (self.window,)

    @property
    def warmup(self) -> int:
        """Bars before the first full window."""
        return self.window - 1


class FilterState:
    """y = (1 - alpha) y + alpha x, seeded with the mean of the first `window` values."""

    __slots__ = ("alpha", "keep", "seen", "value", "window")

    def __init__(self, window: int, alpha: float) -> None:
        self.window = window
        self.alpha = alpha
        self.keep = 1.0 - alpha
        self.seen = 0
        self.value = 0.0

    def update(self, x: float) -> float:
        """Take one value; return the filtered one, NaN before the seed."""
        if self.seen >= self.window:
            self.value = self.keep * self.value + self.alpha * x
            return self.value
        self.value += x
        self.seen += 1
        if self.seen < self.window:
            return nan
        self.value /= self.window
        return self.value


@node
class Ema(Feature):
    """Exponential moving average, alpha = 2 / (window + 1), seeded with the SMA at index window - 1.

    Values are given from the seed on; `lookback` declares the bars after which the seed weighs less than 1e-4.
    """

    kernel = "filter"

    source: Source = "close"
    """What to average."""
    window: Window = 20
    """Nominal length in bars."""

    @property
    def alpha(self) -> float:
        """Weight of the newest value."""
        return 2.0 / (self.window + 1)

    def state(self) -> State:
        """Return an unseeded filter."""
        return FilterState(self.window, self.alpha)

    def parameters(self) -> tuple[float, ...]:
        """Return window and weight."""
        return (self.window, self.alpha)

    @property
    def warmup(self) -> int:
        """Bars until the seed is forgotten."""
        return recursive_warmup(self.alpha, self.window - 1)


@node
class Rma(Ema):
    """Wilder's moving average (SMMA): an `Ema` with alpha = 1 / window."""

    window: Window = 14
    """Wilder's length in bars."""

    @property
    def alpha(self) -> float:
        """Weight of the newest value."""
        return 1.0 / self.window

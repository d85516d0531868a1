"""Price channels."""

from collections import deque
from typing import ClassVar

from kraken_flow.core.feature import Feature, Source, State, Window
from kraken_flow.core.node import node
from kraken_flow.core.strategy import nan


class DonchianState:
    """Falling highs and rising lows of the window, so that the extremes are always in front."""

    __slots__ = ("highs", "lows", "row", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.row = 0
        self.highs: deque[tuple[int, float]] = deque()
        self.lows: deque[tuple[int, float]] = deque()

    def update(self, high: float, low: float) -> tuple[float, float]:
        """Take one bar; return highest high and lowest low of the `window` bars before it."""
        row = self.row
        self.row += 1
        upper = lower = nan
        if row >= self.window:
            while self.highs[0][0] < row - self.window:
                self.highs.popleft()
            while self.lows[0][0] < row - self.window:
                self.lows.popleft()
            upper, lower = self.highs[0][1], self.lows[0][1]
        while self.highs and self.highs[-1][1] <= high:
            self.highs.pop()
        while self.lows and self.lows[-1][1] >= low:
            self.lows.pop()
        self.highs.append((row, high))
        self.lows.append((row, low))
        return (upper, lower)


@node
class Donchian(Feature):
    """Donchian channel of the previous window: highest high and lowest low of the `window` bars before this one.

    The current bar is left out: a close can be above the upper line, which a channel that includes it forbids.
    Outputs upper, lower; first valid at index window.
    """

    kernel = "donchian"
    names: ClassVar[tuple[str, ...]] = ("upper", "lower")

    window: Window = 20
    """Bars in the channel."""

    def inputs(self) -> tuple[Source, ...]:
        """Return high and low."""
        return ("high", "low")

    def state(self) -> State:
        """Return a state without bars."""
        return DonchianState(self.window)

    def parameters(self) -> tuple[float, ...]:
        """Return the window."""
        return (self.window,)

    @property
    def warmup(self) -> int:
        """Bars before the first full channel."""
        return self.window

"""Rolling dispersion, and the volatility the account half sizes by."""

import math
from collections import deque
from typing import Annotated, ClassVar, Literal

import annotated_types

from kraken_flow.core.feature import MOST_BARS, Feature, Source, State
from kraken_flow.core.logarithm import ln
from kraken_flow.core.node import node

Sample = Annotated[int, annotated_types.Ge(2), annotated_types.Le(MOST_BARS)]
"""A number of bars from which a spread can be estimated: at least 2."""

ANCHOR_EVERY = 8
"""Windows between two recomputations of the running moments, which keep rounding from piling up."""


class Moments:
    """Mean and sum of squared deviations of the last `window` values, updated in constant time.

    The update is Welford's for a window that slides: with d = new - old, mean += d / window and
    squares += d ((new - mean after) + (old - mean before)). All values are taken as distances from `base`, a bar of the
    window at the last recomputation, so that digits are not lost at a high price. A window of equal values has squares
    of exactly 0.
    """

    __slots__ = ("age", "bars", "base", "equal", "inverse", "last", "offset", "squares", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.inverse = 1.0 / window
        self.bars: deque[float] = deque()
        self.base = 0.0
        self.offset = 0.0
        self.squares = 0.0
        self.age = 0
        self.last = 0.0
        self.equal = 0

    def add(self, x: float) -> bool:
        """Take one value; return whether the window is full."""
        self.equal = self.equal + 1 if x == self.last else 1
        self.last = x
        self.bars.append(x)
        if len(self.bars) < self.window:
            return False
        self.age -= 1
        if self.age < 0:
            if len(self.bars) > self.window:
                self.bars.popleft()
            self.anchor()
        else:
            old = self.bars.popleft()
            change = x - old
            before = self.offset
            self.offset += change * self.inverse
            self.squares += change * (((x - self.base) - self.offset) + ((old - self.base) - before))
        return True

    def anchor(self) -> None:
        """Recompute the moments from the bars of the window, oldest first."""
        self.age = ANCHOR_EVERY * self.window - 1
        self.base = self.bars[0]
        total = 0.0
        for x in self.bars:
            total += x - self.base
        self.offset = total * self.inverse
        total = 0.0
        for x in self.bars:
            distance = (x - self.base) - self.offset
            total += distance * distance
        self.squares = total

    def mean(self) -> float:
        """Return the mean."""
        return self.base + self.offset

    def distance(self, x: float) -> float:
        """Return x less the mean."""
        return (x - self.base) - self.offset

    def deviation(self, scale: float) -> float:
        """Return sqrt(squares x scale), 0 for a window of equal values."""
        if self.equal >= self.window or not self.squares > 0.0:
            return 0.0
        return math.sqrt(self.squares * scale)


class LogReturnStdState:
    """The last close and the moments of the log returns."""

    __slots__ = ("before", "moments", "scale")

    def __init__(self, window: int, ddof: int) -> None:
        self.before = 0.0
        self.moments = Moments(window)
        self.scale = 1.0 / (window - ddof)

    def update(self, x: float) -> float:
        """Take one price; return the deviation of the last `window` log returns, NaN before that many."""
        before, self.before = self.before, x
        if before <= 0.0 or x <= 0.0:
            return math.nan
        return self.moments.deviation(self.scale) if self.moments.add(ln(x / before)) else math.nan


@node
class LogReturnStd(Feature):
    """Close-to-close volatility: the standard deviation of the last `window` log returns, per bar, not annualised.

    First valid at index window; 0 in a flat market.
    """

    kernel = "log_return_std"
    reads_units: ClassVar[bool] = True

    window: Sample = 20
    """Returns in the sample."""
    ddof: Literal[0, 1] = 1
    """1 for the sample deviation, 0 for the population's."""
    source: Source = "close"
    """Price whose returns are taken."""

    def state(self) -> State:
        """Return a state without a price."""
        return LogReturnStdState(self.window, self.ddof)

    def parameters(self) -> tuple[float, ...]:
        """Return window and ddof."""
        return (self.window, self.ddof)

    @property
    def warmup(self) -> int:
        """One price before the first return of the window."""
        return self.window

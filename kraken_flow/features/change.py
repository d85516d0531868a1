"""Changes over some bars: returns and rate of change."""

from collections import deque
from typing import Literal

from kraken_flow.core.feature import Feature, Source, State, Window
from kraken_flow.core.logarithm import ln
from kraken_flow.core.node import node
from kraken_flow.core.strategy import nan


class ChangeState:
    """The last `bars` values and what to make of the newest over the oldest."""

    __slots__ = ("bars", "log", "percent", "values")

    def __init__(self, bars: int, log: bool, percent: bool) -> None:
        self.bars = bars
        self.log = log
        self.percent = percent
        self.values: deque[float] = deque()

    def update(self, x: float) -> float:
        """Take one value; return its change over `bars` bars, NaN before that many and where it has no ratio."""
        self.values.append(x)
        if len(self.values) <= self.bars:
            return nan
        before = self.values.popleft()
        if self.log:
            return ln(x / before) if x > 0.0 and before > 0.0 else nan
        if before == 0.0:
            return nan
        change = x / before - 1.0
        return 100.0 * change if self.percent else change


@node
class Returns(Feature):
    """Return over `bars` bars: ln(x / x before), or x / x before - 1; first valid at index bars."""

    kernel = "change"

    source: Source = "close"
    """Whose return is taken."""
    bars: Window = 1
    """Bars over which it is taken."""
    form: Literal["log", "simple"] = "log"
    """Log returns add up over time; simple ones are what a position earns."""

    def state(self) -> State:
        """Return a state without values."""
        return ChangeState(self.bars, self.form == "log", False)

    def parameters(self) -> tuple[float, ...]:
        """Return the bars and the form."""
        return (self.bars, 1.0 if self.form == "log" else 0.0, 0.0)

    @property
    def warmup(self) -> int:
        """Bars before the first value to compare with."""
        return self.bars


@node
class Roc(Feature):
    """Rate of change in percent: 100 (x / x `window` bars before - 1); first valid at index window."""

    kernel = "change"

    source: Source = "close"
    """Whose change is taken."""
    window: Window = 10
    """Bars over which it is taken."""

    def state(self) -> State:
        """Return a state without values."""
        return ChangeState(self.window, False, True)

    def parameters(self) -> tuple[float, ...]:
        """Return the bars and the form."""
        return (self.window, 0.0, 1.0)

    @property
    def warmup(self) -> int:
        """Bars before the first value to compare with."""
        return self.window

"""Crossings of two lines."""

from kraken_flow.core.feature import Feature, Fused, Source, State
from kraken_flow.core.node import node
from kraken_flow.core.strategy import nan
from kraken_flow.features.average import Sma


class CrossState:
    """The side of the last unequal row."""

    __slots__ = ("sign",)

    def __init__(self) -> None:
        self.sign = 2

    def update(self, fast: float, slow: float) -> float:
        """Take both lines; return +1 or -1 on the row of a crossing, else 0; NaN on the first row."""
        now = 1 if fast > slow else -1 if fast < slow else 0
        if self.sign == 2:
            self.sign = now
            return nan
        if now == 0 or now == self.sign:
            return 0.0
        self.sign = now
        return float(now)


@node
class Cross(Feature):
    """Crossings of `fast` over `slow`: +1 where it rises above, -1 where it falls below, else 0.

    Equal rows change nothing: the side before them is kept. The first row where both lines are known has no side
    before it and is never a crossing: it is NaN.
    """

    kernel = "cross"
    levels = (0.0, 1.0, -1.0)

    fast: Source
    """The line that crosses."""
    slow: Source
    """The line that is crossed."""

    def inputs(self) -> tuple[Source, ...]:
        """Return both lines."""
        return (self.fast, self.slow)

    def state(self) -> State:
        """Return a state without a side."""
        return CrossState()

    def fused(self) -> Fused | None:
        """Return the one-pass kernel for two simple averages of the same column."""
        fast, slow = self.fast, self.slow
        if not (isinstance(fast, Sma) and isinstance(slow, Sma)):
            return None
        if fast.kernel == slow.kernel == Sma.kernel and fast.source == slow.source:
            return "sma_cross", (fast.window, slow.window), (fast.source,)
        return None

    @property
    def warmup(self) -> int:
        """One bar: the side before."""
        return 1

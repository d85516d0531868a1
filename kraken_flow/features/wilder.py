"""Wilder's RSI and ATR."""

from kraken_flow.core.feature import Feature, Source, State, Window, recursive_warmup
from kraken_flow.core.node import node
from kraken_flow.core.strategy import nan


class RsiState:
    """Wilder averages of gains and losses, seeded with the mean of the first `window`."""

    __slots__ = ("alpha", "before", "gain", "keep", "loss", "seen", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.alpha = 1.0 / window
        self.keep = 1.0 - self.alpha
        self.before = 0.0
        self.gain = 0.0
        self.loss = 0.0
        self.seen = -1

    def update(self, x: float) -> float:
        """Take one price; return the RSI, NaN before `window` changes, 50 where nothing moved."""
        change = x - self.before
        self.before = x
        self.seen += 1
        if self.seen == 0:
            return nan
        up = change if change > 0.0 else 0.0
        down = -change if change < 0.0 else 0.0
        if self.seen > self.window:
            self.gain = self.keep * self.gain + self.alpha * up
            self.loss = self.keep * self.loss + self.alpha * down
        else:
            self.gain += up
            self.loss += down
            if self.seen < self.window:
                return nan
            self.gain *= self.alpha
            self.loss *= self.alpha
        both = self.gain + self.loss
        return 100.0 * self.gain / both if both > 0.0 else 50.0


@node
class Rsi(Feature):
    """Wilder's relative strength index in [0, 100]; first valid at index window, 50 where nothing moved."""

    kernel = "rsi"

    window: Window = 14
    """Wilder's length in bars."""
    source: Source = "close"
    """What to measure."""

    def state(self) -> State:
        """Return a state without a price."""
        return RsiState(self.window)

    def parameters(self) -> tuple[float, ...]:
        """Return the window."""
        return (self.window,)

    @property
    def warmup(self) -> int:
        """Bars until the seed is forgotten."""
        return recursive_warmup(1.0 / self.window, self.window)


class AtrState:
    """Wilder average of the true range, two bars to a step: y2 = keep^2 y0 + (keep u1 + u2), u = alpha TR."""

    __slots__ = ("alpha", "anchor", "before", "first", "keep", "keep2", "odd", "seen", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.alpha = 1.0 / window
        self.keep = 1.0 - self.alpha
        self.keep2 = self.keep * self.keep
        self.before = 0.0
        self.anchor = 0.0
        self.first = 0.0
        self.odd = False
        self.seen = -1

    def update(self, high: float, low: float, close: float) -> float:
        """Take one bar; return the ATR, NaN before `window` true ranges (the first bar has none)."""
        top = high if high > self.before else self.before
        bottom = low if low < self.before else self.before
        true_range = top - bottom
        self.before = close
        self.seen += 1
        if self.seen == 0:
            return nan
        if self.seen <= self.window:
            self.anchor += true_range
            if self.seen < self.window:
                return nan
            self.anchor *= self.alpha
            return self.anchor
        step = self.alpha * true_range
        self.odd = not self.odd
        if self.odd:
            self.first = step
            return self.keep * self.anchor + step
        self.anchor = self.keep2 * self.anchor + (self.keep * self.first + step)
        return self.anchor


@node
class Atr(Feature):
    """Wilder's average true range, in price units; first valid at index window, 0 in a flat market."""

    kernel = "atr"

    window: Window = 14
    """Wilder's length in bars."""

    def inputs(self) -> tuple[Source, ...]:
        """Return high, low and close."""
        return ("high", "low", "close")

    def state(self) -> State:
        """Return a state without a close."""
        return AtrState(self.window)

    def parameters(self) -> tuple[float, ...]:
        """Return the window."""
        return (self.window,)

    @property
    def warmup(self) -> int:
        """Bars until the seed is forgotten."""
        return recursive_warmup(1.0 / self.window, self.window)

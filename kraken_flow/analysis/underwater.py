"""How deep and how long an account stood below its highest equity: episodes, ulcer, pain."""

import math
from dataclasses import dataclass

import numpy as np

from kraken_flow.analysis.returns import Value
from kraken_flow.core.units import FloatArray


@dataclass(frozen=True)
class Episode:
    """One stretch below the highest equity so far.

    Parameters: `first` its first row below; `trough` the row of the deepest point; `last` its last row below;
    `depth` the drawdown there, negative; `recovered` whether the row after `last` is back at the top.
    """

    first: int
    trough: int
    last: int
    depth: float
    recovered: bool

    @property
    def rows(self) -> int:
        """Rows below."""
        return self.last - self.first + 1


def _spans(depths: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first rows of all stretches below, and the rows after their last."""
    below = np.zeros(len(depths) + 2, np.int8)
    np.less(depths, 0.0, out=below[1:-1].view(np.bool_))
    change = np.diff(below)
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1)


def episodes(depths: FloatArray, most: int = 10) -> list[Episode]:
    """Return the deepest stretches below the top, deepest first; of equally deep ones the earlier first.

    Parameters: `depths` float64 of shape (n,) as `returns.drawdowns` gives them, 0 at the top.
    """
    starts, stops = _spans(depths)
    if len(starts) == 0:
        return []
    # Between two stretches all is 0: what is reduced from one start to the next has the same minimum.
    deepest = np.minimum.reduceat(depths, starts)
    found = []
    for i in np.argsort(deepest, kind="stable")[:most].tolist():
        first, stop = int(starts[i]), int(stops[i])
        trough = first + int(depths[first:stop].argmin())
        found.append(Episode(first, trough, stop - 1, float(deepest[i]), stop < len(depths)))
    return found


def longest_underwater(depths: FloatArray) -> tuple[int, bool]:
    """Return the rows of the longest stretch below the top, and whether it is still open at the end."""
    starts, stops = _spans(depths)
    if len(starts) == 0:
        return 0, False
    lengths = stops - starts
    longest = int(lengths.argmax())
    return int(lengths[longest]), int(stops[longest]) == len(depths)


def ulcer(depths: FloatArray) -> Value:
    """Return the root mean square of the drawdowns, the start included as one of 0 (Martin & McCann 1989)."""
    return math.sqrt(float(depths @ depths) / (len(depths) + 1))


def pain(depths: FloatArray) -> Value:
    """Return the mean size of the drawdowns, without the start."""
    return -float(depths.mean()) + 0.0 if len(depths) else "no_bars"


def recovery_factor(total_return: float, max_drawdown: float) -> Value:
    """Return the total return over the size of the deepest drawdown."""
    return total_return / -max_drawdown if max_drawdown < 0 else "no_drawdown"

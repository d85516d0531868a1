"""Bars as they arrive: what stands when an instant is taken is used, what comes afterwards is counted."""

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kraken_flow.core.tape import Bar, Bars

_REMEMBERED = 2048
"""Bars of each pair kept after use, to tell a late one from one that is sent again."""


@dataclass
class Counted:
    """What happened to one pair's bars."""

    late: int = 0
    """Rows whose bar, or a part of it, came after the row was taken."""
    duplicates: int = 0
    """Sent again as they were."""
    stale: int = 0
    """States of a bar that came after a later state of it."""
    refused: int = 0
    """Off the grid, or not a bar."""


class Arrivals:
    """The bars of a tape that is being written. Does no I/O and reads no clock.

    Parameters
    ----------
    pairs
        Names in order.
    first
        Open of the first row that will be taken, ns UTC.
    step
        Length of a bar, ns.
    """

    def __init__(self, pairs: Sequence[str], first: int, step: int) -> None:
        self.pairs = tuple(pairs)
        self.next = first
        """Open of the row that is taken next."""
        self.step = step
        self.counts = {pair: Counted() for pair in self.pairs}
        self._waiting: dict[str, dict[int, Bar]] = {pair: {} for pair in self.pairs}
        self._used: dict[str, dict[int, Bar | None]] = {pair: {} for pair in self.pairs}
        self._order: deque[int] = deque()
        self._late: dict[str, set[int]] = {pair: set() for pair in self.pairs}

    def put(self, pair: str, time: int, bar: Bar, asked: bool = False) -> None:
        """Take in the state of a bar, complete or not.

        Parameters: `time` its open, ns UTC; `bar` in units of 10^-8; `asked` whether it was asked for, so that it may
        be there already without the venue repeating itself. Of two states of one bar the one with more volume is the
        later one, in whatever order they come. A bar in which nothing traded is none.
        """
        counted = Counted() if asked else self.counts[pair]
        if (time - self.next) % self.step or not _sound(bar):
            counted.refused += 1
        elif bar[4] == 0:
            return
        elif time < self.next:
            self._too_late(pair, time, bar, counted)
        else:
            waiting = self._waiting[pair]
            before = waiting.get(time)
            if before == bar:
                counted.duplicates += 1
            elif before is not None and bar[4] < before[4]:
                counted.stale += 1
            else:
                waiting[time] = bar

    def has(self, pair: str, time: int) -> bool:
        """Return whether any state of a bar is there."""
        return time in self._waiting[pair]

    def take(self) -> Bars:
        """Return the bars of the next row as they stand, None for a pair without one; nothing changes them any more."""
        time = self.next
        bars = tuple(self._waiting[pair].pop(time, None) for pair in self.pairs)
        self.next += self.step
        for pair, bar in zip(self.pairs, bars, strict=True):
            self._used[pair][time] = bar
        self._order.append(time)
        if len(self._order) > _REMEMBERED:
            old = self._order.popleft()
            for pair in self.pairs:
                self._used[pair].pop(old, None)
                self._late[pair].discard(old)
        return bars

    def facts(self) -> dict[str, dict[str, int]]:
        """Return the counts by pair."""
        return {pair: asdict(counted) for pair, counted in self.counts.items()}

    def _too_late(self, pair: str, time: int, bar: Bar, counted: Counted) -> None:
        used = self._used[pair]
        if time not in used:
            return  # before this stream began, or long ago
        before = used[time]
        if before == bar:
            counted.duplicates += 1
        elif before is not None and bar[4] <= before[4]:
            counted.stale += 1
        elif time not in self._late[pair]:
            self._late[pair].add(time)
            self.counts[pair].late += 1


def _sound(bar: Bar) -> bool:
    opened, high, low, close, volume = bar
    return 0 < low <= min(opened, close) and max(opened, close) <= high and volume >= 0

"""The protocols of data sources: history as market columns, or a stream of instants."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kraken_flow.core.market import Market
from kraken_flow.core.tape import Instant, Tape

if TYPE_CHECKING:
    from kraken_flow.core.graph import Graph


@runtime_checkable
class Source(Protocol):
    """A node of group `data`."""

    @property
    def feed_delay_ns(self) -> int:
        """Return the time after a bar's close at which it is known, ns."""

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Read the pairs onto one grid.

        Parameters: `pairs` sorted names; `timeframe` the decision bar; `start` (inclusive) and `end` (exclusive) in ns
        UTC by bar open, None for the union of the pairs' spans; `lookback` warm-up bars wanted before `start`, taken
        as far as the data has them; `detail` the timeframe of finer bars for the intrabar path, None without.
        Raises `UserError` naming file and row, or pair and folder.
        """


class Happened:
    """What became of the bars of a session on a stream since it began, restarts included.

    Parameters: `pairs` names in order; `start` open of the first decision row, ns UTC.
    """

    def __init__(self, pairs: Sequence[str], start: int) -> None:
        self.missed = 0
        """Instants that were taken too late to decide on."""
        self._rows = 0
        self._counted: dict[str, Counter[str]] = {pair: Counter(missing=0) for pair in pairs}
        self._start = start

    @property
    def pairs(self) -> dict[str, Counter[str]]:
        """Counts by pair: `bars` used, `missing` ones, and what a stream counts."""
        rows = self._rows
        return {pair: Counter(bars=rows - seen["missing"]) + seen for pair, seen in self._counted.items()}

    def take(self, instant: Instant, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Count an instant, and what the stream counted before it."""
        if instant.time >= self._start:
            self._rows += 1
            self.missed += instant.missed
            if None in instant.bars:
                for seen, bar in zip(self._counted.values(), instant.bars, strict=True):
                    seen["missing"] += bar is None
        self.add(counts)

    def add(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Add what a stream counted."""
        for pair, counted in counts.items():
            self._counted[pair].update(counted)


class Stream(Protocol):
    """A tape that is still being written: what is known of it before its first instant, and the instants as they come.

    It belongs to the event loop that it was opened in.
    """

    @property
    def tape(self) -> Tape:
        """Return what is known before the first instant."""

    @property
    def rows(self) -> int | None:
        """Return how many instants the whole tape has, warm-up included; None where it has no end."""

    def instants(self, row: int = 0) -> AsyncGenerator[Instant | None]:
        """Yield the instants from a row on, each when it is known, and None now and then: time for other things."""

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return by pair what was counted since the last call and no instant says: late bars, lost connections."""

    def facts(self, happened: Happened) -> Mapping[str, object]:
        """Return what goes into the manifest: late and missing bars, lost connections."""

    def notes(self, happened: Happened) -> tuple[str, ...]:
        """Return in sentences what a user should know when the session is over."""

    def said(self, happened: Happened) -> str:
        """Return in a few words how the connection is, for the console; nothing where there is none."""

    async def close(self) -> None:
        """Let go of the connection."""


@runtime_checkable
class StreamingSource(Source, Protocol):
    """A node of group `data` whose bars come while they are made."""

    async def stream(self, graph: "Graph", lookback: int, head: Tape | None, speed: float | None) -> Stream:
        """Connect to the venue and fetch the warm-up.

        Parameters: `lookback` warm-up bars wanted of each pair before the first decision; `head` the tape of the
        session that is continued, None for a new one; `speed` how many seconds pass in one of real time, None where
        the user says nothing. Raises `UserError` where the venue cannot be reached or lacks what is wanted.
        """

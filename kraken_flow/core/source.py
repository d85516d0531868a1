"""The protocols of data sources: history as market columns, or a stream of instants."""

from collections.abc import AsyncGenerator, Mapping
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

    def facts(self) -> Mapping[str, object]:
        """Return what goes into the manifest: late and missing bars, lost connections."""

    def notes(self) -> tuple[str, ...]:
        """Return in sentences what a user should know when the session is over."""

    def said(self) -> str:
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

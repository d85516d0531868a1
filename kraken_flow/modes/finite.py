"""A tape that has an end, as a stream: the instants of a loaded market, at the pace that a user wants."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

from kraken_flow.core.market import Market
from kraken_flow.core.pin import Pin
from kraken_flow.core.source import Happened
from kraken_flow.core.tape import Instant, Tape, instants, tape_of
from kraken_flow.core.times import SECOND

IDLE_S = 0.1
"""How often a session looks for what users tell it."""


class Finite:
    """See `core.source.Stream`.

    Parameters: `market` loaded; `speed` how many seconds of it pass in one of real time, infinity for as fast as it
    goes; `head` the tape of the session that is continued on the market, None for a new one.
    """

    def __init__(self, market: Market, speed: float, head: Tape | None = None) -> None:
        self.tape = replace(tape_of(market), read=Pin.of(market).plain()) if head is None else head
        self.rows = market.n_rows
        self._market, self._speed = market, speed

    async def instants(self, row: int = 0) -> AsyncGenerator[Instant | None]:
        """Yield the instants from a row on, each when it is due, and None now and then: time for other things.

        The warm-up and the first decision bar come at once, the others as long after it as they lie apart on the tape,
        divided by the speed.
        """
        loop = asyncio.get_running_loop()
        began = idle = loop.time()
        first = max(row, self._market.first_row)
        for at, instant in enumerate(instants(self._market, row), row):
            due = began + max(at - first, 0) * self._market.timeframe_ns / SECOND / self._speed
            while (now := loop.time()) < due or now - idle > IDLE_S:
                await asyncio.sleep(min(max(due - now, 0.0), IDLE_S))
                idle = loop.time()
                yield None
            yield instant

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return nothing: history does not come late."""
        return {}

    def facts(self, happened: Happened) -> Mapping[str, object]:
        """Return nothing: the manifest says where the data is from."""
        return {}

    def notes(self, happened: Happened) -> tuple[str, ...]:
        """Return nothing: the data summary tells."""
        return ()

    def said(self, happened: Happened) -> str:
        """Return nothing: history is always there."""
        return ""

    async def close(self) -> None:
        """Do nothing: nothing is open."""

"""The time that a stream lives in: the machine's, or that of a server that plays a recording faster."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

from kraken_flow.core.times import SECOND

T = TypeVar("T")
IDLE_S = 0.1
"""How often a stream gives its reader time for other things."""
_LONGEST_S = 1.0
"""Sleeps look at the clock again after this long: a machine that slept or was set goes on in the right place."""


class Clock:
    """The machine's clock.

    Parameters
    ----------
    speed
        Seconds that pass in one of real time.
    began
        The time it shows now, ns UTC; None for the machine's own, at its own speed.
    """

    def __init__(self, speed: float = 1.0, began: int | None = None) -> None:
        self.speed = speed
        self._began = began
        self._at = time.monotonic_ns()

    def now(self) -> int:
        """Return the time, ns UTC."""
        if self._began is None:
            return time.time_ns()
        return self._began + int((time.monotonic_ns() - self._at) * self.speed)

    async def sleep(self, ns: int) -> None:
        """Wait for a while of this clock."""
        await asyncio.sleep(ns / SECOND / self.speed)

    async def until(self, moment: int) -> None:
        """Wait until it shows a time, ns UTC."""
        while (left := moment - self.now()) > 0:
            await asyncio.sleep(min(left / SECOND / self.speed, _LONGEST_S))


async def ticking(items: AsyncIterator[T]) -> AsyncGenerator[T | None]:
    """Yield what an iterator yields, and None now and then while it lets one wait."""
    coming = asyncio.ensure_future(_next(items))
    try:
        while True:
            await asyncio.wait({coming}, timeout=IDLE_S)
            if not coming.done():
                yield None
                continue
            found = coming.result()
            if not found:
                return
            coming = asyncio.ensure_future(_next(items))
            yield found[0]
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _next(items: AsyncIterator[T]) -> tuple[T, ...]:
    """Return the next item, nothing at the end."""
    async for item in items:
        return (item,)
    return ()

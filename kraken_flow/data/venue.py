"""What a stream asks of a venue, whatever library speaks to it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kraken_flow.core.tape import Bar
from kraken_flow.data.trade_bars import Trade


class Lost(Exception):  # noqa: N818 - what happens to every connection now and then, not an error of the program
    """The venue could not be reached, or the connection broke; trying again may help."""


class Candle(NamedTuple):
    """A bar as a venue gives it: its open (ns UTC), and its state in units of 10^-8; the running one is incomplete."""

    time: int
    bar: Bar


class Venue(Protocol):
    """A connection to a venue's market data. Methods raise `Lost` where trying again may help, else `UserError`."""

    name: str
    streams: bool
    """Whether what is wanted comes by WebSocket; else it is asked for by REST."""

    settle_s: float
    """Seconds within which all subscriptions have been sent, which may have to be sent slowly."""

    async def open(self, pairs: Sequence[str], timeframe: str) -> Mapping[str, Mapping[str, int]]:
        """Read the venue's markets; return tick, lot, qty_min and cost_min of the pairs, units of 10^-8."""

    async def now(self) -> int:
        """Return the venue's time, ns UTC."""

    async def candles(self, pair: str, since: int) -> list[Candle]:
        """Return candles that open at `since` (ns UTC) or later, as many as the venue gives at once, by REST."""

    async def next_candles(self, pair: str) -> list[Candle]:
        """Return the candles that changed since the last call, waiting for the first change."""

    async def next_trades(self, pair: str) -> list[Trade]:
        """Return the trades since the last call, waiting for the first."""

    @property
    def answered(self) -> float:
        """Return when the venue last answered a question, as `time.time()`."""

    @property
    def heard(self) -> float:
        """Return when something last came by WebSocket, be it a heartbeat, as `time.time()`; 0 before."""

    def drop(self) -> None:
        """Break the connection: what waits for it raises `Lost`."""

    async def close(self) -> None:
        """Let go of everything."""

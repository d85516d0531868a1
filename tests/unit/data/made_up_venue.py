"""A venue without a network and a clock that waits for nobody: what a stream does is exact, and takes no time."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kraken_flow.core.source import Happened
from kraken_flow.core.tape import Bar, Instant, Tape
from kraken_flow.core.times import SECOND
from kraken_flow.data.clock import Clock
from kraken_flow.data.live_stream import LiveStream
from kraken_flow.data.trade_bars import Trade
from kraken_flow.data.venue import Candle, Lost
from kraken_flow.data.warm_up import Wanted, head, warm_up

MINUTE = 60 * SECOND
T0 = 1_700_000_040 * SECOND
"""A full minute."""


class VirtualClock(Clock):
    """Shows the time of whatever is waited for next, as soon as nothing else is left to do."""

    def __init__(self, began: int) -> None:
        super().__init__()
        self.time = began
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> int:
        return self.time

    async def sleep(self, ns: int) -> None:
        await self.until(self.time + ns)

    async def until(self, moment: int) -> None:
        if moment > self.time:
            future = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (moment, next(self._numbers), future))
            await future

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            for _ in range(40):
                await asyncio.sleep(0)
            while self._waiting:
                moment, _, future = heapq.heappop(self._waiting)
                if not future.done():
                    self.time = max(self.time, moment)
                    future.set_result(None)
                    break


def bar(i: int, part: int = 2) -> Bar:
    """A minute's bar, or with part=1 what it is half-way through."""
    unit, opened = 10**8, 1000 + i % 7
    close = opened + part * ((i * 5) % 3 - 1)
    return opened * unit, (opened + 3) * unit, (opened - 4) * unit, close * unit, part * unit


@dataclass
class Sent:
    """What a venue sends: when, about which pair, and what."""

    at: int
    pair: str
    item: Candle | Trade


def plan(pairs: Sequence[str], rows: Iterable[int]) -> list[Sent]:
    """Send every bar in two states, 20 s and 50 s after its open."""
    return [
        Sent(T0 + i * MINUTE + at * SECOND, pair, Candle(T0 + i * MINUTE, bar(i, part)))
        for i in rows
        for at, part in ((20, 1), (50, 2))
        for pair in pairs
    ]


@dataclass
class MadeUpVenue:
    """See `data.venue.Venue`. `outages` are (from, to) in which nothing is reached; what was sent then is not heard.

    An answer holds at most `most` candles: the newest, or with `oldest_first` those from where it was asked for on.
    `takes` is how long one takes, ns. With `reach` it is about no more than so many bars from where it was asked for
    on, traded or not. The questions of `slips`, counted from 0, are answered with nothing; those in `deaf`, (from,
    to), with an error.
    """

    clock: VirtualClock
    sent: list[Sent]
    outages: Sequence[tuple[int, int]] = ()
    streams: bool = True
    name: str = "made-up"
    settle_s: float = 0.0
    asked: list[tuple[int, str]] = field(default_factory=list)
    answered: float = 0.0
    closed: bool = False
    most: int = 720
    oldest_first: bool = False
    takes: int = 0
    reach: int | None = None
    slips: Container[int] = ()
    deaf: tuple[int, int] = (0, 0)
    _heard: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sent.sort(key=lambda sent: sent.at)

    async def open(self, pairs: Sequence[str], timeframe: str) -> Mapping[str, Mapping[str, int]]:
        return {pair: {"tick": 10**7, "lot": 1, "qty_min": 5000, "cost_min": 5 * 10**7} for pair in pairs}

    async def now(self) -> int:
        return self.clock.now()

    async def candles(self, pair: str, since: int) -> list[Candle]:
        self._reached()
        self.asked.append((self.clock.now(), pair))
        await self.clock.sleep(self.takes)
        if self.deaf[0] <= self.clock.now() < self.deaf[1]:
            raise Lost("no answer")
        if len(self.asked) - 1 in self.slips:
            return []
        states = [s for s in self.sent if s.pair == pair and s.at <= self.clock.now() and isinstance(s.item, Candle)]
        newest: dict[int, Candle] = {}
        for state in states:
            held = newest.get(state.item.time)
            if held is None or held.bar[4] < state.item.bar[4]:
                newest[state.item.time] = state.item
        until = 2**63 if self.reach is None else since + self.reach * MINUTE
        found = [newest[at] for at in sorted(newest) if since <= at < until]
        return found[: self.most] if self.oldest_first else found[-self.most :]

    async def next_candles(self, pair: str) -> list[Candle]:
        return await self._next(pair, Candle)

    async def next_trades(self, pair: str) -> list[Trade]:
        return await self._next(pair, Trade)

    @property
    def heard(self) -> float:
        return time.time() + 1

    def drop(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True

    def _reached(self) -> None:
        if any(begin <= self.clock.now() < end for begin, end in self.outages):
            raise Lost("away")

    async def _next(self, pair: str, kind: type) -> list:
        self._reached()
        now = self.clock.now()
        since = self._heard.setdefault(pair, now)
        breaks = min((begin for begin, _ in self.outages if begin > now), default=None)
        coming = (s for s in self.sent if s.pair == pair and s.at >= since and isinstance(s.item, kind))
        found = next(coming, None)
        if found is None or (breaks is not None and breaks <= found.at):
            await self.clock.until(2**62 if breaks is None else breaks)
            del self._heard[pair]
            raise Lost("broken")
        await self.clock.until(found.at)
        # Equal times: everything at this moment has been sent.
        self._heard[pair] = found.at + 1
        return [s.item for s in self.sent if s.pair == pair and s.at == found.at and isinstance(s.item, kind)]


@dataclass
class Played:
    """What came of a stream: each instant and when it came."""

    stream: LiveStream
    venue: MadeUpVenue
    instants: list[tuple[int, Instant]]
    happened: Happened

    @property
    def bars(self) -> list[tuple[Bar | None, ...]]:
        return [instant.bars for _, instant in self.instants]


def played(
    venue_of: Callable[[VirtualClock], MadeUpVenue],
    rows: int,
    *,
    pairs: tuple[str, ...] = ("A/USD",),
    began: int = T0 + 10 * MINUTE + 7 * SECOND,
    lookback: int = 3,
    delay: int = 2 * SECOND,
    trades: bool = False,
    tape: Tape | None = None,
    row: int = 0,
    jitter: Callable[[], float] = lambda: 0.0,
) -> Played:
    """Run a stream for some rows from the start on."""

    async def run() -> Played:
        clock = VirtualClock(began)
        pump = asyncio.create_task(clock.run())
        venue = venue_of(clock)
        found, begun = None, tape
        if begun is None:
            known = clock.now() - delay
            wanted = Wanted(pairs, MINUTE, known - known % MINUTE, lookback, 24)
            found = await warm_up(venue, wanted)
            begun = head(venue.name, wanted, found, await venue.open(pairs, "1m"))
        end = begun.start + rows * MINUTE
        stream = LiveStream(venue, clock, begun, found, lookback, end, delay, 30 * SECOND, trades, jitter)
        instants, happened = [], Happened(begun.pairs, begun.start)
        async for instant in stream.instants(row):
            if instant is not None:
                instants.append((clock.now(), instant))
                happened.take(instant, stream.counts())
        happened.add(stream.counts())
        await stream.close()
        pump.cancel()
        return Played(stream, venue, instants, happened)

    return asyncio.run(run())

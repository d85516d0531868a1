"""Bars as a venue makes them, instant by instant: connections break and come back, bars come late or never."""

import asyncio
import logging
import time as system
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass, fields
from random import SystemRandom
from typing import Any

from kraken_flow.core.source import Happened
from kraken_flow.core.tape import Instant, Tape
from kraken_flow.core.times import SECOND
from kraken_flow.data.arrivals import Arrivals, Counted
from kraken_flow.data.clock import Clock, ticking
from kraken_flow.data.trade_bars import TradeBars
from kraken_flow.data.venue import Lost, Venue
from kraken_flow.data.warm_up import Found, cut, history

logger = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = SECOND // 2, 60 * SECOND
_ASK_AFTER = 0.4
"""Where bars are asked for: the share of the feed delay after a bar's close at which it is."""
_COUNTED = ("bars", "missing", *(field.name for field in fields(Counted)), "connections_lost")
_dice = SystemRandom().random


def backoff(attempt: int, jitter: Callable[[], float] = _dice) -> int:
    """Return how long to wait before an attempt (1 is the first again), ns: twice as long each time, and jitter.

    Jitter keeps the clients of a venue that was away from coming back all at once: `jitter` in [0, 1) takes up to half.
    """
    longest = min(_FIRST_WAIT << min(attempt - 1, 20), _LONGEST_WAIT)
    return int(longest * (1.0 - jitter() / 2))


@dataclass
class _Line:
    """What is known about one pair's bars.

    Parameters: `down` whether they may lack something since the connection broke; `through` until when they were
    complete when they were last asked for, ns UTC; `since` the first open that is witnessed whole where bars are made
    of trades; `lost` how often the connection broke.
    """

    down: bool = True
    through: int = 0
    since: int = 0
    lost: int = 0


class LiveStream:
    """The stream of one session; see `core.source.Stream`.

    Parameters
    ----------
    venue
        Open already.
    clock
        The time.
    tape
        What is known before the first instant.
    found
        The warm-up of a new session; None for one that is continued: what it missed is fetched.
    lookback
        Bars of each pair before the start.
    end
        Open after the last row, ns UTC, None where there is none.
    feed_delay, stale
        Time after a bar's close at which it is known, and silence after which a connection is taken for dead, ns.
    trades
        Whether bars are made of trades.
    jitter
        See `backoff`.
    """

    def __init__(
        self,
        venue: Venue,
        clock: Clock,
        tape: Tape,
        found: Found | None,
        lookback: int,
        end: int | None,
        feed_delay: int,
        stale: int,
        trades: bool,
        jitter: Callable[[], float] = _dice,
    ) -> None:
        self.tape = tape
        self.rows = None if end is None else max(0, -((tape.first - end) // tape.timeframe_ns))
        self._venue, self._clock, self._found, self._lookback = venue, clock, found, lookback
        self._delay, self._stale, self._trades, self._jitter = feed_delay, stale / SECOND, trades, jitter
        self._lines = {pair: _Line() for pair in tape.pairs}
        self._making: dict[str, TradeBars] = {}
        self._told: dict[str, Counter[str]] = {pair: Counter() for pair in tape.pairs}
        self._duplicates = dict.fromkeys(tape.pairs, 0)
        self._arrivals = Arrivals(tape.pairs, tape.first, tape.timeframe_ns)
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def instants(self, row: int = 0) -> AsyncGenerator[Instant | None]:
        """Yield the instants from a row on, each when it is known, and None now and then.

        What was known before this stream began comes at once. An instant whose bars could not be had in time, because
        the connection or the session was away, waits until they can, and is marked as missed.
        """
        return ticking(self._instants(row))

    async def _instants(self, row: int) -> AsyncGenerator[Instant]:
        step, began = self.tape.timeframe_ns, self._clock.now()
        # A second of real time is what a busy machine may take; beyond it, prices are not those of the decision.
        grace = min(step, max(self._delay, int(SECOND * self._clock.speed)))
        self._arrivals = Arrivals(self.tape.pairs, self.tape.first + row * step, step)
        await self._fill()
        while self._more() and self._known(self._arrivals.next) <= began:
            yield self._take(late=True)
        for pair in self.tape.pairs:
            self._begin(self._guarded(pair))
        if self._venue.streams:
            self._begin(self._listen())
        while self._more():
            time = self._arrivals.next
            if self._venue.streams:
                due = time + step + int(self._delay * _ASK_AFTER)
                await self._clock.until(due)
                for pair in self.tape.pairs:
                    # One question after an outage answers for all the rows that it hid.
                    if not self._witnessed(pair, time) and self._lines[pair].through < due:
                        self._begin(self._insist(pair, time))
            await self._clock.until(self._known(time))
            while not all(self._ready(pair, time) for pair in self.tape.pairs):
                self._changed.clear()
                await self._changed.wait()
                self._raise()
            self._raise()
            yield self._take(late=self._clock.now() > self._known(time) + grace)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return by pair what was counted since the last call: late bars, duplicates, lost connections."""
        fresh = {}
        for pair, numbers in self._arrivals.facts().items():
            made = self._making.get(pair)
            counted = Counter({**numbers, "connections_lost": self._lines[pair].lost})
            counted["duplicates"] += self._duplicates[pair] + (made.duplicates if made else 0)
            if more := counted - self._told[pair]:
                fresh[pair] = dict(more)
            self._told[pair] = counted
        return fresh

    def facts(self, happened: Happened) -> Mapping[str, object]:
        """Return the venue, and what happened to each pair's bars."""
        stream = {
            "venue": self._venue.name,
            "transport": "websocket" if self._venue.streams else "rest",
            "bars": "trades" if self._trades else "candles",
            "missed_instants": happened.missed,
            "pairs": {pair: {name: counted[name] for name in _COUNTED} for pair, counted in happened.pairs.items()},
        }
        return {"stream": stream}

    def notes(self, happened: Happened) -> tuple[str, ...]:
        """Return in sentences what came late, lacks, or was missed."""
        told = {
            "late": "bars that came, whole or in part, after they were due; not used",
            "missing": "bars that did not come",
            "connections_lost": "connections lost and made again",
        }
        notes = []
        for name, words in told.items():
            some = ", ".join(f"{pair} {counted[name]}" for pair, counted in happened.pairs.items() if counted[name])
            if some:
                notes.append(f"{words}: {some}")
        if happened.missed:
            notes.append(
                f"instants fetched afterwards, which moved features but were not decided on: {happened.missed}"
            )
        return tuple(notes)

    def said(self, happened: Happened) -> str:
        """Return how long ago the venue was heard, whether it is away, and how many bars came late."""
        silence = max(0.0, system.time() - max(self._venue.heard, self._venue.answered))
        away = any(line.down for line in self._lines.values())
        late = sum(counted["late"] for counted in happened.pairs.values())
        words = [f"{self._venue.name} heard {silence:.0f} s ago", "connecting" * away, f"late bars {late}" * bool(late)]
        return ", ".join(filter(None, words))

    async def close(self) -> None:
        """End what is under way and let go of the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._venue.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a task; one that fails ends the stream."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._changed.set())
        self._tasks.append(task)

    def _raise(self) -> None:
        """Raise what a task failed of; forget the tasks that are done."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        self._tasks = [task for task in self._tasks if not task.done()]

    def _more(self) -> bool:
        return self.rows is None or self._arrivals.next < self.tape.first + self.rows * self.tape.timeframe_ns

    def _known(self, time: int) -> int:
        return time + self.tape.timeframe_ns + self._delay

    def _take(self, late: bool) -> Instant:
        """Take the next row as it stands; one from the start on that is late is missed."""
        time = self._arrivals.next
        bars = self._arrivals.take()
        for making in self._making.values():
            making.forget(time - self.tape.timeframe_ns)
        return Instant(time, bars, missed=late and time >= self.tape.start)

    async def _fill(self) -> None:
        """Put in what was known before the stream began: the warm-up, or what a session that is continued missed."""
        since, attempt = self._arrivals.next, 0
        while self._found is None:
            try:
                now, step = self._clock.now(), self.tape.timeframe_ns
                fetched = {p: await history(self._venue, p, since, step, now - step + 1) for p in self.tape.pairs}
                self._found = {p: cut(bars, self.tape.start, self._lookback) for p, bars in fetched.items()}
            except Lost as error:
                attempt += 1
                logger.warning("what was missed could not be fetched: %s", error)
                await self._clock.sleep(backoff(attempt, self._jitter))
        for pair, bars in self._found.items():
            for time, bar in bars.items():
                if time >= since:
                    self._arrivals.put(pair, time, bar, asked=True)

    def _witnessed(self, pair: str, time: int) -> bool:
        """Return whether all that was sent about a bar was heard."""
        line = self._lines[pair]
        return self._venue.streams and not line.down and time >= line.since

    def _ready(self, pair: str, time: int) -> bool:
        """Return whether it is known what a pair's bar is: what was witnessed whole, or asked for after its close."""
        return self._witnessed(pair, time) or self._lines[pair].through >= time + self.tape.timeframe_ns

    async def _guarded(self, pair: str) -> None:
        """Follow a pair for good: whatever breaks, begin again after a while."""
        attempt = 0
        while True:
            began = self._clock.now()
            try:
                await (self._follow(pair) if self._venue.streams else self._poll(pair))
            except Lost as error:
                line = self._lines[pair]
                line.lost += not line.down or attempt == 0
                line.down = True
                attempt = 1 if self._clock.now() - began > _LONGEST_WAIT else attempt + 1
                logger.warning("%s: lost %s: %s", pair, self._venue.name, error)
            await self._clock.sleep(backoff(attempt, self._jitter))
            if self._venue.streams:
                await self._ask(pair)

    async def _follow(self, pair: str) -> None:
        """Subscribe, ask for what may have been missed before, then take what comes."""
        began = system.time()
        coming = self._coming(pair)
        try:
            while not coming.done() and (waited := system.time() - began) < self._stale:
                if self._venue.heard >= began and waited >= self._venue.settle_s:
                    break
                await asyncio.sleep(0.002)
            if not coming.done() and self._venue.heard < began:
                raise Lost("the subscription was not answered")
            if self._trades:
                self._witness(pair)
            await self._repair(pair)
            if not coming.done() or coming.exception() is None:
                self._lines[pair].down = False
                self._changed.set()
            while True:
                await coming
                coming = self._coming(pair)
        finally:
            coming.cancel()

    def _coming(self, pair: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._receive(pair))
        # What failed while something else was waited for is not asked about any more.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _receive(self, pair: str) -> None:
        """Take in what the venue sends next about a pair."""
        if not self._trades:
            for time, bar in await self._venue.next_candles(pair):
                self._arrivals.put(pair, time, bar)
            return
        if self._lines[pair].down and (before := self._making.pop(pair, None)):
            self._duplicates[pair] += before.duplicates
        if pair not in self._making:
            self._witness(pair)
        for time, bar in self._making[pair].add(await self._venue.next_trades(pair)).items():
            self._arrivals.put(pair, time, bar)

    def _witness(self, pair: str) -> None:
        """Note that trades are heard from now on, and so the first whole bar is the next that opens."""
        now, step = self._clock.now(), self.tape.timeframe_ns
        since = self._lines[pair].since = now + -now % step
        self._making.setdefault(pair, TradeBars(step, since)).since = since

    async def _poll(self, pair: str) -> None:
        """Ask for each bar once it has closed, and again until it is there or its row is taken."""
        step = self.tape.timeframe_ns
        while True:
            time = self._arrivals.next
            await self._clock.until(time + step + int(self._delay * _ASK_AFTER))
            await self._repair(pair)
            self._lines[pair].down = False
            self._changed.set()
            again = self._clock.now() + max(SECOND // 2, int(self._delay * _ASK_AFTER))
            while self._arrivals.next == time and (self._arrivals.has(pair, time) or self._clock.now() < again):
                await self._clock.sleep(SECOND // 10)

    async def _insist(self, pair: str, time: int) -> None:
        """Ask for the bar of a row again and again, ever more seldom, until it is known what it is."""
        attempt = 0
        while not await self._ask(pair):
            attempt += 1
            await self._clock.sleep(backoff(attempt, self._jitter))
            if self._arrivals.next > time or self._ready(pair, time):
                return

    async def _ask(self, pair: str) -> bool:
        """Ask for a pair's bars; return whether the venue answered."""
        try:
            await self._repair(pair)
        except Lost as error:
            logger.warning("%s: %s did not answer: %s", pair, self._venue.name, error)
            return False
        return True

    async def _repair(self, pair: str) -> None:
        """Ask by REST for the bars from the row before the next one on, in as many answers as they take."""
        now, step, line = self._clock.now(), self.tape.timeframe_ns, self._lines[pair]
        # A running bar is followed by WebSocket only; elsewhere its state would be taken for the whole.
        running = self._venue.streams and not self._trades
        until = now + 1 if running else now - step + 1
        for time, bar in (await history(self._venue, pair, self._arrivals.next - step, step, until)).items():
            self._arrivals.put(pair, time, bar, asked=True)
        # Many answers take a while: one that was asked for later may have come before.
        line.through = max(line.through, now)
        self._changed.set()

    async def _listen(self) -> None:
        """Break a connection on which nothing, not even a heartbeat, came for too long."""
        while True:
            await asyncio.sleep(self._stale / 4)
            heard = self._venue.heard
            if heard and system.time() - heard > self._stale:
                self._venue.drop()

"""Bars that stream from an exchange, through ccxt."""

import logging
from typing import Any, Literal

from pydantic import Field

from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.node import NonNegative, node
from kraken_flow.core.source import Stream
from kraken_flow.core.tape import Tape
from kraken_flow.core.times import DAY, iso, parse_duration, parse_timeframe
from kraken_flow.data.candles import CandleSource
from kraken_flow.data.ccxt_venue import CcxtVenue
from kraken_flow.data.clock import Clock
from kraken_flow.data.live_stream import LiveStream, backoff
from kraken_flow.data.venue import Lost, Venue
from kraken_flow.data.warm_up import Wanted, head, warm_up

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_SECRETS = frozenset({"apikey", "secret", "password", "uid", "login", "privatekey", "walletaddress", "token"})


@node
class Live(CandleSource):
    """Candles or trades of an exchange as they happen, through ccxt, for mode=paper; no key is needed."""

    exchange: str | None = None
    """The venue whose prices stream, as ccxt names it; null: that of exchange.name."""
    bars: Literal["candles", "trades"] = "candles"
    """Whether bars are the venue's candles, or are made of its trades."""
    transport: Literal["auto", "rest"] = "auto"
    """auto: by WebSocket where the venue has one for this, else by asking again and again; rest: by asking."""
    feed_delay: str | int = "2s"
    """How long after its close a bar is known. What came by then is used; without a bar the pair misses one."""
    stale: str | int = "30s"
    """Silence after which a connection is taken for dead and made anew."""
    max_gap: NonNegative[int] = 24
    """Longest run of missing bars over which features carry their last output; after a longer one they start anew."""
    url: str | None = None
    """A server that stands in for the venue, as in http://127.0.0.1:8080: it may play a recording, and faster."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of ccxt's constructor, as in {timeout: 5000}. No key is needed, and none is taken."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        if not parse_duration(self.stale, "data.stale"):
            raise UserError("data.stale: 0 would take every connection for dead; write for example 30s")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise UserError(f"data.url={self.url}: must begin with http:// or https://")
        given = [name for name in self.options if name.lower() in _SECRETS]
        if given:
            raise UserError(f"data.options.{given[0]}: market data needs no key; take it out of the configuration")

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Refuse: there is no history here."""
        raise UserError(
            "data=live: it streams what happens from now on and has no history; use mode=paper with it, "
            "or data=files or data=sample for what goes over history"
        )

    async def stream(self, graph: Graph, lookback: int, head: Tape | None, speed: float | None) -> Stream:
        """Connect to the venue and fetch the warm-up; see `core.source.StreamingSource`."""
        step = self._step(graph)
        if self.url is None and speed not in {None, 1.0}:
            raise UserError("mode.speed: the time of an exchange is real time; leave it out, or set 1x")
        if speed == float("inf"):
            raise UserError("mode.speed=max: a stream has its own pace; give a multiple of real time, as in 60x")
        venue = CcxtVenue(
            self.exchange or str(getattr(graph.exchange, "name", "")),
            self.bars == "trades",
            self.transport == "auto",
            self.url,
            self.options,
        )
        try:
            return await self._opened(venue, graph, step, lookback, head, speed or 1.0)
        except BaseException:
            await venue.close()
            raise

    def _step(self, graph: Graph) -> int:
        """Return the decision bar's length. Raises `UserError` for a graph that cannot run on a stream."""
        step = parse_timeframe(graph.timeframe)
        if step > DAY:
            raise UserError(
                f"timeframe={graph.timeframe}: venues open weeks on different days; data=live takes 1d at most"
            )
        if graph.start is not None:
            raise UserError(f"start={iso(graph.start)}: with data=live a session starts now; leave start out")
        fill = getattr(graph.exchange, "fill", None)
        if fill is not None and fill.path == "detail":
            raise UserError("exchange.fill.path=detail: data=live has no finer bars; choose another path")
        return step

    async def _opened(
        self, venue: Venue, graph: Graph, step: int, lookback: int, before: Tape | None, speed: float
    ) -> Stream:
        attempt = 0
        while True:
            try:
                terms = await venue.open(graph.pairs, graph.timeframe)
                clock = Clock() if self.url is None else Clock(speed, await venue.now())
                found, tape = None, before
                if tape is None:
                    known = clock.now() - self.feed_delay_ns
                    wanted = Wanted(graph.pairs, step, known - known % step, lookback, self.max_gap)
                    found = await warm_up(venue, wanted)
                    tape = head(venue.name, wanted, found, terms)
                break
            except Lost as error:
                attempt += 1
                if attempt == _ATTEMPTS:
                    raise UserError(
                        f"data=live: {venue.name} cannot be reached ({error}); check the connection"
                        f"{'' if self.url is None else f' and data.url={self.url}'}"
                    ) from None
                logger.warning("%s cannot be reached: %s", venue.name, error)
                await Clock(speed).sleep(backoff(attempt))
        if graph.end is not None and graph.end <= tape.start:
            raise UserError(f"end={iso(graph.end)}: that is past; a session on data=live ends in the future, or never")
        return LiveStream(
            venue,
            clock,
            tape,
            found,
            lookback,
            graph.end,
            self.feed_delay_ns,
            parse_duration(self.stale, "data.stale"),
            self.bars == "trades",
        )

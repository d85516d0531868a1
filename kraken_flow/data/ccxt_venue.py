"""The one module that speaks ccxt: market data of its hundred venues, by REST and WebSocket, without any key."""

import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.units import INT64_MAX, UNIT, to_units
from kraken_flow.data.trade_bars import Trade
from kraken_flow.data.venue import Candle, Lost
from kraken_flow.nearest import hint

INSTALL = 'pip install --editable ".[live]"'
T = TypeVar("T")
_MS = 10**6
_NEWEST = 8


def library() -> Any:
    """Import ccxt. Raises `UserError` with the command that installs it."""
    try:
        import ccxt.pro  # takes seconds, which only a live session pays
    except ImportError:
        raise UserError(f"data=live needs the library ccxt, which is not installed: {INSTALL}") from None
    return ccxt


class CcxtVenue:
    """A venue through ccxt; see `data.venue.Venue`.

    Parameters
    ----------
    name
        As ccxt names it: kraken, binance, coinbase.
    trades
        Whether trades are wanted, rather than candles.
    websocket
        Whether a WebSocket may be used.
    url
        A server that stands in for the venue: it takes the place of scheme and host in all its addresses.
    options
        Further arguments of ccxt's constructor. Requests keep to the venue's rate limit, unless `url` stands in for it.

    Raises
    ------
    UserError
        Where ccxt is not installed, or knows no such venue.
    """

    def __init__(
        self, name: str, trades: bool, websocket: bool, url: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        self._ccxt = library()
        if name not in self._ccxt.exchanges:
            raise UserError(f"data=live: ccxt knows no venue {name}{hint(name, self._ccxt.exchanges)} (data.exchange)")
        package = self._ccxt.pro if name in self._ccxt.pro.exchanges else self._ccxt.async_support
        self._api = getattr(package, name)({"enableRateLimit": url is None, **(options or {}), "newUpdates": trades})
        if url is not None:
            self._api.urls["api"] = moved(self._api.urls["api"], url.rstrip("/"))
        self.name = name
        self.streams = websocket and bool(self._api.has.get("watchTrades" if trades else "watchOHLCV"))
        self.settle_s = 0.2
        self._timeframe = ""
        self._seen: dict[str, dict[int, Candle]] = {}
        self.answered = time.time()

    async def open(self, pairs: Sequence[str], timeframe: str) -> Mapping[str, Mapping[str, int]]:
        """Read the venue's markets; return tick, lot, qty_min and cost_min of the pairs, units of 10^-8.

        Raises `UserError` for a pair or a timeframe that the venue lacks.
        """
        self._timeframe = timeframe
        # ccxt sends one subscription per interval of the rate limit.
        self.settle_s += len(pairs) * self._api.rateLimit / 1000 * self._api.enableRateLimit
        if not self._api.has.get("fetchOHLCV"):
            raise UserError(f"data=live: {self.name} gives no candles through ccxt")
        await self._asked(self._api.load_markets(), setup=True)
        offered = self._api.timeframes or {}
        if timeframe not in offered:
            raise UserError(f"timeframe={timeframe}: {self.name} has candles of {', '.join(offered)}")
        lacking = [pair for pair in pairs if pair not in self._api.markets]
        if lacking:
            near = hint(lacking[0], self._api.markets)
            raise UserError(f"pairs: {self.name} trades no {', '.join(lacking)}{near}")
        return {pair: self._terms(self._api.markets[pair]) for pair in pairs}

    async def now(self) -> int:
        """Return the venue's time, ns UTC."""
        now_ms: int = await self._asked(self._api.fetch_time(), setup=True)
        return now_ms * _MS

    async def candles(self, pair: str, since: int) -> list[Candle]:
        """Return candles that open at `since` (ns UTC) or later, as many as the venue gives at once, by REST."""
        rows = await self._asked(self._api.fetch_ohlcv(pair, self._timeframe, since // _MS))
        return [candle for candle in _candles(rows) if candle.time >= since]

    async def next_candles(self, pair: str) -> list[Candle]:
        """Return the candles that changed since the last call, waiting for the first change."""
        # What ccxt calls new updates are the newest rows of its cache: after a late candle, which it puts last, changes
        # of the running one would go unseen. So some of the newest are read each time, and what changed is found here.
        rows = await self._asked(self._api.watch_ohlcv(pair, self._timeframe, limit=_NEWEST))
        before = self._seen.get(pair, {})
        now = self._seen[pair] = {candle.time: candle for candle in _candles(rows)}
        return [candle for at, candle in sorted(now.items()) if before.get(at) != candle]

    async def next_trades(self, pair: str) -> list[Trade]:
        """Return the trades since the last call, waiting for the first."""
        rows = await self._asked(self._api.watch_trades(pair))
        return [_trade(row) for row in rows if None not in (row["timestamp"], row["price"], row["amount"])]

    @property
    def heard(self) -> float:
        """Return when something last came by WebSocket, be it a heartbeat, as `time.time()`; 0 before."""
        at = [client.last_message_at for client in (self._api.clients or {}).values()]
        return max((ms / 1000 for ms in at if ms), default=0.0)

    def drop(self) -> None:
        """Break the WebSocket: what waits for it raises `Lost`."""
        for client in list((self._api.clients or {}).values()):
            client.on_error(self._ccxt.NetworkError("nothing was heard"))

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def _asked(self, answer: Awaitable[T], setup: bool = False) -> T:
        """Await an answer, with ccxt's errors as ours: while a session is set up, a refusal is the user's to mend."""
        try:
            got = await answer
        except self._ccxt.OperationFailed as error:
            raise Lost(_said(error)) from None
        except self._ccxt.BaseError as error:
            if setup:
                raise UserError(f"data=live: {self.name} refused ({_said(error)})") from None
            raise Lost(_said(error)) from None
        except (OSError, TimeoutError) as error:
            raise Lost(_said(error)) from None
        self.answered = time.time()
        return got

    def _terms(self, market: Mapping[str, Any]) -> dict[str, int]:
        steps = market["precision"]
        limits = market["limits"]
        return {
            "tick": max(1, self._step(steps["price"])),
            "lot": max(1, self._step(steps["amount"])),
            "qty_min": _least((limits.get("amount") or {}).get("min")),
            "cost_min": _least((limits.get("cost") or {}).get("min")),
        }

    def _step(self, given: float | None) -> int:
        """Return a price or quantity step in units; ccxt gives it as a step or as a number of decimals."""
        if given is None:
            return 1
        if self._api.precisionMode == self._ccxt.DECIMAL_PLACES:
            return round(UNIT * float(10.0**-given))
        return round(given * UNIT)


def moved(urls: Any, base: str) -> Any:
    """Return ccxt's table of addresses with another scheme and host; paths stay, and WebSockets stay WebSockets."""
    if isinstance(urls, dict):
        return {name: moved(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts = urlsplit(urls)
    scheme = "ws" if parts.scheme.startswith("ws") else "http"
    return f"{base.replace('http', scheme, 1)}{parts.path}"


def _least(given: float | None) -> int:
    return min(round((given or 0.0) * UNIT), INT64_MAX)


def _candles(rows: Sequence[Sequence[float | None]]) -> list[Candle]:
    """Read rows of milliseconds, open, high, low, close and volume; one that lacks a number is left out."""
    candles = []
    for row in rows:
        time_ms, *values = row[:6]
        if time_ms is None or len(values) < 5 or None in values:
            continue
        numbers = np.array(values, np.float64)
        if not np.isfinite(numbers).all():
            continue
        opened, high, low, close = to_units(numbers[:4]).tolist()
        candles.append(Candle(int(time_ms) * _MS, (opened, high, low, close, int(to_units(numbers[4:])[0]))))
    return candles


def _trade(row: Mapping[str, Any]) -> Trade:
    price, qty = (int(to_units(np.array([row[name]], np.float64))[0]) for name in ("price", "amount"))
    return Trade(int(row["timestamp"]) * _MS, str(row["id"] or ""), price, qty)


def _said(error: BaseException) -> str:
    """Return the first line of what went wrong, without addresses' queries, which may be long."""
    words = (str(error) or type(error).__name__).splitlines()[0]
    return words if len(words) <= 160 else f"{words[:157]}..."

"""A venue on this machine: it speaks as much of Kraken's REST and WebSocket v2 as market data takes, and misbehaves.

It plays a recording in its own time, which may go faster than ours, and has faults on demand: a dropped connection, an
outage, messages sent twice or in another order, bars that come late.

    python -m tests.faults.venue 8080 60      # the made-up market on port 8080, 60 times as fast
"""

import asyncio
import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

MINUTE = 60


@dataclass(frozen=True)
class Message:
    """What a channel sends about a pair: when, and one entry of `data`."""

    at: float
    channel: str
    pair: str
    entry: dict[str, Any]


@dataclass
class Recording:
    """Candles and trades by pair: rows as Kraken's REST gives them, prices and quantities as text."""

    candles: dict[str, list[list[Any]]]
    trades: dict[str, list[list[Any]]] = field(default_factory=dict)
    decimals: int = 1

    def messages(self) -> list[Message]:
        """Return all that would be sent, in order: two states of each candle that has trades, and each trade."""
        found = []
        for pair, rows in self.candles.items():
            for row in rows:
                if float(row[6]):
                    begun = [row[0], row[1], *_extent(row), _middle(row), row[5], f"{float(row[6]) / 2:.8f}", 1]
                    found.append(Message(row[0] + 20, "ohlc", pair, _candle(pair, begun)))
                    found.append(Message(row[0] + 50, "ohlc", pair, _candle(pair, row)))
        for pair, rows in self.trades.items():
            found += [Message(row[2], "trade", pair, _trade(pair, row)) for row in rows]
        return sorted(found, key=lambda m: m.at)


def recorded(shared: Path, first: int, n: int) -> Recording:
    """Read minutes and trades of BTC/USDT that Kraken itself sent."""
    folder = shared / "data" / "captures" / "kraken_messages"

    def rows(name: str) -> list[list[Any]]:
        return json.loads(gzip.decompress((folder / name).read_bytes()))["result"]["XBTUSDT"]

    candles = rows("http_ohlc.json.gz")[first : first + n]
    trades = [row for row in rows("http_trades.json.gz") if candles[0][0] <= row[2] < candles[-1][0] + MINUTE]
    return Recording({"BTC/USDT": candles}, {"BTC/USDT": trades})


def made_up(n: int, pairs: tuple[str, ...] = ("BTC/USD", "ETH/USD"), began: int = 1_700_000_040) -> Recording:
    """Make minutes that go up and down, and the four trades that each is made of."""
    candles: dict[str, list[list[Any]]] = {}
    trades: dict[str, list[list[Any]]] = {}
    for p, pair in enumerate(pairs):
        candles[pair], trades[pair] = [], []
        close = 1000 * (p + 1)
        for i in range(n):
            opened = close
            close = opened + ((i * 7 + p * 3) % 11 - 5) * 2
            high, low = max(opened, close) + 3, min(opened, close) - 4
            at = began + i * MINUTE
            prices = [opened, high, low, close]
            candles[pair].append([at, *(f"{price}.0" for price in prices), "0.0", "4.00000000", 4])
            trades[pair] += [
                [f"{price}.00000", "1.00000000", at + 5 + 15 * k, "b", "l", "", 4 * i + k + 1]
                for k, price in enumerate(prices)
            ]
    return Recording(candles, trades)


@dataclass
class Faults:
    """What goes wrong; all times in the recording's seconds.

    Parameters: `drops` when all connections break; `outages` (from, to) in which nothing is answered or accepted;
    `twice` whether each message is sent two times; `swapped` whether the two states of a candle change places; `late`
    candles by (pair, open) and by how much they and what they are made of are held back, REST included; `silent` when
    the WebSocket goes dumb without closing; `deaf` (from, to) in which no candles are given by REST; `slips` whether
    every other question for a pair's candles is answered with none; `reach` bars that an answer is about at the most,
    from where it was asked for on, and then bars without trades lack.
    """

    drops: tuple[float, ...] = ()
    outages: tuple[tuple[float, float], ...] = ()
    twice: bool = False
    swapped: bool = False
    late: dict[tuple[str, int], float] = field(default_factory=dict)
    silent: float | None = None
    deaf: tuple[float, float] = (0.0, 0.0)
    slips: bool = False
    reach: int | None = None


class Venue:
    """The server. Its time is `began` until it is first asked something, then goes `speed` times as fast as ours."""

    def __init__(self, recording: Recording, began: float, speed: float, faults: Faults | None = None) -> None:
        self.recording, self.began, self.speed = recording, began, speed
        self.faults = faults or Faults()
        self.asked: list[str] = []
        """Paths that were asked for by REST, and `subscribe` for each subscription."""
        self._answers = dict.fromkeys(recording.candles, 0)
        self._messages = self._planned()
        self._started: float | None = None

    def now(self) -> float:
        """Return the recording's time, seconds."""
        return self.began + (0.0 if self._started is None else (time.monotonic() - self._started) * self.speed)

    def _planned(self) -> list[Message]:
        planned = []
        for message in self.recording.messages():
            entry, at = message.entry, message.at
            opened = _opened(message)
            at += self.faults.late.get((message.pair, opened), 0.0)
            if self.faults.swapped and message.channel == "ohlc":
                at = opened + 75 - (at - opened)
            planned += [Message(at, message.channel, message.pair, entry)] * (2 if self.faults.twice else 1)
        return sorted(planned, key=lambda m: m.at)

    def _away(self) -> bool:
        now = self.now()
        return any(begin <= now < end for begin, end in self.faults.outages)

    def application(self) -> web.Application:
        """Return the server's routes."""
        app = web.Application()
        app.router.add_get("/v2", self._socket)
        for name in ("AssetPairs", "Assets", "Time", "OHLC", "Trades"):
            app.router.add_get(f"/0/public/{name}", self._rest)
        return app

    async def _rest(self, request: web.Request) -> web.Response:
        self._started = self._started or time.monotonic()
        self.asked.append(request.path)
        if self._away():
            return web.json_response({"error": ["EService:Unavailable"]}, status=503)
        name = request.path.rpartition("/")[2]
        if name == "OHLC" and self.faults.deaf[0] <= self.now() < self.faults.deaf[1]:
            return web.json_response({"error": ["EService:Busy"]}, status=503)
        answer = {
            "AssetPairs": self._pairs,
            "Assets": lambda _: {},
            "Time": lambda _: {"unixtime": self.now(), "rfc1123": ""},
            "OHLC": self._ohlc,
            "Trades": lambda query: {query["pair"]: [], "last": "0"},
        }[name](request.query)
        return web.json_response({"error": [], "result": answer})

    def _pairs(self, _: Any) -> dict[str, Any]:
        found = {}
        for pair in self.recording.candles:
            base, quote = pair.split("/")
            found[base + quote] = {
                **{"altname": base + quote, "wsname": pair, "base": base, "quote": quote, "status": "online"},
                **{"pair_decimals": self.recording.decimals, "lot_decimals": 8, "ordermin": "0.00005"},
                **{"costmin": "0.5", "tick_size": "0.1", "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]]},
                **{"leverage_buy": [], "leverage_sell": []},
            }
        return found

    def _ohlc(self, query: Any) -> dict[str, Any]:
        """Return the newest 720 candles with what has been sent of each so far, the running one last."""
        now, since = self.now(), int(query.get("since", 0))
        pair = next(p for p in self.recording.candles if p.replace("/", "") == query["pair"])
        sent: dict[int, list[Any]] = {}
        for message in self._messages:
            if message.channel == "ohlc" and message.pair == pair and message.at <= now:
                entry, opened = message.entry, _opened(message)
                if opened not in sent or float(sent[opened][6]) < entry["volume"]:
                    values = [str(entry[name]) for name in ("open", "high", "low", "close", "vwap", "volume")]
                    sent[opened] = [opened, *values, entry["trades"]]
        late = {opened for (of, opened), by in self.faults.late.items() if of == pair and now < opened + 50 + by}
        for row in self.recording.candles[pair]:
            if row[0] + MINUTE <= now and not float(row[6]):
                sent.setdefault(row[0], row)
        rows = [row for opened, row in sorted(sent.items()) if opened > since and opened not in late]
        if self.faults.reach is not None:
            rows = [row for row in rows if float(row[6]) and row[0] <= since + self.faults.reach * MINUTE]
        self._answers[pair] += 1
        if self.faults.slips and self._answers[pair] % 2:
            rows = []
        return {query["pair"]: rows[-720:], "last": rows[-1][0] if rows else 0}

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        if self._away():
            return web.Response(status=503)
        await socket.prepare(request)
        tasks = [asyncio.create_task(self._breaks(socket))]
        wanted: set[tuple[str, str]] = set()
        await self._send(socket, {"channel": "status", "type": "update", "data": [{"system": "online"}]})
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                break
            said = json.loads(message.data)
            if said["method"] == "ping":
                await self._send(socket, {"method": "pong", "req_id": said.get("req_id")})
                continue
            self.asked.append("subscribe")
            channel, pairs = said["params"]["channel"], said["params"]["symbol"]
            for pair in pairs:
                result = {"channel": channel, "symbol": pair, "snapshot": True}
                await self._send(socket, {"method": "subscribe", "result": result, "success": True})
                if (channel, pair) not in wanted:
                    wanted.add((channel, pair))
                    tasks.append(asyncio.create_task(self._play(socket, channel, pair)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return socket

    async def _play(self, socket: web.WebSocketResponse, channel: str, pair: str) -> None:
        """Send what comes from now on, and a heartbeat each second of real time."""
        begin = self.now()
        for message in self._messages:
            if (message.channel, message.pair) != (channel, pair) or message.at < begin:
                continue
            while (wait := (message.at - self.now()) / self.speed) > 0:
                await asyncio.sleep(min(wait, 1.0))
                if wait > 1.0:
                    await self._send(socket, {"channel": "heartbeat"})
            await self._send(socket, {"channel": channel, "type": "update", "data": [message.entry]})

    async def _breaks(self, socket: web.WebSocketResponse) -> None:
        """Break the connection when it is to break."""
        begin = self.now()
        for at in sorted([*self.faults.drops, *(first for first, _ in self.faults.outages)]):
            if at >= begin:
                await asyncio.sleep(max(0.0, (at - self.now()) / self.speed))
                # Without a closing handshake, as when a cable is pulled.
                if socket._req is not None and socket._req.transport is not None:
                    socket._req.transport.abort()
                return

    async def _send(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if self.faults.silent is None or self.now() < self.faults.silent:
            with suppress(ConnectionError):
                await socket.send_str(json.dumps(message))


@contextmanager
def serving(venue: Venue, port: int = 0) -> Iterator[str]:
    """Run the server in a thread of its own; give its address."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    address: list[str] = []

    async def start() -> web.AppRunner:
        runner = web.AppRunner(venue.application(), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _opened(message: Message) -> int:
    """Return the open of the candle that a message belongs to."""
    return int(message.entry["_open"] if "_open" in message.entry else message.at // MINUTE * MINUTE)


def _middle(row: list[Any]) -> str:
    return f"{round((float(row[1]) + float(row[4])) / 2, 1)}"


def _extent(row: list[Any]) -> list[str]:
    half = float(_middle(row))
    return [str(max(float(row[1]), half)), str(min(float(row[1]), half))]


def _candle(pair: str, row: list[Any]) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "vwap", "volume")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z", time.gmtime(row[0]))
    numbers = {name: float(value) for name, value in zip(names, row[1:7], strict=True)}
    return {"symbol": pair, **numbers, "trades": row[7], "interval": 1, "interval_begin": stamp, "_open": row[0]}


def _trade(pair: str, row: list[Any]) -> dict[str, Any]:
    seconds, part = divmod(row[2], 1)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f"{part:.6f}"[1:] + "Z"
    side = {"b": "buy", "s": "sell"}[row[3]]
    kind = {"l": "limit", "m": "market"}[row[4]]
    numbers = {"price": float(row[0]), "qty": float(row[1]), "ord_type": kind, "trade_id": row[6]}
    return {"symbol": pair, "side": side, **numbers, "timestamp": stamp}


if __name__ == "__main__":
    market = made_up(1000)
    first = market.candles["BTC/USD"][0][0]
    with serving(Venue(market, first + 300 * MINUTE, float(sys.argv[2])), int(sys.argv[1])) as where:
        sys.stderr.write(f"serving on {where}\n")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()

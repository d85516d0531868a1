"""The engine scenarios: orders on a bar set, and the fills, cash, quantity and equity they must give, exactly.

Cash 10000, taker 10 bp, maker 5 bp, tick .01, no slippage, unless `settings` says otherwise. An order `at` k is sent
at the close of bar k, and its other keys are the columns of an order file.
"""

from dataclasses import dataclass, field
from typing import Any

from kraken_flow.core.market import Market
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side, Tif
from kraken_flow.core.times import iso, parse_time
from kraken_flow.core.units import parse
from tests.golden.bars import FINER_B7, HOUR, T0, market_named

TERMS = {"exchange.fees.taker_bps": 10, "exchange.fees.maker_bps": 5, "exchange.tick": 0.01}
BRACKET = {"stop_loss": "97", "take_profit": "106"}
LIMIT = {"type": "limit", "limit_price": "99"}
SLIP = {"exchange.slippage.model": "bps", "exchange.slippage.bps": 5}


@dataclass(frozen=True)
class Scenario:
    """One scenario; `fills` are written as bar, side, quantity @ price, fee, liquidity."""

    name: str
    bars: str
    orders: tuple[dict[str, Any], ...]
    fills: tuple[str, ...]
    cash: str
    qty: str
    equity: str
    settings: dict[str, Any] = field(default_factory=dict)
    finer: str | None = None

    @property
    def market(self) -> Market:
        """The bars as a market."""
        return market_named(self.bars, self.finer)

    @property
    def terms(self) -> dict[str, Any]:
        """The exchange's settings by their key paths."""
        return TERMS | self.settings

    def requests(self) -> list[tuple[int, OrderRequest]]:
        """The orders as an engine takes them."""
        return [(decision(order), request(order)) for order in self.orders]

    def csv(self, pair: str) -> str:
        """The orders as an order file."""
        columns = ["time", "pair", "side", "qty"]
        columns += sorted({key for order in self.orders for key in order} - {"at", "side", "qty"})
        lines = [",".join(columns)]
        for order in self.orders:
            row = {"time": iso(decision(order)), "pair": pair, "side": "buy", "qty": "10"} | order
            lines.append(",".join(str(row.get(column, "")) for column in columns))
        return "\n".join(lines) + "\n"


def decision(order: dict[str, Any]) -> int:
    """The close of the bar at which an order is sent."""
    return T0 + HOUR * (1 + order.get("at", 0))


def request(order: dict[str, Any], pair: int = 0) -> OrderRequest:
    """An order from its columns."""
    expires = order.get("expire_time")
    return OrderRequest(
        pair=pair,
        side=Side[str(order.get("side", "buy")).upper()],
        qty=parse(order.get("qty", 10)),
        type=OrderType[str(order.get("type", "market")).upper()],
        limit_price=parse(order.get("limit_price", 0)),
        stop_price=parse(order.get("stop_price", 0)),
        tif=Tif[str(order.get("tif", "gtc")).upper()],
        expire_time=0 if expires is None else parse_time(expires),
        post_only=order.get("post_only", "0") == "1",
        reduce_only=order.get("reduce_only", "0") == "1",
        stop_loss=parse(order.get("stop_loss", 0)),
        take_profit=parse(order.get("take_profit", 0)),
        bracket_trail=parse(order.get("trail", 0)),
        reason=Reason.SCRIPTED,
    )


def _one(name: str, bars: str, order: dict[str, Any], fills: tuple[str, ...], *closing: str, **more: Any) -> Scenario:
    return Scenario(name, bars, (order,), fills, *closing, **more)


STOPPED = ("b1 B 10@100 fee 1 T", "b2 S 10@97 fee 0.97 T")
TAKEN = ("b1 B 10@100 fee 1 T", "b2 S 10@106 fee 0.53 M")

SCENARIOS = (
    Scenario(
        "S01", "A", ({}, {"side": "sell", "at": 2}),
        ("b1 B 10@100.5 fee 1.005 T", "b3 S 10@102.2 fee 1.022 T"), "10014.973", "0", "10014.973",
    ),
    Scenario(
        "S02", "A", ({}, {"side": "sell", "at": 2}),
        ("b1 B 10@100.56 fee 1.0056 T", "b3 S 10@102.14 fee 1.0214 T"), "10013.773", "0", "10013.773", settings=SLIP,
    ),
    _one("S05", "B5", BRACKET, STOPPED, "9968.03", "0", "9968.03"),
    _one("S06", "B6", BRACKET, ("b1 B 10@100 fee 1 T", "b2 S 10@95 fee 0.95 T"), "9948.05", "0", "9948.05"),
    _one("S07", "B7", BRACKET, STOPPED, "9968.03", "0", "9968.03"),
    *(
        _one(f"S07-{path}", "B7", BRACKET, fills, cash, "0", cash, settings={"exchange.fill.path": path})
        for path, fills, cash in (
            ("ohlc", TAKEN, "10058.47"), ("olhc", STOPPED, "9968.03"), ("adaptive", STOPPED, "9968.03"),
        )
    ),
    _one("S09", "B9", BRACKET, ("b1 B 10@100 fee 1 T", "b1 S 10@97 fee 0.97 T"), "9968.03", "0", "9968.03"),
    _one("S10a", "B10", LIMIT, ("b3 B 10@99 fee 0.495 M",), "9009.505", "10", "10024.505"),
    _one(
        "S10b", "B10", LIMIT, ("b1 B 10@99 fee 0.495 M",), "9009.505", "10", "10024.505",
        settings={"exchange.fill.limit": "touch"},
    ),
    _one(
        "S11", "B10", LIMIT | {"tif": "gtd", "expire_time": "2024-01-01T03:00:00Z"}, (), "10000", "0", "10000",
    ),
    _one("S12a", "B12", LIMIT, ("b1 B 10@98.5 fee 0.985 T",), "9014.015", "10", "10019.015"),
    _one(
        "S14", "B14", LIMIT | {"stop_loss": "95", "take_profit": "106"},
        ("b1 B 10@99 fee 0.495 M", "b1 S 10@95 fee 0.95 T"), "9958.555", "0", "9958.555",
    ),
    _one("S15", "B15", {"trail": "5"}, ("b1 B 10@100 fee 1 T", "b2 S 10@98 fee 0.98 T"), "9978.02", "0", "9978.02"),
    _one(
        "S17", "B7", BRACKET, TAKEN, "10058.47", "0", "10058.47", finer=FINER_B7,
        settings={"exchange.fill.path": "detail", "exchange.fill.detail": "15m"},
    ),
    _one(
        "S18", "B18", {"qty": "25"},
        ("b1 B 12@100 fee 1.2 T", "b2 B 8@101 fee 0.808 T", "b3 B 5@102 fee 0.51 T"), "7479.482", "25", "10066.982",
    ),
    _one(
        "S24", "A", {}, ("b2 B 10@101.5 fee 1.015 T",), "8983.985", "10", "10008.985",
        settings={"exchange.latency": "1h"},
    ),
    Scenario(
        "S27", "A", ({}, {"side": "sell", "qty": "20", "at": 1}),
        ("b1 B 10@100.5 fee 1.005 T", "b2 S 20@101.5 fee 2.03 T"), "11021.965", "-10", "9996.965",
    ),
    _one("S30", "B30", {}, ("b2 B 10@103 fee 1.03 T",), "8968.97", "10", "10003.97"),
    _one(
        "S36", "B36", {"side": "sell", "stop_loss": "104", "take_profit": "94"},
        ("b1 S 10@100 fee 1 T", "b2 B 10@104 fee 1.04 T"), "9957.96", "0", "9957.96",
    ),
    _one(
        "S37", "B37", {"type": "stop", "stop_price": "102", "stop_loss": "98", "take_profit": "108"},
        ("b1 B 10@102 fee 1.02 T", "b1 S 10@98 fee 0.98 T"), "9958", "0", "9958",
    ),
    _one("S39", "B39", BRACKET, ("b1 B 10@100 fee 1 T", "b3 S 10@106 fee 0.53 M"), "10058.47", "0", "10058.47"),
    _one(
        "S42", "B5", BRACKET, ("b1 B 10@100.05 fee 1.0005 T", "b2 S 10@96.95 fee 0.9695 T"), "9967.03", "0", "9967.03",
        settings=SLIP,
    ),
)  # fmt: skip
"""The first table of the scenarios, with S17 (finer bars) and S18."""

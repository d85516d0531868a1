"""A market and results worked by hand, so that what reads a result is tested without an engine."""

from collections.abc import Sequence

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.core.orders import Liquidity, LogKind, OrderType, Reason, Side, State, Tif
from kraken_flow.core.result import Result, join128, split128
from kraken_flow.core.times import SECOND, parse_time
from kraken_flow.core.units import parse, to_units

HOUR = 3600 * SECOND
T0 = parse_time("2024-01-01")
CASH = 10_000 * 10**16

BARS_A = [
    (100, 101, 99, 100),
    (100.5, 102, 100, 101.5),
    (101.5, 103, 101, 102),
    (102.2, 104, 102, 103.5),
    (103.4, 104, 102, 102.5),
]

ORDER = {
    "pair": 0, "side": 0, "type": int(OrderType.MARKET), "tif": int(Tif.GTC), "qty": 0, "filled": 0, "limit_price": 0,
    "stop_price": 0, "trail": 0, "trail_rate": 0, "expire_time": 0, "post_only": 0, "reduce_only": 0,
    "state": int(State.FILLED), "reason": int(Reason.SCRIPTED), "end_reason": 0, "time": 0, "tag": 0,
}  # fmt: skip
FILL = {
    "row": 0, "open_phase": 1, "pair": 0, "side": 0, "qty": 0, "price": 0, "fee_is_base": 0, "fee_hi": 0,
    "fee_lo": 0, "slip_hi": 0, "slip_lo": 0, "liquidity": int(Liquidity.TAKER), "order": 0, "ambiguous": 0,
}  # fmt: skip
LOG = {"kind": int(LogKind.SUBMIT), "order": 0, "time": 0, "qty": 0, "reason": int(Reason.SCRIPTED)}


def pair_columns(pair: str, bars: Sequence[Sequence[float]], volume: float = 1000) -> PairColumns:
    """Columns of a pair from its open, high, low, close rows."""
    table = np.array(bars, float)
    columns = [to_units(table[:, i].copy()) for i in range(4)]
    return PairColumns(pair, *columns, to_units(np.full(len(bars), volume)), np.full(len(bars), REAL, np.uint8))


def market(*pairs: PairColumns, timeframe_ns: int = HOUR, first_row: int = 0) -> Market:
    """A market of pairs on one grid from 2024-01-01."""
    times = T0 + np.arange(len(pairs[0].close)) * timeframe_ns
    return Market(timeframe_ns, times, pairs, first_row=first_row)


def instrument(pair: str = "BTC/USD", lot: int = 1, tick: int = 10**6) -> Instrument:
    """An instrument with a tick of .01 and no minima."""
    base, quote = pair.split("/")
    return Instrument(pair, base, quote, tick, lot)


def columns(template: dict[str, int], rows: Sequence[dict[str, int]]) -> dict[str, np.ndarray]:
    """Engine columns from rows that say what differs from the template."""
    return {name: np.array([row.get(name, value) for row in rows], np.int64) for name, value in template.items()}


def fill(row: int, side: int, qty: str, price: str, fee: str = "0", **more: int) -> dict[str, int]:
    """One fill with its fee in quote."""
    hi, lo = split128(parse(fee, 16))
    amounts = {"qty": parse(qty), "price": parse(price), "fee_hi": hi, "fee_lo": lo}
    return {"row": row, "side": side, **amounts, **more}


def finished(
    tape: Market,
    fills: Sequence[dict[str, int]],
    orders: Sequence[dict[str, int]] = (),
    log: Sequence[dict[str, int]] = (),
    lot: int = 1,
    cash: int = CASH,
    tags: tuple[str, ...] = ("",),
) -> FinishedRun:
    """The result that a ledger makes of these fills, by a loop over rows in exact integers."""
    names = tape.names
    position = [0] * len(names)
    equity, balance, gross = [], [], []
    money = cash
    rest = list(fills)
    for row in range(tape.first_row, tape.n_rows):
        while rest and rest[0]["row"] == row:
            done = rest.pop(0)
            pair = done.get("pair", 0)
            fee = join128(done.get("fee_hi", 0), done["fee_lo"])
            in_base = bool(done.get("fee_is_base"))
            position[pair] += done["side"] * done["qty"] - fee * in_base
            money -= done["side"] * done["qty"] * done["price"] + fee * (not in_base)
        marks = [int(p.close[row]) for p in tape.pairs]
        held = [q * m for q, m in zip(position, marks, strict=True)]
        equity.append((money + sum(held)) / 10**16)
        balance.append(money / 10**16)
        gross.append(sum(abs(h) for h in held) / 10**16)
    result = Result(
        engine="hand",
        fills=columns(FILL, fills),
        equity=np.array(equity),
        exposure=exposure(equity, gross),
        record=lambda: (columns(ORDER, orders), columns(LOG, log)),
        account=lambda: (np.array(balance), np.array(gross)),
        final_cash=money,
        final_positions=np.array(position, np.int64),
        tags=tags,
    )
    return FinishedRun(result, tape, tuple(instrument(name, lot) for name in names), cash, elapsed_s=0.5)


def exposure(equity: Sequence[float], gross: Sequence[float]) -> float:
    """Mean of gross over equity while there is equity."""
    shares = [g / e for g, e in zip(gross, equity, strict=True) if e > 0]
    return sum(shares) / len(shares) if shares else np.nan


def s01() -> FinishedRun:
    """Scenario S01: buy 10 at the close of bar 0, sell them at the close of bar 2, taker fee 10 bp."""
    ten = parse("10")
    orders = [
        {"side": int(Side.BUY), "qty": ten, "filled": ten, "time": T0 + HOUR},
        {"side": int(Side.SELL), "qty": ten, "filled": ten, "time": T0 + 3 * HOUR},
    ]
    log = [{"order": i, "time": o["time"], "qty": ten} for i, o in enumerate(orders)]
    fills = [fill(1, 1, "10", "100.5", "1.005"), fill(3, -1, "10", "102.2", "1.022", order=1)]
    return finished(market(pair_columns("BTC/USD", BARS_A)), fills, orders, log)

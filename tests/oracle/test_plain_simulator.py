"""Both engines against two programs written from the rules alone: every fill, every order's end, the cash, exactly."""

import csv
import random
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from kraken_flow import backtest
from kraken_flow.core.times import parse_time
from tests.engines import ENGINES
from tests.oracle.plain_simulator import PlainSimulator
from tests.oracle.plain_trader import PlainTrader

T0 = 1704067200
HOUR, DAY = 3600, 86400
PRICES = ("open", "high", "low", "close", "volume")
COLUMNS = "time pair side qty type limit_price stop_price tif expire_time post_only reduce_only stop_loss take_profit"
COLUMNS = (*COLUMNS.split(), "trail", "tag")
HALF = Decimal("0.5")
FEES = [(Decimal(0), Decimal(5), Decimal(10))]
COMMON = ["exchange=bare", "exchange.tick=0.5", "exchange.lot=0.001"]
COMMON += ["exchange.fees.maker_bps=5", "exchange.fees.taker_bps=10"]
RICH = 10_000_000
KRAKEN_TIERS = "0 25 40,10000 20 35,50000 14 24,100000 12 22,250000 10 20,500000 8 18,1000000 6 16,2500000 4 14"
KRAKEN_TIERS = [tuple(map(Decimal, tier.split())) for tier in f"{KRAKEN_TIERS},5000000 2 12,10000000 0 10".split(",")]

Bars = list[dict[str, Decimal] | None]


def drawn(seed: str) -> random.Random:
    """A generator that gives the same case in every run."""
    return random.Random(seed)  # noqa: S311 - test data, no secrets


def tape(rng: random.Random, rows: int, idle: float = 0.0, grid: Decimal = HALF, volumes=(50, 100, 200, 1000)) -> Bars:
    """Candles on a coarse grid, so that levels are touched often; idle is the share of missing and of empty bars."""
    bars: Bars = []
    close = 200
    for row in range(rows):
        if 0 < row < rows - 1 and rng.random() < idle:
            bars.append(None)
            continue
        start = max(20, close + rng.choice([0, 0, 0, 0, 1, -1, 2, -2, 6, -6]))
        end = max(20, start + rng.randint(-6, 6))
        high = max(start, end) + rng.choice([0, 0, 1, 2, 4, 8])
        low = max(1, min(start, end) - rng.choice([0, 0, 1, 2, 4, 8]))
        volume = 0 if rng.random() < idle else rng.choice(volumes)
        if volume == 0 and rng.random() < 0.7:
            start = high = low = end = close
        prices = [grid * price for price in (start, high, low, end)]
        bars.append(dict(zip(PRICES, (*prices, Decimal(volume)), strict=True)))
        close = end
    return bars


def close_at(bars: Bars, row: int) -> Decimal:
    """The close of the last bar up to a row."""
    return next(bar["close"] for bar in reversed(bars[: row + 1]) if bar is not None)


def brackets(rng: random.Random, idle: float) -> tuple[dict[str, Bars], list[dict[str, Any]]]:
    """One entry of every type per pair, with stop, target and trail, also where the market is past them already."""
    market, script = {}, []
    for k in range(24):
        pair = f"P{k:02d}/USD"
        market[pair] = tape(rng, 10, idle)
        side = rng.choice(["buy", "sell"])
        sign = HALF if side == "buy" else -HALF
        kind = rng.choice(["market", "limit", "stop", "stop_limit"])
        order: dict[str, Any] = {"pair": pair, "at": 0, "side": side, "type": kind, "tag": f"{k}"}
        order["qty"] = Decimal(rng.choice(["1", "5", "12.5", "30"]))
        entry = close_at(market[pair], 0)
        if kind in ("stop", "stop_limit"):
            entry = order["stop_price"] = close_at(market[pair], 0) + sign * rng.randint(-1, 6)
        if kind in ("limit", "stop_limit"):
            entry = order["limit_price"] = close_at(market[pair], 0) - sign * rng.randint(-3, 6)
        if rng.random() < 0.8:
            order["stop_loss"] = entry - sign * rng.randint(1, 10)
        if rng.random() < 0.7:
            order["take_profit"] = entry + sign * rng.randint(1, 10)
        if rng.random() < 0.4:
            order["trail"] = HALF * rng.randint(1, 10)
        script.append(order)
    return market, script


def resting(rng: random.Random, idle: float) -> tuple[dict[str, Bars], list[dict[str, Any]]]:
    """Up to three orders per pair: all types, times in force and flags, off the tick and off the lot too."""
    market, script = {}, []
    for k in range(24):
        pair = f"P{k:02d}/USD"
        bars = market[pair] = tape(rng, 12, idle)
        for j in range(rng.choice([1, 1, 2, 3])):
            at = rng.choice([0, 0, 1, 2, 3])
            side = rng.choice(["buy", "sell"])
            sign = HALF if side == "buy" else -HALF
            kind = rng.choice(["market", "limit", "limit", "stop", "stop_limit", "trailing"])
            order: dict[str, Any] = {"pair": pair, "at": at, "side": side, "type": kind, "tag": f"{k}.{j}"}
            order["qty"] = Decimal(rng.choice(["1", "5", "12.5", "30", "7.0005"]))
            if kind in ("limit", "stop_limit"):
                off = rng.choice([0, 0, 0, Decimal("0.2")])
                order["limit_price"] = close_at(bars, at) - sign * rng.randint(-3, 8) + off
            if kind in ("stop", "stop_limit"):
                order["stop_price"] = close_at(bars, at) + sign * rng.randint(-1, 8)
            if kind == "trailing":
                order |= {"type": None, "reduce_only": True, "trail": HALF * rng.randint(1, 8)}
            elif rng.random() < 0.2:
                order["reduce_only"] = True
            if kind in ("market", "limit"):
                order["tif"] = rng.choice(["gtc", "gtc", "ioc", "fok"])
            if kind != "trailing" and order.get("tif", "gtc") == "gtc" and rng.random() < 0.3:
                order |= {"tif": "gtd", "expire": at + 1 + rng.choice([1, 2, 3, 4]) + rng.choice([0, 0, HALF])}
            if kind == "limit" and order["tif"] not in ("ioc", "fok") and rng.random() < 0.3:
                order["post_only"] = True
            script.append(order)
    return market, sorted(script, key=lambda order: order["at"])


def poor(rng: random.Random, idle: float) -> tuple[dict[str, Bars], list[dict[str, Any]]]:
    """Market orders on two pairs that the account cannot all afford."""
    market = {"BTC/USD": tape(rng, 24, idle), "ETH/USD": tape(rng, 24, idle)}
    script = []
    for j in range(20):
        order = {"pair": rng.choice(list(market)), "at": rng.randrange(22), "type": "market", "tag": f"{j}"}
        order |= {"side": rng.choice(["buy", "buy", "sell"]), "qty": Decimal(rng.choice(["3", "6", "12.5", "0.4"]))}
        script.append(order | {"tif": rng.choice(["gtc", "ioc", "fok"]), "reduce_only": rng.random() < 0.15})
    return market, sorted(script, key=lambda order: order["at"])


def priced(rng: random.Random, idle: float) -> tuple[dict[str, Bars], list[dict[str, Any]]]:
    """Orders over months on one pair: fee tiers come and go, some orders are too small or priced out of the band."""
    bars = tape(rng, 90, idle, Decimal(50), (5, 1000))
    script = []
    for j in range(60):
        order = {"pair": "BTC/USD", "at": rng.randrange(88), "side": rng.choice(["buy", "sell"]), "tag": f"{j}"}
        order |= {"qty": Decimal(rng.choice(["0.1", "0.5", "1.23456789", "0.00004", "0.00006"])), "type": "market"}
        if rng.random() < 0.5:
            factor = Decimal(rng.choice(["0.3", "0.97", "1.01", "1.6", "0.99001"]))
            order |= {"type": "limit", "limit_price": close_at(bars, order["at"]) * factor}
        script.append(order)
    return {"BTC/USD": bars}, sorted(script, key=lambda order: order["at"])


CAPPED: list[str] = []
UNCAPPED = ["exchange.participation_cap=null"]
MINIMA = "{tick: 0.5, lot: 0.001, qty_min: 0.4, cost_min: 150}"
LATE = ["exchange.latency=30m", "exchange.latency_bps=20"]
CASES = {
    "brackets": (brackets, 0.0, UNCAPPED, {"cap": None}, 3),
    "brackets, cap and idle bars": (brackets, 0.12, CAPPED, {}, 3),
    "brackets, touch": (brackets, 0.1, ["exchange.fill.limit=touch"], {"limit": "touch"}, 1),
    "brackets, ohlc": (brackets, 0.1, ["exchange.fill.path=ohlc"], {"path": "ohlc"}, 2),
    "brackets, olhc": (brackets, 0.1, ["exchange.fill.path=olhc"], {"path": "olhc"}, 2),
    "brackets, adaptive": (brackets, 0.1, ["exchange.fill.path=adaptive"], {"path": "adaptive"}, 2),
    "resting": (resting, 0.0, UNCAPPED, {"cap": None}, 2),
    "resting, cap and idle bars": (resting, 0.15, CAPPED, {}, 3),
    "resting, touch": (resting, 0.0, [*UNCAPPED, "exchange.fill.limit=touch"], {"cap": None, "limit": "touch"}, 1),
    "resting, bps": (
        resting,
        0.0,
        [*UNCAPPED, "exchange.slippage.model=bps", "exchange.slippage.bps=33"],
        {"cap": None, "model": "bps", "bps": Decimal(33)},
        1,
    ),
    "resting, half spread": (
        resting,
        0.1,
        [*UNCAPPED, "exchange.slippage.model=half_spread", "exchange.slippage.half_spread=0.3"],
        {"cap": None, "model": "half_spread", "half_spread": Decimal("0.3")},
        1,
    ),
    "resting, fee in base": (resting, 0.0, ["exchange.fees.currency=base"], {"fee_currency": "base"}, 1),
    "resting, late": (
        resting,
        0.1,
        [*UNCAPPED, *LATE],
        {"cap": None, "latency_bars": HALF, "latency_bps": Decimal(20)},
        2,
    ),
    "resting, a bar late": (resting, 0.1, ["exchange.latency=1h"], {"latency_bars": Decimal(1)}, 1),
    "resting, more than a bar late": (resting, 0.1, ["exchange.latency=90m"], {"latency_bars": Decimal("1.5")}, 1),
    "resting, no shorts": (resting, 0.0, ["account.short=false"], {"short": False}, 1),
    "poor": (poor, 0.1, CAPPED, {"cash": Decimal(1000)}, 2),
    "poor, no shorts": (
        poor,
        0.1,
        ["account.short=false"],
        {"cash": Decimal(1000), "short": False},
        1,
    ),
    "poor, leverage and fee in base": (
        poor,
        0.1,
        ["account.leverage=2.5", "exchange.fees.currency=base"],
        {"cash": Decimal(1000), "leverage": Decimal("2.5"), "fee_currency": "base"},
        2,
    ),
    "poor, minima": (
        poor,
        0.1,
        ["exchange.instruments_table={BTC/USD: %s, ETH/USD: %s}" % ((MINIMA,) * 2)],
        {"cash": Decimal(1000), "qty_min": Decimal("0.4"), "cost_min": Decimal(150)},
        4,
    ),
    "kraken": (
        priced,
        0.05,
        ["exchange=kraken", "timeframe=1d"],
        {
            "tick": Decimal("0.1"),
            "lot": Decimal("1e-8"),
            "qty_min": Decimal("0.00005"),
            "cost_min": HALF,
            "band": HALF,
            "tiers": KRAKEN_TIERS,
            "month_bars": 30,
        },
        2,
    ),
}


def columns_of(bars: Bars, bar_s: int) -> dict[str, list[float]]:
    """Candles as a user would hand them over."""
    rows = [(row, bar) for row, bar in enumerate(bars) if bar is not None]
    return {"time": [T0 + bar_s * row for row, _ in rows], **{k: [float(bar[k]) for _, bar in rows] for k in PRICES}}


def write(path: Any, script: list[dict[str, Any]], bar_s: int) -> None:
    """Write a script as the file of `strategy=scripted`."""

    def cell(value: Any) -> str:
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for order in script:
            expire = None if order.get("expire") is None else int(T0 + bar_s * order["expire"])
            row = {**order, "time": T0 + bar_s * (order["at"] + 1), "expire_time": expire}
            writer.writerow([cell(row.get(name)) for name in COLUMNS])


def fills_of(run: Any, bar_s: int, start: int = T0) -> list[tuple[Any, ...]]:
    """The engine's fills in the oracles' shape."""
    return [
        (
            (fill["bar"].value // 10**9 - start) // bar_s,
            "open" if fill["time"] == fill["bar"] else "bar",
            fill["pair"],
            fill["side"],
            fill["qty"],
            fill["price"],
            fill["fee"],
            fill["liquidity"] == "maker",
        )
        for fill in run.fills.to_dict("records")
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_scripted_orders_fill_as_the_plain_simulator_says(name: str, engine: str, tmp_path: Any) -> None:
    make, idle, overrides, terms, seeds = CASES[name]
    bar_s = DAY if "timeframe=1d" in overrides else HOUR
    common = [] if "exchange=kraken" in overrides else COMMON
    for seed in range(seeds):
        market, script = make(drawn(f"{name} {seed}"), idle)
        write(tmp_path / "orders.csv", script, bar_s)
        base = ["strategy=scripted", f"strategy.path={tmp_path / 'orders.csv'}", "risk=none"]
        cash = terms.get("cash", Decimal(RICH))
        base.append(f"account.cash={cash}")
        bars = {pair: columns_of(series, bar_s) for pair, series in market.items()}
        run = backtest(overrides=[*base, *common, f"engine={engine}", *overrides], bars=bars)
        plain = PlainSimulator(market, script, **{"tiers": FEES, **terms, "cash": cash}).run()
        fills = fills_of(run, bar_s)
        names = ("bar", "phase", "pair", "side", "qty", "price", "fee", "maker")
        for pair in market:
            ours = [fill for fill in fills if fill[2] == pair]
            theirs = [tuple(fill[n] for n in names) for fill in plain.fills if fill["pair"] == pair]
            told = f"{name}, seed {seed}, {pair}: {market[pair]}\n{[o for o in script if o['pair'] == pair]}"
            assert ours == theirs, told
            ends = [(o["tag"], o["status"]) for o in run.orders.to_dict("records") if o["pair"] == pair]
            assert sorted(ends) == sorted((o["tag"], o["status"]) for o in plain.orders if o["pair"] == pair), told
        assert Decimal(run.metrics["final_cash"]) == plain.cash
        held = {pair: Decimal(qty) for pair, qty in run.metrics["final_positions"].items()}
        assert {p: q for p, q in held.items() if q} == {p: q for p, q in plain.held.items() if q}


SIGNALS = {
    "default": ([], {}),
    "half": (["portfolio.fraction=0.5"], {"fraction": HALF}),
    "both sides": (["portfolio.fraction=0.3", "strategy.side=both"], {"fraction": Decimal("0.3"), "side": "both"}),
    "trailing": (["risk.position.trailing=0.02"], {"trail": Decimal("0.02")}),
    "quantity": (["portfolio=fixed_quantity", "portfolio.quantity=3"], {"quantity": Decimal(3), "band": None}),
    "no limits": (
        ["risk=none", "portfolio.fraction=0.6"],
        {"stop": None, "target": None, "max_fraction": None, "fraction": Decimal("0.6")},
    ),
    "next bar": (["risk.rearm=next_bar", "portfolio.fraction=0.3"], {"rearm": 1, "fraction": Decimal("0.3")}),
    "three bars": (["risk.rearm=bars:3", "portfolio.fraction=0.3"], {"rearm": 3, "fraction": Decimal("0.3")}),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "idle"), [*((n, 0.0) for n in SIGNALS), *((n, 0.15) for n in SIGNALS), ("bars", 0.0)])
def test_targets_become_fills_as_the_plain_trader_says(name: str, idle: float, engine: str) -> None:
    timed = ["risk.position.max_bars=4", "strategy.side=both", "portfolio.fraction=0.3"]
    special = (timed, {"max_bars": 4, "side": "both", "fraction": Decimal("0.3")})
    overrides, settings = SIGNALS.get(name, special)
    bars = tape(drawn(f"{name} {idle}"), 300, idle, volumes=(50, 100, 1000))
    base = ["strategy=sma_cross", "strategy.fast=3", "strategy.slow=7", f"engine={engine}", *COMMON]
    # The plain trader knows limits of single positions alone.
    base += ["risk.day.max_loss=null", "risk.system.max_drawdown=null"]
    cap = None if idle == 0 else Decimal("0.1")
    base.append(f"exchange.participation_cap={'null' if cap is None else cap}")
    run = backtest(overrides=[*base, *overrides], bars={"BTC/USD": columns_of(bars, HOUR)})
    terms = {"fast": 3, "slow": 7, "tick": HALF, "lot": Decimal("0.001"), "tiers": FEES, "cap": cap}
    plain = PlainTrader(bars, **{**terms, **settings}).run()
    assert [fill[:2] + fill[3:] for fill in fills_of(run, HOUR)] == [fill[:7] for fill in plain.fills]
    assert len(plain.fills) > 20
    assert Decimal(run.metrics["final_cash"]) == plain.cash


@pytest.fixture(scope="module")
def candles(shared: Any) -> tuple[Any, Bars, list[Decimal]]:
    """Kraken's hourly BTC/USD of 2020 and 2021, and the closes before that warm the averages up."""
    path = shared / "data" / "ohlcv" / "kraken_xbtusd_1h.parquet"
    start, end = (parse_time(day) // 10**9 for day in ("2020-01-01", "2022-01-01"))
    rows = {row["ts_ms"] // 1000: row for row in pq.read_table(path).to_pylist()}
    bars = [rows.get(time) for time in range(start, end, HOUR)]
    exact = [None if bar is None else {k: Decimal(repr(bar[k])) for k in PRICES} for bar in bars]
    warm = [Decimal(repr(rows[time]["close"])) for time in sorted(t for t in rows if t < start)[-30:]]
    return path, exact, warm


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("overrides", "settings"),
    [
        ([], {}),
        (
            ["strategy.side=both", "risk.position.trailing=0.02", "risk.position.max_bars=30"],
            {"side": "both", "trail": Decimal("0.02"), "max_bars": 30},
        ),
    ],
    ids=["default", "both sides, trailing, timed"],
)
def test_two_real_years_agree_to_the_last_decimal(candles: Any, overrides: Any, settings: Any, engine: str) -> None:
    path, bars, warm = candles
    span = ["pairs=[BTC/USD]", "data=files", f"data.path={path}", "start=2020-01-01", "end=2022-01-01"]
    off = ["risk.day.max_loss=null", "risk.system.max_drawdown=null"]
    run = backtest(overrides=["strategy=sma_cross", *span, *off, f"engine={engine}", *overrides])
    terms = {"tiers": KRAKEN_TIERS, "qty_min": Decimal("0.00005"), "cost_min": HALF, "warm": warm}
    plain = PlainTrader(bars, **terms, **settings).run()
    start = parse_time("2020-01-01") // 10**9
    assert [fill[:2] + fill[3:] for fill in fills_of(run, HOUR, start)] == [fill[:7] for fill in plain.fills]
    assert len(plain.fills) > 700
    assert Decimal(run.metrics["final_cash"]) == plain.cash

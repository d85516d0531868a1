"""Hypothesis strategies: runs of perpetuals with funding, marks, leverage and liquidations, and of borrowed coins."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import ABSENT, REAL, Market, PairColumns
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.perpetual import PerpetualExchange
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.market import MarketOrders
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.engines import GivenForecast, graph_of, spec_of
from tests.parity.draw import SLIPPAGES, TIERS, Case, Dice, columns_read, held_forecast, market_drawn, orders_drawn

KINDS = {
    "linear": ("ADA/USDT:USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"),
    "inverse": ("BTC/USD:BTC",),
    "spot": ("ADA/USD", "BTC/USD", "ETH/USD"),
}


def marks_drawn(pair: PairColumns, random: np.random.Generator) -> PairColumns:
    """Marks that follow the last price, some of them off it by more than a bar's range."""
    n = len(pair.state)
    off = random.choice(np.array([1000, 1000, 1000, 995, 1006, 960, 1045]), n)
    moved = {name: getattr(pair, name) * off // 1000 for name in ("open", "high", "low", "close")}
    state = np.where(pair.state == ABSENT, ABSENT, REAL).astype(np.uint8)
    return PairColumns(pair.pair, **moved, volume=np.zeros(n, np.int64), state=state)


def funding_drawn(market: Market, pair: PairColumns, random: np.random.Generator) -> FundingColumns:
    """Events on and off the grid, some known late; large rates, both signs."""
    first, step = int(market.times[0]), market.timeframe_ns
    n = int(random.integers(0, market.n_rows))
    time = first + random.integers(0, 4 * market.n_rows, n) * (step // 4)
    late = random.choice(np.array([0, 0, 0, 7, step // 2, 3 * step]), n)
    rate = random.integers(-(10**10), 10**10, n)
    inside = time + late <= first + market.n_rows * step
    time, late, rate = time[inside], late[inside], rate[inside]
    order = np.argsort(time + late, kind="stable")
    return FundingColumns(pair.pair, time[order], (time + late)[order], rate[order])


def _exchange(dice: Dice, kind: str) -> SpotExchange:
    flat = {"taker_bps": dice.pick(5.0, 0.0, 40.0), "maker_bps": dice.pick(2.0, -1.0)}
    fees: dict[str, Any] = dice.pick(flat, flat, {"tiers": TIERS})
    least = {"tick": 0.01, "lot": 0.5, "qty_min": 0.5, "cost_min": dice.pick(5.0, 150.0)}
    table = dict.fromkeys(KINDS[kind], least) if dice.chance(40) else {}
    shared: dict[str, Any] = {
        "name": "drawn", "fees": fees, "slippage": dice.pick(*SLIPPAGES[:3]), "tick": 0.01, "lot": dice.pick(None, 0.5),
        "fill": {"path": dice.pick("pessimistic", "pessimistic", "ohlc", "olhc", "adaptive")},
        "participation_cap": dice.pick(None, 0.1), "latency": dice.pick("0", "0", "20m", "90m"),
        "instruments_table": table,
    }  # fmt: skip
    if kind == "spot":
        return SpotExchange(
            **shared,
            borrow={"opening_bps": dice.pick(2.0, 0.0), "rollover_bps": dice.pick(2.0, 50.0), "every": "4h"},
            liquidation_level=dice.pick(0.9, None, 1.0),
        )
    return PerpetualExchange(
        **shared,
        margin_mode=dice.pick("isolated", "cross"),
        initial_margin=0.05,
        maintenance_margin=dice.pick(0.01, 0.03),
        liquidation_fill=dice.pick("bankruptcy", "mark"),
        liquidation_fee_bps=dice.pick(0.0, 50.0),
        funding_interval=dice.pick("1h", "8h"),
        funding_accrual=dice.pick("at_event", "continuous"),
    )


def _risk(dice: Dice, limits: PositionLimits) -> PositionRisk | TieredRisk:
    """Half the time with limits of the day, that see liquidations as well."""
    dice.fresh()
    rearm = dice.pick("on_change", "next_bar")
    if dice.chance(50):
        return PositionRisk(limits, rearm=rearm)
    day = DayLimits(
        max_loss=dice.pick(None, 0.3, 0.05),
        max_trades=dice.maybe(1, 2, 4),
        max_losses=dice.maybe(1, 2, per_cent=70),
        cooldown=dice.pick("2h", "7h"),
        effect=dice.pick("halt", "flatten"),
    )
    return TieredRisk(limits, rearm, day=day, system=SystemLimits(max_drawdown=None))


@st.composite
def derivative_cases(draw: st.DrawFn, kind: str) -> Case:
    """Any run of one kind of contract: given orders, or forecasts."""
    dice = Dice(draw)
    given, detail = dice.chance(50), dice.chance(15)
    drawn, random = market_drawn(dice, detail)
    names = KINDS[kind]
    pairs = tuple(replace(pair, pair=name) for name, pair in zip(names, drawn.pairs, strict=False))
    fine = drawn.detail and replace(drawn.detail, pairs=drawn.detail.pairs[: len(pairs)])
    market = replace(drawn, pairs=pairs, detail=fine)
    if kind != "spot":
        if dice.chance(60):
            market = replace(market, marks=tuple(marks_drawn(pair, random) for pair in pairs))
        if dice.chance(80):
            market = replace(market, funding=tuple(funding_drawn(market, pair, random) for pair in pairs))
    dice.fresh()
    # With the least of them most orders are as large as the leverage allows.
    cash = dice.pick(100.0, 1.0, 0.01, 0.01) if kind == "inverse" else dice.pick(10_000.0, 900.5, 60.0, 60.0)
    nodes: dict[str, Any] = {
        "exchange": _exchange(dice, kind),
        "account": Account(
            cash=cash, short=dice.pick(True, False), leverage=dice.pick(5.0, 10.0, 1.0, 20.0, 20.0, 20.0)
        ),
    }
    if detail:
        terms = nodes["exchange"]
        fields = {name: getattr(terms, name) for name in type(terms).__pydantic_fields__}
        nodes["exchange"] = type(terms)(**fields | {"fill": {"path": "detail", "detail": "15m"}})
    if given:
        risk = _risk(dice, PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))
        graph = graph_of(market, orders_drawn(dice, market), risk=risk, **nodes)
    else:
        limits = PositionLimits(stop_loss=dice.maybe(0.01, 0.005), take_profit=dice.maybe(0.03, 0.01))
        nodes |= {
            "portfolio": dice.pick(FixedFraction(fraction=dice.pick(1.0, 5.0)), FixedQuantity(quantity=5.0)),
            "risk": _risk(dice, limits),
            "execution": MarketOrders(),
            "strategy": GivenForecast(),
        }
        graph = graph_of(market, **nodes)
    spec = spec_of(graph, market)
    return Case(graph, spec, market, held_forecast(market, random), columns_read(spec, market, random))

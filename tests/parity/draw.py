"""Hypothesis strategies: account halves drawn from the whole registry, and tapes with everything that hurts.

A tape's prices lie on a coarse grid, so that levels of orders equal highs and lows; some lie off the tick. Rows may be
missing (longer than `max_gap` too), without volume, or before a pair's first bar. What shrinks are the orders, the
nodes and the length; the tape itself follows from one seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Detail, Market, PairColumns
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side, Tif
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import DAY, SECOND, parse_time
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, Int64Array
from kraken_flow.core.var_limit import COLUMN
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.iceberg import Iceberg
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.execution.pov import Pov
from kraken_flow.execution.twap import Twap
from kraken_flow.execution.vwap import Vwap
from kraken_flow.features import Covariance, LogReturnStd
from kraken_flow.portfolio.confidence import ConfidenceSize
from kraken_flow.portfolio.correlation_limits import CorrelationLimits
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.portfolio.fixed_risk import FixedRisk
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.portfolio.kelly import Kelly
from kraken_flow.portfolio.optimised import Optimised
from kraken_flow.portfolio.var_target import VarTarget
from kraken_flow.portfolio.vol_target import VolTarget
from kraken_flow.risk.position import PositionLimits
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.engines import GivenForecast, graph_of, spec_of

HOUR = 3600 * SECOND
T0 = parse_time("2024-01-01")
GRID = UNIT // 2
"""Step of the tapes' prices: far coarser than the tick."""
NAMES = ("ADA/USD", "BTC/USD", "ETH/USD")
LEVEL = 100
LOT = UNIT // 10


@dataclass(frozen=True)
class Case:
    """One run: what both engines are given."""

    graph: Graph
    spec: Spec
    market: Market
    forecast: Int64Array
    aux: dict[str, Int64Array]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show what shrinks; the tape follows from its seed."""
        graph, sent = self.graph, "\n  ".join(map(str, self.spec.requests))
        nodes = (graph.exchange, graph.account, graph.portfolio, graph.risk, graph.execution)
        printer.text("Case(" + "\n  ".join(map(str, nodes)) + f"\n  {sent}\n  rows={self.market.n_rows})")


class Dice:
    """Many small choices out of few Hypothesis draws, which are what takes the time; 0 is always the simplest."""

    CHUNK = 2**24
    SPREAD = 0x9E3779B1
    """An odd number: neighbours, which Hypothesis likes to draw, become different choices, and 0 stays 0."""
    DRAW = st.integers(0, CHUNK - 1)

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.pool = self.left = 0

    def fresh(self) -> None:
        """Begin a part that can shrink on its own."""
        self.left = 0

    def below(self, n: int) -> int:
        """Return 0 <= k < n."""
        if self.left < n:
            self.pool, self.left = self.draw(self.DRAW) * self.SPREAD % self.CHUNK, self.CHUNK
        self.left //= n
        self.pool, k = divmod(self.pool, n)
        return k

    def between(self, low: int, high: int) -> int:
        """Return low <= k <= high."""
        return low + self.below(high - low + 1)

    def pick(self, *options: Any) -> Any:
        """Return one of the options, the first being the simplest."""
        return options[self.below(len(options))]

    def chance(self, per_cent: int) -> bool:
        """Return True that often."""
        return self.below(100) >= 100 - per_cent

    def maybe(self, *options: Any, per_cent: int = 50) -> Any:
        """Return an option or, more simply, None."""
        return self.pick(*options) if self.chance(per_cent) else None


# tapes


def tape(
    pair: str, n: int, random: np.random.Generator, finer: int = 1, gaps: float = 0.0, calm: bool = False
) -> tuple[PairColumns, PairColumns | None]:
    """One pair's columns of `n` rows, and with `finer` > 1 the finer bars that they are made of."""
    k = n * finer
    swing = 2 if calm else int(random.integers(2, 6))
    body = random.integers(-swing, swing + 1, k)
    jump = np.where(random.random(k) < 0.15, random.integers(-3, 4, k), 0)
    opens, closes, last = [], [], LEVEL * 2
    for leap, step in zip(jump.tolist(), body.tolist(), strict=True):
        opens.append(max(last + leap, 20))
        last = max(opens[-1] + step, 20)
        closes.append(last)
    open_, close = np.array(opens), np.array(closes)
    high = np.maximum(open_, close) + random.integers(0, swing + 1, k)
    low = np.minimum(open_, close) - random.integers(0, swing + 1, k)
    prices = [open_ * GRID, high * GRID, low * GRID, close * GRID]
    if random.random() < 0.3:
        off = random.integers(0, 3, k) * 12_345
        prices = [p + off for p in prices]
    volume = random.choice(np.array([0, 3, 20, 100, 1000]), k, p=[0.08, 0.1, 0.22, 0.3, 0.3]) * UNIT
    state = np.full(k, REAL, np.uint8)
    fine = _patched(pair, [*prices, volume], state, random, gaps / finer, finer)
    if finer == 1:
        return fine, None
    return _merged(fine, n, finer), _forgotten(fine, n, finer, random)


def _patched(
    pair: str, columns: list[Int64Array], state: np.ndarray, random: np.random.Generator, gaps: float, finer: int
) -> PairColumns:
    """Take bars away: single ones, runs longer than any `max_gap` drawn, and the ones before a late start."""
    n = len(state)
    start = int(random.integers(1, max(2, n // 4))) // finer * finer if random.random() < 0.25 else 0
    missing = random.random(n) < gaps
    if gaps and random.random() < 0.8:
        at = int(random.integers(0, n))
        missing[at : at + int(random.integers(3, 10)) * finer] = True
    missing[start] = False
    for row in np.flatnonzero(missing & (np.arange(n) > start)):
        for column in columns[:4]:
            column[row] = columns[3][row - 1]
        columns[4][row] = 0
        state[row] = SYNTHETIC
    for column in columns:
        column[:start] = 0
    state[:start] = ABSENT
    return PairColumns(pair, *columns, state)


def _merged(fine: PairColumns, n: int, finer: int) -> PairColumns:
    """The bars that finer bars make; a row is real when one of its finer bars is."""
    part = {name: getattr(fine, name).reshape(n, finer) for name in ("open", "high", "low", "close", "volume", "state")}
    real = part["state"] == REAL
    some = real.any(axis=1)
    first, last = real.argmax(axis=1), finer - 1 - real[:, ::-1].argmax(axis=1)
    at = np.arange(n)
    close = part["close"][:, -1].copy()
    open_ = np.where(some, part["open"][at, first], close)
    high = np.where(some, np.where(real, part["high"], 0).max(axis=1), close)
    low = np.where(some, np.where(real, part["low"], 2**62).min(axis=1), close)
    close = np.where(some, part["close"][at, last], close)
    absent = (part["state"] == ABSENT).all(axis=1)
    state = np.where(some, REAL, np.where(absent, ABSENT, SYNTHETIC)).astype(np.uint8)
    columns = (open_, high, low, close, part["volume"].sum(axis=1))
    return PairColumns(fine.pair, *(np.where(absent, 0, c).astype(np.int64) for c in columns), state)


def _forgotten(fine: PairColumns, n: int, finer: int, random: np.random.Generator) -> PairColumns:
    """Some bars have no finer bars in the files, which is what makes an engine fall back."""
    lost = np.repeat(random.random(n) < 0.2, finer) & (fine.state != ABSENT)
    state = np.where(lost, SYNTHETIC, fine.state).astype(np.uint8)
    columns = [fine.open.copy(), fine.high.copy(), fine.low.copy(), fine.close.copy(), fine.volume.copy()]
    # Bars that were missing anyway carry on from what is left, as those of loaded files and of a session do.
    for row in np.flatnonzero(state == SYNTHETIC):
        for column in columns[:4]:
            column[row] = columns[3][row - 1] if row and state[row - 1] != ABSENT else fine.open[row]
        columns[4][row] = 0
    return PairColumns(fine.pair, *columns, state)


def market_drawn(dice: Dice, detail: bool, rows: tuple[int, int] = (8, 60)) -> tuple[Market, np.random.Generator]:
    """One to three pairs on one grid, and the generator that goes on making what belongs to them."""
    dice.fresh()
    random = np.random.default_rng(dice.below(Dice.CHUNK))
    n = dice.between(*rows)
    gaps, calm = dice.pick(0.0, 0.1, 0.25), dice.chance(50)
    tapes = [tape(NAMES[p], n, random, 4 if detail else 1, gaps, calm) for p in range(dice.between(1, 3))]
    timeframe = HOUR if detail else dice.pick(HOUR, DAY)
    fine = [f for _, f in tapes if f is not None]
    return Market(
        timeframe,
        T0 + timeframe * np.arange(n),
        tuple(coarse for coarse, _ in tapes),
        first_row=dice.pick(0, 0, 3),
        max_gap=dice.pick(1, 3, 24),
        detail=Detail(timeframe // 4, 4, tuple(fine)) if fine else None,
    ), random


# nodes

RATES = (0.03, 0.005, 0.01, 0.02, 0.05, 0.1)


def _common(dice: Dice) -> dict[str, Any]:
    return {"band": dice.maybe(0.1, 0.0, 0.02), "cash_buffer": dice.pick(0.01, 0.0)}


def _sized(dice: Dice) -> dict[str, Any]:
    return {"fraction": dice.pick(1.0, 0.2, 0.9, 3.0), **_common(dice)}


def _limits(dice: Dice) -> PositionLimits:
    return PositionLimits(
        stop_loss=dice.maybe(*RATES),
        take_profit=dice.maybe(*RATES),
        trailing=dice.maybe(*RATES, per_cent=30),
        max_bars=dice.maybe(1, 2, 3, 6, per_cent=30),
        max_fraction=dice.maybe(1.0, 0.3),
    )


def _covariance(dice: Dice) -> Covariance:
    return Covariance(dice.pick(4, 7), dice.pick("equal", "exponential"))


def _optimised(dice: Dice) -> dict[str, Any]:
    """Short windows, the quick objectives often; those of a solver now and then."""
    dice.fresh()
    objective = dice.pick("hrp", "hrp", "min_variance", "cvar")
    return {
        "objective": objective,
        "window": dice.pick(10, 14),
        "purge": dice.pick(0, 3),
        "rebalance": dice.pick("7h", "1d"),
        "min_weight": dice.pick(0.0, 0.1) if objective == "hrp" else dice.pick(0.0, -0.5),
        "max_weight": dice.pick(1.0, 0.4),
    }


INNER: tuple[Callable[[Dice], Any], ...] = (
    lambda d: FixedFraction(**_sized(d)),
    lambda d: InverseVol(volatility=LogReturnStd(4), rebalance=d.maybe("5h", "7d"), **_sized(d)),
    lambda d: ConfidenceSize(volatility=LogReturnStd(4), average=LogReturnStd(8), **_sized(d)),
    lambda d: VarTarget(covariance=_covariance(d), **_common(d)),
    lambda d: Optimised(**_optimised(d), **_sized(d)),
)
"""What limits are put around."""

SIZERS: dict[type, Callable[[Dice], Any]] = {
    FixedQuantity: lambda d: FixedQuantity(quantity=d.pick(5.0, 0.3, 12.34, 200.0)),
    FixedFraction: lambda d: FixedFraction(**_sized(d)),
    FixedRisk: lambda d: FixedRisk(risk=d.pick(0.005, 0.02), **_common(d)),
    InverseVol: lambda d: InverseVol(volatility="close", rebalance=d.maybe("5h", "7d"), **_sized(d)),
    VolTarget: lambda d: VolTarget(volatility="close", target=d.pick(0.5, 0.1, 2.0), **_common(d)),
    VarTarget: lambda d: VarTarget(
        covariance=_covariance(d), limit=d.pick(0.02, 0.002, 0.5), horizon=d.pick("1d", "4h"), **_common(d)
    ),
    Kelly: lambda d: Kelly(fraction=d.pick(0.25, 0.5), memory=d.pick(50, 4), refresh=d.pick(1, 5), **_common(d)),
    ConfidenceSize: lambda d: ConfidenceSize(
        volatility=LogReturnStd(d.pick(3, 5)),
        average=LogReturnStd(d.pick(6, 9)),
        crowding=d.pick(0.1, 0.0, 0.6),
        max_positions=d.maybe(1, 2),
        **_sized(d),
    ),
    CorrelationLimits: lambda d: CorrelationLimits(
        sizer=d.pick(*INNER)(d),
        covariance=_covariance(d),
        threshold=d.pick(0.7, 0.0, 0.3),
        max_cluster=d.maybe(0.5, 0.1, per_cent=70),
        adjust=d.chance(50),
        max_var=d.maybe(0.02, 0.005),
        max_positions=d.maybe(1, 2),
        band=d.maybe(0.1, 0.0, 0.02),
    ),
    Optimised: lambda d: Optimised(**_optimised(d), **_sized(d)),
}


def _tiers(dice: Dice) -> dict[str, Any]:
    """Limits of day and system, often so narrow that a tape of a few bars reaches them; half the time none."""
    dice.fresh()
    if dice.chance(40):
        return {"day": DayLimits(max_loss=None), "system": SystemLimits(max_drawdown=None)}
    effects = ("reduce_only", "halt", "flatten")
    tiers = ((0.04, 0.05), (0.01, 0.03), (0.002, 0.01), (None, 0.02), (None, 0.004), (0.005, None), (0.002, None))
    loss, fall = dice.pick(*tiers)
    day = DayLimits(
        max_loss=loss,
        max_trades=dice.maybe(1, 2, 4, per_cent=35),
        max_losses=dice.maybe(1, 2, 3, per_cent=50),
        cooldown=dice.pick("1h", "5h", "90m"),
        loss_throttle=dice.chance(60),
        effect=dice.pick(*effects),
    )
    dice.fresh()
    system = SystemLimits(
        max_drawdown=fall,
        throttle_from=None if fall is None else dice.maybe(fall / 2, fall / 10, fall / 100, per_cent=60),
        max_gross=dice.maybe(0.8, 0.3, 0.1, per_cent=35),
        max_net=dice.maybe(0.5, 0.2, 0.05, per_cent=35),
        max_positions=dice.maybe(1, 2, per_cent=55),
        black_swan_sigma=dice.maybe(2.0, 1.5, 3.0, per_cent=55),
        stale_after=dice.maybe("1h", "3h", "2d", per_cent=50),
        price_band=dice.maybe(0.02, 0.005, per_cent=20),
        max_var=dice.maybe(0.05, 0.02, 0.005, 0.2, per_cent=30),
        var_level=dice.pick(0.95, 0.99),
        var_horizon=dice.pick("1d", "4h"),
        effect=max(day.effect, dice.pick("flatten", *effects), key=effects.index),
    )
    return {"day": day, "system": system, "shadow": dice.chance(35), "covariance": _covariance(dice)}


def _tiered(dice: Dice) -> TieredRisk:
    """All three tiers; where those drawn contradict each other, the position's stop gives way."""
    position, rearm, tiers = _limits(dice), dice.pick("on_change", "next_bar", "bars:3"), _tiers(dice)
    try:
        return TieredRisk(position, rearm, **tiers)
    except UserError:
        return TieredRisk(replace(position, stop_loss=0.001, max_fraction=1.0), rearm, **tiers)


LIMITERS: dict[type, Callable[[Dice], Any]] = {TieredRisk: _tiered}


def _chase(d: Dice) -> dict[str, Any]:
    """A chase, or none; it needs a timeout."""
    if not d.chance(30):
        return {}
    rest = d.pick("cross", "cancel")
    return {"timeout": d.pick(1, 2), "chase": d.pick(1, 3), "chase_bps": d.maybe(0.0, 100.0), "remainder": rest}


def _away(d: Dice) -> float | None:
    return d.maybe(0.0, 60.0, per_cent=40)


def _worked(d: Dice, jitter: bool = True) -> dict[str, Any]:
    """What executors that send children have in common."""
    sizes = {"size_jitter": d.pick(0.0, 0.2, 0.5)} if jitter else {}
    return sizes | {
        "limit_bps": d.maybe(0.0, 50.0, 300.0, per_cent=40),
        "max_participation": d.pick(None, 0.1, 1.0),
        "remainder": d.pick("cross", "cancel"),
        "exit_market": d.chance(25),
    }


EXECUTORS: dict[type, Callable[[Dice], Any]] = {
    MarketOrders: lambda d: MarketOrders(),
    LimitOrders: lambda d: LimitOrders(
        offset_bps=d.pick(0.0, 10.0, 60.0, 150.0),
        **({"timeout": d.maybe(1, 2, 4, per_cent=75)} | _chase(d)),
        post_only=d.chance(30),
        exit_market=d.chance(50),
    ),
    Twap: lambda d: Twap(
        bars=d.pick(4, 1, 7), every=d.pick(1, 2, 4), time_jitter=d.pick(0.0, 0.5), passive_bps=_away(d), **_worked(d)
    ),
    Vwap: lambda d: Vwap(
        bars=d.pick(4, 1, 30), every=d.pick(1, 3), past=d.pick(1, 2), passive_bps=_away(d), **_worked(d)
    ),
    Pov: lambda d: Pov(
        participation=d.pick(0.1, 0.5, 0.01),
        burst=d.pick(2.0, 1.0),
        bars=d.maybe(3, 9),
        passive_bps=_away(d),
        **_worked(d, jitter=False),
    ),
    Iceberg: lambda d: Iceberg(
        display=d.pick(0.25, 1.0, 0.01),
        offset_bps=d.pick(0.0, 60.0),
        bars=d.maybe(3, 9),
        post_only=d.chance(30),
        **_worked(d),
    ),
}
"""How each node of the account half is drawn; the tests below compare these tables with the registry."""

TIERS = {
    0: {"maker_bps": 25.0, "taker_bps": 40.0},
    2_000: {"maker_bps": 10.0, "taker_bps": 20.0},
    9_000: {"maker_bps": 0.0, "taker_bps": 10.0},
}
SLIPPAGES = (
    {},
    {"model": "bps", "bps": 7.5},
    {"model": "half_spread", "half_spread": 0.015},
    {"model": "sqrt_impact", "factor": 0.8, "sigma": "close", "volume": "volume"},
    {"model": "volume_share", "factor": 0.3},
)
TERMS = {"tick": 0.01, "lot": LOT / UNIT, "qty_min": 0.3, "cost_min": 40.0}


def exchange_drawn(dice: Dice, timeframe_ns: int, detail: bool) -> SpotExchange:
    """A venue's terms."""
    dice.fresh()
    bar = "1h" if timeframe_ns == HOUR else "1d"
    flat = {"taker_bps": dice.pick(10.0, 40.0, 2.5), "maker_bps": dice.pick(5.0, -1.0, 0.0, -1.0)}
    fees = dice.pick(flat, flat, {"tiers": TIERS})
    return SpotExchange(
        name="drawn",
        fees={**fees, "currency": dice.pick("quote", "quote", "base")},
        slippage=dice.pick(*SLIPPAGES),
        fill={
            "limit": dice.pick("through", "touch"),
            "path": "detail" if detail else dice.pick(*["pessimistic"] * 4, "ohlc", "olhc", "adaptive"),
            "detail": "15m" if detail else None,
        },
        participation_cap=dice.pick(None, 0.1, 0.5),
        latency=dice.pick("0", "0", "0", "0", "20m", "20m", bar, "90m"),
        latency_bps=dice.pick(4.0, 0.0),
        price_band=dice.pick(None, None, 0.02),
        instruments_table=dict.fromkeys(NAMES[dice.below(4) :], TERMS),
        lot=dice.pick(None, 0.5),
        tick=0.01,
    )


def account_drawn(dice: Dice) -> Account:
    """Cash, permission to go short, leverage."""
    return Account(
        cash=dice.pick(10_000.0, 900.5, 100_000.0),
        short=dice.pick(True, False),
        leverage=dice.pick(1.0, 1.0, 0.5, 3.0),
    )


# orders


def order_drawn(dice: Dice, market: Market, p: int, row: int) -> tuple[int, OrderRequest]:
    """One scripted order near its pair's price at the time, its levels on the tape's grid or at a bar's extreme."""
    columns = market.pairs[p]
    base = int(columns.close[row]) or LEVEL * UNIT
    kind = dice.pick(*OrderType, *[OrderType.LIMIT] * 3, OrderType.STOP_LIMIT, OrderType.MARKET)
    side, tif = dice.pick(*Side), dice.pick(Tif.GTC, *Tif)
    close = int(market.times[row]) + market.timeframe_ns
    expires = close + dice.below(7) * market.timeframe_ns - dice.pick(0, 0, 60 * SECOND)
    bracket = dice.pick("", "", "stop", "both", "both", "both", "trail", "all")
    away, off = dice.between(1, 6), dice.pick(0, 0, 0, 12_345)
    ahead = min(row + 1 + away // 4, market.n_rows - 1)
    low = (side > 0) == (kind is OrderType.LIMIT)
    extreme = dice.pick(0, int((columns.low if low else columns.high)[ahead]))

    def level(steps: int) -> int:
        return max(base + steps * GRID + off, GRID)

    stop = (extreme or level(dice.between(-8, 8))) if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else 0
    limit = (extreme or level(dice.between(-8, 8))) if kind is OrderType.LIMIT else 0
    if kind is OrderType.STOP_LIMIT:
        limit = max(stop - int(side) * dice.pick(1, 0, -2, -4) * GRID, GRID)

    request = OrderRequest(
        pair=p,
        side=side,
        qty=dice.pick(20, 100, 7, 2, 300, 1001, 3) * LOT + dice.pick(0, 0, 0, LOT // 3),
        type=kind,
        limit_price=limit,
        stop_price=stop,
        trail=away * GRID if kind is OrderType.TRAILING else 0,
        tif=tif,
        expire_time=expires if tif is Tif.GTD else 0,
        post_only=kind is OrderType.LIMIT and dice.chance(35),
        reduce_only=kind is OrderType.TRAILING or dice.chance(15),
        stop_loss=level(-int(side) * away) if bracket in ("stop", "both", "all") else 0,
        take_profit=level(int(side) * dice.between(1, 6)) if bracket in ("both", "all") else 0,
        bracket_trail=away * GRID if bracket in ("trail", "all") else 0,
        reason=Reason.SCRIPTED,
        tag=dice.pick("", "a"),
    )
    return close - dice.pick(0, 0, market.timeframe_ns // 2), request


def orders_drawn(dice: Dice, market: Market) -> list[tuple[int, OrderRequest]]:
    """Up to 30 orders by time, several of them at the same."""
    sent: list[tuple[int, OrderRequest]] = []
    place = (0, 0)
    while len(sent) < 30:
        dice.fresh()
        if sent and dice.below(24) == 0:
            break
        if not sent or dice.chance(50):
            place = dice.below(len(market.pairs)), dice.below(market.n_rows - 1)
        time, request = order_drawn(dice, market, *place)
        sent.append((time, request))
        if dice.chance(8):
            sides = (Side.BUY, Side.SELL)
            sent += [(time, OrderRequest(request.pair, side, request.qty, reason=request.reason)) for side in sides]
    return sorted(sent, key=lambda item: item[0])


def held_forecast(market: Market, random: np.random.Generator) -> Int64Array:
    """Forecasts that stand for some bars each, per pair."""
    values = np.array([-FIX, -FIX // 2, 0, FIX // 3, FIX, FIX])
    result = np.zeros((len(market.pairs), market.n_rows), np.int64)
    for p in range(len(market.pairs)):
        row = int(random.integers(0, 4))
        while row < market.n_rows:
            until = row + int(random.integers(1, 12))
            result[p, row:until] = random.choice(values)
            row = until
    return result


def columns_read(spec: Spec, market: Market, random: np.random.Generator) -> dict[str, Int64Array]:
    """The float columns that nodes read, as integers: volatilities and mean volumes, unknown at first."""
    result = {}
    for name in spec.aux:
        low, high = (20 * FIX, 2000 * FIX) if name == "mean_volume" else (FIX // 1000, FIX // 20)
        low, high = (-FIX // 2, FIX) if name == "weight" else (low, high)
        column = random.integers(low, high, (len(market.pairs), market.n_rows))
        if name.startswith(COLUMN):
            column = random.integers(-FIX // 2, FIX, column.shape)
            own = int(name.removeprefix(f"{COLUMN}_"))
            column[own] = np.where(random.random(market.n_rows) < 0.99, np.abs(column[own]), 10**15)
        column[:, : int(random.integers(0, 6))] = FIX_NAN
        column[random.random(column.shape) < 0.02] = FIX_NAN
        result[name] = column
    return result


@st.composite
def cases(
    draw: st.DrawFn,
    wrap: Callable[[Any], Any] = lambda node: node,
    scripted: bool | None = None,
    rows: tuple[int, int] = (8, 60),
) -> Case:
    """Any run: given orders, or forecasts through every sizer, limit and executor; `wrap` may change the nodes."""
    dice = Dice(draw)
    detail = dice.chance(20)
    given = dice.chance(50) if scripted is None else scripted
    market, random = market_drawn(dice, detail, rows)
    nodes: dict[str, Any] = {
        "exchange": exchange_drawn(dice, market.timeframe_ns, detail),
        "account": account_drawn(dice),
    }
    if given:
        nodes["risk"] = wrap(_tiered(dice))
        graph = graph_of(market, orders_drawn(dice, market), **nodes)
    else:
        nodes["portfolio"] = wrap(dice.pick(*SIZERS.values())(dice))
        nodes["risk"] = wrap(dice.pick(*LIMITERS.values())(dice))
        nodes["execution"] = wrap(dice.pick(*EXECUTORS.values())(dice))
        graph = graph_of(market, strategy=GivenForecast(), **nodes)
    spec = spec_of(graph, market)
    return Case(graph, spec, market, held_forecast(market, random), columns_read(spec, market, random))

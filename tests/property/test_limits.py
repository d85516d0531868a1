"""No sequence of orders and prices gets past a limit, on either engine.

The fuzz runs in `tests/parity` check losses, halts and counts of every run that they draw (`tests/limit_checks.py`).
Here prices stand still and trading is free, so that exposure over equity is exact at every fill, and has to stay
within its limits whatever is sent.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core.market import Market
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side, Tif
from kraken_flow.core.result import Result
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import UNIT, fix_column
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import FillModel, SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.execution.pov import Pov
from kraken_flow.execution.twap import Twap
from kraken_flow.features import Covariance
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.engines import RUST, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import HOUR, T0, columns_of, market_of
from tests.limit_checks import _changes, _rows, events, limits_hold
from tests.parity.same import assert_same

ROWS = 30
PAIRS = ("ADA/USD", "BTC/USD", "ETH/USD")
CASH = 10_000
PRICE = 100 * UNIT
MARKET: Market = market_of(*(columns_of(" | ".join(["100/100/100/100"] * ROWS), pair=pair) for pair in PAIRS))

BARE = PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)

orders = st.lists(
    st.tuples(
        st.integers(0, ROWS - 2),
        st.integers(0, len(PAIRS) - 1),
        st.sampled_from(Side),
        st.integers(1, 400),
        st.sampled_from((OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)),
        st.sampled_from((100, 100, 90, 110)),
        st.booleans(),
        st.sampled_from((Tif.GTC, Tif.GTC, Tif.IOC)),
        st.sampled_from((None, None, 90, 100, 110)),
    ),
    max_size=25,
)
bounds = st.one_of(st.none(), st.sampled_from((0.05, 0.3, 1.0)))
effects = st.sampled_from(("reduce_only", "halt", "flatten"))
tiers = st.builds(
    lambda gross, net, most, band, trades, effect: TieredRisk(
        BARE,
        day=DayLimits(max_loss=None, max_trades=trades, effect=effect),
        system=SystemLimits(max_drawdown=None, max_gross=gross, max_net=net, max_positions=most, price_band=band),
    ),
    *(bounds, bounds, st.one_of(st.none(), st.integers(1, 2)), st.sampled_from((None, None, 0.05))),
    *(st.one_of(st.none(), st.integers(1, 3)), effects),
)
venues = st.builds(
    lambda cap, latency, least: SpotExchange(
        name="bare",
        fees={"maker_bps": 0.0, "taker_bps": 0.0},
        fill=FillModel(limit="touch"),
        participation_cap=cap,
        latency=latency,
        instruments_table={pair: {"tick": 0.01, "lot": 0.1, "qty_min": least, "cost_min": 0} for pair in PAIRS},
    ),
    *(st.sampled_from((None, 0.001, 0.005)), st.sampled_from(("0", "30m", "2h")), st.sampled_from((0.1, 1.0))),
)
"""Venues without costs, where orders fill in parts, late, or not below a size."""


def sent(drawn: list[tuple[Any, ...]]) -> list[tuple[int, OrderRequest]]:
    """Orders that fill where the market stands, at once or in parts, or never; quantities in tenths."""
    result = []
    for row, pair, side, tenths, kind, price, reduce_only, tif, leave in sorted(drawn, key=lambda order: order[0]):
        # The rest of a limit that was marketable would fill at its own price, off the market's.
        price = price if kind is OrderType.STOP or price == 100 else 100 - 10 * side
        request = OrderRequest(
            pair,
            side,
            tenths * UNIT // 10,
            kind,
            limit_price=price * UNIT if kind is OrderType.LIMIT else 0,
            stop_price=price * UNIT if kind is OrderType.STOP else 0,
            reduce_only=reduce_only,
            tif=tif,
            stop_loss=leave * UNIT if leave and not reduce_only else 0,
            reason=Reason.SCRIPTED,
        )
        result.append((T0 + HOUR * (row + 1), request))
    return result


def both(spec: Spec, market: Market, forecast: Any = None) -> Result:
    """The reference's result, which the twin's has to equal."""
    result = run_engine("python", spec, market, forecast)
    if RUST:
        assert_same(result, run_engine("rust", spec, market, forecast))
    return result


def exposure_holds(spec: Spec, result: Result) -> None:
    """Gross exposure is within its limit after every fill, net exposure after every one that opens or enlarges.

    To close a position is always allowed, and may leave more of the other side than there was.
    """
    held, limits, worth = [0] * len(PAIRS), spec.limits, CASH * UNIT
    for fill, _, before, after, _ in _changes(spec, result):
        held[fill["pair"]] = after
        assert fill["price"] == PRICE
        if limits.max_gross >= 0:
            assert sum(map(abs, held)) * 100 * UNIT <= limits.max_gross * worth
        if limits.max_net >= 0 and (abs(after) > abs(before) or before * after < 0):
            assert fill["side"] * sum(held) * 100 * UNIT <= limits.max_net * worth


@settings(max_examples=300, deadline=None)
@given(orders, tiers, venues)
def test_no_sequence_of_orders_gets_past_a_limit(drawn: Any, risk: TieredRisk, venue: SpotExchange) -> None:
    """What is sent in any order, reduce-only, turning, in parts, late, with stops of its own."""
    graph = graph_of(MARKET, sent(drawn), risk=risk, exchange=venue, account=Account(cash=float(CASH), leverage=100.0))
    spec = spec_of(graph, MARKET)
    result = both(spec, MARKET)
    limits_hold(spec, MARKET, result)
    exposure_holds(spec, result)
    # What only reduces has no band, and in a halt nothing else is sent.
    halted = min((event["time"] for event in events(result) if event["effect"]), default=MARKET.times[-1] + 2 * HOUR)
    for order in _rows(result.orders):
        if risk.system.price_band and not order["reduce_only"] and order["time"] < halted:
            far = any(order[at] not in (0, PRICE) for at in ("limit_price", "stop_price"))
            assert (order["end_reason"] == Reason.PRICE_BAND) == far


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from((-1.0, -0.5, 0.0, 0.5, 1.0))] * len(PAIRS)), min_size=1, max_size=ROWS),
    tiers,
    venues,
    st.sampled_from((MarketOrders(), LimitOrders(timeout=1), Twap(bars=3), Pov(participation=0.003))),
)
def test_no_sequence_of_forecasts_gets_past_a_limit(
    drawn: Any, risk: TieredRisk, venue: SpotExchange, execution: Any
) -> None:
    """Targets that turn at any time, worked at once or in slices."""
    graph = graph_of(
        MARKET,
        risk=risk,
        exchange=venue,
        account=Account(cash=float(CASH), leverage=100.0),
        strategy=GivenForecast(),
        portfolio=FixedQuantity(quantity=40.0),
        execution=execution,
    )
    spec = spec_of(graph, MARKET)
    rows = [*drawn, *[drawn[-1]] * (ROWS - len(drawn))]
    result = both(spec, MARKET, fix_column(np.array(rows).T))
    limits_hold(spec, MARKET, result)
    exposure_holds(spec, result)


loadings = st.lists(st.integers(-3, 3), min_size=6, max_size=6)


@settings(max_examples=300, deadline=None)
@given(orders, loadings, st.sampled_from((0.001, 0.004, 0.02)), st.booleans(), venues)
def test_the_value_at_risk_of_the_book_stays_within_its_limit(
    drawn: Any, numbers: Any, limit: Any, known: bool, venue: SpotExchange
) -> None:
    """Any factors that pairs share, hedges among them; measured with floats from what is held after every fill."""
    factors = np.array(numbers, float).reshape(3, 2)
    covariance = factors @ factors.T
    if not known:
        covariance[0, 1] = covariance[1, 0] = np.nan
    risk = TieredRisk(
        PositionLimits(stop_loss=None, take_profit=None, max_fraction=None),
        day=DayLimits(max_loss=None),
        system=SystemLimits(max_drawdown=None, max_var=limit, var_horizon="4h"),
        covariance=Covariance(4),
    )
    account = Account(cash=float(CASH), leverage=100.0)
    graph = graph_of(MARKET, sent(drawn), risk=risk, exchange=venue, account=account)
    spec = spec_of(graph, MARKET)
    table = fix_column(covariance)
    aux = {name: np.repeat(table[:, k : k + 1], ROWS, axis=1) for k, name in enumerate(spec.aux)}
    result = run_engine("python", spec, MARKET, None, aux)
    if RUST:
        assert_same(result, run_engine("rust", spec, MARKET, None, aux))
    limits_hold(spec, MARKET, result)
    held = np.zeros(len(PAIRS))
    worst = np.where(np.isnan(covariance), np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal())), covariance)
    for fill, _, before, after, _ in _changes(spec, result):
        held[fill["pair"]] = after / UNIT
        weights = held * 100 / CASH
        signs = np.where(np.isnan(covariance), np.sign(np.outer(held, held)), 1.0)
        at_risk = 1.6448536269514722 * 2 * np.sqrt(max(weights @ (worst * signs) @ weights, 0.0)) / 100
        # To close a position is always allowed, and may leave a book without its hedge.
        if abs(after) > abs(before) or before * after < 0:
            assert at_risk <= limit * (1 + 1e-6) + 2e-8


shares = st.lists(st.sampled_from((0.0, 0.2, 0.5, 1.0)), min_size=3, max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.lists(shares, min_size=1, max_size=5), loadings, st.sampled_from((0.001, 0.004, 0.02)))
def test_targets_fill_the_value_at_risk_and_no_more(drawn: Any, numbers: Any, limit: float) -> None:
    """Long positions that move together: at every fill the book is within the limit, and cut targets reach it."""
    factors = np.abs(np.array(numbers, float).reshape(3, 2))
    covariance = factors @ factors.T
    risk = TieredRisk(
        PositionLimits(stop_loss=None, take_profit=None, max_fraction=None),
        day=DayLimits(max_loss=None),
        system=SystemLimits(max_drawdown=None, max_var=limit, var_horizon="4h"),
        covariance=Covariance(4),
    )
    free = {"maker_bps": 0.0, "taker_bps": 0.0}
    exchange = SpotExchange(name="bare", tick=0.01, participation_cap=None, fees=free)
    graph = graph_of(
        MARKET,
        strategy=GivenForecast(),
        portfolio=FixedFraction(fraction=3.0, band=None, cash_buffer=0.0),
        risk=risk,
        exchange=exchange,
        account=Account(cash=float(CASH), leverage=3.0),
    )
    spec = spec_of(graph, MARKET)
    forecast = fix_column(np.repeat(np.array(drawn), 2, axis=0)[:ROWS].T)
    forecast = np.hstack([forecast, np.repeat(forecast[:, -1:], ROWS - forecast.shape[1], axis=1)])
    table = fix_column(covariance)
    aux = {name: np.repeat(table[:, k : k + 1], ROWS, axis=1) for k, name in enumerate(spec.aux)}
    result = run_engine("python", spec, MARKET, forecast, aux)
    if RUST:
        assert_same(result, run_engine("rust", spec, MARKET, forecast, aux))

    def at_risk(weights: Any) -> float:
        return float(1.6448536269514722 * 2 * np.sqrt(weights @ covariance @ weights) / 100)

    held = np.zeros(len(PAIRS))
    for fill, _, _, after, _ in _changes(spec, result):
        held[fill["pair"]] = after / UNIT * 100 / CASH
        assert at_risk(held) <= limit * (1 + 1e-6) + 2e-8
    # What takes the place of something else finds its room only when that is sold.
    if len(drawn) == 1:
        assert at_risk(held) == pytest.approx(min(at_risk(np.array(drawn[0])), limit), rel=1e-4, abs=1e-7)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(60, 140), min_size=20, max_size=80), st.sampled_from((0.01, 0.02, 0.05)), st.booleans())
def test_no_path_of_prices_gets_past_a_drawdown(prices: list[int], limit: float, short: bool) -> None:
    """Equity stands still after the bar of the kill: what is held is sold at the very next open."""
    opens = [prices[0], *prices[:-1]]
    bars = " | ".join(f"{o}/{max(o, c)}/{min(o, c)}/{c}" for o, c in zip(opens, prices, strict=True))
    market = market_of(columns_of(bars))
    side = Side.SELL if short else Side.BUY
    again = [(T0 + HOUR * (row + 1), OrderRequest(0, side, UNIT, reason=Reason.SCRIPTED)) for row in range(len(prices))]
    risk = TieredRisk(
        PositionLimits(stop_loss=None, take_profit=None, max_fraction=None),
        day=DayLimits(max_loss=None),
        system=SystemLimits(max_drawdown=limit),
    )
    free = {"maker_bps": 0.0, "taker_bps": 0.0}
    exchange = SpotExchange(name="bare", tick=0.01, participation_cap=None, fees=free)
    graph = graph_of(market, again, risk=risk, exchange=exchange, account=Account(cash=float(CASH), leverage=10.0))
    spec = spec_of(graph, market)
    for engine in ("python", *(("rust",) if RUST else ())):
        result = run_engine(engine, spec, market)
        limits_hold(spec, market, result)
        equity = result.equity
        high = [max([float(CASH), *equity[: row + 1]]) for row in range(len(equity))]
        over = [row for row in range(len(equity)) if high[row] - equity[row] >= limit * high[row]]
        if over and over[0] + 1 < len(equity):
            # The next open is this close: no more is lost than what was lost when the limit was seen to be passed.
            assert set(equity[over[0] + 1 :].tolist()) <= {float(equity[over[0]])}
            assert result.final_positions.tolist() == [0]

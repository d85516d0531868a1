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
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side
from kraken_flow.core.units import UNIT, fix_column
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.features import Covariance
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.risk.position import PositionLimits
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.engines import RUST, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import HOUR, T0, columns_of, market_of
from tests.limit_checks import _changes, limits_hold
from tests.parity.same import assert_same

ROWS = 12
PAIRS = ("ADA/USD", "BTC/USD", "ETH/USD")
CASH = 10_000
PRICE = 100 * UNIT
MARKET: Market = market_of(*(columns_of(" | ".join(["100/100/100/100"] * ROWS), pair=pair) for pair in PAIRS))

orders = st.lists(
    st.tuples(
        st.integers(0, ROWS - 2),
        st.integers(0, len(PAIRS) - 1),
        st.sampled_from(Side),
        st.integers(1, 400),
        st.sampled_from((0, 0, 90, 100, 110)),
        st.booleans(),
    ),
    max_size=25,
)
bounds = st.one_of(st.none(), st.sampled_from((0.05, 0.3, 1.0)))


def sent(drawn: list[tuple[int, int, Side, int, int, bool]]) -> list[tuple[int, OrderRequest]]:
    """Market orders, and limit orders that fill at once or never; quantities in tenths."""
    result = []
    for row, pair, side, tenths, price, reduce_only in sorted(drawn, key=lambda order: order[0]):
        kind = OrderType.LIMIT if price else OrderType.MARKET
        qty, limit = tenths * UNIT // 10, price * UNIT
        request = OrderRequest(
            pair, side, qty, kind, limit_price=limit, reduce_only=reduce_only, reason=Reason.SCRIPTED
        )
        result.append((T0 + HOUR * (row + 1), request))
    return result


@settings(max_examples=300, deadline=None)
@given(orders, bounds, bounds, st.one_of(st.none(), st.integers(1, 2)), st.one_of(st.none(), st.integers(1, 3)))
def test_exposure_and_counts_stay_within_their_limits(drawn: Any, gross: Any, net: Any, most: Any, trades: Any) -> None:
    risk = TieredRisk(
        PositionLimits(stop_loss=None, take_profit=None, max_fraction=None),
        day=DayLimits(max_loss=None, max_trades=trades),
        system=SystemLimits(max_drawdown=None, max_gross=gross, max_net=net, max_positions=most),
    )
    free = {"maker_bps": 0.0, "taker_bps": 0.0}
    exchange = SpotExchange(name="bare", tick=0.01, participation_cap=None, fees=free)
    account = Account(cash=float(CASH), leverage=100.0)
    # A limit order on the near side of the market fills at 100 as well: it never gets a better price than there is.
    graph = graph_of(MARKET, sent(drawn), risk=risk, exchange=exchange, account=account)
    spec = spec_of(graph, MARKET)
    result = run_engine("python", spec, MARKET)
    if RUST:
        assert_same(result, run_engine("rust", spec, MARKET))
    limits_hold(spec, MARKET, result)
    held, reduced, closed_by_others = [0] * len(PAIRS), False, 0
    for fill, order, before, after, _ in _changes(spec, result):
        held[fill["pair"]] = after
        assert fill["price"] == PRICE
        reduced |= abs(after) < abs(before) or before * after < 0
        equity = CASH * UNIT
        # One that only reduces, sent while another turns the position, lets that one go as much farther (docs/risk.md).
        closed_by_others += fill["qty"] if order["reduce_only"] else 0
        if gross is not None:
            assert (sum(map(abs, held)) - closed_by_others) * 100 <= gross * equity
        # To close a position is always allowed, and may leave more of the other side than there was.
        if net is not None and not reduced:
            assert abs(sum(held)) * 100 <= net * equity


loadings = st.lists(st.integers(-3, 3), min_size=6, max_size=6)


@settings(max_examples=300, deadline=None)
@given(orders, loadings, st.sampled_from((0.001, 0.004, 0.02)), st.booleans())
def test_the_value_at_risk_of_the_book_stays_within_its_limit(
    drawn: Any, numbers: Any, limit: Any, known: bool
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
    free = {"maker_bps": 0.0, "taker_bps": 0.0}
    exchange = SpotExchange(name="bare", tick=0.01, participation_cap=None, fees=free)
    account = Account(cash=float(CASH), leverage=100.0)
    graph = graph_of(MARKET, sent(drawn), risk=risk, exchange=exchange, account=account)
    spec = spec_of(graph, MARKET)
    table = fix_column(covariance)
    aux = {name: np.repeat(table[:, k : k + 1], ROWS, axis=1) for k, name in enumerate(spec.aux)}
    result = run_engine("python", spec, MARKET, None, aux)
    if RUST:
        assert_same(result, run_engine("rust", spec, MARKET, None, aux))
    limits_hold(spec, MARKET, result)
    held, reduced = np.zeros(len(PAIRS)), any(order.reduce_only for _, order in spec.requests)
    worst = np.where(np.isnan(covariance), np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal())), covariance)
    for fill, _, before, after, _ in _changes(spec, result):
        held[fill["pair"]] = after / UNIT
        # To close a position is always allowed, and may leave a book without its hedge.
        reduced |= abs(after) < abs(before) or before * after < 0
        weights = held * 100 / CASH
        signs = np.where(np.isnan(covariance), np.sign(np.outer(held, held)), 1.0)
        at_risk = 1.6448536269514722 * 2 * np.sqrt(max(weights @ (worst * signs) @ weights, 0.0)) / 100
        if not reduced:
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

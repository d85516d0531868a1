"""The value at risk of the book stays within its limit, whatever is sent or wanted, on either engine.

Prices stand still and trading is free, so that weights are exact at every fill; the oracle measures with floats.
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
    held, reduced = np.zeros(len(PAIRS)), False
    worst = np.where(np.isnan(covariance), np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal())), covariance)
    drawn_pairs = [order.pair for _, order in spec.requests]
    for fill, _, before, after, _ in _changes(spec, result):
        held[fill["pair"]] = after / UNIT
        # To close a position is always allowed, and may leave a book without its hedge.
        reduced = abs(after) < abs(before) or (reduced and len(set(drawn_pairs)) > 1)
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

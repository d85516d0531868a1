"""Splitting does not lower impact: at constant estimates the children of a parent pay what one order of it pays.

The formula is worked in decimals, with nothing of the engines' integers in it.
"""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kraken_flow.analysis.given import given as parted
from kraken_flow.core.account import Execution
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.orders import Control, OrderType, Side
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.result import Result, join128
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.iceberg import Iceberg
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.execution.pov import Pov
from kraken_flow.execution.twap import Twap
from kraken_flow.execution.vwap import Vwap
from kraken_flow.modes.driver import concluded
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from strategies.hold import Hold
from strategies.momentum import Momentum
from tests.engines import ENGINES, graph_of
from tests.golden.bars import columns_of, market_of

PRICE, VOLUME, FACTOR = 100, 10_000, Decimal("0.0004")
"""The venue reads the close as sigma, so that factor x sigma is 4 %."""
QTY = 137.0
UNPROTECTED = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))


def tape(bar: str = "100/101/99/100", n: int = 40) -> Market:
    return market_of(columns_of(" | ".join(["100/101/99/100", *[bar] * (n - 1)]), (VOLUME,) * n))


def system(market: Market, execution: Execution, cap: float | None = None, **nodes: Any) -> Graph:
    venue = {"model": "sqrt_impact", "factor": float(FACTOR), "sigma": "close", "volume": "volume"}
    terms = {"tick": 1e-8} | nodes.pop("terms", {})
    exchange = SpotExchange(name="bare", lot=0.1, participation_cap=cap, slippage=venue, **terms)
    defaults: dict[str, Any] = {
        "strategy": Hold(),
        "portfolio": FixedQuantity(quantity=QTY, band=None),
        "account": Account(cash=1_000_000.0),
        "risk": UNPROTECTED,
    }
    return graph_of(market, exchange=exchange, execution=execution, **(defaults | nodes))


def whole(quantity: Decimal) -> Decimal:
    """What one order of a quantity gives to impact."""
    return PRICE * FACTOR * PRICE * quantity * (quantity / VOLUME).sqrt()


def gave(result: Result, orders: list[int] | None = None) -> Decimal:
    """What the fills (of some orders) gave away, money."""
    fills = result.fills
    mine = np.ones(len(fills["row"]), bool) if orders is None else np.isin(fills["order"], orders)
    slips = zip(fills["slip_hi"][mine], fills["slip_lo"][mine], strict=True)
    return Decimal(sum(join128(*slip) for slip in slips)) / 10**16


def rounding(quantity: Decimal) -> Decimal:
    """Each unit's price is rounded to 10^-8, and the root of a share to 10^-9."""
    return quantity * (Decimal("1e-8") + 2 * PRICE * FACTOR * PRICE * Decimal("1e-9"))


EXECUTORS = {
    "market": MarketOrders(),
    "twap": Twap(bars=12),
    "irregular": Twap(bars=30, every=3, size_jitter=0.5, time_jitter=0.5, max_participation=None),
    "vwap": Vwap(bars=9),
    "pov": Pov(participation=0.002, bars=None),
    "crossed": Pov(participation=0.001, bars=4),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", EXECUTORS)
def test_all_children_pay_together_what_one_order_pays(engine: str, name: str) -> None:
    market = tape()
    graph = system(market, EXECUTORS[name])
    ran = execute(graph, market, engine)
    assert ran.result.final_positions.tolist() == [QTY * UNIT]
    children = len(ran.result.children["order"]) if ran.result.children else 0
    assert children >= 5 or name == "market"
    expected, paid = whole(Decimal(QTY)), gave(ran.result)
    assert abs(paid - expected) <= rounding(Decimal(QTY))
    done = concluded(graph, ran, market, 0.0).finished
    assert abs(Decimal(parted(done).impact) / 10**16 - expected) <= rounding(Decimal(QTY))
    prices = ran.result.fills["price"].tolist()
    assert prices == sorted(prices), "each part pays more than the one before"


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_coarse_tick_takes_more_and_the_impact_is_told_apart_from_it(name: str) -> None:
    market = tape()
    graph = system(market, EXECUTORS[name], terms={"tick": 1.0})
    done = concluded(graph, execute(graph, market), market, 0.0).finished
    expected, parts = whole(Decimal(QTY)), parted(done)
    assert set(done.result.fills["price"].tolist()) == {(PRICE + 1) * UNIT}
    assert gave(done.result) == Decimal(QTY)
    assert abs(Decimal(parts.impact) / 10**16 - expected) <= rounding(Decimal(QTY))
    assert parts.impact + parts.rest == int(QTY) * 10**16


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "execution",
    [
        Iceberg(display=0.2, size_jitter=0.0, offset_bps=50.0, bars=4),
        LimitOrders(offset_bps=50.0, timeout=1, chase=2),
        Twap(bars=4, passive_bps=50.0),
    ],
    ids=["iceberg", "chase", "passive twap"],
)
def test_what_crosses_at_the_end_pays_for_what_rested_too(engine: str, execution: Execution) -> None:
    """Limit orders give nothing themselves; two bars reach them, and what is left pays the last part of the whole."""
    market = market_of(
        columns_of(" | ".join(["100/101/99.8/100", *["100/101/99/100"] * 2, *["100/101/99.8/100"] * 9]), (VOLUME,) * 12)
    )
    result = execute(system(market, execution, cap=0.002), market, engine).result
    resting = [n for n, kind in enumerate(result.orders["type"].tolist()) if kind == OrderType.LIMIT]
    rested = Decimal(int(result.orders["filled"][resting].sum())) / UNIT
    assert 0 < rested < QTY
    assert result.final_positions.tolist() == [QTY * UNIT]
    assert gave(result, resting) == 0
    assert abs(gave(result) - (whole(Decimal(QTY)) - whole(rested))) <= rounding(Decimal(QTY))


PLANS = st.builds(
    Plan,
    algo=st.sampled_from([Algo.TWAP, Algo.VWAP, Algo.POV]),
    bars=st.integers(1, 9),
    every=st.integers(1, 3),
    time_jitter=st.sampled_from([0, UNIT // 2]),
    size_jitter=st.sampled_from([0, UNIT // 2]),
    max_participation=st.sampled_from([-1, UNIT // 500, UNIT // 50]),
    participation=st.sampled_from([UNIT // 1000, UNIT // 100]),
    burst=st.just(2 * UNIT),
    period=st.just(3),
    periods=st.just(2),
    remainder=st.sampled_from(Remainder),
)
GIVEN = st.builds(
    ManualOrder, st.just(0), st.sampled_from(Side), st.integers(1, 3000).map(lambda lots: lots * UNIT // 10), PLANS
)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_split_whatever_lowers_what_a_quantity_pays(engine: str) -> None:
    """Children that overlap, fill in parts, are held back or taken back on the way: none makes the whole cheaper."""
    exact = []

    @settings(max_examples=60, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(GIVEN, min_size=1, max_size=2),
        st.sampled_from([None, 0.001, 0.003]),
        st.sampled_from([None, "1h", "2h"]),
        st.sampled_from([None, 3, 6]),
    )
    def play(given: list[ManualOrder], cap: float | None, latency: str | None, flat: int | None) -> None:
        market = tape()
        terms = {"latency": latency} if latency else {}
        session = Session(
            system(market, Twap(), cap, terms=terms, strategy=Momentum(3, 1000.0)), tape_of(market), engine
        )
        for row, instant in enumerate(instants(market)):
            session.take(instant)
            if row == 1:
                for order in given:
                    session.control(Control.ORDER, session.known, order)
            if row == flat:
                session.control(Control.PAUSE, session.known)
        result = session.outcome().result
        for number in range(len(result.parents["pair"])):
            mine = result.children["order"][result.children["parent"] == number]
            done = result.orders["filled"][mine]
            filled = Decimal(int(done.sum())) / UNIT
            more = gave(result, mine.tolist()) - whole(filled)
            assert more >= -rounding(filled), (given[number], more)
            if (done == result.orders["qty"][mine]).all():
                exact.append(len(mine))
                assert more <= rounding(filled), (given[number], more)

    play()
    assert sum(children > 2 for children in exact) >= 20


@pytest.mark.parametrize("engine", ENGINES)
def test_each_parent_pays_for_itself_alone(engine: str) -> None:
    market = tape()
    order = ManualOrder(0, Side.BUY, 10 * UNIT, Plan(Algo.TWAP, bars=4, remainder=Remainder.CROSS))
    session = Session(system(market, Twap(), strategy=Momentum(3, 1000.0)), tape_of(market), engine)
    for row, instant in enumerate(instants(market)):
        session.take(instant)
        if row == 1:
            session.control(Control.ORDER, session.known, order)
            session.control(Control.ORDER, session.known, order)
    result = session.outcome().result
    assert (result.children["before"] * 10 // UNIT).tolist() == [0, 0, 25, 25, 50, 50, 75, 75]
    assert abs(gave(result) - 2 * whole(Decimal(10))) <= rounding(Decimal(20))

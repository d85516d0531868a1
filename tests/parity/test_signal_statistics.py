"""Columns that follow from forecasts are the same row by row and in one go, and so are the trades made of them."""

import numpy as np
import pytest

from kraken_flow.core import node
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.strategy import Strategy
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.features import Covariance, LogReturnStd, Returns
from kraken_flow.portfolio.confidence import ConfidenceSize
from kraken_flow.portfolio.correlation_limits import CorrelationLimits
from kraken_flow.portfolio.kelly import Kelly
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests.engines import ENGINES, graph_of
from tests.parity.same import assert_same
from tests.signal_cases import random_market


@node
class Sure(Strategy):
    """Fade the last move, surer the larger it was."""

    def features(self):
        return {"move": Returns("close")}

    def forecast(self, f):
        return np.where(f.move > 0.0, -1.0, 1.0), np.minimum(np.abs(f.move) * 100.0, 1.0)


FREE = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))
PORTFOLIOS = [
    Kelly(fraction=0.5, memory=200, refresh=7, band=0.0),
    ConfidenceSize(volatility=LogReturnStd(4), average=LogReturnStd(12), band=0.05),
    CorrelationLimits(sizer=Kelly(memory=300, refresh=5), covariance=Covariance(20, "exponential"), max_var=0.01),
]


def case(portfolio) -> tuple[Graph, Market]:
    market = random_market(400, 3, n_pairs=3, gaps=0.02)
    return graph_of(market, strategy=Sure(), portfolio=portfolio, risk=FREE), market


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("portfolio", PORTFOLIOS, ids=lambda p: type(p).__name__)
def test_row_by_row_and_in_one_go(portfolio, engine):
    graph, market = case(portfolio)
    whole = execute(graph, market, "python")
    assert len(whole.result.fills["row"]) > 20
    assert_same(whole.result, execute(graph, market, engine).result)
    session = Session(graph, tape_of(market), engine)
    for instant in instants(market):
        session.take(instant)
    assert_same(whole.result, session.outcome().result)


@pytest.mark.parametrize("portfolio", PORTFOLIOS, ids=lambda p: type(p).__name__)
def test_a_session_that_was_taken_up_goes_on_as_if_it_had_never_stopped(portfolio):
    graph, market = case(portfolio)
    whole = execute(graph, market, "python")
    session, rows = Session(graph, tape_of(market), "python"), list(instants(market))
    assert len(list(session.catch_up(rows[:230]))) == 230
    for instant in rows[230:]:
        session.take(instant)
    assert_same(whole.result, session.outcome().result)


def test_the_columns_say_something():
    graph, market = case(PORTFOLIOS[0])
    signals = execute(graph, market, "python").signals
    assert signals is not None
    assert (signals.aux["kelly"][:, -100:] > 0).any()
    graph, market = case(PORTFOLIOS[1])
    signals = execute(graph, market, "python").signals
    assert signals is not None
    sure = signals.aux["confidence"]
    assert len(np.unique(sure)) > 100
    assert ((sure >= 0) & (sure <= 1)).all()


@pytest.mark.parametrize("portfolio", PORTFOLIOS, ids=lambda p: type(p).__name__)
def test_a_future_that_changes_changes_nothing_before(portfolio):
    """Cut anywhere, the columns before are what they were."""
    graph, market = case(portfolio)
    whole = execute(graph, market, "python").signals
    short = Market(
        market.timeframe_ns,
        market.times[:250],
        tuple(type(p)(p.pair, *(getattr(p, n)[:250] for n in NAMES)) for p in market.pairs),
        max_gap=market.max_gap,
    )
    cut = execute(graph_of(short, strategy=Sure(), portfolio=portfolio, risk=FREE), short, "python").signals
    assert whole is not None
    assert cut is not None
    for name, column in cut.aux.items():
        np.testing.assert_array_equal(column, whole.aux[name][:, :250])


NAMES = ("open", "high", "low", "close", "volume", "state")

"""One instant at a time gives what whole columns give: on both engines, with everything a graph can hold."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.run import Outcome, execute
from kraken_flow.core.session import News, Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.runs.logs import data_hash
from tests.engines import ENGINES, RUST, graph_of
from tests.golden.scenarios import SCENARIOS
from tests.golden.test_scenarios import nested
from tests.parity.draw_graphs import graphs
from tests.parity.same import assert_same


def taken(graph: Graph, market: Market, engine: str) -> tuple[Outcome, Session, list[News]]:
    """Take a graph through a market row by row."""
    session = Session(graph, tape_of(market), engine)
    news = [session.take(instant) for instant in instants(market)]
    return session.outcome(), session, [one for one in news if one is not None]


def test_sessions_trade_as_backtests_do() -> None:
    @seed(11)
    @settings(
        max_examples=150,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(graphs())
    def play(drawn: tuple[Graph, Market]) -> None:
        graph, market = drawn
        whole = execute(graph, market, "python")
        for engine in ("python", "rust") if RUST else ("python",):
            outcome, session, _ = taken(graph, market, engine)
            assert_same(whole.result, outcome.result)
            # Drawn finer bars may lack where no loaded ones would, which makes other rows of equal meaning.
            assert market.detail is not None or data_hash(session.market()) == data_hash(market)
            assert outcome.notes == whole.notes

    play()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_scripted_orders_fill_the_same_one_instant_at_a_time(scenario, engine: str) -> None:
    """The scenarios of the fill rules, finer bars included; what each instant brings adds up to the whole."""
    exchange = SpotExchange(name="bare", **nested(scenario.terms))
    graph = graph_of(scenario.market, scenario.requests(), exchange=exchange, account=Account(cash=10_000.0))
    whole = execute(graph, scenario.market, engine)
    outcome, _, news = taken(graph, scenario.market, engine)
    assert_same(whole.result, outcome.result)
    for table in ("fills", "log"):
        for name, column in getattr(whole.result, table).items():
            assert [value for one in news for value in getattr(one, table)[name].tolist()] == column.tolist()


def test_an_instant_out_of_turn_is_refused() -> None:
    scenario = SCENARIOS[0]
    graph = graph_of(scenario.market, scenario.requests())
    session = Session(graph, tape_of(scenario.market), "python")
    first, second, *_ = instants(scenario.market)
    with pytest.raises(ValueError, match="is not row 0"):
        session.take(second)
    session.take(first)
    with pytest.raises(ValueError, match="is not row 1"):
        session.take(first)

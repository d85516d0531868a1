"""One instant at a time gives what whole columns give: on both engines, with everything a graph can hold."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kraken_flow.analysis.futures import ends_at
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.run import Outcome, execute
from kraken_flow.core.session import News, Session
from kraken_flow.core.signal_stream import SignalStream
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.runs.logs import data_hash
from tests.engines import ENGINES, RUST, graph_of
from tests.golden.scenarios import SCENARIOS
from tests.golden.test_scenarios import nested
from tests.parity.draw_graphs import graphs
from tests.parity.same import assert_same
from tests.signal_cases import FEATURES, bars_of, random_market, reads


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


def test_a_session_that_catches_up_goes_on_as_one_that_never_stopped() -> None:
    @seed(12)
    @settings(
        max_examples=60,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(graphs(), st.floats(0.0, 1.0))
    def play(drawn: tuple[Graph, Market], share: float) -> None:
        graph, market = drawn
        tape = list(instants(market))
        stop = round(share * len(tape))
        for engine in ("python", "rust") if RUST else ("python",):
            steady, session = (Session(graph, tape_of(market), engine) for _ in range(2))
            said = []
            for instant in tape:
                steady.take(instant)
                said.append(steady.said)
            assert [session.said for _ in session.catch_up(tape[:stop])] == said[:stop]
            for instant, expected in zip(tape[stop:], said[stop:], strict=True):
                session.take(instant)
                assert session.said == expected
            assert_same(steady.outcome().result, session.outcome().result)

    play()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stop", [1, 57, 120])
def test_features_that_catch_up_go_on_as_those_that_took_every_bar(stop: int, engine: str) -> None:
    """Every feature there is, over missing bars, and over so many that states start afresh."""
    market = random_market(160, 9, n_pairs=3, gaps=0.15, max_gap=3)

    def stream() -> SignalStream:
        return SignalStream(reads(*FEATURES), market.names, market.timeframe_ns, 0, market.max_gap, engine)

    steady, late = stream(), stream()
    late.catch_up(ends_at(market, stop - 1))
    for row, time in enumerate(market.times.tolist()):
        steady.update(time, bars_of(market, row))
        if row >= stop:
            late.update(time, bars_of(market, row))
        for feature in FEATURES if row >= stop - 1 else ():
            np.testing.assert_array_equal(late.columns(feature), steady.columns(feature), str(feature))


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

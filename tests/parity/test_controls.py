"""What a user tells a session does the same on both engines, and does what it says."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.orders import Control, Reason, Side
from kraken_flow.core.result import Result
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from strategies.hold import Hold
from strategies.momentum import Momentum
from tests.engines import ENGINES, RUST, graph_of
from tests.golden.bars import HOUR, T0, columns_of, market_of
from tests.golden.scenarios import request
from tests.parity.draw_graphs import graphs
from tests.parity.same import assert_same

Said = dict[int, Control]
SIMPLE = (Control.PAUSE, Control.RESUME, Control.FLATTEN)
controls = st.dictionaries(st.integers(0, 59), st.sampled_from(SIMPLE), min_size=1, max_size=4)


def told(graph: Graph, market: Market, said: Said, engine: str) -> tuple[Result, list[list[int]]]:
    """Take a graph through a market, saying things after some rows; also the positions after each row."""
    session = Session(graph, tape_of(market), engine)
    held = []
    for row, instant in enumerate(instants(market)):
        session.take(instant)
        if row in said:
            session.control(said[row], session.known)
        held.append(session.account.standing().position)
    return session.outcome().result, held


def sent(result: Result) -> list[dict[str, Any]]:
    """The orders of a run, a dictionary each."""
    columns = {name: column.tolist() for name, column in result.orders.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_controls_do_the_same_on_both_engines_and_what_they_say() -> None:
    seen: Counter[Reason] = Counter()

    @seed(12)
    @settings(
        max_examples=300,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(graphs(), controls)
    def play(drawn: tuple[Graph, Market], said: Said) -> None:
        graph, market = drawn
        result, held = told(graph, market, said, "python")
        if RUST:
            assert_same(result, told(graph, market, said, "rust")[0])
        paused = False
        for row in range(1, market.n_rows):
            what = said.get(row - 1)
            paused = paused if what in {None, Control.FLATTEN, Control.RESET} else what is Control.PAUSE
            # Orders that were under way before the pause may still fill where taking them back takes time.
            if paused and graph.exchange.terms().latency_ns == 0:
                for before, after in zip(held[row - 1], held[row], strict=True):
                    assert before * after >= 0
                    assert abs(after) <= abs(before)
        seen.update(Reason(order["reason"]) for order in sent(result))
        seen.update(Reason(order["end_reason"]) for order in sent(result))

    play()
    assert seen[Reason.FLATTEN] >= 10
    assert seen[Reason.PAUSED] >= 10


BARS = columns_of(" | ".join(["100/101/99/100"] * 8))


def holding(**nodes: Any) -> Graph:
    """Hold ten units from the first bar on."""
    graph = graph_of(
        market_of(BARS),
        strategy=Hold(),
        portfolio=FixedQuantity(quantity=10.0),
        exchange=SpotExchange(name="bare", tick=0.01, participation_cap=None),
        account=Account(cash=10_000.0),
        **nodes,
    )
    return graph


@pytest.mark.parametrize("engine", ENGINES)
def test_flatten_closes_at_the_next_open_and_stays_out(engine: str) -> None:
    result, held = told(holding(), market_of(BARS), {3: Control.FLATTEN}, engine)
    assert [position for (position,) in held] == [0, *[10 * 10**8] * 3, 0, 0, 0, 0]
    closing = sent(result)[-1]
    assert (closing["reason"], closing["side"], closing["time"]) == (Reason.FLATTEN, Side.SELL, T0 + 4 * HOUR)
    assert result.fills["row"].tolist() == [1, 4]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_paused_session_opens_nothing_and_a_resumed_one_waits_for_a_new_signal(engine: str) -> None:
    _, held = told(holding(), market_of(BARS), {0: Control.PAUSE}, engine)
    assert held == [[0]] * 8
    _, held = told(holding(), market_of(BARS), {0: Control.PAUSE, 2: Control.RESUME}, engine)
    assert held == [[0]] * 8


TURN = columns_of("100/101/99/100 | 100/103/99/102 | 102/105/101/104 | 104/105/97/98 | 98/99/95/96 | 96/97/93/94")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("execution", [MarketOrders(), LimitOrders(offset_bps=0.0)], ids=["market", "limit"])
def test_a_pause_after_the_signal_to_turn_a_position_still_closes_it(engine: str, execution: Any) -> None:
    """The order that was to turn it is taken back, and what of it was a reduction is sent anew."""
    market = market_of(TURN)
    graph = graph_of(
        market,
        strategy=Momentum(1, 0.0),
        portfolio=FixedQuantity(quantity=10.0),
        exchange=SpotExchange(name="bare", tick=0.01, participation_cap=None),
        account=Account(cash=10_000.0),
        risk=PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)),
        execution=execution,
    )
    ten = 10 * 10**8
    _, held = told(graph, market, {}, engine)
    assert [position for (position,) in held][-1] == -ten
    _, held = told(graph, market, {3: Control.PAUSE}, engine)
    assert [position for (position,) in held][-3:] == [ten, 0, 0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rearm", ["next_bar", "bars:2", "on_change"])
def test_what_a_user_closed_stays_closed_however_risk_arms_again(engine: str, rearm: str) -> None:
    graph = holding(risk=PositionRisk(PositionLimits(), rearm=rearm))
    _, held = told(graph, market_of(BARS), {3: Control.FLATTEN}, engine)
    assert [position for (position,) in held][4:] == [0, 0, 0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_paused_script_may_only_reduce(engine: str) -> None:
    orders = [
        (T0 + HOUR, request({"qty": 5})),
        (T0 + 3 * HOUR, request({"qty": 5})),
        (T0 + 4 * HOUR, request({"qty": 2, "side": "sell", "reduce_only": "1"})),
    ]
    graph = graph_of(market_of(BARS), orders, account=Account(cash=10_000.0))
    result, held = told(graph, market_of(BARS), {1: Control.PAUSE}, engine)
    assert [position // 10**8 for (position,) in held] == [0, 5, 5, 5, 3, 3, 3, 3]
    assert [Reason(order["end_reason"]) for order in sent(result)] == [Reason.NONE, Reason.PAUSED, Reason.NONE]

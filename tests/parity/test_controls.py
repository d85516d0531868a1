"""What a user tells a session does the same on both engines, and does what it says."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kraken_flow.core.graph import Graph
from kraken_flow.core.market import REAL, SYNTHETIC, Market
from kraken_flow.core.orders import Control, Reason, Side
from kraken_flow.core.result import Result
from kraken_flow.core.run import Outcome, execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.execution.pov import Pov
from kraken_flow.execution.twap import Twap
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
    flattened: list[int] = []

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
        left = list(left_of_flattened(execute(graph, market, "python"), market, said, held))
        assert not any(left), "a flattened position is held on"
        flattened.extend(left)
        seen.update(Reason(order["reason"]) for order in sent(result))
        seen.update(Reason(order["end_reason"]) for order in sent(result))

    play()
    assert seen[Reason.FLATTEN] >= 10
    assert seen[Reason.PAUSED] >= 10
    assert len(flattened) >= 10


def left_of_flattened(outcome: Outcome, market: Market, said: Said, held: list[list[int]]) -> Iterator[int]:
    """What is still held, in sizes that the venue takes, of flattened pairs that have traded long enough since.

    Long enough to fill whatever was under way, while neither forecast changed nor anything else was said.
    """
    spec, signals = outcome.spec, outcome.signals
    assert signals is not None
    late = -(-spec.latency_ns // spec.timeframe_ns) + 1
    flattened = [row for row, what in said.items() if what is Control.FLATTEN and row < market.n_rows]
    if not flattened or spec.scripted:
        return
    start = max(flattened)
    for p, (columns, instrument) in enumerate(zip(market.pairs, spec.instruments, strict=True)):
        real = columns.state == REAL
        seen = [row for row in range(spec.first_row, start + 1) if real[row]]
        after = signals.forecast_fix[p][start + 1 :][real[start + 1 :]]
        if not seen or (after != signals.forecast_fix[p][seen[-1]]).any():
            continue
        most = max(abs(row[p]) for row in held[start:])
        share = UNIT if spec.participation < 0 else spec.participation
        traded = 0
        for row in range(start + 2 * late + 2, market.n_rows):
            if real[row - late : row + 1].all():
                traded += int(columns.volume[row]) * share // UNIT // instrument.lot * instrument.lot
        if traded >= 2 * most:
            left = abs(held[-1][p]) // instrument.lot * instrument.lot
            yield left if instrument.takes(left, int(columns.close[-1])) else 0


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


@st.composite
def outages(draw: st.DrawFn) -> Market:
    """Sixty quiet bars, of which runs are missing; the last twenty are there."""
    market = market_of(columns_of(" | ".join(["100/101/99/100"] * 60)))
    pair = market.pairs[0]
    state = pair.state.copy()
    for first, length in draw(st.lists(st.tuples(st.integers(1, 38), st.sampled_from([1, 2, 5, 26])), max_size=3)):
        state[first : min(first + length, 40)] = SYNTHETIC
    pair = replace(pair, state=state, volume=np.where(state == SYNTHETIC, 0, pair.volume))
    return replace(market, pairs=(pair,), max_gap=draw(st.sampled_from([1, 3, 24])))


EXECUTIONS = (
    MarketOrders(),
    Twap(bars=6),
    Twap(bars=3, exit_market=True, max_participation=0.01),
    Pov(participation=0.01),
    LimitOrders(offset_bps=0.0, timeout=1, chase=2),
)


def test_nothing_is_left_of_what_fills_after_a_flatten_or_a_pause() -> None:
    """Whatever was under way, however long messages take and whenever bars are missing."""
    late = Counter()

    @seed(14)
    @settings(max_examples=200, database=None, phases=[Phase.generate, Phase.shrink])
    @given(
        outages(),
        st.sampled_from(EXECUTIONS),
        st.sampled_from(["0", "20m", "1h", "90m", "3h"]),
        st.sampled_from([Control.FLATTEN, Control.PAUSE]),
        st.integers(0, 38),
    )
    def play(market: Market, execution: Any, latency: str, what: Control, row: int) -> None:
        graph = graph_of(
            market,
            strategy=Hold(),
            portfolio=FixedQuantity(quantity=10.0, band=None),
            exchange=SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=None, latency=latency),
            account=Account(cash=10_000.0),
            risk=PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)),
            execution=execution,
        )
        result, held = told(graph, market, {row: what}, "python")
        if RUST:
            assert_same(result, told(graph, market, {row: what}, "rust")[0])
        at, end = held[row][0], held[-1][0]
        assert end == (0 if what is Control.FLATTEN else at)
        late[what] += any(then[0] > at for then in held[row:])

    play()
    assert min(late[what] for what in (Control.FLATTEN, Control.PAUSE)) >= 5, late

"""Parent orders worked by children: by hand on small tapes, and what holds of all of them, on both engines."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kraken_flow.core.account import Execution
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import SYNTHETIC, Market
from kraken_flow.core.orders import Control, OrderType, Reason, Side, State
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.result import Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SlippageModel, SpotExchange
from kraken_flow.execution.iceberg import Iceberg
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.pov import Pov
from kraken_flow.execution.twap import Twap
from kraken_flow.execution.vwap import Vwap
from kraken_flow.features import LogReturnStd, Sma
from kraken_flow.modes.status import under_way
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from strategies.hold import Hold
from strategies.momentum import Momentum
from tests.engine_checks import check_all
from tests.engines import ENGINES, RUST, graph_of
from tests.golden.bars import columns_of, market_of
from tests.parity.draw_graphs import graphs, with_features
from tests.parity.same import assert_same

FLAT = "100/101/99/100"
UNPROTECTED = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))


def tape(bars: str | int = 10, volumes: tuple[int, ...] | None = None) -> Market:
    """An hourly tape: given bars, or so many equal ones."""
    return market_of(columns_of(" | ".join([FLAT] * bars) if isinstance(bars, int) else bars, volumes))


def working(execution: Execution, market: Market, quantity: float = 10.0, **nodes: Any) -> Graph:
    """Buy so much at the first decision by an executor, without costs."""
    defaults: dict[str, Any] = {
        "strategy": Hold(),
        "portfolio": FixedQuantity(quantity=quantity, band=None),
        "exchange": SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=None),
        "account": Account(cash=1_000_000.0),
        "risk": UNPROTECTED,
        "execution": execution,
    }
    return graph_of(market, **(defaults | nodes))


def fills(result: Result) -> list[tuple[int, float, float]]:
    """(row, quantity with its sign, price) of each fill."""
    f = result.fills
    signed = f["qty"] * f["side"] / UNIT
    return list(zip(f["row"].tolist(), signed.tolist(), (f["price"] / UNIT).tolist(), strict=True))


def parent(result: Result, number: int = 0) -> dict[str, Any]:
    """One parent in words."""
    one = {name: int(column[number]) for name, column in result.parents.items()}
    return one | {"state": State(one["state"]), "end_reason": Reason(one["end_reason"]), "algo": Algo(one["algo"])}


def orders(result: Result, field: str) -> list[int]:
    return result.orders[field].tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_parts_at_regular_closes(engine: str) -> None:
    market = tape()
    result = execute(working(Twap(bars=6, every=2), market, 1.0), market, engine).result
    # 10 lots in 3: 3, 3, 4, sent at the closes of rows 0, 2 and 4.
    assert fills(result) == [(1, 0.3, 100.0), (3, 0.3, 100.0), (5, 0.4, 100.0)]
    one = parent(result)
    assert (one["state"], one["end_row"], one["filled"], one["arrival"]) == (State.FILLED, 5, UNIT, 100 * UNIT)
    assert result.children["order"].tolist() == [0, 1, 2]
    assert result.children["parent"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_draws_make_parts_and_times_irregular_and_depend_on_the_seed(engine: str) -> None:
    market = tape(20)
    node = Twap(bars=16, every=4, time_jitter=0.5, size_jitter=0.5, max_participation=None)
    graph = working(node, market, 10.0)
    runs = [fills(execute(replace(graph, seed=number), market, engine).result) for number in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    for run in runs:
        assert round(sum(qty for _, qty, _ in run), 9) == 10.0
        assert all(row - 1 - 4 * i in range(-2, 3) for i, (row, _, _) in enumerate(run))
    assert len({qty for run in runs for _, qty, _ in run}) > 2


@pytest.mark.parametrize("engine", ENGINES)
def test_parts_follow_the_volume_that_past_days_let_expect(engine: str) -> None:
    """A day of warm-up with the profile 5, 10, 20, 30, 20, 15 from the bar after the decision on."""
    volumes = [100] * 40
    volumes[1:7] = [500, 1000, 2000, 3000, 2000, 1500]
    whole = tape(40, tuple(volumes))
    market = replace(whole, first_row=24)
    node = Vwap(bars=6, past=1, max_participation=None)
    result = execute(working(node, market, 73.3), market, engine).result
    assert [qty for _, qty, _ in fills(result)] == [3.6, 7.3, 14.7, 22.0, 14.7, 11.0]
    assert [row for row, *_ in fills(result)] == [25, 26, 27, 28, 29, 30]
    assert "vwap_without_curve" not in result.counts
    # Volumes of the day of the order change nothing.
    other = tape(40, tuple(volumes[:25] + [7] * 15))
    again = execute(working(node, replace(other, first_row=24), 73.3), replace(other, first_row=24), engine).result
    assert fills(again) == fills(result)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_past_days_the_parts_are_equal_and_it_is_counted(engine: str) -> None:
    market = tape()
    result = execute(working(Vwap(bars=5), market, 1.0), market, engine).result
    assert [qty for _, qty, _ in fills(result)] == [0.2] * 5
    assert result.counts["vwap_without_curve"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_share_of_the_volume_of_the_bar_before(engine: str) -> None:
    """10 % of all: 120, 80, 200 of others -> 13.3, 8.9, 22.2 in lots of .1, fractions carried on."""
    market = tape(8, (120, 80, 200, 50, 0, 50, 50, 50))
    node = Pov(participation=0.1, burst=1.5, max_participation=None)
    result = execute(working(node, market, 50.0), market, engine).result
    # 13.333, 22.222 - 13.3, 44.444 - 22.2, and what is left; the bar without volume adds nothing.
    assert fills(result)[:3] == [(1, 13.3, 100.0), (2, 8.9, 100.0), (3, 22.2, 100.0)]
    assert parent(result)["state"] is State.FILLED
    assert sum(qty for _, qty, _ in fills(result)) == pytest.approx(50.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_iceberg_has_one_order_at_a_time_at_one_price(engine: str) -> None:
    bars = " | ".join([FLAT, *["100/101/98/100"] * 9])
    market = tape(bars)
    node = Iceberg(display=0.3, size_jitter=0.0, offset_bps=100.0, bars=None)
    result = execute(working(node, market), market, engine).result
    assert fills(result) == [(1, 3.0, 99.0), (2, 3.0, 99.0), (3, 3.0, 99.0), (4, 1.0, 99.0)]
    assert set(orders(result, "type")) == {OrderType.LIMIT}
    # Of a thousand lots at least a fifteenth of what remains is shown.
    thin = Iceberg(display=0.001, size_jitter=0.0, offset_bps=100.0, bars=None)
    shown = execute(working(thin, market, 100.0), market, engine).result.orders["qty"].tolist()
    assert shown[:2] == [round(6.6 * UNIT), round(6.2 * UNIT)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_chase_follows_the_price_as_far_as_it_may_and_then_crosses(engine: str) -> None:
    rising = (
        "100/100/99.5/100 | 100/101/100/101 | 101/102/101/102 | 102/103/102/103 | 103/104/103/104 | 104/105/104/105"
    )
    market = tape(rising)
    node = LimitOrders(offset_bps=50.0, timeout=1, chase=2)
    result = execute(working(node, market), market, engine).result
    assert (result.orders["limit_price"] / UNIT).tolist() == [99.5, 100.49, 101.49, 0.0]
    assert fills(result) == [(4, 10.0, 103.0)]
    assert [Reason(code) for code in orders(result, "end_reason")] == [*[Reason.TIMEOUT] * 3, Reason.NONE]
    bound = LimitOrders(offset_bps=50.0, timeout=1, chase=2, chase_bps=100.0, remainder="cancel")
    result = execute(working(bound, market), market, engine).result
    assert (result.orders["limit_price"] / UNIT).tolist() == [99.5, 100.49, 101.0]
    assert fills(result) == []
    assert (parent(result)["state"], parent(result)["end_reason"]) == (State.EXPIRED, Reason.TIMEOUT)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("remainder", "bought"), [("cross", 10.0), ("cancel", 4.0)])
def test_what_participation_left_undone_is_crossed_or_left(engine: str, remainder: str, bought: float) -> None:
    """A tenth of 20 lots of 1 may work at a time: two a bar; four bars would take 2.5 each."""
    market = tape(12, (10,) * 12)
    node = Twap(bars=4, max_participation=0.1, remainder=remainder)
    result = execute(working(node, market), market, engine).result
    assert [qty for _, qty, _ in fills(result)][:4] == [1.0] * 4
    assert sum(qty for _, qty, _ in fills(result)) == bought
    assert parent(result)["state"] is (State.FILLED if remainder == "cross" else State.EXPIRED)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_limit_price_is_never_passed(engine: str) -> None:
    rising = " | ".join(f"{p}/{p + 1}/{p - 1}/{p}" for p in (100, 100, 101, 102, 103, 104, 105))
    market = tape(rising)
    result = execute(working(Twap(bars=4, limit_bps=100.0), market), market, engine).result
    assert max(price for *_, price in fills(result)) <= 101.0
    assert parent(result)["limit_price"] == 101 * UNIT
    assert parent(result)["state"] is State.CANCELLED
    assert parent(result)["filled"] < 10 * UNIT


@pytest.mark.parametrize("engine", ENGINES)
def test_dust_is_neither_sent_nor_left_behind(engine: str) -> None:
    market = tape()
    table = {"BTC/USD": {"tick": 0.01, "lot": 0.1, "qty_min": 0.3, "cost_min": 0.0}}
    exchange = SpotExchange(name="bare", participation_cap=None, instruments_table=table)
    result = execute(working(Twap(bars=5), market, 1.0, exchange=exchange), market, engine).result
    assert [qty for _, qty, _ in fills(result)] == [0.4, 0.6]
    assert set(orders(result, "state")) == {State.FILLED}


TURN = "100/101/99/100 | 100/103/99/102 | 102/105/101/104 | 104/105/97/98 | 98/99/95/96 | 96/97/93/94 | 94/95/93/94"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_change_of_target_takes_the_parent_and_its_children_back_first(engine: str) -> None:
    market = tape(TURN)
    result = execute(working(Twap(bars=4), market, 10.0, strategy=Momentum(1, 0.0)), market, engine).result
    first, second = parent(result, 0), parent(result, 1)
    assert (first["side"], first["state"], first["end_reason"]) == (1, State.CANCELLED, Reason.TARGET_CHANGED)
    assert 0 < first["filled"] < 10 * UNIT
    assert (second["side"], second["row"]) == (-1, first["end_row"])
    assert second["qty"] == first["filled"] + 10 * UNIT


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_ends_what_was_still_to_be_bought(engine: str) -> None:
    falling = " | ".join(["100/101/99/100", "100/101/99/100", "100/101/96/97", *["97/98/96/97"] * 6])
    market = tape(falling)
    risk = PositionRisk(PositionLimits(stop_loss=0.03, take_profit=None, max_fraction=None))
    result = execute(working(Twap(bars=8), market, 8.0, risk=risk), market, engine).result
    assert fills(result) == [(1, 1.0, 100.0), (2, 1.0, 100.0), (2, -2.0, 97.0)]
    assert parent(result)["end_reason"] is Reason.TARGET_CHANGED


@pytest.mark.parametrize("engine", ENGINES)
def test_protection_grows_with_every_part(engine: str) -> None:
    bars = " | ".join([*["100/101/99/100"] * 4, "100/101/90/95", "95/96/94/95"])
    market = tape(bars)
    risk = PositionRisk(PositionLimits(stop_loss=0.05, take_profit=None, max_fraction=None))
    result = execute(working(Twap(bars=3), market, 9.0, risk=risk), market, engine).result
    assert fills(result)[-1] == (4, -9.0, 95.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_missing_bars_send_nothing_and_are_caught_up_with(engine: str) -> None:
    market = tape()
    pair = market.pairs[0]
    state = pair.state.copy()
    state[1:3] = SYNTHETIC
    volume = np.where(state == SYNTHETIC, 0, pair.volume)
    holey = replace(market, pairs=(replace(pair, state=state, volume=volume),))
    result = execute(working(Twap(bars=5), holey, 5.0), holey, engine).result
    assert fills(result) == [(3, 1.0, 100.0), (4, 3.0, 100.0), (5, 1.0, 100.0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_participation_holds_after_an_outage_and_the_end_moves_on(engine: str) -> None:
    """Eighty over eight bars, ten at a time: an outage of seventeen bars moves the end by as many."""
    market = tape(40, (1000,) * 40)
    pair = market.pairs[0]
    state = pair.state.copy()
    state[3:20] = SYNTHETIC
    volume = np.where(state == SYNTHETIC, 0, pair.volume)
    holey = replace(market, pairs=(replace(pair, state=state, volume=volume),))
    result = execute(working(Twap(bars=8, max_participation=0.01), holey, 80.0), holey, engine).result
    assert fills(result) == [(row, 10.0, 100.0) for row in (1, 2, *range(20, 26))]
    assert parent(result)["state"] is State.FILLED
    # What is still missing at the end that moved on goes at once, as at any end.
    result = execute(working(Twap(bars=8, max_participation=0.01), holey, 100.0), holey, engine).result
    assert fills(result)[-1] == (26, 20.0, 100.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_too_little_cash_ends_a_parent(engine: str) -> None:
    market = tape()
    account = Account(cash=550.0)
    result = execute(working(Twap(bars=5), market, 10.0, account=account), market, engine).result
    assert sum(qty for _, qty, _ in fills(result)) == 5.5
    assert parent(result)["end_reason"] is Reason.INSUFFICIENT_FUNDS


# orders of a user

BY_HAND = Plan(Algo.TWAP, bars=4, remainder=Remainder.CROSS)


def told(
    graph: Graph, market: Market, said: dict[int, list[tuple[Control, ManualOrder | None]]], engine: str
) -> Result:
    """Take a graph through a market, saying things after some rows."""
    session = Session(graph, tape_of(market), engine)
    for row, instant in enumerate(instants(market)):
        session.take(instant)
        for what, order in said.get(row, ()):
            session.control(what, session.known, order)
    return session.outcome().result


def idle(market: Market) -> Graph:
    """A system that trades nothing by itself."""
    return working(Twap(), market, strategy=Momentum(3, 1000.0))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_order_of_a_user_is_worked_by_its_plan(engine: str) -> None:
    market = tape()
    order = ManualOrder(0, Side.BUY, 2 * UNIT, BY_HAND)
    result = told(idle(market), market, {2: [(Control.ORDER, order)]}, engine)
    assert fills(result) == [(row, 0.5, 100.0) for row in (3, 4, 5, 6)]
    assert set(orders(result, "reason")) == {Reason.MANUAL}
    one = parent(result)
    assert (one["manual"], one["row"], one["state"]) == (1, 2, State.FILLED)
    assert list(under_way(result, market.names)) == []
    cut = replace(market, times=market.times[:5], pairs=(columns_of(" | ".join([FLAT] * 5)),))
    result = told(idle(cut), cut, {2: [(Control.ORDER, order)]}, engine)
    assert list(under_way(result, cut.names)) == ["buy 2 BTC/USD by twap, yours: 1 filled"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_paused_session_works_only_what_reduces(engine: str) -> None:
    market = tape()
    buy, sell = ManualOrder(0, Side.BUY, 2 * UNIT, BY_HAND), ManualOrder(0, Side.SELL, UNIT, BY_HAND)
    said = {1: [(Control.ORDER, buy)], 5: [(Control.PAUSE, None), (Control.ORDER, buy), (Control.ORDER, sell)]}
    for graph, held in ((idle(market), 0), (working(Twap(bars=1), market), 10)):
        result = told(graph, market, said, engine)
        own = len(result.parents["pair"]) - 3
        assert [parent(result, own + n)["state"] for n in range(3)] == [State.FILLED, State.REJECTED, State.FILLED]
        assert parent(result, own + 1)["end_reason"] is Reason.PAUSED
        assert result.final_positions.tolist() == [(held + 1) * UNIT]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", [Control.PAUSE, Control.FLATTEN])
def test_pause_and_flatten_take_parents_back(engine: str, what: Control) -> None:
    market = tape()
    order = ManualOrder(0, Side.BUY, 4 * UNIT, BY_HAND)
    result = told(idle(market), market, {1: [(Control.ORDER, order)], 3: [(what, None)]}, engine)
    one = parent(result)
    assert one["state"] is State.CANCELLED
    assert one["end_reason"] is (Reason.PAUSED if what is Control.PAUSE else Reason.FLATTEN)
    assert result.final_positions.tolist() == [2 * UNIT if what is Control.PAUSE else 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_before_the_first_bar_an_order_is_refused(engine: str) -> None:
    market = tape()
    session = Session(idle(market), tape_of(market), engine)
    session.control(Control.ORDER, session.known, ManualOrder(0, Side.BUY, UNIT, BY_HAND))
    for instant in instants(market):
        session.take(instant)
    assert parent(session.outcome().result)["state"] is State.REJECTED


# what holds of all of them

PLANS = st.builds(
    Plan,
    algo=st.sampled_from(Algo),
    bars=st.integers(1, 8),
    every=st.integers(1, 3),
    time_jitter=st.sampled_from([0, UNIT // 2]),
    size_jitter=st.sampled_from([0, UNIT // 4]),
    offset=st.sampled_from([-1, 0, UNIT // 200]),
    max_participation=st.sampled_from([-1, UNIT // 10, UNIT]),
    participation=st.sampled_from([UNIT // 10, UNIT // 2]),
    burst=st.just(2 * UNIT),
    display=st.sampled_from([UNIT // 10, UNIT]),
    period=st.just(3),
    periods=st.just(2),
    remainder=st.sampled_from(Remainder),
    post_only=st.booleans(),
)
GIVEN = st.builds(
    ManualOrder, st.just(0), st.sampled_from(Side), st.integers(1, 40).map(lambda lots: lots * UNIT // 10), PLANS
)
SAID = st.one_of(
    GIVEN.map(lambda order: (Control.ORDER, order)),
    st.sampled_from([(c, None) for c in (Control.PAUSE, Control.RESUME, Control.FLATTEN)]),
)


def test_orders_of_users_do_the_same_on_both_engines_and_keep_to_their_quantity() -> None:
    ended: Counter[State] = Counter()

    @seed(21)
    @settings(
        max_examples=200,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(graphs(), st.dictionaries(st.integers(0, 40), st.lists(SAID, max_size=2), min_size=1, max_size=4))
    def play(drawn: tuple[Graph, Market], said: Any) -> None:
        graph, market = drawn
        result = told(graph, market, said, "python")
        if RUST:
            assert_same(result, told(graph, market, said, "rust"))
        filled = Counter()
        for order, number in zip(*(result.children[name].tolist() for name in ("order", "parent")), strict=True):
            filled[number] += int(result.orders["filled"][order])
            assert result.orders["pair"][order] == result.parents["pair"][number]
            assert result.orders["side"][order] == result.parents["side"][number]
        for number in range(len(result.parents["pair"])):
            one = parent(result, number)
            assert one["filled"] == filled[number] <= one["qty"]
            assert (
                one["end_row"] < 0
                or (one["state"] is State.FILLED) == (one["filled"] == one["qty"])
                or (graph.exchange.terms().latency_ns > 0)
            )
            ended[one["state"]] += 1

    play()
    assert min(ended[state] for state in (State.FILLED, State.CANCELLED, State.REJECTED, State.EXPIRED)) >= 5, ended


IMPACT = SlippageModel(model="sqrt_impact", factor=3.0, sigma=LogReturnStd(2), volume=Sma("volume", 2))
IN_PARTS = (
    Twap(bars=4, max_participation=None),
    Twap(bars=7, size_jitter=0.5, exit_market=True),
    Vwap(bars=4, past=1, max_participation=1.0),
    Pov(participation=0.5, burst=2.0, bars=9, max_participation=None),
    Iceberg(display=0.25, offset_bps=60.0, bars=3),
    LimitOrders(offset_bps=60.0, timeout=1, chase=1),
)


def test_parts_pay_the_same_impact_on_both_engines() -> None:
    later: list[int] = []

    @seed(23)
    @settings(max_examples=200, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(graphs(), st.sampled_from(IN_PARTS), st.dictionaries(st.integers(0, 40), st.lists(SAID, max_size=2)))
    def play(drawn: tuple[Graph, Market], execution: Execution, said: Any) -> None:
        graph, market = drawn
        graph = replace(graph, exchange=with_features(graph.exchange, slippage=IMPACT), execution=execution)
        ran = execute(graph, market, "python")
        check_all(ran.spec, market, ran.result, ran.signals.forecast_fix)
        result = told(graph, market, said, "python")
        if RUST:
            assert_same(ran.result, execute(graph, market, "rust").result)
            assert_same(result, told(graph, market, said, "rust"))
        parts = ran.result.children["order"][ran.result.children["before"] > 0]
        later.append(int(np.isin(parts, ran.result.fills["order"][ran.result.fills["slip_lo"] > 0]).sum()))

    play()
    assert sum(parts > 0 for parts in later) >= 20, later


def test_with_ample_cash_a_crossing_parent_fills_exactly_whatever_the_market_does() -> None:
    """Partial fills, volume that comes and goes, minima, and refusals of post-only children on the way."""

    @seed(22)
    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(
        GIVEN.map(lambda order: replace(order, plan=replace(order.plan, remainder=Remainder.CROSS))),
        st.lists(st.sampled_from([0, 1, 3, 10, 100]), min_size=12, max_size=12),
        st.sampled_from([0.1, 0.5, None]),
        st.booleans(),
    )
    def play(order: ManualOrder, volumes: list[int], cap: float | None, minima: bool) -> None:
        market = tape(80, (1000, *volumes, *([100] * 67)))
        table = {"BTC/USD": {"tick": 0.01, "lot": 0.1, "qty_min": 0.3 if minima else 0.0, "cost_min": 0.0}}
        exchange = SpotExchange(name="bare", participation_cap=cap, instruments_table=table)
        order = replace(order, qty=max(order.qty, 3 * UNIT // 10))
        graph = replace(idle(market), exchange=exchange)
        for engine in ("python", "rust") if RUST else ("python",):
            result = told(graph, market, {0: [(Control.ORDER, order)]}, engine)
            one = parent(result)
            assert (one["state"], one["filled"]) == (State.FILLED, order.qty)
            assert result.final_positions.tolist() == [order.side * order.qty]
            sent = result.children["order"].tolist()
            assert all(a < b for a, b in pairwise(sent))

    play()

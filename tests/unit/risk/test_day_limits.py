"""What a day's limits do at its edges, and what goes on once its trades are used up; the same row by row."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kraken_flow.core.account import Execution
from kraken_flow.core.graph import Graph
from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.market import SYNTHETIC, Market
from kraken_flow.core.orders import Reason, State
from kraken_flow.core.result import Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.times import DAY
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.execution.twap import Twap
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from strategies.hold import Hold
from tests.engines import ENGINES, graph_of
from tests.golden.bars import T0, columns_of, market_of
from tests.limit_checks import events, limits_hold
from tests.parity.same import assert_same
from tests.unit.risk.test_limits import flat, scripted, tiers, told

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def days(*closes: float) -> Market:
    """Bars of a day."""
    return Market(DAY, T0 + DAY * np.arange(len(closes)), (flat(*closes),))


def holding(market: Market, risk: Any, quantity: float = 10.0, **nodes: Any) -> Graph:
    defaults: dict[str, Any] = {
        "strategy": Hold(),
        "portfolio": FixedQuantity(quantity=quantity, band=None),
        "exchange": SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=None),
        "account": Account(cash=10_000.0, leverage=5.0),
        "risk": risk,
    }
    return graph_of(market, **(defaults | nodes))


def play(graph: Graph, engine: str) -> Result:
    """A run over columns, which a session that is taken up again in the middle has to equal."""
    market = graph.source.market
    done = execute(graph, market, engine)
    limits_hold(done.spec, market, done.result)
    session, all_ = Session(graph, tape_of(market), engine), list(instants(market))
    list(session.catch_up(all_[: len(all_) // 2]))
    for instant in all_[len(all_) // 2 :]:
        session.take(instant)
    assert_same(done.result, session.outcome().result)
    return done.result


def fills(result: Result) -> list[tuple[int, float]]:
    signed = result.fills["qty"] * result.fills["side"] / 10**8
    return list(zip(result.fills["row"].tolist(), signed.tolist(), strict=True))


# the loss of a day


@pytest.mark.parametrize(("effect", "rows"), [("flatten", [1, 4]), ("halt", [1])])
def test_a_day_that_is_one_bar_halts_the_next_one(engine: str, effect: str, rows: list[int]) -> None:
    market = days(100, 100, 100, 90, 90, 90, 90)
    result = play(holding(market, tiers(day={"max_loss": 0.005, "effect": effect})), engine)
    assert [row for row, _ in fills(result)] == rows
    halt, over = events(result)
    assert (halt["trigger"], halt["reference"], halt["equity"]) == (Trigger.MAX_LOSS, 10_000.0, 9_900.0)
    assert halt["until"] == over["time"] == halt["time"] + DAY
    assert (over["trigger"], over["after"]) == (Trigger.TIMER, Safety.NORMAL)


def test_each_day_that_loses_halts_the_next_one(engine: str) -> None:
    """Held under a halt that only refuses entries, a position that goes on falling halts day after day."""
    market = days(100, 100, 90, 80, 80, 70, 70)
    result = play(holding(market, tiers(day={"max_loss": 0.005, "effect": "halt"})), engine)
    losses = [event for event in events(result) if event["trigger"] == Trigger.MAX_LOSS]
    assert [event["reference"] for event in losses] == [10_000.0, 9_900.0, 9_800.0]
    assert [(event["before"], event["after"]) for event in losses] == [(Safety.NORMAL, Safety.DAILY_HALT)] * 3


@pytest.mark.parametrize("limit", [0.005, 0.0101])
def test_a_loss_below_the_limit_halts_no_day(engine: str, limit: float) -> None:
    result = play(holding(days(100, 100, 90, 90, 90), tiers(day={"max_loss": limit})), engine)
    assert len(events(result)) == (2 if limit == 0.005 else 0)


@pytest.mark.parametrize(
    ("fall", "seen", "over"),
    [(22, 23, 24), (23, 24, 48), (24, 25, 48)],
    ids=["before the last bar", "in the last bar", "in the first bar"],
)
def test_a_loss_of_the_last_hour_of_a_day_halts_the_day_that_begins(
    engine: str, fall: int, seen: int, over: int
) -> None:
    market = market_of(flat(*[100] * fall, *[95] * (52 - fall)))
    result = play(holding(market, tiers(day={"max_loss": 0.004})), engine)
    start, hour = int(market.times[0]), market.timeframe_ns
    assert [(e["trigger"], (e["time"] - start) // hour) for e in events(result)] == [
        (Trigger.MAX_LOSS, seen),
        (Trigger.TIMER, over),
    ]


def test_a_loss_that_halted_its_day_does_not_halt_the_next(engine: str) -> None:
    """It falls at 10:00, and once more in the last hour."""
    market = market_of(flat(*[100] * 10, *[95] * 13, *[90] * 29))
    result = play(holding(market, tiers(day={"max_loss": 0.004})), engine)
    assert [event["trigger"] for event in events(result)] == [Trigger.MAX_LOSS, Trigger.TIMER]


# the trades of a day

ONE_TRADE: dict[str, Any] = {"max_trades": 1}


@pytest.mark.parametrize("effect", ["reduce_only", "halt", "flatten"])
@pytest.mark.parametrize(
    ("execution", "cap"),
    [(Twap(bars=5, max_participation=None), None), (MarketOrders(), 0.002), (LimitOrders(timeout=1), 0.002)],
    ids=["in slices", "in parts", "sent anew"],
)
def test_the_entry_that_was_counted_goes_on(engine: str, execution: Execution, cap: float | None, effect: str) -> None:
    market = market_of(columns_of(" | ".join(["100/101/99/100"] * 16)))
    exchange = SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=cap)
    risk = tiers(day=ONE_TRADE | {"effect": effect})
    result = play(holding(market, risk, execution=execution, exchange=exchange), engine)
    assert len(fills(result)) >= 5
    assert result.final_positions.tolist() == [10 * 10**8]
    (event,) = events(result)
    assert (event["trigger"], event["effect"]) == (Trigger.MAX_TRADES, Effect.REDUCE_ONLY)


def test_with_the_trades_used_up_nothing_new_is_opened(engine: str) -> None:
    market = market_of(*(columns_of(" | ".join(["100/100/100/100"] * 9), pair=pair) for pair in ("ADA/USD", "BTC/USD")))
    orders = [
        {"qty": 10},
        {"at": 3, "qty": 5},
        {"at": 3, "qty": 5, "pair": 1},
        {"at": 4, "qty": 25, "side": "sell"},
        {"at": 6, "qty": 5},
    ]
    result = play(scripted(market, orders, tiers(day=ONE_TRADE)), engine)
    # More of what is held opens nothing; another pair, the other side and a new entry would.
    assert [q // 10**8 for q in result.orders["filled"].tolist()] == [10, 5, 0, 15, 0]
    states = [State(s) for s in result.orders["state"].tolist()]
    assert [states[n] for n in (2, 4)] == [State.REJECTED] * 2
    assert [Reason(result.orders["end_reason"][n]) for n in (2, 4)] == [Reason.MAX_TRADES] * 2


def test_the_rest_of_an_entry_opens_no_second_position(engine: str) -> None:
    """What was counted as one position is closed by a stop while it is still worked."""
    bars = ["100/100/100/100"] * 3 + ["100/100/90/95"] + ["95/95/95/95"] * 6
    market = market_of(columns_of(" | ".join(bars)))
    orders = [{"qty": 50, "stop_loss": "94"}]
    exchange = SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=0.01)
    graph = scripted(market, orders, tiers(day=ONE_TRADE))
    result = play(replace(graph, exchange=exchange), engine)
    assert result.final_positions.tolist() == [0]
    assert result.fills["side"].tolist() == [1, 1, 1, -1, -1, -1]
    assert (result.orders["filled"][0], result.orders["end_reason"][0]) == (30 * 10**8, Reason.REDUCE_ONLY)


def test_a_loss_comes_before_the_number_of_trades(engine: str) -> None:
    """Halted for its trades, which does less, a day is halted for its loss as well."""
    market = market_of(flat(100, 100, 100, 100, 94, 94, 94, 94))
    risk = tiers(day=ONE_TRADE | {"max_loss": 0.005, "effect": "flatten"})
    result = play(holding(market, risk), engine)
    assert told(result) == [
        (Trigger.MAX_TRADES, Safety.NORMAL, Safety.DAILY_HALT),
        (Trigger.MAX_LOSS, Safety.DAILY_HALT, Safety.DAILY_HALT),
    ]
    assert [event["effect"] for event in events(result)] == [Effect.REDUCE_ONLY, Effect.FLATTEN]
    assert result.final_positions.tolist() == [0]


# what a move is compared with


@pytest.mark.parametrize(("missing", "kills"), [(0, True), (3, True), (8, False)])
def test_a_move_over_missing_bars_is_compared_with_that_of_as_many(engine: str, missing: int, kills: bool) -> None:
    """4 % where 1 % a bar is usual: four times that of one bar, twice that of four, less than twice that of nine."""
    closes = [100.0 if row % 2 else 101.0 for row in range(30)] + [100.0] * missing + [96.0, 96.0, 96.0]
    one = flat(*closes)
    one.state[30 : 30 + missing] = SYNTHETIC
    one.volume[30 : 30 + missing] = 0
    result = play(holding(market_of(one), tiers(system={"black_swan_sigma": 1.9})), engine)
    assert (told(result) == [(Trigger.BLACK_SWAN, Safety.NORMAL, Safety.KILLED)]) == kills
    if kills:
        (event,) = events(result)
        assert event["value"] == pytest.approx(4.0 / (1 + missing) ** 0.5, rel=0.05)

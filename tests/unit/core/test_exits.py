"""Exits that an outage, a latency or a venue took are made up for; nothing that nobody ordered is traded instead."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kraken_flow.core import Strategy, node
from kraken_flow.core.account import Execution
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import SYNTHETIC, Market
from kraken_flow.core.orders import Control, Reason, Side, State
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.result import Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.execution.twap import Twap
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from strategies.hold import Hold
from strategies.momentum import Momentum
from tests.engines import ENGINES, graph_of
from tests.golden.bars import HOUR, T0, columns_of, market_of
from tests.golden.scenarios import request

FREE = PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)
FLAT = "100/101/99/100"


@node
class Below(Strategy):
    """Long while the close is at least 100, out of the market below."""

    turn: bool = False

    def features(self) -> dict[str, Any]:
        return {"c": "close"}

    def forecast(self, f: Any) -> Any:
        return np.where(f.c < 100.0, -1.0 if self.turn else 0.0, 1.0)


def missing(market: Market, first: int, stop: int, pair: int = -1) -> Market:
    """The same market without the bars [first, stop) of one pair."""
    pairs = list(market.pairs)
    state, volume = pairs[pair].state.copy(), pairs[pair].volume.copy()
    state[first:stop], volume[first:stop] = SYNTHETIC, 0
    pairs[pair] = replace(pairs[pair], state=state, volume=volume)
    return replace(market, pairs=tuple(pairs))


def graph(market: Market, execution: Execution | None = None, **nodes: Any) -> Graph:
    """Hold ten units, without costs."""
    defaults: dict[str, Any] = {
        "strategy": Hold(),
        "portfolio": FixedQuantity(quantity=10.0, band=None),
        "exchange": SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=None),
        "account": Account(cash=1_000_000.0),
        "risk": PositionRisk(FREE),
        "execution": execution or MarketOrders(),
    }
    return graph_of(market, **(defaults | nodes))


def told(which: Graph, market: Market, said: dict[int, Any], engine: str) -> tuple[Result, list[list[float]]]:
    """Take a graph through a market, saying things after some rows; also the positions after each row."""
    session = Session(which, tape_of(market), engine)
    held = []
    for row, instant in enumerate(instants(market)):
        session.take(instant)
        if row in said:
            what, order = said[row] if isinstance(said[row], tuple) else (said[row], None)
            session.control(what, session.known, order)
        held.append([quantity / UNIT for quantity in session.account.standing().position])
    return session.outcome().result, held


def signed(result: Result) -> list[tuple[int, float]]:
    """(row, quantity with its sign) of each fill."""
    f = result.fills
    return list(zip(f["row"].tolist(), (f["qty"] * f["side"] / UNIT).tolist(), strict=True))


def ends(result: Result) -> list[tuple[Reason, Reason]]:
    """Why each order was sent and why it ended."""
    pairs = zip(result.orders["reason"].tolist(), result.orders["end_reason"].tolist(), strict=True)
    return [(Reason(why), Reason(end)) for why, end in pairs]


def falling(turn_at: int = 10, outage: int = 30, after: int = 12) -> Market:
    """Flat at 100, a close below it, then an outage."""
    bars = [FLAT] * turn_at + ["100/101/99/99.5"] + ["99.5/99.5/99.5/99.5"] * outage + ["99/100.5/98/99"] * after
    return missing(market_of(columns_of(" | ".join(bars))), turn_at + 1, turn_at + 1 + outage)


EXECUTORS = {
    "market": MarketOrders(),
    "limit": LimitOrders(offset_bps=0.0, timeout=None),
    "twap": Twap(bars=4, max_participation=None),
    "left": Twap(bars=2, max_participation=None, limit_bps=1.0, remainder="cancel"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("turn", [False, True], ids=["out", "turn"])
@pytest.mark.parametrize("execution", EXECUTORS.values(), ids=list(EXECUTORS))
def test_an_exit_that_an_outage_took_is_sent_again(execution: Execution, turn: bool, engine: str) -> None:
    """Whatever works it; of an order that was to turn the position only the part that closes it is."""
    market = falling()
    which = graph(market, execution, strategy=Below(turn=turn))
    result, held = told(which, market, {}, engine)
    assert held[10] == [10.0]
    assert held[-1][0] <= 0.0
    whole = execute(which, market, engine).result
    assert signed(whole) == signed(result)
    if isinstance(execution, MarketOrders):
        assert ends(result)[1:] == [
            (Reason.ENTRY_SIGNAL if turn else Reason.EXIT_SIGNAL, Reason.STALE_GAP),
            (Reason.EXIT_SIGNAL, Reason.NONE),
        ]
        assert signed(result)[1:] == [(42, -10.0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_entry_that_an_outage_took_is_not_sent_again(engine: str) -> None:
    market = missing(market_of(columns_of(" | ".join([FLAT] * 40))), 1, 31)
    result, held = told(graph(market), market, {}, engine)
    assert held[-1] == [0.0]
    assert ends(result) == [(Reason.ENTRY_SIGNAL, Reason.STALE_GAP)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("said_at", [12, 20, 38])
def test_flatten_during_an_outage_closes_when_the_market_is_back(said_at: int, engine: str) -> None:
    market = missing(market_of(columns_of(" | ".join([FLAT] * 50))), 11, 41)
    result, held = told(graph(market), market, {said_at: Control.FLATTEN}, engine)
    assert [quantity for (quantity,) in held][40:] == [10.0, 10.0, *[0.0] * 8]
    assert {why for why, _ in ends(result)[1:]} == {Reason.FLATTEN}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_day_that_ends_during_an_outage_leaves_nothing_open(engine: str) -> None:
    """`effect=flatten` ends at 00:00; the pair that had no bars until then is closed all the same."""
    first = " | ".join([*[FLAT] * 45, "100/100/80/80", *["80/81/79/80"] * 14])
    second = " | ".join([FLAT] * 60)
    pairs = columns_of(first, None, "BTC/USD"), columns_of(second, None, "ETH/USD")
    market = missing(market_of(*pairs), 10, 51)
    risk = TieredRisk(FREE, "on_change", DayLimits(max_loss=0.05, effect="flatten"), SystemLimits(max_drawdown=None))
    which = graph(market, risk=risk, account=Account(cash=3000.0))
    _, held = told(which, market, {}, engine)
    assert held[46] == [0.0, 10.0]
    assert held[52:] == [[0.0, 0.0]] * 8


TABLE = {"BTC/USD": {"tick": 0.01, "lot": 0.1, "qty_min": 0.5, "cost_min": 0.0}}
MINIMUM = SpotExchange(name="bare", participation_cap=None, instruments_table=TABLE)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_exit_too_small_for_the_venue_is_not_asked_for_again_and_again(engine: str) -> None:
    """Four tenths are left of ten where the venue takes half a unit at least."""
    market = falling(outage=1)
    sell = ManualOrder(0, Side.SELL, 96 * UNIT // 10, Plan(Algo.TWAP, bars=1))
    which = graph(market, exchange=MINIMUM, strategy=Below())
    result, held = told(which, market, {5: (Control.ORDER, sell)}, engine)
    assert held[-1] == pytest.approx([0.4])
    assert ends(result)[2:] == [(Reason.EXIT_SIGNAL, Reason.BELOW_MIN_QTY)]


LATE = SpotExchange(name="bare", tick=0.01, lot=0.1, participation_cap=None, latency="90m")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", [Control.FLATTEN, Control.PAUSE])
def test_what_fills_after_a_flatten_or_a_pause_is_closed_too(what: Control, engine: str) -> None:
    """With a latency children fill on their way back."""
    market = market_of(columns_of(" | ".join([FLAT] * 16)))
    result, held = told(graph(market, Twap(bars=6), exchange=LATE), market, {2: what}, engine)
    assert max(quantity for (quantity,) in held) > 0
    assert held[-1] == [0.0]
    buys = [qty for _, qty in signed(result) if qty > 0]
    assert sum(qty for _, qty in signed(result) if qty < 0) == pytest.approx(-sum(buys))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flattened_script_is_closed_until_it_goes_on(engine: str) -> None:
    market = missing(market_of(columns_of(" | ".join([FLAT] * 50))), 11, 41)
    entries = [(T0 + HOUR, request({"qty": 5})), (T0 + 45 * HOUR, request({"qty": 3}))]
    which = graph_of(market, entries, account=Account(cash=10_000.0))
    _, held = told(which, market, {20: Control.FLATTEN}, engine)
    assert [held[row] for row in (10, 40, 42, 44, 46, 49)] == [[5.0], [5.0], [0.0], [0.0], [3.0], [3.0]]
    _, held = told(which, market, {}, engine)
    assert held[-1] == [8.0]


OUT_OF_REACH = Plan(Algo.TWAP, bars=2, limit_price=150 * UNIT, remainder=Remainder.CANCEL)
HELD_LONG = market_of(columns_of(" | ".join([FLAT] * 14)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("plan", "qty", "state"),
    [(OUT_OF_REACH, 5 * UNIT, State.EXPIRED), (Plan(Algo.TWAP, bars=1), 3 * UNIT // 10, State.CANCELLED)],
    ids=["expired", "refused"],
)
def test_a_pause_sells_nothing_for_what_ended_unfilled(plan: Plan, qty: int, state: State, engine: str) -> None:
    sell = ManualOrder(0, Side.SELL, qty, plan)
    said = {3: (Control.ORDER, sell), 8: Control.PAUSE}
    result, held = told(graph(HELD_LONG, exchange=MINIMUM), HELD_LONG, said, engine)
    assert State(result.parents["state"][0]) is state
    assert [quantity for (quantity,) in held][1:] == [10.0] * 13


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_user_bought_is_kept_and_what_he_takes_back_is_not_sold(engine: str) -> None:
    """Of twelve bought over six bars four fill before the pause: they stay, in a system that wants nothing."""
    buy = ManualOrder(0, Side.BUY, 12 * UNIT, Plan(Algo.TWAP, bars=6))
    idle = graph(HELD_LONG, strategy=Momentum(3, 1000.0))
    _, held = told(idle, HELD_LONG, {2: (Control.ORDER, buy), 4: Control.PAUSE}, engine)
    assert [quantity for (quantity,) in held] == [0.0, 0.0, 0.0, 2.0, *[4.0] * 10]
    result, held = told(idle, HELD_LONG, {2: (Control.ORDER, buy), 4: Control.FLATTEN}, engine)
    assert held[-1] == [0.0]
    assert [why for why, _ in ends(result)].count(Reason.FLATTEN) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_user_goes_short_after_a_stop_closed_what_he_had_bought(engine: str) -> None:
    """What the stop sold was his order: it counts no more, and nothing buys his next one back."""
    bars = " | ".join([*[FLAT] * 4, "100/100/90/90", *["90/91/89/90"] * 8])
    market = market_of(columns_of(bars))
    risk = PositionRisk(PositionLimits(stop_loss=0.05, take_profit=None, max_fraction=None))
    at_once = Plan(Algo.TWAP, bars=1)
    said = {
        1: (Control.ORDER, ManualOrder(0, Side.BUY, 5 * UNIT, at_once)),
        7: (Control.ORDER, ManualOrder(0, Side.SELL, 5 * UNIT, at_once)),
    }
    _, held = told(graph(market, strategy=Momentum(3, 1000.0), risk=risk), market, said, engine)
    assert [quantity for (quantity,) in held] == [0, 0, 5, 5, 0, 0, 0, 0, -5, -5, -5, -5, -5]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_strategy_takes_an_order_of_a_user_back_also_where_its_target_stands(engine: str) -> None:
    """Its forecast changes and its target does not: it trades from what is held to what it wants."""
    bars = " | ".join([*[FLAT] * 4, "100/101/99/99", *["99/100/98/99"] * 6])
    market = market_of(columns_of(bars))
    sell = ManualOrder(0, Side.SELL, 5 * UNIT, Plan(Algo.TWAP, bars=10))

    @node
    class Weaker(Below):
        """Long, with another number below 100 that comes to the same size."""

        def forecast(self, f: Any) -> Any:
            return np.where(f.c < 100.0, 0.96, 1.0)

    exchange = SpotExchange(name="bare", tick=0.01, lot=1.0, participation_cap=None)
    portfolio = FixedQuantity(quantity=1.5, band=None)
    which = graph(market, strategy=Weaker(), exchange=exchange, portfolio=portfolio)
    result, held = told(which, market, {2: (Control.ORDER, sell)}, engine)
    assert Reason(result.parents["end_reason"][0]) is Reason.TARGET_CHANGED
    assert held[-1] == [1.0]
    assert sum(abs(qty) for _, qty in signed(result)) <= 3.0


RISE_AND_FALL = " | ".join(f"{p}/{p + 1}/{p - 1}/{p}" for p in [*range(100, 111), *range(100, 87, -1)])


@pytest.mark.parametrize("engine", ENGINES)
def test_on_a_turn_the_old_position_is_closed_at_once_and_the_new_one_is_worked(engine: str) -> None:
    market = market_of(columns_of(RISE_AND_FALL))
    execution = Twap(bars=8, exit_market=True)
    result = execute(graph(market, execution, strategy=Momentum(window=1, threshold=0.0)), market, engine).result
    after = [(row, qty) for row, qty in signed(result) if row >= 12]
    assert after[0] == (12, -10.0)
    assert [row for row, _ in after[1:]] == list(range(12, 20))
    assert sum(qty for _, qty in after) == pytest.approx(-20.0)
    closing = [i for i, reason in enumerate(result.orders["reason"].tolist()) if reason == Reason.EXIT_SIGNAL]
    assert result.orders["reduce_only"][closing].tolist() == [1]
    assert result.parents["qty"].tolist() == [10 * UNIT, 10 * UNIT]
    worked = execute(graph(market, Twap(bars=8), strategy=Momentum(window=1, threshold=0.0)), market, engine).result
    assert (12, -2.5) in signed(worked)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_turn_that_an_outage_took_is_closed_and_worked_on(engine: str) -> None:
    """The order that closes is sent again beside the parent, which loses nothing of the new position."""
    market = falling(after=20)
    execution = Twap(bars=4, exit_market=True, max_participation=None)
    _, held = told(graph(market, execution, strategy=Below(turn=True)), market, {}, engine)
    assert held[10] == [10.0]
    assert held[42][0] <= 0.0
    assert held[-1] == [-10.0]

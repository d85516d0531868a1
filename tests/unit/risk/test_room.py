"""What only closes a position takes no room from the limits: working orders that counted on closing it give way."""

from typing import Any

import pytest

from kraken_flow.core.limits import Trigger
from kraken_flow.core.market import Market
from kraken_flow.core.orders import LogKind, Reason, State
from kraken_flow.core.result import Result
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.risk.position import PositionLimits
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.engines import ENGINES, graph_of, run_engine, spec_of
from tests.golden.bars import HOUR, T0, columns_of, market_of
from tests.golden.scenarios import request
from tests.limit_checks import events

pytestmark = pytest.mark.parametrize("engine", ENGINES)

ROWS = 8
ONE = "100/100/100/100"
PAIRS = ("ADA/USD", "BTC/USD")
STILL = market_of(*(columns_of(" | ".join([ONE] * ROWS), pair=pair) for pair in PAIRS))


def play(
    engine: str,
    orders: list[dict[str, Any]],
    system: dict[str, Any],
    *,
    market: Market = STILL,
    trades: int | None = None,
    least: float = 0.1,
    **terms: Any,
) -> Result:
    """Send orders on a venue without costs, where equity stays 10000."""
    risk = TieredRisk(
        PositionLimits(stop_loss=None, take_profit=None, max_fraction=None),
        day=DayLimits(max_loss=None, max_trades=trades, effect="reduce_only"),
        system=SystemLimits(max_drawdown=None, **system),
    )
    table = {pair: {"tick": 0.01, "lot": 0.1, "qty_min": least, "cost_min": 0} for pair in market.names}
    free = {"maker_bps": 0.0, "taker_bps": 0.0}
    exchange = SpotExchange(
        name="bare", **{"participation_cap": None, "instruments_table": table, "fees": free, **terms}
    )
    sent = [(T0 + HOUR * (1 + order.get("at", 0)), request(order, order.get("pair", 0))) for order in orders]
    graph = graph_of(market, sent, risk=risk, exchange=exchange, account=Account(cash=10_000.0, leverage=20.0))
    return run_engine(engine, spec_of(graph, market), market)


def units(result: Result) -> list[float]:
    return [position / 10**8 for position in result.final_positions.tolist()]


def cuts(result: Result) -> list[tuple[str, int, float, str]]:
    """Amendments and cancellations: what, of which order, what it can still fill, why."""
    rows = zip(*(result.log[name].tolist() for name in ("kind", "order", "qty", "reason")), strict=True)
    kinds = (LogKind.AMEND, LogKind.CANCEL)
    return [(LogKind(k).word, o, q / 10**8, Reason(r).word) for k, o, q, r in rows if k in kinds]


SHORT = {"side": "sell", "qty": 10}
TURN = {"at": 2, "qty": 15, "type": "limit", "limit_price": "90"}
CLOSE = {"at": 3, "qty": 10, "reduce_only": "1"}
FALL = market_of(columns_of(" | ".join([ONE] * 5 + ["100/100/80/100"] * 3)))
"""Reaches a limit of 90 in b5, and closes where it was."""
FALLS = market_of(*(columns_of(" | ".join([ONE] * 5 + ["100/100/80/100"] * 3), pair=pair) for pair in PAIRS))


@pytest.mark.parametrize(("limit", "left"), [(0.1, [("amend", 1, 10.0, "max_gross")]), (0.15, []), (0.2, [])])
def test_a_turning_order_gives_way_to_one_that_closes(engine: str, limit: float, left: Any) -> None:
    """Short 10, an order for 15 would end at +5; closed by another one first it would end at +15."""
    result = play(engine, [SHORT, TURN, CLOSE], {"max_gross": limit}, market=FALL)
    assert cuts(result) == left
    assert units(result) == [10.0 if left else 15.0]
    assert [Trigger(event["trigger"]) for event in events(result)] == [Trigger.MAX_GROSS] * len(left)
    if left:
        assert (events(result)[0]["order"], events(result)[0]["value"]) == (1, 0.15)
        assert State(result.orders["state"][1]) is State.CANCELLED
        assert Reason(result.orders["end_reason"][1]) is Reason.MAX_GROSS
        assert result.orders["qty"][1] == 15 * 10**8


@pytest.mark.parametrize(("least", "kept"), [(2.0, 2.0), (2.1, 0.0)])
def test_what_is_left_below_the_minima_is_cancelled(engine: str, least: float, kept: float) -> None:
    """Working orders for 15 beside one that closes 6 of 10 would end at +11: the newer one, of 3, loses 1."""
    orders = [SHORT, {**TURN, "qty": 12}, {**TURN, "qty": 3}, {**CLOSE, "qty": 6}]
    result = play(engine, orders, {"max_gross": 0.1}, market=FALL, least=least)
    assert cuts(result) == [("amend" if kept else "cancel", 2, kept, "max_gross")]
    assert units(result) == [8.0 + kept]


def test_the_newest_gives_way_first_and_one_under_way_too(engine: str) -> None:
    """With a latency, what was sent and what is being closed meet at the venue in any order."""
    orders = [SHORT, {**TURN, "qty": 12}, {**TURN, "qty": 3}, CLOSE]
    result = play(engine, orders, {"max_gross": 0.1}, market=FALL, latency="30m")
    assert cuts(result) == [("cancel", 2, 0.0, "max_gross"), ("amend", 1, 10.0, "max_gross")]
    assert units(result) == [10.0]


def test_closing_a_short_takes_the_room_of_longs_elsewhere(engine: str) -> None:
    """Long 10 beside short 5: 0.05 net. Without the short an order for 5 more would bring 0.15."""
    orders = [
        {"side": "sell", "qty": 5},
        {"at": 1, "qty": 10, "pair": 1},
        {"at": 2, "qty": 5, "type": "limit", "limit_price": "90", "pair": 1},
        {"at": 3, "qty": 5, "reduce_only": "1"},
    ]
    result = play(engine, orders, {"max_net": 0.1}, market=FALLS)
    assert cuts(result) == [("cancel", 2, 0.0, "max_net")]
    assert units(result) == [0.0, 10.0]
    assert units(play(engine, orders, {"max_net": 0.15}, market=FALLS)) == [0.0, 15.0]


def test_an_order_that_others_may_overtake_only_closes(engine: str) -> None:
    """Sent to close what a resting order may close first: where a long leaves no room it is to open no other one."""
    orders = [
        {"side": "sell", "qty": 5},
        {"at": 1, "qty": 10, "pair": 1},
        {"at": 2, "qty": 5, "type": "limit", "limit_price": "95", "reduce_only": "1"},
        {"at": 3, "qty": 5, "type": "limit", "limit_price": "90"},
    ]
    result = play(engine, orders, {"max_net": 0.05}, market=FALLS)
    assert units(result) == [0.0, 10.0]
    assert Reason(result.orders["end_reason"][3]) is Reason.REDUCE_ONLY
    assert units(play(engine, orders, {"max_net": 0.15}, market=FALLS)) == [5.0, 10.0]


def test_prices_alone_cut_nothing(engine: str) -> None:
    """At 120 a position of 10 is more than a tenth of equity: closing part of it leaves a working order as it is."""
    market = market_of(columns_of(" | ".join(["100/100/100/100"] * 2 + ["120/120/120/120"] * 6)))
    orders = [SHORT, {**TURN, "at": 1, "qty": 20}, {**CLOSE, "qty": 2}]
    assert cuts(play(engine, orders, {"max_gross": 0.1}, market=market)) == [("amend", 1, 18.0, "max_gross")]
    orders = [SHORT, {**TURN, "at": 1, "qty": 12}, {**CLOSE, "qty": 2}]
    assert cuts(play(engine, orders, {"max_gross": 0.1}, market=market)) == []


def test_an_exposure_cut_leaves_no_dust(engine: str) -> None:
    """Room for 9: below a minimum of 9.5 there is none; short 5, what would open too little only closes."""
    result = play(engine, [SHORT], {"max_gross": 0.09}, least=9.5)
    assert Reason(result.orders["end_reason"][0]) is Reason.MAX_GROSS
    orders = [{**SHORT, "qty": 5}, {"at": 1, "qty": 15}]
    assert units(play(engine, orders, {"max_gross": 0.05}, least=5.0)) == [5.0, 0.0]
    assert units(play(engine, orders, {"max_gross": 0.05}, least=5.1)) == [0.0, 0.0]


def test_the_trades_of_a_day_bound_what_turns_to_and_fro(engine: str) -> None:
    """Of two orders that fill in parts each turns what the other did: sold, turned, turned back, then only closed."""
    down, up = "100/100/80/100", "100/120/100/100"
    market = market_of(columns_of(" | ".join([ONE, ONE, down, up, down, up, down, up])))
    orders = [
        {"side": "sell", "qty": 1},
        {"at": 1, "qty": 30, "type": "limit", "limit_price": "90"},
        {"at": 1, "side": "sell", "qty": 30, "type": "limit", "limit_price": "110"},
    ]
    result = play(engine, orders, {}, market=market, trades=3, participation_cap=0.005)
    fills = zip(result.fills["side"].tolist(), result.fills["qty"].tolist(), strict=True)
    assert [side * qty / 10**8 for side, qty in fills] == [-1, 5, -5, 1]
    assert cuts(result)[0] == ("amend", 1, 25.0, "max_trades")


@pytest.mark.parametrize("part", [4, 0.1])
def test_where_the_trades_of_a_day_are_used_up_nothing_closed_in_part_is_turned(engine: str, part: float) -> None:
    """Short 5 from the day before, an order that closes it beside one that opens elsewhere: it may open no other."""
    night = market_of(*(columns_of(" | ".join([ONE] * 26 + ["100/100/80/100"] * 3), pair=pair) for pair in PAIRS))
    orders = [
        {"side": "sell", "qty": 5},
        {"at": 24, "qty": 5, "type": "limit", "limit_price": "70", "pair": 1},
        {"at": 24, "qty": 5, "type": "limit", "limit_price": "90"},
        {"at": 24, "qty": part, "reduce_only": "1"},
    ]
    result = play(engine, orders, {}, market=night, trades=1)
    assert cuts(result)[0] == ("amend", 2, 5.0 - part, "max_trades")
    assert units(result) == [0.0, 0.0]

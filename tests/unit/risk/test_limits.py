"""Each limit of day and system on both engines: a case where it acts, and one where it must not."""

from typing import Any

import pytest

from kraken_flow.core.graph import Graph
from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.market import REAL, SYNTHETIC, Market
from kraken_flow.core.orders import Control, Reason, State
from kraken_flow.core.result import Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from strategies.hold import Hold
from tests.engines import ENGINES, graph_of
from tests.golden.bars import HOUR, T0, columns_of, market_of
from tests.golden.scenarios import request
from tests.limit_checks import events

OPEN = PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)
OFF = {"day": DayLimits(max_loss=None), "system": SystemLimits(max_drawdown=None)}
TEN = 10 * 10**8


def flat(*closes: float, pair: str = "BTC/USD") -> Any:
    """Bars that open where the one before closed and reach no further."""
    opens = [closes[0], *closes[:-1]]
    bars = (f"{o}/{max(o, c)}/{min(o, c)}/{c}" for o, c in zip(opens, closes, strict=True))
    return columns_of(" | ".join(bars), pair=pair)


def tiers(day: dict[str, Any] | None = None, system: dict[str, Any] | None = None, **more: Any) -> TieredRisk:
    return TieredRisk(
        OPEN, day=DayLimits(**{"max_loss": None, **(day or {})}),
        system=SystemLimits(**{"max_drawdown": None, **(system or {})}), **more,
    )  # fmt: skip


def holding(market: Market, risk: TieredRisk, quantity: float = 10.0, **nodes: Any) -> Graph:
    """Hold ten units from the first bar on, on a venue without costs."""
    return graph_of(
        market,
        **{
            "strategy": Hold(),
            "portfolio": FixedQuantity(quantity=quantity),
            "exchange": SpotExchange(name="bare", tick=0.01, participation_cap=None),
            "account": Account(cash=10_000.0, leverage=5.0),
            "risk": risk,
        }
        | nodes,
    )


def scripted(market: Market, orders: list[dict[str, Any]], risk: TieredRisk) -> Graph:
    sent = [(T0 + HOUR * (1 + order.get("at", 0)), request(order, order.get("pair", 0))) for order in orders]
    exchange = SpotExchange(name="bare", tick=0.01, participation_cap=None)
    return graph_of(market, sent, risk=risk, exchange=exchange, account=Account(cash=10_000.0, leverage=5.0))


def run(graph: Graph, engine: str) -> Result:
    return execute(graph, graph.source.market, engine).result


def held(graph: Graph, engine: str, said: dict[int, Control] | None = None) -> list[list[int]]:
    """Whole units held after each row, instant by instant; things may be said after some rows."""
    session = Session(graph, tape_of(graph.source.market), engine)
    positions = []
    for row, instant in enumerate(instants(graph.source.market)):
        session.take(instant)
        if said and row in said:
            session.control(said[row], session.known)
        positions.append([position // 10**8 for position in session.account.standing().position])
    return positions


def told(result: Result) -> list[tuple[Trigger, Safety, Safety]]:
    return [(Trigger(e["trigger"]), Safety(e["before"]), Safety(e["after"])) for e in events(result)]


def ends(result: Result) -> list[Reason]:
    return [Reason(code) for code in result.orders["end_reason"].tolist()]


FALL = flat(100, 100, 100, 97, 94, 94, 99, 110)
"""Ten units lose 30, then 60 of 1000."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("limit", "rows"), [(0.005, [0, 10, 10, 10, 10, 0, 0, 0]), (0.0061, [0] + [10] * 7)])
def test_a_drawdown_kills_on_open_profit_and_stays_killed(engine: str, limit: float, rows: list[int]) -> None:
    graph = holding(market_of(FALL), tiers(system={"max_drawdown": limit}))
    assert [position for (position,) in held(graph, engine)] == rows
    result = run(graph, engine)
    if limit == 0.005:
        assert told(result) == [(Trigger.MAX_DRAWDOWN, Safety.NORMAL, Safety.KILLED)]
        (event,) = events(result)
        assert (event["time"], event["equity"], event["reference"]) == (T0 + 5 * HOUR, 9_940.0, 10_000.0)
        assert (event["value"], event["limit"]) == (60 / 10_000, 0.005)
        assert Reason(result.orders["reason"][-1]) is Reason.MAX_DRAWDOWN
        assert Reason(result.log["reason"][-1]) is Reason.MAX_DRAWDOWN
    else:
        assert told(result) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("effect", "rows"),
    [("reduce_only", [0, 10, 10, 10, 10, 10, 10, 10]), ("halt", [0] + [10] * 7), ("flatten", [0] + [10] * 4 + [0] * 3)],
)
def test_what_a_kill_does_is_what_was_chosen(engine: str, effect: str, rows: list[int]) -> None:
    graph = holding(market_of(FALL), tiers(system={"max_drawdown": 0.005, "effect": effect}))
    assert [position for (position,) in held(graph, engine)] == rows
    assert events(run(graph, engine))[0]["effect"] == Effect[effect.upper()]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("effect", "filled"), [("reduce_only", 5), ("halt", 0), ("flatten", 0)])
def test_only_a_halt_takes_working_entries_back(engine: str, effect: str, filled: int) -> None:
    """A limit order that rests below the market when the limit acts, and would fill afterwards."""
    market = market_of(flat(100, 100, 97, 94, 94, 89, 90))
    orders = [{"qty": 10}, {"qty": 5, "type": "limit", "limit_price": "90"}]
    result = run(scripted(market, orders, tiers(system={"max_drawdown": 0.005, "effect": effect})), engine)
    assert result.orders["filled"][1] == filled * 10**8
    if not filled:
        assert ends(result)[1] is Reason.MAX_DRAWDOWN


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_account_sends_exits_and_refuses_entries(engine: str) -> None:
    market = market_of(flat(100, 100, 94, 94, 94, 94, 94))
    orders = [
        {"qty": 10},
        {"at": 3, "qty": 1},
        {"at": 3, "qty": 4, "side": "sell"},
        {"at": 4, "qty": 9, "side": "sell"},
    ]
    result = run(scripted(market, orders, tiers(system={"max_drawdown": 0.005, "effect": "halt"})), engine)
    assert ends(result) == [Reason.NONE, Reason.MAX_DRAWDOWN, Reason.NONE, Reason.REDUCE_ONLY]
    assert [q // 10**8 for q in result.orders["filled"].tolist()] == [10, 0, 4, 6]
    assert result.final_positions.tolist() == [0]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_lets_trade_again_and_counts_from_the_equity_of_then(engine: str) -> None:
    market = market_of(flat(100, 100, 94, 94, 94, 94, 94, 94))
    graph = scripted(market, [{"qty": 10}, {"at": 5, "qty": 3}], tiers(system={"max_drawdown": 0.005}))
    assert [p for (p,) in held(graph, engine)] == [0, 10, 10, 0, 0, 0, 0, 0]
    assert [p for (p,) in held(graph, engine, {4: Control.RESET})] == [0, 10, 10, 0, 0, 0, 3, 3]


DAY_FALL = flat(*[100] * 20, 95, 95, 95, 95, 95, 95, 95)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("limit", "trades"), [(0.004, 2), (0.006, 3)])
def test_a_days_loss_halts_until_midnight(engine: str, limit: float, trades: int) -> None:
    orders = [{"at": 1, "qty": 10}, {"at": 21, "qty": 1}, {"at": 23, "qty": 1}]
    result = run(scripted(market_of(DAY_FALL), orders, tiers(day={"max_loss": limit})), engine)
    assert int((result.orders["filled"] > 0).sum()) == trades
    if limit == 0.004:
        halt, over = events(result)
        assert (halt["trigger"], halt["reference"], halt["until"]) == (Trigger.MAX_LOSS, 10_000.0, T0 + 24 * HOUR)
        assert (over["trigger"], over["time"]) == (Trigger.TIMER, T0 + 24 * HOUR)
        assert ends(result)[1] is Reason.MAX_LOSS
    else:
        assert told(result) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("most", "filled"), [(1, [2, 2, 0, 2]), (2, [2, 2, 2, 2])])
def test_the_trades_of_a_day_are_counted(engine: str, most: int, filled: list[int]) -> None:
    orders = [
        {"at": 0, "qty": 2}, {"at": 2, "qty": 2, "side": "sell"}, {"at": 4, "qty": 2}, {"at": 24, "qty": 2},
    ]  # fmt: skip
    market = market_of(flat(*[100] * 27))
    result = run(scripted(market, orders, tiers(day={"max_trades": most})), engine)
    assert [q // 10**8 for q in result.orders["filled"].tolist()] == filled
    assert (ends(result)[2] is Reason.MAX_TRADES) == (most == 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_orders_under_way_count_as_the_trades_they_may_become(engine: str) -> None:
    low = {"qty": 2, "type": "limit", "limit_price": "99"}
    market = market_of(flat(100, 100, 98, 100, 100))
    result = run(scripted(market, [low, low], tiers(day={"max_trades": 1})), engine)
    assert [q // 10**8 for q in result.orders["filled"].tolist()] == [2, 0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("most", "third"), [(2, 0), (3, 1)])
def test_losses_in_a_row_begin_a_cool_down(engine: str, most: int, third: int) -> None:
    """Two losing trades, then one during the cool-down, and one after it."""
    lost = [{"at": 0, "qty": 1}, {"at": 2, "qty": 1, "side": "sell"}]
    again = [{"at": 3, "qty": 1}, {"at": 5, "qty": 1, "side": "sell"}]
    orders = [*lost, *again, {"at": 7, "qty": 1}, {"at": 9, "qty": 1}]
    market = market_of(flat(100, 100, 99, 99, 99, *[97] * 7))
    risk = tiers(day={"max_losses": most, "cooldown": "3h", "loss_throttle": False})
    graph = scripted(market, orders, risk)
    result = run(graph, engine)
    filled = [q // 10**8 for q in result.orders["filled"].tolist()]
    assert filled[4:] == [third, 1]
    if not third:
        assert told(result) == [
            (Trigger.MAX_LOSSES, Safety.NORMAL, Safety.COOLDOWN),
            (Trigger.TIMER, Safety.COOLDOWN, Safety.NORMAL),
        ]
        assert ends(result)[4] is Reason.MAX_LOSSES


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("limit", "filled"), [(0.10, 10), (0.15, 15), (0.3, 20), (0.01, 1)])
def test_gross_exposure_cuts_an_order(engine: str, limit: float, filled: int) -> None:
    market = market_of(flat(100, 100, 100, 100))
    risk = tiers(system={"max_gross": limit})
    result = run(scripted(market, [{"qty": 20, "side": "sell"}], risk), engine)
    assert result.final_positions.tolist() == [-filled * 10**8]
    cut = told(result)
    assert (cut == []) == (filled == 20)
    if cut:
        (event,) = events(result)
        assert (event["trigger"], event["value"], event["limit"]) == (Trigger.MAX_GROSS, 0.2, limit)


@pytest.mark.parametrize("engine", ENGINES)
def test_gross_exposure_refuses_what_finds_no_room_and_counts_working_orders(engine: str) -> None:
    market = market_of(flat(100, 100, 100, 100))
    low = {"qty": 10, "type": "limit", "limit_price": "90"}
    risk = tiers(system={"max_gross": 0.1})
    result = run(scripted(market, [low, {"at": 1, "qty": 5}, {"at": 1, "qty": 5, "side": "sell"}], risk), engine)
    assert ends(result) == [Reason.NONE, Reason.MAX_GROSS, Reason.NONE]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("limit", "sold"), [(0.05, 5), (0.2, 20)])
def test_net_exposure_bounds_each_side(engine: str, limit: float, sold: int) -> None:
    market = market_of(flat(100, 100, 100, 100))
    result = run(scripted(market, [{"qty": 20, "side": "sell"}], tiers(system={"max_net": limit})), engine)
    assert result.final_positions.tolist() == [-sold * 10**8]
    assert (told(result) == []) == (sold == 20)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("limits", "held_each"), [({"max_gross": 0.1}, 5), ({"max_net": 0.16}, 8), ({}, 10)])
def test_targets_of_several_pairs_are_cut_alike(engine: str, limits: dict[str, float], held_each: int) -> None:
    market = market_of(flat(100, 100, 100, pair="ADA/USD"), flat(100, 100, 100, pair="BTC/USD"))
    result = run(holding(market, tiers(system=limits)), engine)
    assert result.final_positions.tolist() == [held_each * 10**8] * 2
    assert len(told(result)) == len(limits)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("most", "pairs"), [(1, 1), (2, 2)])
def test_positions_are_counted(engine: str, most: int, pairs: int) -> None:
    market = market_of(flat(100, 100, 100, pair="ADA/USD"), flat(100, 100, 100, pair="BTC/USD"))
    result = run(holding(market, tiers(system={"max_positions": most})), engine)
    assert int((result.final_positions > 0).sum()) == pairs
    assert (Reason.MAX_POSITIONS in ends(result)) == (pairs == 1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("price", "end"), [("94", Reason.PRICE_BAND), ("95", Reason.NONE)])
def test_a_price_beyond_the_band_is_refused(engine: str, price: str, end: Reason) -> None:
    market = market_of(flat(100, 100, 100))
    order = {"qty": 1, "type": "limit", "limit_price": price}
    result = run(scripted(market, [order], tiers(system={"price_band": 0.05})), engine)
    assert ends(result) == [end]
    assert result.orders["state"].tolist() == [State.REJECTED if end else State.ACTIVE]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("sigma", "kills"), [(3.0, True), (9.0, False)])
def test_a_black_swan_kills(engine: str, sigma: float, kills: bool) -> None:
    closes = [100.0 if row % 2 else 101.0 for row in range(30)] + [96.0, 96.0, 96.0]
    result = run(holding(market_of(flat(*closes)), tiers(system={"black_swan_sigma": sigma})), engine)
    assert (told(result) == [(Trigger.BLACK_SWAN, Safety.NORMAL, Safety.KILLED)]) == kills
    assert result.final_positions.tolist() == [0 if kills else TEN]
    if kills:
        (event,) = events(result)
        assert event["pair"] == 0
        assert event["value"] == pytest.approx(4 / 100 / 0.01, rel=0.05)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("age", "throttles"), [("3h", True), ("5h", False)])
def test_stale_prices_of_what_is_held_throttle_while_they_last(engine: str, age: str, throttles: bool) -> None:
    first, second = flat(*[100] * 10, pair="ADA/USD"), flat(*[100] * 10, pair="BTC/USD")
    first.state[3:7] = SYNTHETIC
    first.volume[3:7] = 0
    market = market_of(first, second)
    orders = [{"qty": 1}, {"at": 6, "qty": 1, "pair": 1}, {"at": 8, "qty": 1, "pair": 1}]
    result = run(scripted(market, orders, tiers(system={"stale_after": age})), engine)
    assert set(first.state.tolist()) == {REAL, SYNTHETIC}
    bought = int(result.final_positions[1]) // 10**8
    assert bought == (1 if throttles else 2)
    if throttles:
        assert told(result) == [
            (Trigger.STALE_DATA, Safety.NORMAL, Safety.THROTTLED),
            (Trigger.WITHIN, Safety.THROTTLED, Safety.NORMAL),
        ]
        assert ends(result)[1] is Reason.STALE_DATA


@pytest.mark.parametrize("engine", ENGINES)
def test_the_shadow_changes_no_order(engine: str) -> None:
    market = market_of(FALL)
    limits = {"system": {"max_drawdown": 0.005, "max_gross": 0.05, "price_band": 0.001}}
    free = run(holding(market, TieredRisk(OPEN, **OFF), execution=LimitOrders(offset_bps=50.0)), engine)
    shadow = run(holding(market, tiers(**limits, shadow=True), execution=LimitOrders(offset_bps=50.0)), engine)
    for name, column in free.orders.items():
        assert shadow.orders[name].tolist() == column.tolist()
    assert {Trigger.PRICE_BAND, Trigger.MAX_GROSS} <= {trigger for trigger, _, _ in told(shadow)}
    assert all(event["shadow"] for event in events(shadow))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flattened_pair_without_bars_is_closed_once_it_trades(engine: str) -> None:
    """A position that cannot be closed at once is closed when its market comes back."""
    first, second = flat(*[100] * 9, pair="ADA/USD"), flat(100, 100, 40, 40, 40, 40, 40, 40, 40, pair="BTC/USD")
    first.state[2:6] = SYNTHETIC
    first.volume[2:6] = 0
    graph = holding(market_of(first, second), tiers(system={"max_drawdown": 0.005}))
    rows = held(graph, engine)
    assert [b for _, b in rows] == [0, 10, 10, 0, 0, 0, 0, 0, 0]
    assert [a for a, _ in rows] == [0, 10, 10, 10, 10, 10, 0, 0, 0]

"""What a liquidation takes with it, when there is nothing to liquidate, and what comes before it, on both engines."""

from typing import Any

import numpy as np
import pytest

from kraken_flow.core.errors import UserError
from kraken_flow.core.limits import Trigger
from kraken_flow.core.margin_limits import liquidation_distance
from kraken_flow.core.market import Market
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side
from kraken_flow.core.result import Result
from kraken_flow.core.units import UNIT, cash_text, parse, rate
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.perpetual import PerpetualExchange
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.risk.position import PositionLimits, PositionRisk
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.engines import ENGINES, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import columns_of, market_of
from tests.golden.test_derivatives import INVERSE, LINEAR, PLENTY, flat, market, order, play
from tests.limit_checks import events, limits_hold

BARE = PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)


def two(first: str, second: str) -> Market:
    """Two coins of a spot market."""
    volumes = PLENTY * len(first.split(" | "))
    return market_of(columns_of(first, volumes, "BTC/USD"), columns_of(second, volumes, "ETH/USD"))


def on_margin(
    engine: str, tape: Market, orders: list[tuple[int, OrderRequest]], leverage: float = 5.0, **terms: Any
) -> Result:
    """An account of 10000 on a venue that liquidates at a level of 40 %."""
    sent = [(int(tape.times[row]) + tape.timeframe_ns, request) for row, request in orders]
    exchange = SpotExchange(name="bare", tick=0.01, liquidation_level=0.4, **terms)
    risk = PositionRisk(BARE)
    graph = graph_of(tape, sent, exchange=exchange, risk=risk, account=Account(cash=10_000.0, leverage=leverage))
    return run_engine(engine, spec_of(graph, tape), tape)


def buy(pair: int, qty: Any, side: Side = Side.BUY, **more: Any) -> OrderRequest:
    return OrderRequest(pair=pair, side=side, qty=parse(qty), reason=Reason.SCRIPTED, **more)


def liquidated(result: Result) -> list[tuple[int, int, float]]:
    """(row, pair, price) of each liquidation."""
    reasons = result.orders["reason"][result.fills["order"]]
    f = {name: result.fills[name][reasons == Reason.LIQUIDATION].tolist() for name in ("row", "pair", "price")}
    return [(row, pair, price / UNIT) for row, pair, price in zip(f["row"], f["pair"], f["price"], strict=True)]


# a margin level


@pytest.mark.parametrize("engine", ENGINES)
def test_a_margin_level_that_is_reached_at_an_open_closes_everything(engine: str) -> None:
    """Two longs of 20000 on 10000: 8000 used, called at an equity of 3200, down 17 %. Closing one would be enough."""
    both = [(0, buy(0, 200)), (0, buy(1, 200))]
    result = on_margin(engine, two(flat(100, 100, 82, 82), flat(100, 100, 82, 82)), both)
    assert liquidated(result) == [(2, 0, 82.0), (2, 1, 82.0)]
    assert cash_text(result.final_cash) == "2800"
    spared = on_margin(engine, two(flat(100, 100, 83.01, 83.01), flat(100, 100, 83.01, 83.01)), both)
    assert liquidated(spared) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_inside_a_bar_what_was_not_called_first_goes_at_its_close(engine: str) -> None:
    """The first coin alone falls by 34 % inside the bar; the other one is sold where the bar ends."""
    fall = "100/100/60/90"
    result = on_margin(
        engine, two(f"{flat(100, 100)} | {fall} | {flat(90)}", f"{flat(100, 100)} | 100/100/97/99 | {flat(99)}"),
        [(0, buy(0, 200)), (0, buy(1, 200))],
    )  # fmt: skip
    assert liquidated(result) == [(2, 0, 66.0), (2, 1, 99.0)]
    assert result.final_positions.tolist() == [0, 0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("leverage", "qty", "called"), [(1.0, 99, False), (5.0, 99, False), (5.0, 150, True)])
def test_what_borrows_nothing_is_not_called(engine: str, leverage: float, qty: int, called: bool) -> None:
    tape = two(flat(100, 100, 30, 60), flat(100, 100, 100, 100))
    result = on_margin(engine, tape, [(0, buy(0, qty))], leverage)
    assert bool(liquidated(result)) == called


@pytest.mark.parametrize("engine", ENGINES)
def test_a_short_borrows_whatever_cash_it_brought(engine: str) -> None:
    result = on_margin(
        engine, two(flat(100, 100, 190, 190), flat(100, 100, 100, 100)), [(0, buy(0, 90, Side.SELL))], 1.0
    )
    assert liquidated(result) == [(2, 0, 190.0)]


# what limits see of it


def limited(engine: str, bars: str, orders: list[tuple[int, OrderRequest]], losses: int) -> Result:
    """A perpetual ten times, with a cool-down of two hours after so many losing trades."""
    tape = market(bars)
    day = DayLimits(max_loss=None, max_losses=losses, cooldown="2h", loss_throttle=False)
    risk = TieredRisk(BARE, day=day, system=SystemLimits(max_drawdown=None))
    sent = [(int(tape.times[row]) + tape.timeframe_ns, request) for row, request in orders]
    exchange = PerpetualExchange(name="bare", tick=0.01)
    graph = graph_of(tape, sent, exchange=exchange, risk=risk, account=Account(cash=100_000.0, leverage=10.0))
    spec = spec_of(graph, tape)
    result = run_engine(engine, spec, tape)
    limits_hold(spec, tape, result)
    return result


FALL = f"{flat(50_000, 50_000)} | 50000/50000/44000/50000"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("losses", "refused"), [(1, True), (2, False)])
def test_a_liquidation_is_a_losing_trade(engine: str, losses: int, refused: bool) -> None:
    bars = f"{FALL} | {flat(50_000, 50_000, 50_000)}"
    result = limited(engine, bars, [(0, order(Side.BUY, 1)), (3, order(Side.BUY, 1))], losses)
    assert (result.orders["end_reason"][2] == Reason.MAX_LOSSES) == refused
    assert [event["trigger"] for event in events(result)][:1] == ([Trigger.MAX_LOSSES] if refused else [])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_trade_after_a_liquidation_is_judged_on_its_own(engine: str) -> None:
    """Lost 5000, then won 1000: no cool-down after the second one."""
    bars = f"{FALL} | {flat(50_000, 50_000, 51_000, 51_000, 51_000, 51_000)}"
    sent = [(0, order(Side.BUY, 1)), (3, order(Side.BUY, 1)), (4, order(Side.SELL, 1)), (6, order(Side.BUY, 1))]
    result = limited(engine, bars, sent, 2)
    assert events(result) == []
    assert result.final_positions.tolist() == [UNIT]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_liquidated_counts_for_the_tier_of_fees(engine: str) -> None:
    fees = {"tiers": {0: {"maker_bps": 0, "taker_bps": 10}, 90_000: {"maker_bps": 0, "taker_bps": 0}}}
    tape = market(f"{FALL} | {flat(50_000, 50_000)}")
    result = play(engine, tape, [(0, order(Side.BUY, 1)), (2, order(Side.BUY, 1))], fees=fees)
    fees_paid = [cash_text(fee) for fee in result.fills["fee_lo"].tolist()]
    assert fees_paid == ["50", "0", "0"]


# stops and the liquidation


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("stop", "lost"), [(None, 100), (95, 200)])
def test_a_stop_that_a_bar_opens_beyond_goes_before_the_liquidation(engine: str, stop: int | None, lost: int) -> None:
    """The phases of a bar are fixed: a gapped stop fills at the open, then the open mark is judged.

    A margin of 100 stands behind a long of 10 at 100, and the bar opens at 80.
    """
    more = {"stop_loss": parse(stop)} if stop else {}
    result = play(engine, market(flat(100, 100, 80, 80)), [(0, order(Side.BUY, 10, **more))], cash=10_000.0)
    assert cash_text(result.final_cash) == str(10_000 - lost)
    kinds = [OrderType(kind) for kind in result.orders["type"].tolist()]
    assert kinds == [OrderType.MARKET, OrderType.STOP if stop else OrderType.MARKET]


@pytest.mark.parametrize("pair", [LINEAR, INVERSE])
@pytest.mark.parametrize("short", [False, True])
def test_a_stop_that_liquidation_always_precedes_is_refused(pair: str, short: bool) -> None:
    """Linear 9.09 % below and 8.91 % above the entry, inverse 8.18 % below and 10 % above it."""
    tape = market(flat(50_000, 50_000), pair)
    exchange = PerpetualExchange(name="bare", tick=0.01)

    def with_stop(stop: float) -> None:
        risk = PositionRisk(PositionLimits(stop_loss=stop, take_profit=None))
        account = Account(leverage=10.0, short=short)
        spec_of(graph_of(tape, strategy=GivenForecast(), exchange=exchange, account=account, risk=risk), tape)

    nearest = 9 / 110 if pair is INVERSE else 9 / 101 if short else 1 / 11
    with_stop(nearest - 0.0001)
    with pytest.raises(UserError, match=f"liquidated {nearest:.4f} from its entry, before the stop"):
        with_stop(nearest + 0.0001)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pair", [LINEAR, INVERSE])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("leverage", [2.0, 5.0, 10.0])
def test_the_distance_that_is_told_is_where_it_happens(engine: str, pair: str, side: int, leverage: float) -> None:
    away = liquidation_distance(rate(leverage), rate(0.01), side, pair is INVERSE)
    for factor, happens in ((0.9999, False), (1.0001, True)):
        extreme = f"{50_000 * (1 - side * away * factor):.2f}"
        bar = f"50000/50000/{extreme}/50000" if side > 0 else f"50000/{extreme}/50000/50000"
        tape = market(f"{flat(50_000, 50_000)} | {bar}", pair)
        exchange = PerpetualExchange(name="bare", tick=0.01, initial_margin=0.05)
        risk, account = PositionRisk(BARE), Account(cash=100_000.0, leverage=leverage)
        nodes: dict[str, Any] = {"strategy": GivenForecast(), "portfolio": FixedFraction(fraction=0.1, band=None)}
        spec = spec_of(graph_of(tape, exchange=exchange, risk=risk, account=account, **nodes), tape)
        result = run_engine(engine, spec, tape, np.full((1, 3), side * 10**9, np.int64))
        assert bool(liquidated(result)) == happens


def test_an_inverse_short_that_is_not_levered_is_never_liquidated() -> None:
    assert liquidation_distance(UNIT, rate(0.01), -1, inverse=True) == float("inf")

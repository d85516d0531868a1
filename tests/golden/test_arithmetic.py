"""Worked numbers of single rules on both engines: impact, sizing, tiers, fees in base, stops, affordable quantity."""

from typing import Any

import numpy as np
import pytest

from kraken_flow.core.market import PairColumns
from kraken_flow.core.orders import Reason, State
from kraken_flow.core.result import Result, join128
from kraken_flow.core.terms import Slippage
from kraken_flow.core.units import UNIT, cash_text, fix, parse, text
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.portfolio.fixed_risk import FixedRisk, quantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests.engines import ENGINES, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import PAIR, columns_of, market_of
from tests.golden.scenarios import decision, request

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def flat(*prices: str, volume: int = 100_000) -> PairColumns:
    """Bars that open at the given prices and never move."""
    return columns_of(" | ".join("/".join([price] * 4) for price in prices), (volume,) * len(prices))


def trade(engine: str, bars: PairColumns, orders: list[dict[str, Any]], cash: float = 10_000, **terms: Any) -> Result:
    """Send orders on a venue with the given terms."""
    market = market_of(bars)
    exchange = SpotExchange(name="bare", **({"tick": 0.01} | terms))
    sent = [(decision(order), request(order)) for order in orders]
    graph = graph_of(market, sent, exchange=exchange, account=Account(cash=cash))
    return run_engine(engine, spec_of(graph, market), market)


def fees(result: Result) -> list[str]:
    return [cash_text(join128(*pair)) for pair in zip(result.fills["fee_hi"], result.fills["fee_lo"], strict=True)]


def test_s04_square_root_impact(engine: str) -> None:
    """Q 25 of V 10000 at sigma .04 moves 100.5 by 20 bp to 100.701, which rounds up to 100.71."""
    market = market_of(columns_of("100/101/99/100 | 100.5/101/100/100"))
    exchange = SpotExchange(
        name="bare",
        tick=0.01,
        fees={"taker_bps": 10, "maker_bps": 5},
        slippage={"model": "sqrt_impact", "sigma": "close", "volume": "volume"},
        participation_cap=None,
    )
    spec = spec_of(graph_of(market, [(decision({}), request({"qty": 25}))], exchange=exchange), market)
    assert spec.slippage is Slippage.SQRT_IMPACT
    known = {"sigma": fix(0.04), "mean_volume": fix(10_000)}
    aux = {name: np.full((1, market.n_rows), known[name], np.int64) for name in spec.aux}
    result = run_engine(engine, spec, market, aux=aux)
    assert text(int(result.fills["price"][0])) == "100.71"
    assert fees(result) == ["2.51775"]
    assert cash_text(10_000 * 10**16 - result.final_cash) == "2520.26775"


@pytest.mark.parametrize(("equity", "qty"), [("10000", "0.08261049"), ("50", "0.00041305")])
def test_s19_quantity_from_the_distance_of_the_stop(engine: str, equity: str, qty: str) -> None:
    distance = parse("43210.5") - parse("42000")
    assert text(quantity(parse(equity, 16), UNIT // 100, distance)) == qty


@pytest.mark.parametrize(
    ("cash", "qty", "end"), [(10_000, "0.0826", Reason.NONE), (50, "0.0004", Reason.BELOW_MIN_QTY)]
)
def test_s19_lots_and_the_smallest_order(engine: str, cash: float, qty: str, end: Reason) -> None:
    """The stop stands 1210.5 below 43210.5: risking 1 % of 10000 buys .0826, of 50 less than the venue accepts."""
    market = market_of(flat("43210.5", "43210.5", "43210.5"))
    terms = {"tick": 0.1, "lot": 0.0001, "qty_min": 0.0005}
    exchange = SpotExchange(name="bare", instruments_table={PAIR: terms}, participation_cap=None)
    distance = PositionLimits(stop_loss=1210.5 / 43210.5, take_profit=None)
    graph = graph_of(
        market,
        exchange=exchange,
        account=Account(cash=cash),
        strategy=GivenForecast(),
        portfolio=FixedRisk(risk=0.01),
        risk=PositionRisk(position=distance),
    )
    result = run_engine(engine, spec_of(graph, market), market, np.full((1, 3), 10**9))
    assert text(int(result.orders["qty"][0]) // 10**4 * 10**4) == qty
    assert Reason(result.orders["end_reason"][0]) is end
    if end is Reason.NONE:
        lost = int(result.fills["qty"][0]) * (parse("43210.5") - parse("42000"))
        assert cash_text(lost) == "99.9873"
    else:
        assert not len(result.fills["row"])


def test_s23_the_tier_counts_the_volume_before_the_fill(engine: str) -> None:
    tiers = {0: (0.0, 40.0), 10_000: (0.0, 35.0), 50_000: (0.0, 24.0)}
    schedule = {volume: {"maker_bps": maker, "taker_bps": taker} for volume, (maker, taker) in tiers.items()}
    orders = [{"qty": qty, "at": k} for k, qty in enumerate(("0.1", "0.12", "0.9", "0.1"))]
    result = trade(engine, flat(*["50000"] * 5), orders, cash=100_000, fees={"tiers": schedule})
    assert fees(result) == ["20", "24", "157.5", "12"]


def test_s33_a_fee_in_base_is_taken_off_what_is_received(engine: str) -> None:
    orders = [{"qty": "1"}, {"side": "sell", "qty": "0.999", "at": 1}]
    result = trade(
        engine, flat("100", "100", "110"), orders, fees={"taker_bps": 10, "maker_bps": 10, "currency": "base"}
    )
    assert result.fills["fee_is_base"].tolist() == [1, 0]
    assert text(int(result.fills["fee_lo"][0])) == "0.001"
    assert fees(result)[1] == "0.10989"
    assert cash_text(result.final_cash - 10_000 * 10**16) == "9.78011"
    assert result.final_positions.tolist() == [0]


FALLING = "45000/45000/45000/45000 | 45000/45100/44900/45000 | 45000/45000/42500/42500 | 42500/42500/41850/41850"
GAPPING = "45000/45000/45000/45000 | 45000/45100/44900/45000 | 41850/42000/41800/41850 | 41850/41900/41800/41850"


@pytest.mark.parametrize(
    ("bars", "exit_price", "gross", "net"),
    [(FALLING, "43650", "-12.00015", "-14.0489756"), (GAPPING, "41850", "-28.00035", None)],
)
def test_s35_a_stop_loses_what_it_says_unless_the_open_jumps_over_it(
    engine: str, bars: str, exit_price: str, gross: str, net: str | None
) -> None:
    order = {"qty": "0.008889", "stop_loss": "43650"}
    result = trade(engine, columns_of(bars), [order], fees={"taker_bps": 26, "maker_bps": 26})
    assert text(int(result.fills["price"][1])) == exit_price
    paid = sum(join128(*pair) for pair in zip(result.fills["fee_hi"], result.fills["fee_lo"], strict=True))
    change = result.final_cash - 10_000 * 10**16
    assert cash_text(change + paid) == gross
    if net is not None:
        assert round(float(cash_text(change)), 7) == float(net)


def test_an_order_beyond_the_balance_is_cut_to_the_largest_affordable_lots(engine: str) -> None:
    """1000 at 100.5 with 10 bp buys 9.940 and leaves 0.03103 (spec F22)."""
    result = trade(
        engine, flat("100.5", "100.5"), [{"qty": 20}], cash=1000, lot=0.001, fees={"taker_bps": 10, "maker_bps": 10}
    )
    assert text(int(result.fills["qty"][0])) == "9.94"
    assert cash_text(result.final_cash) == "0.03103"
    assert State(result.orders["state"][0]) is State.CANCELLED
    assert Reason(result.orders["end_reason"][0]) is Reason.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(
    ("terms", "filled"), [({"qty_min": 9.9}, "9.9"), ({"qty_min": 9.95}, "0"), ({"cost_min": 1000}, "0")]
)
def test_what_funds_leave_of_an_order_is_not_below_the_minima(
    engine: str, terms: dict[str, float], filled: str
) -> None:
    """1000 at 100 buys at most 9.99 of 20 at 10 bp: less than a venue takes is rejected, and leaves no dust."""
    table = {PAIR: {"tick": 0.01, "lot": 0.1, "qty_min": 0, "cost_min": 0} | terms}
    costs = {"taker_bps": 10, "maker_bps": 10}
    resting = {"qty": 20, "type": "limit", "limit_price": "100", "at": 0}
    for order, bars in (({"qty": 20}, ("100", "100")), (resting, ("101", "101", "99"))):
        result = trade(engine, flat(*bars), [order], cash=1000, fees=costs, instruments_table=table)
        assert text(sum(result.fills["qty"].tolist())) == filled
        state = State.REJECTED if filled == "0" else State.CANCELLED
        assert State(result.orders["state"][0]) is state
        assert Reason(result.orders["end_reason"][0]) is Reason.INSUFFICIENT_FUNDS


@pytest.mark.parametrize(("least", "held"), [(1.0, "1"), (1.1, "0")])
def test_an_order_that_funds_cannot_turn_far_enough_only_closes(engine: str, least: float, held: str) -> None:
    """9 sold at 100 with 900 behind them; 110 later, 9 are bought back and 7.9 at most beside them, 1 with less."""
    table = {PAIR: {"tick": 0.01, "lot": 0.1, "qty_min": least, "cost_min": 0}}
    orders = [{"side": "sell", "qty": 9}, {"at": 1, "qty": 20}]
    bars = flat("100", "100", "189")
    result = trade(engine, bars, orders, cash=1000, fees={"taker_bps": 0, "maker_bps": 0}, instruments_table=table)
    assert text(int(result.final_positions[0])) == held
    assert Reason(result.orders["end_reason"][1]) is Reason.INSUFFICIENT_FUNDS


def test_a_part_that_the_volume_leaves_may_be_small(engine: str) -> None:
    table = {PAIR: {"tick": 0.01, "lot": 0.1, "qty_min": 5, "cost_min": 0}}
    terms = {"participation_cap": 0.1, "instruments_table": table}
    result = trade(engine, flat("100", "100", "100", volume=30), [{"qty": 5}], **terms)
    assert [text(qty) for qty in result.fills["qty"].tolist()] == ["3", "2"]

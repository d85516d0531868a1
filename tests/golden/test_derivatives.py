"""The worked numbers of perpetuals, funding, margin and borrowed coins, on both engines."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kraken_flow.core.contract import FlowKind
from kraken_flow.core.errors import UserError
from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import Market
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side
from kraken_flow.core.result import Result, join128
from kraken_flow.core.run import execute
from kraken_flow.core.units import CASH_UNIT, UNIT, cash_text, parse
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.perpetual import PerpetualExchange
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.twap import Twap
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests.engines import ENGINES, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import HOUR, T0, columns_of

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
PLENTY = (10**7,)


def market(bars: str, pair: str = LINEAR, step: int = HOUR, first: int = T0, mark: str | None = None) -> Market:
    n = len(bars.split(" | "))
    columns = columns_of(bars, PLENTY * n, pair)
    marks = (columns_of(mark, PLENTY * n, pair),) if mark else ()
    return Market(step, first + step * np.arange(n), (columns,), marks=marks)


def funded(market: Market, *events: tuple[int, str]) -> Market:
    """With funding events: (time, rate), known when they are due."""
    times = np.array([time for time, _ in events], np.int64)
    rates = np.array([parse(rate, 12) for _, rate in events], np.int64)
    return replace(market, funding=(FundingColumns(market.names[0], times, times, rates),))


def order(side: Side, qty: Any, **more: Any) -> OrderRequest:
    return OrderRequest(pair=0, side=side, qty=parse(qty), reason=Reason.SCRIPTED, **more)


def play(
    engine: str,
    market: Market,
    orders: list[tuple[int, OrderRequest]],
    cash: float = 100_000.0,
    leverage: float = 10.0,
    **terms: Any,
) -> Result:
    """Orders as (row, request), each sent at that row's close."""
    kind = PerpetualExchange if ":" in market.names[0] else SpotExchange
    sent = [(int(market.times[row]) + market.timeframe_ns, request) for row, request in orders]
    exchange = kind(name="bare", tick=0.01, **terms)
    graph = graph_of(market, sent, exchange=exchange, account=Account(cash=cash, leverage=leverage))
    return run_engine(engine, spec_of(graph, market), market)


def flows(result: Result) -> list[tuple[FlowKind, str]]:
    table = result.flows
    amounts = [cash_text(join128(hi, lo)) for hi, lo in zip(table["amount_hi"], table["amount_lo"], strict=True)]
    return list(zip(map(FlowKind, table["kind"].tolist()), amounts, strict=True))


def flat(*opens: float) -> str:
    return " | ".join(f"{p}/{p}/{p}/{p}" for p in opens)


@pytest.mark.parametrize("engine", ENGINES)
def test_s21_funding_is_paid_on_the_position_held_just_before(engine: str) -> None:
    """A long of 2 from 00:00 pays nothing at 00:00, 10.10 at 08:00, receives 4.98 at 16:00 and loses 504.92 in all."""
    bars = flat(50_000, 50_000, 50_500, 49_800)
    tape = funded(
        market(bars, step=8 * HOUR, first=T0 - 8 * HOUR),
        (T0, "0.0003"), (T0 + 8 * HOUR, "0.0001"), (T0 + 16 * HOUR, "-0.00005"),
    )  # fmt: skip
    result = play(engine, tape, [(0, order(Side.BUY, 2)), (2, order(Side.SELL, 2))], fees={"taker_bps": 5})
    assert flows(result) == [(FlowKind.FUNDING, "-10.1"), (FlowKind.FUNDING, "4.98")]
    assert cash_text(result.final_cash) == cash_text(parse("99495.08", 16))
    assert result.equity[-1] == pytest.approx(99_495.08, abs=1e-9)
    # While it was open, the wallet held what it held before, less fee and funding.
    assert result.cash.tolist() == pytest.approx([100_000.0, 99_950.0, 99_939.9, 99_495.08], abs=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("side", "fill", "low", "pnl"),
    [
        (Side.BUY, "bankruptcy", 45_400, "-5000"),
        (Side.BUY, "mark", 45_400, "-4545.45454546"),
        (Side.SELL, "bankruptcy", 54_500, "-5000"),
        (Side.SELL, "mark", 54_500, "-4455.44554456"),
    ],
)
def test_s22_an_isolated_position_is_liquidated_at_ten_times(
    engine: str, side: Side, fill: str, low: int, pnl: str
) -> None:
    """P_liq is 45454.545455 for the long, 54455.445545 for the short; the bankruptcy price costs the whole margin."""
    inside = f"50000/50000/{low}/50000" if side is Side.BUY else f"50000/{low}/50000/50000"
    tape = market(f"{flat(50_000)} | {flat(50_000)} | {inside} | {flat(50_000)}")
    result = play(engine, tape, [(0, order(side, 1))], liquidation_fill=fill)
    assert cash_text(result.final_cash - parse("100000", 16)) == pnl
    assert [Reason(r) for r in result.orders["reason"]] == [Reason.SCRIPTED, Reason.LIQUIDATION]
    assert result.final_positions.tolist() == [0]
    assert result.counts["liquidations"] == 1
    near = 45_455 if side is Side.BUY else 54_455
    spared = market(tape_with(near, side))
    kept = play(engine, spared, [(0, order(side, 1))], liquidation_fill=fill)
    assert kept.final_positions.tolist() == [int(side) * UNIT]


def tape_with(extreme: int, side: Side) -> str:
    inside = f"50000/50000/{extreme}/50000" if side is Side.BUY else f"50000/{extreme}/50000/50000"
    return f"{flat(50_000)} | {flat(50_000)} | {inside}"


def test_s22_a_stop_beyond_the_liquidation_is_a_configuration_error() -> None:
    tape = market(flat(50_000, 50_000))
    exchange = PerpetualExchange(name="bare", tick=0.01)

    def with_stop(stop: float) -> None:
        risk = PositionRisk(PositionLimits(stop_loss=stop))
        graph = graph_of(tape, strategy=GivenForecast(), exchange=exchange, account=Account(leverage=10), risk=risk)
        spec_of(graph, tape)

    with pytest.raises(UserError, match=r"stop_loss=0.1: .* liquidated 0.0891 from its entry, before the stop"):
        with_stop(0.1)
    with_stop(0.08)
    graph = graph_of(tape, exchange=exchange, account=Account(leverage=11))
    with pytest.raises(UserError, match="gives at most 10"):
        spec_of(graph, tape)


@pytest.mark.parametrize("engine", ENGINES)
def test_s34_an_inverse_contract_earns_its_base(engine: str) -> None:
    """10000 USD long from 50000 to 55000 is 0.018181818 BTC, which is 1000 USD there."""
    tape = market(flat(50_000, 50_000, 55_000, 55_000), INVERSE)
    result = play(engine, tape, [(0, order(Side.BUY, 10_000)), (1, order(Side.SELL, 10_000))], cash=1.0)
    earned = result.final_cash - CASH_UNIT
    assert earned == int("181818181818181")
    assert result.equity.tolist() == pytest.approx([1.0, 1.0, 1 + 0.2 / 11, 1 + 0.2 / 11], abs=1e-15)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("fill", "price"), [("bankruptcy", "7407.407407"), ("mark", "7481.481481")])
def test_krakens_example_of_an_inverse_liquidation(engine: str, fill: str, price: str) -> None:
    """1000 contracts at 8000 on 0.01 BTC: bankrupt at 7407.407, liquidated at 1 % of the value there, 7481.481."""
    tape = market(f"{flat(8_000, 8_000)} | 8000/8000/7450/7500", INVERSE)
    result = play(
        engine, tape, [(0, order(Side.BUY, 1_000))], cash=0.01, leverage=20, margin_mode="cross", initial_margin=0.05,
        liquidation_fill=fill,
    )  # fmt: skip
    assert [f"{p / UNIT:.6f}" for p in result.fills["price"].tolist()] == ["8000.000000", price]


@pytest.mark.parametrize("engine", ENGINES)
def test_krakens_example_of_a_margin_call(engine: str) -> None:
    """10k, 1.5 BTC at 30000, five times: the level of 80 % is reached at 28133.33."""
    tape = market(f"{flat(30_000, 30_000)} | 30000/30000/28133.34/29000 | 29000/29000/28133.33/29000", "BTC/USD")
    result = play(engine, tape, [(0, order(Side.BUY, "1.5"))], cash=10_000.0, leverage=5.0, liquidation_level=0.8)
    assert result.fills["row"].tolist() == [1, 3]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_liquidation_takes_back_the_other_orders_of_its_pair(engine: str) -> None:
    tape = market(f"{tape_with(45_400, Side.BUY)} | {flat(50_000)}")
    rest = order(Side.BUY, 1, type=OrderType.LIMIT, limit_price=parse(40_000))
    result = play(engine, tape, [(0, order(Side.BUY, 1)), (0, rest)])
    assert [Reason(r) for r in result.orders["end_reason"]] == [Reason.NONE, Reason.LIQUIDATION, Reason.NONE]


@pytest.mark.parametrize("engine", ENGINES)
def test_krakens_example_of_spot_on_margin(engine: str) -> None:
    """10k, 1.5 BTC at 30000, five times: 9000 used; liquidated at 40 % of that, 25733.33."""
    tape = market(f"{flat(30_000, 30_000)} | 30000/30000/25733.34/26000 | 26000/26000/25733.33/26000", "BTC/USD")
    buy = [(0, order(Side.BUY, "1.5"))]
    result = play(engine, tape, buy, cash=10_000.0, leverage=5.0, liquidation_level=0.4)
    assert [f"{p / UNIT:.2f}" for p in result.fills["price"].tolist()] == ["30000.00", "25733.33"]
    assert result.fills["row"].tolist() == [1, 3]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("leverage", "move"), [(2, 49.4949), (3, 32.6599), (5, 19.1919), (10, 9.0909)])
def test_the_adverse_moves_of_the_stress_tests(engine: str, leverage: int, move: float) -> None:
    """Maintenance 1 %, isolated: the first price that liquidates lies that far below the entry."""
    tape = market(f"{flat(50_000, 50_000)} | 50000/50000/10/50000")
    buy = [(0, order(Side.BUY, 1))]
    result = play(engine, tape, buy, leverage=leverage, liquidation_fill="mark")
    assert 100 * (1 - result.fills["price"][1] / (50_000 * UNIT)) == pytest.approx(move, abs=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_s20_a_borrowed_coin_costs_its_opening_and_each_completed_period(engine: str) -> None:
    """Short 10 at 100, covered at 96 after 13 h: 0.20 to open, three rollovers of 0.20, fees 1.00 and 0.96: +37.24."""
    tape = market(flat(100, *[100] * 13, 96), "BTC/USD")
    sent = [(0, order(Side.SELL, 10)), (13, order(Side.BUY, 10))]
    borrow = {"opening_bps": 2, "rollover_bps": 2, "every": "4h"}
    result = play(engine, tape, sent, cash=10_000.0, leverage=1.0, fees={"taker_bps": 10}, borrow=borrow)
    assert flows(result) == [(FlowKind.BORROW_OPENING, "-0.2"), *[(FlowKind.BORROW_ROLLOVER, "-0.2")] * 3]
    assert cash_text(result.final_cash - parse("10000", 16)) == "37.24"


@pytest.mark.parametrize("engine", ENGINES)
def test_kraken_accrues_by_the_hour(engine: str) -> None:
    """On bars of 15 minutes an hour's rate is settled in quarters; a position of two of them pays half."""
    quarter = HOUR // 4
    tape = funded(market(flat(*[100] * 7), step=quarter), (T0, "0.0004"), (T0 + HOUR, "-0.0008"))
    sent = [(0, order(Side.BUY, 10)), (2, order(Side.SELL, 10))]
    terms = {"funding_accrual": "continuous", "funding_interval": "1h"}
    result = play(engine, tape, sent, cash=10_000.0, **terms)
    assert flows(result) == [(FlowKind.FUNDING, "-0.1")] * 2
    whole = play(engine, tape, sent[:1], cash=10_000.0, **terms)
    assert [amount for _, amount in flows(whole)] == ["-0.1"] * 3 + ["0.2"] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_the_mark_decides_and_not_the_last_price(engine: str) -> None:
    deep = f"{flat(50_000, 50_000)} | 50000/50000/40000/50000"
    calm = flat(50_000, 50_000, 50_000)
    buy = [(0, order(Side.BUY, 1))]
    spared = play(engine, market(deep, mark=calm), buy)
    assert spared.final_positions.tolist() == [UNIT]
    taken = play(engine, market(calm, mark=deep), buy)
    assert cash_text(taken.final_cash) == "95000"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stop_above_the_liquidation_price_goes_first(engine: str) -> None:
    tape = market(tape_with(45_000, Side.BUY))
    stopped = play(engine, tape, [(0, order(Side.BUY, 1, stop_loss=parse(46_000)))])
    assert cash_text(stopped.final_cash) == "96000"
    late = play(engine, tape, [(0, order(Side.BUY, 1, stop_loss=parse(45_300)))])
    assert cash_text(late.final_cash) == "95000"
    assert [Reason(r) for r in late.orders["end_reason"][1:]] == [Reason.POSITION_CLOSED, Reason.NONE]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_target_does_not_save_a_position_that_the_same_bar_liquidates(engine: str) -> None:
    tape = market(f"{flat(50_000, 50_000)} | 50000/60000/45000/50000")
    result = play(engine, tape, [(0, order(Side.BUY, 1, take_profit=parse(55_000)))])
    assert cash_text(result.final_cash) == "95000"


@pytest.mark.parametrize("engine", ENGINES)
def test_cross_margin_takes_the_whole_account_and_no_more(engine: str) -> None:
    """5000 stand behind 1 BTC of 50000: gone at 45000, whatever the bar's gap."""
    tape = market(f"{flat(50_000, 50_000)} | {flat(40_000)}")
    result = play(engine, tape, [(0, order(Side.BUY, "1"))], cash=5_000.0, margin_mode="cross")
    assert (cash_text(result.final_cash), result.equity[-1]) == ("0", 0.0)
    assert result.fills["price"].tolist()[1] == 45_000 * UNIT


@pytest.mark.parametrize("engine", ENGINES)
def test_the_fee_of_a_liquidation_is_charged_as_far_as_margin_is_left(engine: str) -> None:
    tape = market(tape_with(45_400, Side.BUY))
    buy = [(0, order(Side.BUY, 1))]
    charged = play(engine, tape, buy, liquidation_fill="mark", liquidation_fee_bps=50)
    assert parse("100000", 16) - charged.final_cash == parse("4545.45454546", 16) + parse("227.2727272727", 16)
    most = play(engine, tape, buy, liquidation_fill="mark", liquidation_fee_bps=500)
    assert cash_text(most.final_cash) == "95000"


@pytest.mark.parametrize("engine", ENGINES)
def test_isolated_margin_has_to_be_free(engine: str) -> None:
    """Open profit of one position does not open another: 1000 of 10000 is 10 positions of 10000 at ten times."""
    tape = market(flat(100, 100, 100))
    result = play(engine, tape, [(0, order(Side.BUY, 2_000))], cash=10_000.0)
    assert result.final_positions.tolist() == [1_000 * UNIT]
    assert result.counts["funds_cuts"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_liquidated_pair_stays_out_until_its_forecast_changes(engine: str) -> None:
    fall = "50000/50000/45000/46000"
    tape = market(f"{flat(50_000, 50_000)} | {fall} | {flat(46_000, 46_000, 46_000, 46_000)}")
    nodes: dict[str, Any] = {"portfolio": FixedFraction(fraction=5.0, band=None), "strategy": GivenForecast()}
    exchange = PerpetualExchange(name="bare", tick=0.01)
    account = Account(cash=10_000.0, leverage=10.0)
    nodes["risk"] = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, trailing=None))
    graph = graph_of(tape, exchange=exchange, account=account, **nodes)
    steady = np.full((1, 7), 10**9)
    result = run_engine(engine, spec_of(graph, tape), tape, steady)
    assert result.fills["side"].tolist() == [1, -1]
    assert result.orders["reason"][1] == Reason.LIQUIDATION
    changed = steady.copy()
    changed[0, 4:] = 5 * 10**8
    again = run_engine(engine, spec_of(graph, tape), tape, changed)
    assert again.fills["side"].tolist() == [1, -1, 1]
    assert again.fills["row"].tolist() == [1, 2, 5]


def told(result: Result) -> list[tuple[float, str]]:
    """(quantity filled, why it ended) of each order."""
    reasons = [Reason(code).word for code in result.orders["end_reason"]]
    return list(zip((result.orders["filled"] / UNIT).tolist(), reasons, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_smallest_cost_of_an_inverse_contract_is_in_dollars(engine: str) -> None:
    """At 50,000 one dollar is no 50,000 dollars: with a smallest cost of 5, 4 are too few and 5 are enough."""
    table = {INVERSE: {"tick": 0.01, "lot": 1, "qty_min": 1, "cost_min": 5}}
    sent = [(0, order(Side.BUY, 4)), (1, order(Side.BUY, 5)), (2, order(Side.SELL, 5, reduce_only=True))]
    result = play(engine, market(flat(*[50_000] * 5), INVERSE), sent, cash=1.0, instruments_table=table, lot=1.0)
    assert told(result) == [(0.0, "below_min_cost"), (5.0, "none"), (5.0, "none")]


@pytest.mark.parametrize("engine", ENGINES)
def test_parts_of_a_parent_in_an_inverse_contract_have_the_smallest_cost_in_dollars(engine: str) -> None:
    """12 dollars in four parts of 3, of which the venue takes none below 5: 6 and 6."""
    tape = market(flat(*[50_000] * 8), INVERSE)
    table = {INVERSE: {"tick": 0.01, "lot": 1, "qty_min": 1, "cost_min": 5}}
    exchange = PerpetualExchange(name="bare", instruments_table=table)
    graph = graph_of(
        tape, exchange=exchange, account=Account(cash=1.0), strategy=GivenForecast(), risk=PositionRisk(),
        portfolio=FixedQuantity(quantity=12.0), execution=Twap(bars=4),
    )  # fmt: skip
    forecast = np.full((1, 8), 10**9, np.int64)
    result = run_engine(engine, spec_of(graph, tape), tape, forecast)
    assert (result.fills["qty"] / UNIT).tolist() == [6.0, 6.0]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_fee_tier_of_an_inverse_contract_counts_dollars(engine: str) -> None:
    """Tiers from 0, 10,000 and 50,000 dollars: 5,000, 6,000 and 45,000 pay the first, the first and the second."""
    tiers = {least: {"taker_bps": rate, "maker_bps": 0} for least, rate in ((0, 40), (10_000, 35), (50_000, 24))}
    sent = [(row, order(Side.BUY, qty)) for row, qty in enumerate((5_000, 6_000, 45_000, 5_000))]
    result = play(engine, market(flat(*[50_000] * 6), INVERSE), sent, cash=10.0, fees={"tiers": tiers})
    fees = [join128(hi, lo) for hi, lo in zip(result.fills["fee_hi"], result.fills["fee_lo"], strict=True)]
    # 0.1 and 0.12 BTC at 40 bp, 0.9 at 35, 0.1 at 24.
    assert [cash_text(fee) for fee in fees] == ["0.0004", "0.00048", "0.00315", "0.00024"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("leverage", "told"), [(5.0, True), (1.0, False)])
def test_cash_borrowed_for_a_long_costs_nothing_and_a_note_says_so(engine: str, leverage: float, told: bool) -> None:
    tape = market(flat(*[100.0] * 20), "BTC/USD")
    sent = [(T0 + HOUR, order(Side.BUY, 150))]
    exchange = SpotExchange(name="bare", tick=0.01, borrow={"opening_bps": 2, "rollover_bps": 2, "every": "4h"})
    ran = execute(
        graph_of(tape, sent, exchange=exchange, account=Account(cash=10_000.0, leverage=leverage)), tape, engine
    )
    notes = [note for note in ran.notes if "cash was borrowed for long positions, at most 5,000.00" in note]
    assert len(notes) == told
    assert len(ran.result.flows.get("row", ())) == 0

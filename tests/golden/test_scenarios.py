"""Every fill scenario on both engines, to the last decimal."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.orders import Liquidity, Reason, Side, State
from kraken_flow.core.result import Result, join128
from kraken_flow.core.units import cash_text, text
from kraken_flow.exchange.spot import SpotExchange
from tests.engines import ENGINES, graph_of, run_engine, spec_of
from tests.golden.scenarios import SCENARIOS, Scenario

NAMED = {scenario.name: scenario for scenario in SCENARIOS}


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Key paths below `exchange` as nested mappings."""
    tree: dict[str, Any] = {}
    for path, value in settings.items():
        *groups, last = path.removeprefix("exchange.").split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return tree


def play(scenario: Scenario, engine: str) -> Result:
    """Run a scenario on one engine."""
    exchange = SpotExchange(name="bare", **nested(scenario.terms))
    graph = graph_of(scenario.market, scenario.requests(), exchange=exchange)
    return run_engine(engine, spec_of(graph, scenario.market), scenario.market)


def fills_as_text(result: Result) -> tuple[str, ...]:
    """Write fills the way the scenarios do."""
    rows = (dict(zip(result.fills, row, strict=True)) for row in zip(*result.fills.values(), strict=True))
    return tuple(
        f"b{f['row']} {Side(f['side']).name[0]} {text(int(f['qty']))}@{text(int(f['price']))}"
        f" fee {cash_text(join128(f['fee_hi'], f['fee_lo']))} {Liquidity(f['liquidity']).name[0]}"
        for f in rows
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMED)
def test_scenario(name: str, engine: str) -> None:
    scenario = NAMED[name]
    result = play(scenario, engine)
    assert fills_as_text(result) == scenario.fills
    assert cash_text(result.final_cash) == scenario.cash
    assert text(int(result.final_positions[0])) == scenario.qty
    close = int(scenario.market.pairs[0].close[-1])
    assert cash_text(result.final_cash + int(result.final_positions[0]) * close) == scenario.equity
    assert result.equity[-1] == pytest.approx(float(scenario.equity), abs=1e-9)
    assert result.engine == engine


@pytest.mark.parametrize("engine", ENGINES)
def test_s01_equity_at_every_close(engine: str) -> None:
    assert play(NAMED["S01"], engine).equity.tolist() == [10000, 10008.995, 10013.995, 10014.973, 10014.973]


@pytest.mark.parametrize("engine", ENGINES)
def test_s01_a_fill_at_the_signal_close_would_earn_more(engine: str) -> None:
    """Buying at the close of b0 (100) and selling at the close of b2 (102) would show +17.98."""
    scenario = NAMED["S01"]
    first, _, last, *_ = (int(close) for close in scenario.market.pairs[0].close)
    at_the_close = 10 * 10**8 * ((last - first) - (last + first) // 1000)
    assert cash_text(at_the_close) == "17.98"
    assert play(scenario, engine).final_cash - 10_000 * 10**16 < at_the_close


@pytest.mark.parametrize("engine", ENGINES)
def test_s11_the_order_expires_at_the_end_of_b2(engine: str) -> None:
    orders = play(NAMED["S11"], engine).orders
    assert (State(orders["state"][0]), Reason(orders["end_reason"][0])) == (State.EXPIRED, Reason.GTD_EXPIRED)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "ambiguous"), [("S05", 0), ("S06", 0), ("S07", 1), ("S37", 1), ("S39", 0)])
def test_fills_that_depend_on_the_path_are_marked(name: str, ambiguous: int, engine: str) -> None:
    assert play(NAMED[name], engine).fills["ambiguous"].sum() == ambiguous


@pytest.mark.parametrize("engine", ENGINES)
def test_s27_closes_one_trade_and_opens_the_other_side(engine: str) -> None:
    trades = finished(NAMED["S27"], engine).trades
    assert len(trades) == 1
    assert cash_text((trades.pnl + trades.fees).total()) == "10"


@pytest.mark.parametrize("engine", ENGINES)
def test_s29_an_open_position_is_no_trade(engine: str) -> None:
    scenario = NAMED["S18"]
    result = play(scenario, engine)
    cost = sum(int(q) * int(p) for q, p in zip(result.fills["qty"], result.fills["price"], strict=True))
    marked = int(result.final_positions[0]) * int(scenario.market.pairs[0].close[-1])
    assert (cash_text(marked), cash_text(cost), cash_text(marked - cost)) == ("2587.5", "2518", "69.5")
    run = finished(scenario, engine)
    assert (len(run.trades), cash_text(run.final_equity)) == (0, "10066.982")


@pytest.mark.parametrize("engine", ENGINES)
def test_oco_cancels_the_leg_that_did_not_fill(engine: str) -> None:
    orders = play(NAMED["S05"], engine).orders
    assert [State(s) for s in orders["state"]] == [State.FILLED, State.FILLED, State.CANCELLED]
    assert Reason(orders["end_reason"][2]) is Reason.OCO


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMED)
def test_no_fill_happens_on_the_bar_that_decided_it(name: str, engine: str) -> None:
    scenario = NAMED[name]
    result = play(scenario, engine)
    opens = scenario.market.times[result.fills["row"]]
    assert np.all(opens >= result.orders["time"][result.fills["order"]])
    assert all(a <= b for a, b in pairwise(result.fills["row"]))


def finished(scenario: Scenario, engine: str) -> FinishedRun:
    """The scenario's result as the statistics see it."""
    market = scenario.market
    instruments = SpotExchange(name="bare", tick=0.01).instruments(market)
    return FinishedRun(play(scenario, engine), market, instruments, 10_000 * 10**16)

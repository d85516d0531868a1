"""Contracts settled in their base, whole runs: every amount again from the fills alone, as fractions."""

from fractions import Fraction
from itertools import starmap

import pytest

from kraken_flow.analysis.breakdown import TradeColumns
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.tca import parent_costs, totals
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.result import join128
from kraken_flow.core.run import execute
from kraken_flow.core.units import CASH_UNIT, UNIT
from kraken_flow.modes.driver import load
from tests.engines import ENGINES

TIERS = {0: Fraction(5), 100_000: Fraction(4), 1_000_000: Fraction(3), 5_000_000: Fraction(5, 2)}
MONTH_NS = 30 * 86_400 * 10**9
SLACK = Fraction(1, 10**13)
"""Each fill rounds a few units of 10^-16; no run below has a thousand."""


@pytest.fixture(scope="module", params=ENGINES)
def run(request: pytest.FixtureRequest) -> FinishedRun:
    overrides = [
        "exchange=kraken_futures", "pairs=[BTC/USD:BTC]", "account.cash=3", "strategy=sma_cross", "execution=twap",
        "execution.bars=4", "risk=none", "start=2021-01-01", "end=2021-03-15",
    ]  # fmt: skip
    graph = build(compose(overrides))
    market = load(graph)
    ran = execute(graph, market, request.param)
    return FinishedRun(ran.result, market, ran.instruments, ran.spec.cash)


def fills_of(run: FinishedRun) -> list[tuple[int, Fraction, Fraction]]:
    """(order, signed dollars, price) of each fill."""
    fills = run.result.fills
    columns = (fills[name].tolist() for name in ("order", "side", "qty", "price"))
    return [
        (n, Fraction(side * qty, UNIT), Fraction(price, UNIT)) for n, side, qty, price in zip(*columns, strict=True)
    ]


def test_fees_are_those_of_the_tier_of_the_dollars_traded_in_thirty_days(run: FinishedRun) -> None:
    times, taker = run.fill_times.tolist(), run.result.fills["liquidity"].tolist()
    deals, seen, start = fills_of(run), set(), 0
    fees = run.fees.ints()
    for i, (_, dollars, price) in enumerate(deals):
        while times[start] <= times[i] - MONTH_NS:
            start += 1
        traded = sum(abs(past) for _, past, _ in deals[start:i])
        rate = TIERS[max(least for least in TIERS if traded >= least)]
        seen.add(rate)
        assert taker[i] == 1
        assert abs(Fraction(fees[i], CASH_UNIT) - abs(dollars) / price * rate / 10_000) < SLACK
    assert len(seen) >= 3


def test_what_is_left_is_what_the_fills_and_payments_make(run: FinishedRun) -> None:
    deals = fills_of(run)
    held = sum(dollars for _, dollars, _ in deals)
    wallet = 3 + sum(-(-dollars / price) for _, dollars, price in deals) - Fraction(run.fees.total(), CASH_UNIT)
    flows = run.result.flows
    assert len(flows["row"]) > 100
    wallet += Fraction(sum(starmap(join128, zip(flows["amount_hi"], flows["amount_lo"], strict=True))), CASH_UNIT)
    close = Fraction(int(run.market.pairs[0].close[-1]), UNIT)
    assert float(wallet - held / close) == pytest.approx(float(run.result.equity[-1]), rel=1e-12)
    assert float(run.notional.sum()) == pytest.approx(float(sum(abs(d) / p for _, d, p in deals)), rel=1e-12)


def test_the_shortfall_of_every_parent_is_in_coins(run: FinishedRun) -> None:
    parents, deals = run.result.parents, fills_of(run)
    parent_of = dict(zip(run.result.children["order"].tolist(), run.result.children["parent"].tolist(), strict=True))
    close = run.market.pairs[0].close
    costs = parent_costs(run)
    assert len(costs) > 10
    for n, found in enumerate(costs):
        side, arrival = int(parents["side"][n]), Fraction(int(parents["arrival"][n]), UNIT)
        whole = Fraction(int(parents["qty"][n]), UNIT)
        mine = [(abs(d), p) for order, d, p in deals if parent_of[order] == n]
        left = whole - sum(d for d, _ in mine)
        end = Fraction(int(close[found.end_row]), UNIT)
        execution = side * sum(d * (1 / arrival - 1 / p) for d, p in mine)
        opportunity = side * left * (1 / arrival - 1 / end)
        shortfall = found.shortfall
        assert abs(Fraction(shortfall.execution, CASH_UNIT) - execution) < SLACK
        assert abs(Fraction(shortfall.opportunity, CASH_UNIT) - opportunity) < SLACK
        assert abs(Fraction(shortfall.paper, CASH_UNIT) - whole / arrival) < SLACK
        if mine:
            average = sum(d for d, _ in mine) / sum(d / p for d, p in mine)
            assert shortfall.average == pytest.approx(float(average), rel=1e-12)
            assert abs(shortfall.against_bps(found.market_vwap)) < 500
    summed = totals(costs)
    assert abs(summed.shortfall) < 1.0
    assert 0.0 < summed.filled_share <= 1.0


def entries_of(run: FinishedRun) -> list[list[tuple[Fraction, Fraction]]]:
    """(dollars, price) of what opened or enlarged each position, flat to flat; a reversal opens the next one."""
    trips: list[list[tuple[Fraction, Fraction]]] = []
    held = Fraction(0)
    for _, dollars, price in fills_of(run):
        closing = min(abs(dollars), abs(held)) if held * dollars < 0 else Fraction(0)
        opening = abs(dollars) - closing
        if opening and held * dollars <= 0 and abs(held) == closing:
            trips.append([])
        if opening:
            trips[-1].append((opening, price))
        held += dollars
    return trips


def test_trades_gain_their_profit_over_what_they_were_worth_at_entry(run: FinishedRun) -> None:
    columns, entries = TradeColumns.of(run, run.trips), entries_of(run)
    assert len(entries) == len(run.trips) > 20
    assert max(len(one) for one in entries) > 2
    for n, one in enumerate(entries):
        worth = sum(dollars / price for dollars, price in one)
        assert columns.gain[n] == pytest.approx(columns.profit[n] / float(worth), rel=1e-9)
        mean = sum(dollars for dollars, _ in one) / worth
        assert abs(Fraction(int(run.trips.entry_price[n]), UNIT) - mean) < Fraction(1, 10**7)
    closed = [n for n in range(len(entries)) if run.trips.closed[n]]
    assert max(abs(float(columns.gain[n])) for n in closed) < 0.5

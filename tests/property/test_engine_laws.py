"""Laws of the engine that hold whatever the market does: costs never help, the worst path is the worst."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core.ledger import Ledger
from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.core.orders import TRANSITIONS, OrderRequest, OrderType, Reason, Side, State
from kraken_flow.core.result import Result
from kraken_flow.core.units import CASH_UNIT, UNIT
from kraken_flow.core.working import Order
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from tests.engine_checks import check_all, replay
from tests.engines import ENGINES, graph_of, run_engine, spec_of
from tests.golden.bars import HOUR, T0, market_of
from tests.golden.scenarios import request
from tests.parity.draw import GRID, LOT, NAMES, Case, cases

each_engine = pytest.mark.parametrize("engine", ENGINES)
some = settings(max_examples=60)
RICH = Account(cash=10_000_000.0)
START = 10_000_000 * CASH_UNIT


def quiet_tape(steps: Sequence[int], pair: str = "BTC/USD") -> PairColumns:
    """Bars without gaps: each opens where the last closed, a step of four numbers (body, two wicks, volume)."""
    table = []
    last = 200
    for at in range(0, len(steps) - 3, 4):
        body, up, down, volume = steps[at : at + 4]
        close = max(last + body % 13 - 6, 20)
        table.append((last, max(last, close) + up % 6, min(last, close) - down % 6, close, 100 + volume % 900))
        last = close
    columns = np.array(table, np.int64).T * np.array([[GRID]] * 4 + [[UNIT]])
    return PairColumns(pair, *np.ascontiguousarray(columns), np.full(len(table), REAL, np.uint8))


tapes = st.lists(st.integers(0, 999), min_size=40, max_size=120).map(quiet_tape)


def at_close(row: int, **fields: Any) -> tuple[int, OrderRequest]:
    """An order sent at the close of a row."""
    order = {"pair": 0, "side": Side.BUY, "qty": 10 * UNIT, "reason": Reason.SCRIPTED} | fields
    return T0 + HOUR * (row + 1), OrderRequest(**order)


def play(engine: str, market: Market, orders: Sequence[tuple[int, OrderRequest]], **terms: Any) -> Result:
    """Run orders on a rich account; every run is also held against all checks."""
    exchange = SpotExchange(name="bare", **({"tick": 0.01, "participation_cap": None} | terms))
    sent = sorted(orders, key=lambda item: item[0])
    spec = spec_of(graph_of(market, sent, exchange=exchange, account=RICH), market)
    result = run_engine(engine, spec, market)
    check_all(spec, market, result)
    return result


def worth(result: Result, market: Market) -> int:
    """Final equity, exact."""
    closes = [int(pair.close[-1]) for pair in market.pairs]
    return result.final_cash + sum(q * c for q, c in zip(result.final_positions.tolist(), closes, strict=True))


TRIP = st.tuples(st.integers(0, 7), st.sampled_from(Side), st.integers(1, 300))
market_orders = st.lists(TRIP, min_size=1, max_size=8).map(
    lambda trips: [at_close(row, side=side, qty=lots * LOT) for row, side, lots in trips]
)


# paths


@each_engine
@some
@given(
    tape=tapes,
    side=st.sampled_from(Side),
    kind=st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]),
    away=st.integers(1, 8),
    loss=st.integers(1, 10),
    profit=st.integers(1, 10),
)
def test_the_pessimistic_path_is_the_worst(
    engine: str, tape: PairColumns, side: Side, kind: OrderType, away: int, loss: int, profit: int
) -> None:
    """One bracket trade on a market without gaps earns no less on any given path."""
    market = market_of(tape)
    start = int(tape.close[0])
    entry = start + int(side) * GRID * {OrderType.MARKET: 0, OrderType.LIMIT: -away, OrderType.STOP: away}[kind]
    order = at_close(
        0,
        side=side,
        type=kind,
        limit_price=entry if kind is OrderType.LIMIT else 0,
        stop_price=entry if kind is OrderType.STOP else 0,
        stop_loss=max(entry - int(side) * loss * GRID, GRID),
        take_profit=max(entry + int(side) * profit * GRID, GRID),
    )
    worst = worth(play(engine, market, [order]), market)
    for path in ("ohlc", "olhc", "adaptive"):
        assert worst <= worth(play(engine, market, [order], fill={"path": path}), market), path


# costs


@each_engine
@some
@given(tape=tapes, orders=market_orders, bps=st.integers(0, 50), more=st.integers(1, 50))
def test_dearer_terms_never_raise_the_profit_of_market_orders(
    engine: str, tape: PairColumns, orders: list[tuple[int, OrderRequest]], bps: int, more: int
) -> None:
    market = market_of(tape)

    def profit(cost: int, **terms: Any) -> list[int]:
        kinds = (
            {"slippage": {"model": "bps", "bps": cost}},
            {"slippage": {"model": "half_spread", "half_spread": cost / 100}},
            {"slippage": {"model": "volume_share", "factor": 1 + cost}},
            {"fees": {"taker_bps": cost, "maker_bps": 0}},
            {"latency": "20m", "latency_bps": cost},
        )
        return [worth(play(engine, market, orders, **kind), market) for kind in kinds]

    for cheap, dear in zip(profit(bps), profit(bps + more), strict=True):
        assert dear <= cheap


@each_engine
@some
@given(tape=tapes, orders=market_orders)
def test_a_cap_that_never_binds_changes_nothing(
    engine: str, tape: PairColumns, orders: list[tuple[int, OrderRequest]]
) -> None:
    market = market_of(tape)
    free, capped = (play(engine, market, orders, participation_cap=cap) for cap in (None, 1e6))
    assert {n: c.tolist() for n, c in free.fills.items()} == {n: c.tolist() for n, c in capped.fills.items()}
    assert free.equity.tolist() == capped.equity.tolist()


@each_engine
@some
@given(tape=tapes, orders=market_orders)
def test_two_halves_cost_what_the_whole_costs(
    engine: str, tape: PairColumns, orders: list[tuple[int, OrderRequest]]
) -> None:
    market = market_of(tape)
    whole = [(time, replace(order, qty=2 * order.qty)) for time, order in orders]
    terms = {"slippage": {"model": "bps", "bps": 5}, "fees": {"taker_bps": 10, "maker_bps": 5}}
    split = play(engine, market, orders + orders, **terms)
    assert split.final_cash == play(engine, market, whole, **terms).final_cash


# pairs


@each_engine
@some
@given(
    steps=st.lists(st.lists(st.integers(0, 999), min_size=60, max_size=60), min_size=3, max_size=3),
    order=st.permutations(range(3)),
    trips=st.lists(st.tuples(st.integers(0, 2), TRIP), min_size=1, max_size=10),
)
def test_the_names_of_independent_pairs_do_not_matter(
    engine: str, steps: list[list[int]], order: Sequence[int], trips: list[tuple[int, tuple[int, Side, int]]]
) -> None:
    """Whatever name, and so whatever place in the order of phases, a market has, it trades the same."""
    terms = {"slippage": {"model": "bps", "bps": 5}, "fees": {"taker_bps": 10, "maker_bps": 5}}

    def per_market(place: Sequence[int]) -> tuple[int, list[list[tuple[int, ...]]]]:
        tapes = [quiet_tape(steps[place.index(i)], NAMES[i]) for i in range(3)]
        sent = [at_close(row, pair=place[m], side=side, qty=n * LOT) for m, (row, side, n) in trips]
        result = play(engine, market_of(*tapes), sent, **terms)
        kept = ("row", "side", "qty", "price", "fee_hi", "fee_lo")
        rows = list(zip(result.fills["pair"].tolist(), *(result.fills[n].tolist() for n in kept), strict=True))
        return result.final_cash, [[r[1:] for r in rows if r[0] == place[m]] for m in range(3)]

    assert per_market([0, 1, 2]) == per_market(list(order))


# books and states


@each_engine
@some
@given(case=cases())
def test_a_fill_changes_equity_by_its_fee_alone(engine: str, case: Case) -> None:
    """Marked at the fill's own price, the account is worth what it was, less the fee."""
    spec, market = case.spec, case.market
    result = run_engine(engine, spec, market, case.forecast, case.aux)
    cash, positions = spec.cash, [0] * len(market.pairs)
    for fill, _, after, held, before in replay(spec, result):
        price = fill["price"]
        fee = (fill["fee_hi"] << 62) + fill["fee_lo"]
        cost = fee * price if fill["fee_is_base"] else fee
        assert (after + held[fill["pair"]] * price) - (cash + before * price) == -cost
        cash, positions = after, list(held)
    assert (result.final_cash, result.final_positions.tolist()) == (cash, positions)


@given(fills=st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 10**14), st.integers(1, 10**13)), max_size=20))
def test_the_ledger_is_the_sum_of_its_fills(fills: list[tuple[Side, int, int]]) -> None:
    ledger = Ledger(START, 1)
    for side, qty, price in fills:
        worth_before = ledger.equity([price])
        ledger.book(0, side, qty, price, qty * price // 1000, 0)
        assert ledger.equity([price]) == worth_before - qty * price // 1000
    assert ledger.position[0] == sum(side * qty for side, qty, _ in fills)


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_only_the_transitions_of_the_table_are_possible(old: State, new: State) -> None:
    order = Order(0, request({}), UNIT, T0, 0, own=False)
    order.state = old
    if new in TRANSITIONS[old]:
        order.move(new)
        assert order.state is new
    else:
        with pytest.raises(AssertionError, match="not a legal transition"):
            order.move(new)
        assert order.state is old


@each_engine
@some
@given(tape=tapes, orders=market_orders, qty=st.integers(1, 1000), side=st.sampled_from(Side))
def test_a_reduce_only_order_of_any_size_never_flips(
    engine: str, tape: PairColumns, orders: list[tuple[int, OrderRequest]], qty: int, side: Side
) -> None:
    market = market_of(tape)
    closing = at_close(8, side=side, qty=qty * LOT, reduce_only=True)
    held = sum(int(o.side) * o.qty for t, o in orders)
    after = int(play(engine, market, [*orders, closing]).final_positions[0])
    expected = held + int(side) * min(qty * LOT, max(0, -int(side) * held))
    assert after == expected


@each_engine
def test_idle_cash_earns_nothing(engine: str) -> None:
    market = market_of(quiet_tape(range(400)))
    result = play(engine, market, [])
    assert set(result.equity.tolist()) == {float(START) / 1e16}
    assert result.final_cash == START

"""What fills on finer bars may know, and when they are said to have happened."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.market import SYNTHETIC, Detail, Market, PairColumns
from kraken_flow.core.orders import OrderRequest
from kraken_flow.core.result import Result
from kraken_flow.core.units import UNIT, parse
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from tests.engines import ENGINES, graph_of, run_engine, spec_of
from tests.golden.bars import HOUR, T0, columns_of
from tests.golden.scenarios import decision, request

each_engine = pytest.mark.parametrize("engine", ENGINES)
FINE = (
    "100/100/100/100 | 100/100/100/100 | 100/100/100/100 | 100/100/100/100"
    " | 100/101/100/101 | 101/101/101/101 | 104/106/104/105 | 105/105/105/105"
    " | 105/105/105/105 | 105/105/105/105 | 105/105/105/105 | 105/105/105/105"
)
COARSE = "100/100/100/100 | 100/106/100/105 | 105/105/105/105"
LATE_FINE = " | ".join(["100/100/100/100"] * 10 + ["104/104/104/104"] * 2)
LATE = "100/100/100/100 | 100/100/100/100 | 100/104/100/104"


def ticket(**order: Any) -> tuple[int, OrderRequest]:
    """An order sent at a close, the first unless told."""
    pair = order.pop("pair", 0)
    return decision(order), request(order, pair)


def play(
    engine: str, market: Market, orders: list[tuple[int, OrderRequest]], **terms: Any
) -> tuple[Result, FinishedRun]:
    """Run orders on the finer bars of a market, without fees, with 10000 in cash."""
    finer = {"path": "detail", "detail": "15m"}
    exchange = SpotExchange(name="bare", tick=0.01, participation_cap=None, fill=finer, **terms)
    spec = spec_of(graph_of(market, orders, exchange=exchange, account=Account(cash=10_000.0)), market)
    result = run_engine(engine, spec, market)
    return result, FinishedRun(result, market, spec.instruments, spec.cash)


def with_finer(*pairs: PairColumns, finer: tuple[PairColumns, ...]) -> Market:
    """Three hours from 2024-01-01 with quarter hours inside."""
    return Market(HOUR, T0 + HOUR * np.arange(3), pairs, detail=Detail(HOUR // 4, 4, finer))


@each_engine
def test_a_fill_at_the_open_of_a_later_finer_bar_is_dated_by_the_close_of_its_bar(engine: str) -> None:
    """The finer bars open at 10:00 and jump at 10:30: the stop there is no fill of 10:00."""
    market = with_finer(columns_of(COARSE), finer=(columns_of(FINE),))
    orders = [ticket(qty=1), ticket(qty=1, type="stop", stop_price="103")]
    result, run = play(engine, market, orders)
    assert result.fills["price"].tolist() == [parse("100"), parse("104")]
    assert (run.fill_times - T0).tolist() == [HOUR, 2 * HOUR]


@each_engine
@settings(max_examples=40)
@given(close=st.integers(1, 400), open_=st.integers(50, 200))
def test_funds_know_no_more_of_a_pair_without_finer_bars_than_its_open(engine: str, close: int, open_: int) -> None:
    """Where the other pair's bar ends does not change what an order that arrives in mid bar can afford."""
    bought = []
    for end in (open_, close):
        low, high = min(open_, end), max(open_, end)
        other = columns_of(f"100/100/100/100 | 100/100/100/100 | {open_}/{high}/{low}/{end}", pair="ETH/USD")
        prices = (np.repeat(other.close, 4),) * 4
        nothing = np.zeros(len(prices[0]), np.int64)
        absent = PairColumns("ETH/USD", *prices, nothing, np.full(len(nothing), SYNTHETIC, np.uint8))
        market = with_finer(columns_of(LATE), other, finer=(columns_of(LATE_FINE), absent))
        result, _ = play(engine, market, [ticket(pair=1, side="sell", qty=10), ticket(at=1, qty=500)], latency="30m")
        assert result.fills["pair"].tolist() == [1, 0]
        bought.append(result.fills["qty"][1])
    assert bought[0] == bought[1] < 500 * UNIT

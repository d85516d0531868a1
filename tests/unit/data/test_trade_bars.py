"""Bars of trades: each trade once, in the venue's order, whatever order they come in."""

from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.times import SECOND
from kraken_flow.data.trade_bars import Trade, TradeBars

MINUTE = 60 * SECOND
trade_lists = st.lists(
    st.builds(
        lambda second, price, qty: (second * SECOND, price, qty),
        st.integers(0, 299),
        st.integers(1, 50),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=40,
)


def numbered(rows: list[tuple[int, int, int]]) -> list[Trade]:
    return [Trade(time, str(i + 1), price, qty) for i, (time, price, qty) in enumerate(sorted(rows))]


def by_hand(trades: list[Trade]) -> dict[int, tuple[int, ...]]:
    found = {}
    for opened in {t.time // MINUTE * MINUTE for t in trades}:
        inside = [t for t in trades if t.time // MINUTE * MINUTE == opened]
        prices = [t.price for t in inside]
        found[opened] = (prices[0], max(prices), min(prices), prices[-1], sum(t.qty for t in inside))
    return found


@given(trade_lists, st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_bar(rows, random):
    trades = numbered(rows)
    sent = trades + random.sample(trades, len(trades) // 2)
    random.shuffle(sent)
    making, bars = TradeBars(MINUTE, 0), {}
    for trade in sent:
        bars |= making.add([trade])
    assert bars == by_hand(trades)
    assert making.duplicates == len(sent) - len(trades)


def test_trades_without_numbers_stand_as_they_came():
    making = TradeBars(MINUTE, 0)
    same = [Trade(5, "", 10, 1), Trade(5, "", 10, 1), Trade(5, "", 11, 1)]
    assert making.add(same) == {0: (10, 11, 10, 11, 3)}


def test_what_was_not_witnessed_from_its_open_is_not_made():
    making = TradeBars(MINUTE, 2 * MINUTE)
    assert making.add([Trade(MINUTE + 5, "1", 10, 1), Trade(2 * MINUTE, "2", 12, 3)]) == {2 * MINUTE: (12,) * 4 + (3,)}
    assert making.add([Trade(2 * MINUTE, "3", 0, 3), Trade(2 * MINUTE, "4", 9, 0)]) == {}


def test_bars_that_are_used_are_forgotten():
    making = TradeBars(MINUTE, 0)
    making.add([Trade(1, "1", 10, 1)])
    making.forget(MINUTE)
    assert making.add([Trade(2, "2", 12, 1)]) == {0: (12, 12, 12, 12, 1)}

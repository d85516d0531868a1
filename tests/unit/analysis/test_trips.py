from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.market import SYNTHETIC
from kraken_flow.core.result import split128
from kraken_flow.core.units import parse
from tests.hand_made import BARS_A, T0, fill, finished, market, pair_columns, s01

ONE = 10**8
B18 = [
    (100, 101, 99, 100),
    (100, 101, 99, 100.5),
    (101, 102, 100, 101.5),
    (102, 103, 101, 102.5),
    (103, 104, 102, 103.5),
]
FLAT = [(100, 100, 100, 100)] * 8


def money(units: int) -> Decimal:
    return Decimal(units).scaleb(-16)


def one_pair(bars=BARS_A):
    return market(pair_columns("BTC/USD", bars))


def test_s01_is_one_long_trip():
    trades = s01().trades
    assert (len(trades), trades.side.tolist(), trades.qty.tolist()) == (1, [1], [10 * ONE])
    assert (trades.entry_price.tolist(), trades.exit_price.tolist()) == ([parse("100.5")], [parse("102.2")])
    assert [money(v) for v in trades.pnl.ints()] == [Decimal("14.973")]
    assert [money(v) for v in trades.fees.ints()] == [Decimal("2.027")]


def test_s27_a_reversal_closes_one_trip_and_opens_another():
    run = finished(one_pair(), [fill(1, 1, "10", "100.5", "1.005"), fill(2, -1, "20", "101.5", "2.03", order=1)])
    assert money(run.result.final_cash) == Decimal("11021.965")
    assert money(run.final_equity) == Decimal("9996.965")
    closed, still_open = run.trips.where(run.trips.closed), run.trips.where(~run.trips.closed)
    # +10 gross less the entry's fee and half of the reversal's.
    assert [money(v) for v in closed.pnl.ints()] == [Decimal("10") - Decimal("1.005") - Decimal("1.015")]
    assert (still_open.side.tolist(), still_open.qty.tolist()) == ([-1], [10 * ONE])
    assert still_open.entry_price.tolist() == [parse("101.5")]
    assert money(run.trips.pnl.total()) == Decimal("-3.035")


def test_s29_a_position_without_exit_is_no_closed_trade():
    fills = [fill(1, 1, "12", "100", "1.2"), fill(2, 1, "8", "101", "0.808"), fill(3, 1, "5", "102", "0.51")]
    run = finished(one_pair(B18), fills)
    assert len(run.trades) == 0
    assert money(run.final_equity) == Decimal("10066.982")
    gross = run.trips.pnl.total() + run.trips.fees.total()
    assert money(gross) == Decimal("69.5")
    assert run.trips.entry_price.tolist() == [parse("100.72")]


def test_a_rebate_in_base_adds_to_what_was_bought():
    hi, lo = split128(-parse("0.001"))
    bought = fill(1, 1, "1", "100", fee_is_base=1) | {"fee_hi": hi, "fee_lo": lo}
    run = finished(one_pair(), [bought, fill(2, -1, "1.001", "110", order=1)])
    assert [money(v) for v in run.trades.pnl.ints()] == [Decimal("10.11")]
    assert [money(v) for v in run.trades.fees.ints()] == [Decimal("-0.1")]
    assert money(run.final_equity) == Decimal("10010.11")


def test_s33_a_fee_in_base_is_taken_from_what_was_bought():
    bought = fill(1, 1, "1", "100", fee_is_base=1) | {"fee_lo": parse("0.001")}
    run = finished(one_pair(), [bought, fill(2, -1, "0.999", "110", "0.10989", order=1)])
    assert [money(v) for v in run.trades.pnl.ints()] == [Decimal("9.78011")]
    assert [money(v) for v in run.trades.fees.ints()] == [Decimal("0.1") + Decimal("0.10989")]


def test_partial_exits_belong_to_one_trip():
    fills = [fill(0, 1, "1", "100"), fill(1, 1, "1", "101"), fill(2, -1, "0.5", "102"), fill(3, -1, "1.5", "104")]
    trades = finished(one_pair(), fills).trades
    assert (len(trades), trades.qty.tolist()) == (1, [2 * ONE])
    assert (trades.entry_price.tolist(), trades.exit_price.tolist()) == ([parse("100.5")], [parse("103.5")])
    assert (trades.first.tolist(), trades.last.tolist()) == ([0], [3])


def test_a_mean_price_is_rounded_half_to_even():
    fills = [fill(0, 1, "1", "0.00000001"), fill(0, 1, "1", "0.00000002"), fill(1, -1, "2", "0.00000003")]
    assert finished(one_pair(), fills).trades.entry_price.tolist() == [2]


def test_less_than_a_lot_counts_as_flat_and_is_carried():
    bought = fill(0, 1, "1", "100", fee_is_base=1) | {"fee_lo": parse("0.0005")}
    fills = [bought, fill(1, -1, "0.999", "110"), fill(2, 1, "1", "120"), fill(3, -1, "1", "121")]
    run = finished(one_pair(), fills, lot=parse("0.001"))
    trades = run.trades
    assert len(trades) == 2
    # 0.0005 is left over: valued at 110 when the first trip closed, handed to the second at 110, left at 121.
    assert [money(v) for v in trades.pnl.ints()] == [
        Decimal("9.89") + Decimal("0.055"),
        Decimal("1") + Decimal("0.0005") * (121 - 110),
    ]


def test_two_pairs_keep_their_own_trips_in_the_order_they_closed():
    tape = market(pair_columns("BTC/USD", BARS_A), pair_columns("ETH/USD", BARS_A))
    fills = [
        fill(0, 1, "1", "100", pair=1),
        fill(1, 1, "1", "100", pair=0),
        fill(2, -1, "1", "101", pair=0),
        fill(3, -1, "1", "102", pair=1),
    ]
    trades = finished(tape, fills).trades
    assert (trades.pair.tolist(), trades.first.tolist(), trades.last.tolist()) == ([0, 1], [1, 0], [2, 3])


def test_no_fills_no_trips():
    run = finished(one_pair(), [])
    assert len(run.trips) == 0
    assert len(run.trades) == 0


trade = st.tuples(
    st.integers(0, 2), st.sampled_from([1, -1]), st.integers(1, 20), st.integers(1, 10**12), st.integers(0, 10**22)
)


@given(st.lists(trade, max_size=40), st.booleans())
def test_trips_add_up_to_the_change_of_equity(rows, base_fees):
    tape = market(*(pair_columns(p, FLAT) for p in ("A/USD", "B/USD", "C/USD")))
    fills = []
    for n, (pair, side, lots, price, fee) in enumerate(rows):
        row = {"row": min(n // 6, 7), "pair": pair, "side": side, "qty": lots * ONE, "price": price, "order": n}
        if base_fees and side > 0 and fee % 2:
            row |= {"fee_is_base": 1, "fee_lo": lots * ONE // 100}
        else:
            row |= {"fee_hi": fee >> 62, "fee_lo": fee & (2**62 - 1)}
        fills.append(row)
    run = finished(tape, fills)
    assert run.trips.pnl.total() == run.final_equity - run.start_cash
    assert run.trips.fees.total() == run.fees.total()
    for pair in range(3):
        net = run.trips.where(~run.trips.closed & (run.trips.pair == pair))
        assert len(net) == (1 if run.result.final_positions[pair] else 0)


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 4), st.integers(1, 1000)), max_size=30))
def test_trips_equal_a_loop_over_fills(rows):
    run = finished(one_pair(FLAT), [fill(0, side, str(lots), str(price)) for side, lots, price in rows])
    expected = []
    position, trip = 0, None
    for n, (side, lots, price) in enumerate(rows):
        left = lots
        if position and (side > 0) != (position > 0):
            closing = min(left, abs(position))
            trip["out"].append((closing, price))
            position += side * closing
            left -= closing
            if position == 0:
                expected.append(trip | {"last": n})
        if left:
            if position == 0:
                trip = {"side": side, "in": [], "out": [], "first": n}
            trip["in"].append((left, price))
            position += side * left
    trades = run.trades
    assert trades.side.tolist() == [t["side"] for t in expected]
    assert trades.first.tolist() == [t["first"] for t in expected]
    assert trades.last.tolist() == [t["last"] for t in expected]
    assert trades.qty.tolist() == [sum(q for q, _ in t["in"]) * ONE for t in expected]
    for side_of, prices in (("in", trades.entry_price), ("out", trades.exit_price)):
        means = [Fraction(sum(q * p for q, p in t[side_of]), sum(q for q, _ in t[side_of])) * ONE for t in expected]
        assert prices.tolist() == [round(mean) for mean in means]


entry = st.tuples(st.sampled_from([1, -1]), st.integers(1, 20), st.integers(1, 10**12), st.integers(1, 10**12))


@given(st.lists(entry, min_size=1, max_size=12), st.booleans())
def test_fills_that_open_and_close_in_turn_take_a_shorter_way_to_the_same_trips(entries, open_at_the_end):
    fills = []
    for side, lots, bought, sold in entries:
        for way, price in ((side, bought), (-side, sold)):
            paid = price * lots * 31
            money_paid = {"fee_hi": paid >> 62, "fee_lo": paid & (2**62 - 1)}
            fills.append({"row": 0, "side": way, "qty": lots * ONE, "price": price, "order": len(fills), **money_paid})
    fills = fills[:-1] if open_at_the_end else fills
    short = finished(one_pair(FLAT), fills).trips
    # A second pair in the market rules the shorter way out.
    long = finished(market(*(pair_columns(p, FLAT) for p in ("BTC/USD", "ETH/USD"))), fills).trips
    for name in ("pair", "side", "qty", "entry_price", "exit_price", "first", "last", "closed"):
        assert getattr(short, name).tolist() == getattr(long, name).tolist(), name
    assert short.pnl.ints() == long.pnl.ints()
    assert short.fees.ints() == long.fees.ints()


def test_fill_times_follow_the_phase():
    run = finished(one_pair(), [fill(1, 1, "1", "100"), fill(2, -1, "1", "100", open_phase=0)])
    hour = 3600 * 10**9
    assert run.fill_times.tolist() == [T0 + hour, T0 + 3 * hour]


@pytest.mark.parametrize("n", [1, 5])
def test_bars_count_real_rows_from_the_first_decision(n):
    assert finished(market(pair_columns("BTC/USD", BARS_A), first_row=5 - n), []).bars == n


def test_a_missing_bar_is_no_bar():
    columns = pair_columns("BTC/USD", BARS_A)
    columns.state[2] = SYNTHETIC
    assert finished(market(columns), []).bars == 4

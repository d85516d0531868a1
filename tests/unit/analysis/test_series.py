"""Series that are drawn, held to brute force and to the statistics that they repeat."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis import returns, series
from kraken_flow.core.market import ABSENT
from kraken_flow.core.times import DAY
from tests.golden.bars import columns_of, market_of

FLOATS = st.floats(-1e6, 1e6, allow_nan=False) | st.just(float("nan"))
HOUR = DAY // 24
NEW_YEAR = 1_609_459_200_000_000_000
"""2021-01-01, ns UTC."""


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=400), st.integers(10, 60))
def test_thinning_keeps_ends_and_extremes_and_returns_no_more_than_asked(rows, most):
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    kept = series.thinned(columns, most)
    assert len(kept) <= max(most, 10)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert (kept[0], kept[-1]) == (0, len(rows) - 1)
    for column in columns:
        if not np.isnan(column).all():
            assert np.nanmax(column[kept]) == np.nanmax(column)
            assert np.nanmin(column[kept]) == np.nanmin(column)


BARS = st.lists(st.tuples(st.booleans(), *[st.integers(1, 10**12)] * 5), min_size=1, max_size=120)


@given(BARS, st.integers(1, 9))
def test_joined_candles_are_those_of_a_loop(rows, factor):
    real = np.array([row[0] for row in rows])
    columns = [np.array([row[i] for row in rows], np.int64) for i in range(1, 6)]
    made = series.candles(columns, real, factor)
    expected = []
    for begin in range(0, len(rows), factor):
        own = [i for i in range(begin, min(begin + factor, len(rows))) if real[i]]
        if own:
            first, high, low, last, volume = (column[own] for column in columns)
            row = begin if factor > 1 else own[0]
            expected.append((row, own[-1], first[0], high.max(), low.min(), last[-1], volume.sum()))
    found = zip(made.rows, made.ends, made.open, made.high, made.low, made.close, made.volume, strict=True)
    assert [tuple(map(int, row)) for row in found] == [tuple(map(int, row)) for row in expected]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 30)), max_size=12), st.integers(0, 9))
def test_windows_hold_each_span_with_its_margin_and_nothing_else(spans, margin):
    n = 100
    begins = np.array([begin for begin, _ in spans], np.int64)
    ends = np.minimum(begins + np.array([length for _, length in spans], np.int64), n - 1)
    kept = series.windows(begins, ends, n, margin)
    expected = {
        row for b, e in zip(begins, ends, strict=True) for row in range(max(b - margin, 0), min(e + margin + 1, n))
    }
    rows = [row for begin, end in kept.tolist() for row in range(begin, end)]
    assert rows == sorted(set(rows))
    assert set(rows) == expected


def test_months_multiply_to_the_total_and_a_midnight_close_ends_the_month_before():
    hours = 24 * 60
    times = NEW_YEAR + HOUR * np.arange(1, hours + 1)
    equity = 1000.0 * np.exp(np.random.default_rng(1).normal(0, 0.01, hours).cumsum())
    months = series.monthly_returns(times, equity, 1000.0)
    assert [(year, month) for year, month, _ in months] == [(2021, 1), (2021, 2), (2021, 3)]
    assert np.prod([1 + value for *_, value in months]) == pytest.approx(equity[-1] / 1000.0)
    # The close of the last hour of January is at 00:00 on the first of February.
    assert months[0][2] == pytest.approx(equity[31 * 24 - 1] / 1000.0 - 1.0)


def test_no_month_follows_a_ruin():
    times = NEW_YEAR + 20 * DAY * np.arange(1, 7)
    found = series.monthly_returns(times, np.array([90.0, 0.0, 0.0, 0.0, 0.0, 0.0]), 100.0)
    assert [round(value, 6) for *_, value in found] == [-0.1, -1.0]


def test_rolling_sharpe_is_the_sharpe_of_each_window_and_unknown_where_nothing_varies():
    daily = np.random.default_rng(2).normal(0.001, 0.02, 200)
    daily[120:170] = 0.0
    found = series.rolling_sharpe(daily, 30, 365.0)
    assert np.isnan(found[:29]).all()
    for row in range(29, 200):
        expected = returns.sharpe(daily[row - 29 : row + 1], 365.0)
        assert np.isnan(found[row]) if isinstance(expected, str) else found[row] == pytest.approx(expected)
    assert np.isnan(found[155])
    assert np.isnan(series.rolling_sharpe(daily[:10], 30, 365.0)).all()


def test_rolling_sum_counts_what_there_is_at_the_beginning():
    assert series.rolling_sum(np.array([1.0, 2.0, 3.0, 4.0]), 2).tolist() == [1.0, 3.0, 5.0, 7.0]


@given(st.lists(st.floats(-0.5, 0.5), max_size=300))
def test_a_histogram_counts_every_value_once_in_bins_of_one_width_around_zero(values):
    edges, counts = series.histogram(np.array(values))
    assert sum(counts) == len(values)
    if not values:
        return
    assert len(edges) == len(counts) + 1 <= 45
    width = edges[1] - edges[0]
    assert np.allclose(np.diff(edges), width)
    assert edges[0] <= min(values) + width * 1e-6
    assert edges[-1] >= max(values) - width * 1e-6
    assert abs(edges[0] / width - round(edges[0] / width)) < 1e-6


def test_what_is_held_is_cash_until_a_pair_has_a_price():
    late = columns_of("5/5/5/5 | 5/5/5/5 | 2.5/2.5/2.5/2.5", pair="ETH/USD")
    late.state[0] = ABSENT
    market = market_of(columns_of("10/10/10/10 | 20/20/20/20 | 40/40/40/40"), late)
    assert series.held_value(market, slice(0, 3), [False, False]).tolist() == [1.0, 1.5, 2.25]
    assert series.held_value(market, slice(1, 3), [True, False]).tolist() == [1.0, 1.0]


def test_the_fan_opens_with_the_root_of_time_and_ends_at_the_interval():
    low, high = series.fan(-0.5, 1.5, 100)
    assert (low[-1], high[-1]) == (pytest.approx(0.5), pytest.approx(2.5))
    spread = np.log(high / low)
    assert spread[24] == pytest.approx(spread[99] / 2)
    assert (low < high).all()

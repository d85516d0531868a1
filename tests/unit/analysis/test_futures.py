import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis.fresh import Fresh, each_fresh
from kraken_flow.analysis.futures import FUTURES, TAIL, another, ends_at, window
from kraken_flow.config import build, compose
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import ABSENT, FIELDS, REAL, SYNTHETIC
from kraken_flow.core.units import INT64_MAX
from kraken_flow.modes.driver import load
from tests.signal_cases import random_market


def lies_on_the_grid(pair):
    """Nothing before the first real bar, the close before in each missing one, prices in their order."""
    state = pair.state
    first = int(np.argmax(state == REAL)) if (state == REAL).any() else len(state)
    assert (state[:first] == ABSENT).all()
    assert (state[first:] != ABSENT).all()
    assert all((getattr(pair, name)[:first] == 0).all() for name in FIELDS)
    for row in np.flatnonzero(state == SYNTHETIC):
        assert {int(getattr(pair, name)[row]) for name in FIELDS[:4]} == {int(pair.close[row - 1])}
        assert pair.volume[row] == 0
    assert (pair.low <= np.minimum(pair.open, pair.close)).all()
    assert (pair.high >= np.maximum(pair.open, pair.close)).all()
    assert (pair.low[state == REAL] > 0).all()
    assert (pair.volume >= 0).all()


@given(seed=st.integers(0, 10**6), row=st.integers(0, 188), future=st.sampled_from(list(FUTURES)))
def test_another_future_shares_the_past_and_keeps_the_rules_of_the_grid(seed, row, future):
    market = random_market(190, seed % 50, n_pairs=3, gaps=0.1)
    other = another(market, row, future, seed, row + 1 + seed % 4)
    assert other.n_rows == min(row + 1 + TAIL, 190)
    for before, after in zip(market.pairs, other.pairs, strict=True):
        for name in (*FIELDS, "state"):
            np.testing.assert_array_equal(getattr(before, name)[: row + 1], getattr(after, name)[: row + 1])
        lies_on_the_grid(after)


@pytest.mark.parametrize("future", FUTURES)
def test_another_future_is_another_one(future):
    market = random_market(190, 3)
    other = another(market, 60, future, 0)
    pair, changed = market.pairs[0], other.pairs[0]
    differs = [name for name in FIELDS if (getattr(pair, name)[61:100] != getattr(changed, name)[61:100]).any()]
    assert differs == (
        ["volume"] if future == "other volumes" else list(FIELDS) if future != "other prices" else list(FIELDS[:4])
    )


def test_finer_bars_share_the_fate_of_theirs():
    words = [
        "pairs=[BTC/USD]",
        "timeframe=4h",
        "exchange.fill.path=detail",
        "exchange.fill.detail=1h",
        "end=2021-02-01",
    ]
    market = window(load(build(compose(words))), 100)
    assert len(market.detail.pairs[0].close) == 400
    assert ends_at(market, 9).detail.pairs[0].close.shape == (40,)
    for future in FUTURES:
        other = another(market, 50, future, 1)
        fine, coarse = other.detail.pairs[0], other.pairs[0]
        lies_on_the_grid(fine)
        real = coarse.state == REAL
        np.testing.assert_array_equal(fine.high.reshape(-1, 4).max(axis=1)[real], coarse.high[real])
        np.testing.assert_array_equal(fine.close[3::4][real], coarse.close[real])


def test_a_window_begins_as_data_does():
    market = random_market(190, 5, n_pairs=3, gaps=0.3)
    for rows in (1, 40, 133, 500):
        cut = window(market, rows)
        assert (cut.n_rows, cut.first_row) == (min(rows, 190), 0)
        for pair in cut.pairs:
            lies_on_the_grid(pair)


def test_volumes_at_the_end_of_the_range_stay_in_it():
    market = random_market(60, 5, n_pairs=1)
    market.pairs[0].volume[:] = INT64_MAX
    assert (another(market, 5, "other volumes", 0).pairs[0].volume > 0).all()


# processes of their own

KEPT: list[int] = []


def test_what_a_process_leaves_behind_stays_there():
    def remember():
        KEPT.append(1)
        return len(KEPT)

    told = []
    assert each_fresh([remember] * 5, told.append) == [1] * 5
    assert told == [1, 2, 3, 4, 5]
    assert KEPT == []


def test_what_a_process_raises_comes_back():
    def wrong():
        raise UserError("no such thing")

    def broken():
        return {}["missing"]

    with pytest.raises(UserError, match="no such thing"):
        each_fresh([wrong])
    with pytest.raises(RuntimeError, match=r"KeyError: 'missing' \(test_futures.py, line \d+\)"):
        each_fresh([broken])


def test_a_process_that_is_killed_is_told():
    import os

    with pytest.raises(RuntimeError, match="was killed"):
        Fresh(lambda: os._exit(9)).result()

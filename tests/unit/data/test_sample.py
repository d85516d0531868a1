"""The sample market."""

import time

import numpy as np
import pytest

from kraken_flow.analysis.data_summary import COLUMNS, data_summary
from kraken_flow.core.errors import UserError
from kraken_flow.data.sample import Sample
from kraken_flow.data.synthetic import COINS, exponential, normals

GOLDEN = {
    "ADA/USD": "a5914b3c7f52bfc6",
    "BTC/USD": "c7c3e60380127b86",
    "DOGE/USD": "1c52f44c49edccb3",
    "ETH/USD": "4b7e4c983094bac5",
    "LINK/USD": "2815a5bea1934b44",
    "LTC/USD": "4dd6a49275653ab0",
    "SOL/USD": "cbc5b53ece6cbc6a",
    "XRP/USD": "9f5a81a0f595fc7b",
}


def test_its_bytes_are_the_same_on_every_machine() -> None:
    market = Sample().load(tuple(COINS), "15m", None, None, 0)
    assert {str(record["pair"]): str(record["sha256"])[:16] for record in market.files} == GOLDEN


def test_it_says_what_it_is_and_is_consistent() -> None:
    market = Sample().load(tuple(reversed(COINS)), "1h", None, None, 0)
    assert market.synthetic_sample
    assert market.names == tuple(sorted(COINS))
    assert market.n_rows == 730 * 24
    assert any("synthetic sample market, seed 7" in note for note in market.notes)
    for pair in market.pairs:
        assert pair.all_real
        assert (pair.low > 0).all()
        assert (pair.low <= np.minimum(pair.open, pair.close)).all()
        assert (pair.high >= np.maximum(pair.open, pair.close)).all()
        assert (pair.volume > 0).all()
        tick = 10 ** (8 - COINS[pair.pair].decimals)
        for column in (pair.open, pair.high, pair.low, pair.close):
            assert not (column % tick).any()


def test_it_is_made_in_under_two_seconds() -> None:
    begin = time.process_time()
    Sample(seed=99).load(tuple(COINS), "1h", None, None, 0)
    assert time.process_time() - begin < 2


def test_a_pair_does_not_depend_on_the_others_nor_two_seeds_on_each_other() -> None:
    alone = Sample().load(("ETH/USD",), "1h", None, None, 0).pairs[0]
    among = Sample().load(tuple(COINS), "1h", None, None, 0).pairs[3]
    assert np.array_equal(alone.close, among.close)
    other = Sample(seed=8).load(("ETH/USD",), "1h", None, None, 0).pairs[0]
    moves = [np.diff(np.log(p.floats("close"))) for p in (alone, other)]
    assert abs(np.corrcoef(moves)[0, 1]) < 0.05


def test_it_has_the_documented_statistics() -> None:
    market = Sample().load(tuple(COINS), "1h", None, None, 0)
    moves = np.array([np.diff(np.log(pair.floats("close"))) for pair in market.pairs])
    correlation = np.corrcoef(moves)[np.triu_indices(8, 1)]
    assert 0.3 < correlation.min() < correlation.max() < 0.85
    volatility = moves.std(axis=1) * np.sqrt(365 * 24)
    assert (volatility > 0.6).all()
    assert (volatility < 1.8).all()
    size = np.abs(moves[1])
    assert np.corrcoef(size[:-1], size[1:])[0, 1] > 0.1
    assert abs(np.corrcoef(moves[1][:-1], moves[1][1:])[0, 1]) < 0.05
    hours = market.pairs[1].floats("volume").reshape(-1, 24).mean(axis=0)
    assert hours[14] > 2 * hours[4]


def test_its_random_numbers_and_exponential_are_sound() -> None:
    draws = normals(7, "test", 200_000)
    assert abs(draws.mean()) < 0.01
    assert abs(draws.var() - 1) < 0.01
    x = np.linspace(-30, 30, 10_001)
    assert np.abs(exponential(x) / np.exp(x) - 1).max() < 2**-50


def test_detail_and_finer_timeframes() -> None:
    market = Sample().load(("BTC/USD",), "4h", None, None, 0, "1h")
    assert market.detail is not None
    assert market.detail.per_bar == 4
    assert market.detail.pairs[0].close[3] == market.pairs[0].close[0]
    with pytest.raises(UserError, match=r"timeframe=5m: the sample market is made of 15m bars; use a multiple of that"):
        Sample().load(("BTC/USD",), "5m", None, None, 0)


def test_an_unknown_pair_names_what_there_is() -> None:
    with pytest.raises(
        UserError, match=r"the sample market has no BTC/EUR; it has ADA/USD, .*nearest: BTC/USD.*data=files"
    ):
        Sample().load(("BTC/EUR",), "1h", None, None, 0)


def test_the_data_summary_has_a_row_per_pair() -> None:
    market = Sample().load(("BTC/USD", "ETH/USD"), "1h", 1640995200 * 10**9, None, 10)
    rows = data_summary(market)
    assert [row["pair"] for row in rows] == ["BTC/USD", "ETH/USD"]
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["first"] == "2022-01-01T00:00:00Z"
    assert rows[0]["bars"] == 365 * 24
    assert rows[0]["file"] == "sample:seed=7"


def test_an_inverse_perpetual_trades_the_same_value_in_contracts_of_a_dollar() -> None:
    """Only orders that are counted in dollars meet a volume counted in dollars."""
    market = Sample().load(("BTC/USD:BTC", "BTC/USD:USD"), "15m", None, None, 0)
    inverse, linear = market.pairs
    assert np.array_equal(inverse.close, linear.close)
    turnover = linear.floats("volume") * linear.floats("close")
    assert inverse.floats("volume") == pytest.approx(turnover, rel=1e-12)
    assert linear.volume.tolist() == Sample().load(("BTC/USD",), "15m", None, None, 0).pairs[0].volume.tolist()


def test_a_pair_like_none_of_the_sample_market_has_no_nearest() -> None:
    with pytest.raises(UserError, match="has no FOO/USD; it has ADA/USD") as told:
        Sample().load(("FOO/USD",), "1h", None, None, 0)
    assert "nearest" not in str(told.value)

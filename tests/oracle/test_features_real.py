"""Real candles with their gaps: both engines give the same forecasts, and the declared look-back is enough."""

import numpy as np
import pytest

from kraken_flow.core.signal import compute, required_lookback
from kraken_flow.core.times import parse_time
from kraken_flow.data.files import Files
from kraken_flow.features import Htf, Rsi
from strategies.combined import Combined
from tests.signal_cases import ENGINES, graph, same


@pytest.fixture(scope="module")
def candles(shared):
    source = Files(path=str(shared / "data" / "ohlcv" / "binance_spot_1h"))
    pairs = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    return source.load(pairs, "1h", parse_time("2021-01-01"), parse_time("2021-06-01"), 500)


def test_both_engines_forecast_the_same_on_real_candles(candles):
    system = graph(Combined(), rsi=Htf("4h", Rsi(14)))
    reference = compute(system, candles, "python")
    assert not all(pair.all_real for pair in candles.pairs)
    assert len(np.unique(reference.forecast)) >= 4
    for engine in ENGINES:
        signals = compute(system, candles, engine)
        assert same(signals.forecast, reference.forecast)
        assert same(signals.columns(Htf("4h", Rsi(14))), reference.columns(Htf("4h", Rsi(14))))


def test_the_declared_look_back_loads_what_the_first_decision_needs(candles, shared):
    system = graph(Combined(), rsi=Htf("4h", Rsi(14)))
    lookback = required_lookback(system)
    source = Files(path=str(shared / "data" / "ohlcv" / "binance_spot_1h"))
    exact = source.load(("BTC/USDT",), "1h", parse_time("2021-03-01"), parse_time("2021-03-03"), lookback)
    assert exact.first_row >= lookback
    columns = compute(system, exact, "auto").columns(Htf("4h", Rsi(14)))
    assert not np.isnan(columns[..., exact.first_row :]).any()

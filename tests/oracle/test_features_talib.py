"""The features against TA-Lib and numpy on real candles."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import talib

from kraken_flow.features import Atr, Bollinger, Donchian, Ema, LogReturnStd, Rma, Roc, RollingStd, Rsi, Sma, ZScore
from tests.signal_cases import ENGINES, values

FILES = ("binance_spot_1h/btcusdt.parquet", "binance_spot_1h/dogeusdt.parquet", "kraken_xbtusd_1h.parquet")
ROWS = {"python": 8_000, "rust": 50_000}


@pytest.fixture(params=FILES, scope="module")
def candles(request, shared):
    table = pq.read_table(shared / "data" / "ohlcv" / request.param)
    return {name: table[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close", "volume")}


@pytest.mark.parametrize("engine", ENGINES)
def test_indicators_equal_talib_on_real_candles(candles, engine):
    bars = {name: column[: ROWS[engine]] for name, column in candles.items()}
    high, low, close = bars["high"], bars["low"], bars["close"]
    pairs = [
        (Sma("close", 30), [talib.SMA(close, 30)]),
        (Ema("close", 50), [talib.EMA(close, 50)]),
        (Rsi(14), [talib.RSI(close, 14)]),
        (Atr(14), [talib.ATR(high, low, close, 14)]),
        (Roc("close", 10), [talib.ROC(close, 10)]),
        (Bollinger("close", 20), talib.BBANDS(close, 20, 2.0, 2.0)),
    ]
    for feature, theirs in pairs:
        for ours, reference in zip(values(feature, bars, engine), theirs, strict=True):
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(reference), err_msg=str(feature))
            np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-12, err_msg=str(feature))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_previous_channel_equals_talibs_extremes_one_bar_later(candles, engine):
    bars = {name: column[: ROWS[engine]] for name, column in candles.items()}
    upper, lower = values(Donchian(20), bars, engine)
    np.testing.assert_array_equal(upper[20:], talib.MAX(bars["high"], 20)[19:-1])
    np.testing.assert_array_equal(lower[20:], talib.MIN(bars["low"], 20)[19:-1])


@pytest.mark.parametrize("engine", ENGINES)
def test_spreads_equal_numpys_two_passes_on_real_candles(candles, engine):
    close = candles["close"][: ROWS[engine]]
    bars = {"close": close}
    windows = np.lib.stride_tricks.sliding_window_view(close, 60)
    mean = windows.mean(axis=1)
    for ddof in (0, 1):
        exact = windows.std(axis=1, ddof=ddof)
        np.testing.assert_allclose(values(RollingStd("close", 60, ddof), bars, engine)[0][59:], exact, rtol=1e-9)
    z = (close[59:] - mean) / windows.std(axis=1, ddof=1)
    np.testing.assert_allclose(values(ZScore("close", 60), bars, engine)[0][59:], z, rtol=1e-9, atol=1e-9)
    returns = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(close)), 60)
    exact = returns.std(axis=1, ddof=1)
    np.testing.assert_allclose(values(LogReturnStd(60), bars, engine)[0][60:], exact, rtol=1e-9)


def test_wilders_average_is_the_filter_inside_talibs_atr(candles):
    bars = {name: column[:500] for name, column in candles.items()}
    ranges = talib.TRANGE(bars["high"], bars["low"], bars["close"])[1:]
    ours = values(Rma("close", 14), {"close": ranges})[0]
    np.testing.assert_allclose(ours[13:], talib.ATR(bars["high"], bars["low"], bars["close"], 14)[14:], rtol=1e-9)

"""The features against the spec's worked numbers on its integer fixture F120."""

import numpy as np
import pytest

from kraken_flow.features import (
    Atr,
    Bollinger,
    Donchian,
    Ema,
    LogReturnStd,
    Returns,
    Rma,
    Roc,
    RollingStd,
    Rsi,
    Sma,
    VolumeZ,
    ZScore,
)
from tests.signal_cases import ENGINES, lcg_bars, values

F120 = lcg_bars(42, 120)
GOLDENS = [
    (Sma("close", 20), 0, 19, 85.5175),
    (Ema("close", 20), 0, 19, 85.640716),
    (Rma("close", 14), 0, 13, 86.217623),
    (Bollinger("close", 20, 2.0), 0, 19, 87.739993),
    (Bollinger("close", 20, 2.0), 2, 19, 83.295007),
    (Donchian(20), 0, 20, 89.01),
    (Donchian(20), 1, 20, 84.09),
    (Rsi(14), 0, 14, 29.799896),
    (Roc("close", 10), 0, 10, -1.1030275),
    (ZScore("close", 20), 0, 19, -1.085417),
    (VolumeZ(20), 0, 19, -0.15784478),
    (Atr(14), 0, 14, 0.79263663),
    (LogReturnStd(20), 0, 20, 0.0052577899),
    (RollingStd(Returns("close"), 20), 0, 20, 0.0052577899),
    (Returns("close", 1), 0, 1, -0.0031984864),
    (Returns("close", 5), 0, 5, -0.0066225408),
    (Returns("close", 24), 0, 24, -0.045802452),
]


def test_the_fixture_is_the_specs():
    assert [F120[name][0] for name in F120] == [100.05, 100.40, 99.53, 99.77, 90.28]
    assert [F120[name][1] for name in F120] == [99.78, 100.09, 99.39, 99.70, 45.92]
    assert [F120[name][119] for name in F120] == [84.52, 84.62, 84.12, 84.28, 60.75]
    sums = [1111700, 1115858, 1105686, 1110134, 772988]
    assert [round(float(F120[name].sum()) * 100) for name in F120] == sums
    b120 = [1112697, 1117226, 1107472, 1112030, 730628]
    assert [round(float(column.sum()) * 100) for column in lcg_bars(43, 120).values()] == b120
    f240 = [2137713, 2146585, 2127337, 2136350, 1545095]
    assert [round(float(column.sum()) * 100) for column in lcg_bars(42, 240).values()] == f240


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("feature", "output", "first_valid", "golden"), GOLDENS, ids=lambda x: str(x)[:40])
def test_a_feature_has_its_golden_value_and_first_valid_row(feature, output, first_valid, golden, engine):
    column = values(feature, F120, engine)[output]
    assert column[119] == pytest.approx(golden, rel=1e-7)
    assert np.isnan(column[:first_valid]).all()
    assert not np.isnan(column[first_valid:]).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_averages_of_one_to_six(engine):
    close = {"close": np.arange(1.0, 7.0)}
    assert values(Ema("close", 3), close, engine)[0][2:] == pytest.approx([2, 3, 4, 5])
    assert values(Rma("close", 3), close, engine)[0][2:] == pytest.approx([2, 2.6666667, 3.4444444, 4.2962963])
    assert values(Sma("close", 3), close, engine)[0][2:] == pytest.approx([2, 3, 4, 5])


@pytest.mark.parametrize("engine", ENGINES)
def test_wilders_own_rsi_example(engine):
    text = "44.34 44.09 44.15 43.61 44.33 44.83 45.10 45.42 45.84 46.08 45.89 46.03 45.61 46.28 46.28 46.00 46.03"
    rsi = values(Rsi(14), {"close": np.array(text.split(), float)}, engine)[0]
    assert rsi[14:] == pytest.approx([70.464135, 66.249619, 66.480942], rel=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_declared_warm_up_forgets_the_start(engine):
    f240 = lcg_bars(42, 240)
    late = {name: column[60:] for name, column in f240.items()}
    difference = np.abs(values(Rsi(14), f240, engine)[0][60:] - values(Rsi(14), late, engine)[0])
    assert difference[14] == pytest.approx(16.197, abs=5e-4)
    assert difference[14 + 45] == pytest.approx(0.566, abs=5e-4)
    assert difference[Rsi(14).lookback] < 100 * 1e-4
    ema = Ema("close", 20)
    difference = np.abs(values(ema, f240, engine)[0][60:] - values(ema, late, engine)[0])
    assert difference[19] == pytest.approx(0.2924, abs=5e-5)
    assert difference[19 + 40] == pytest.approx(0.00534, abs=5e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flat_market_has_neutral_values(engine):
    flat = dict.fromkeys(("open", "high", "low", "close", "volume"), np.full(40, 10.1))
    neutral = {Rsi(14): 50.0, ZScore("close", 20): 0.0, Roc("close", 10): 0.0, Atr(14): 0.0, VolumeZ(20): 0.0}
    for feature, value in neutral.items():
        assert values(feature, flat, engine)[0][-1] == value
    upper, middle, lower = values(Bollinger("close", 20), flat, engine)
    assert upper[-1] == middle[-1] == lower[-1] == pytest.approx(10.1)
    assert values(RollingStd("close", 20), flat, engine)[0][-1] == 0.0
    assert values(LogReturnStd(20), flat, engine)[0][-1] == 0.0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_spread_keeps_its_digits_at_a_large_offset(engine):
    rng = np.random.default_rng(3)
    small = rng.normal(size=5000)
    for offset in (1e6, 1e8):
        close = small + offset
        windows = np.lib.stride_tricks.sliding_window_view(close, 20)
        exact = np.sqrt((windows - offset).astype(np.longdouble).var(axis=1, ddof=1)).astype(float)
        assert values(RollingStd("close", 20), {"close": close}, engine)[0][19:] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_spread_recovers_at_once_from_a_crash_to_a_standstill(engine):
    close = np.concatenate((np.linspace(60_000, 0.01, 50), np.full(30, 0.01)))
    assert values(RollingStd("close", 20), {"close": close}, engine)[0][-1] == 0.0
    assert values(ZScore("close", 20), {"close": close}, engine)[0][-1] == 0.0

"""One meaning, four faces: Python and Rust, a batch and a stream, equal to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kraken_flow.features as shipped
from kraken_flow.core.feature import CrossSection, Derived, Feature, HigherTimeframe, WindowFeature
from kraken_flow.core.frame import run_steps
from kraken_flow.core.node import node
from kraken_flow.core.signal import compute
from kraken_flow.core.signal_stream import SignalStream
from kraken_flow.core.units import UNIT, to_floats
from kraken_flow.features import Bollinger, Cross, LogReturnStd, Returns, RollingStd, Sma, VolumeZ, ZScore
from kraken_flow.features.average import SmaState
from kraken_flow.native import native
from strategies.combined import Combined
from strategies.donchian_breakout import DonchianBreakout
from strategies.hold import Hold
from strategies.mean_reversion import MeanReversion
from strategies.momentum import Momentum
from strategies.sma_cross import SmaCross
from tests.signal_cases import ENGINES, FEATURES, bars_of, graph, random_market, reads, same

KERNELS = [f for f in FEATURES if f.kernel is not None]
STRATEGIES = [
    SmaCross(3, 8),
    SmaCross(3, 8, side="both"),
    MeanReversion(10, 1.0, 0.2),
    Momentum(5, 1.0),
    Momentum(5, ranked=True),
    DonchianBreakout(8, 4),
    DonchianBreakout(8, 4, side="both"),
    Hold(),
    Combined(),
    Combined(members={"a": SmaCross(2, 5), "b": Momentum(3, 0.5)}, weights={"a": 3.0}),
]
needs_rust = pytest.mark.skipif(native is None, reason="the Rust extension is not built")


def test_every_shipped_feature_has_an_example_here():
    found = {type(feature).__name__ for feature in FEATURES}
    assert set(shipped.__all__) <= found


def test_every_shipped_feature_that_steps_has_a_rust_twin():
    for feature in FEATURES:
        if not isinstance(feature, CrossSection | Derived | HigherTimeframe | WindowFeature):
            assert feature.kernel is not None


@st.composite
def columns(draw):
    """Columns of a hostile market: jumps over many orders of magnitude, standstills, NaN where allowed."""
    n_rows = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-6, 9))
    jumps = np.exp(rng.normal(size=(n_rows, 3)) * draw(st.sampled_from([0.0, 0.01, 3.0])))
    table = scale * np.round(jumps, draw(st.integers(0, 6)))
    table[rng.random(n_rows) < draw(st.sampled_from([0.0, 0.5]))] = scale
    for row in range(1, n_rows):
        if rng.random() < 0.2:
            table[row] = table[row - 1]
    nans = rng.random((n_rows, 3)) < draw(st.sampled_from([0.0, 0.05]))
    resets = np.flatnonzero(rng.random(n_rows) < draw(st.sampled_from([0.0, 0.05]))).astype(np.int64)
    return np.where(nans, np.nan, table).T.copy(), resets


@needs_rust
@pytest.mark.parametrize("feature", KERNELS, ids=str)
@given(drawn=columns())
def test_python_and_rust_agree_to_the_bit(feature: Feature, drawn):
    table, resets = drawn
    inputs = list(table[: len(feature.inputs())])
    reference = run_steps(feature, inputs, resets)
    out = np.empty((len(feature.names), table.shape[1]))
    native.run_feature(feature.kernel, feature.parameters(), inputs, resets, out, False)
    assert same(np.array(reference), out)


@needs_rust
@pytest.mark.parametrize("feature", KERNELS, ids=str)
@given(drawn=columns())
def test_rust_batch_and_rust_stream_agree_to_the_bit(feature: Feature, drawn):
    table, resets = drawn
    inputs = table[: len(feature.inputs())]
    out = np.empty((len(feature.names), table.shape[1]))
    native.run_feature(feature.kernel, feature.parameters(), list(inputs), resets, out, False)
    stream = native.FeatureStream(feature.kernel, feature.parameters())
    rows = []
    for i in range(table.shape[1]):
        if i in resets:
            stream.reset()
        result = stream.update(*inputs[:, i].tolist())
        rows.append(result if isinstance(result, tuple) else (result,))
    assert same(np.array(rows).T, out)


@needs_rust
@pytest.mark.parametrize("feature", KERNELS, ids=str)
@given(drawn=columns())
def test_integer_columns_give_the_bits_of_their_floats(feature: Feature, drawn):
    table = np.nan_to_num(drawn[0][: len(feature.inputs())])
    units = np.clip(np.rint(table * UNIT), -9e18, 9e18).astype(np.int64)
    fresh, rows = np.zeros(0, np.int64), (len(feature.names), units.shape[1])
    ours, theirs = np.empty(rows), np.empty(rows)
    native.run_feature_units(feature.kernel, feature.parameters(), list(units), ours)
    native.run_feature(feature.kernel, feature.parameters(), [to_floats(x) for x in units], fresh, theirs, False)
    assert same(ours, theirs)


@needs_rust
@pytest.mark.parametrize("windows", [(1, 2), (10, 30), (30, 10), (5, 5), (33, 64)])
def test_the_fused_crossing_is_the_crossing_of_the_averages(windows):
    rng = np.random.default_rng(1)
    for step in (0, 1, 50):
        close = 1000 + np.cumsum(rng.integers(-step, step + 1, 3000)) / 10
        fused = Cross(Sma("close", windows[0]), Sma("close", windows[1])).fused()
        out = np.empty((1, len(close)))
        native.run_feature(fused[0], fused[1], [close], np.array([0, 1500]), out, True)
        averages = [run_steps(Sma("close", w), [close], np.array([1500]))[0] for w in windows]
        (crossing,) = run_steps(Cross("close", "close"), averages, np.array([1500]))
        assert same(out[0], crossing)


@needs_rust
@pytest.mark.parametrize("window", [2, 3, 20, 700])
def test_long_series_agree_across_many_recomputations_of_the_moments(window):
    rng = np.random.default_rng(window)
    close = np.exp(np.cumsum(rng.normal(size=8_000)) * 0.02) * 100
    for feature in (RollingStd("close", window), ZScore("close", window), Bollinger("close", window)):
        reference = run_steps(feature, [close], np.zeros(0, np.int64))
        out = np.empty((len(feature.names), len(close)))
        native.run_feature(feature.kernel, feature.parameters(), [close], np.zeros(0, np.int64), out, True)
        assert same(np.array(reference), out)


@needs_rust
def test_logarithms_are_the_same_in_both_languages():
    x = np.exp(np.random.default_rng(5).normal(size=200_000) * 20)
    for feature in (Returns("close"), VolumeZ(20), LogReturnStd(20)):
        reference = run_steps(feature, [x], np.zeros(0, np.int64))
        out = np.empty((1, len(x)))
        native.run_feature(feature.kernel, feature.parameters(), [x], np.zeros(0, np.int64), out, True)
        assert same(reference[0], out[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("gaps", "flat", "seed"), [(0.0, 0.0, 1), (0.15, 0.0, 2), (0.3, 0.7, 3), (0.6, 0.0, 4)])
def test_a_batch_and_a_stream_give_the_same_columns_and_forecasts(engine, gaps, flat, seed):
    market = random_market(260, seed, n_pairs=3, gaps=gaps, flat=flat)
    declared = reads(*FEATURES)
    signals = compute(declared, market, engine)
    stream = SignalStream(declared, market.names, market.timeframe_ns, max_gap=market.max_gap, engine=engine)
    rows = {feature: [] for feature in FEATURES}
    for row in range(market.n_rows):
        stream.update(int(market.times[row]), bars_of(market, row))
        for feature in FEATURES:
            rows[feature].append(stream.columns(feature))
    for feature in FEATURES:
        assert same(np.moveaxis(np.array(rows[feature]), 0, -1), signals.columns(feature)), feature


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: f"{type(s).__name__}")
@pytest.mark.parametrize(("gaps", "seed", "first_row"), [(0.0, 5, 0), (0.25, 6, 0), (0.0, 7, 90), (0.25, 8, 90)])
def test_forecasts_are_equal_in_all_faces(strategy, gaps, seed, first_row):
    market = replace(random_market(300, seed, n_pairs=3, gaps=gaps), first_row=first_row)
    reference = compute(graph(strategy), market, "python")
    assert (np.abs(reference.forecast) > 0).any()
    for engine in ENGINES:
        assert same(compute(graph(strategy), market, engine).forecast, reference.forecast)
        assert np.array_equal(compute(graph(strategy), market, engine).forecast_fix, reference.forecast_fix)
        stream = SignalStream(
            graph(strategy), market.names, market.timeframe_ns, int(market.times[first_row]), market.max_gap, engine
        )
        held = [stream.update(int(market.times[row]), bars_of(market, row)) for row in range(market.n_rows)]
        assert same(np.array(held).T, reference.forecast)


class Mirrored(SmaState):
    """The mean with its sign turned."""

    def update(self, x: float) -> float:
        return -super().update(x)


@node
class OwnState(Sma):
    """A user's change of a shipped feature, which knows nothing of twins."""

    def state(self) -> Mirrored:
        return Mirrored(self.window)


@needs_rust
@pytest.mark.parametrize("feature", [OwnState("close", 3), Cross(OwnState("close", 3), OwnState("close", 9))], ids=str)
def test_a_subclass_with_a_state_of_its_own_is_not_computed_by_its_parent_s_twin(feature):
    market = random_market(100, 3)
    ours, theirs = (compute(reads(feature), market, engine).columns(feature) for engine in ("python", "rust"))
    assert same(ours, theirs)
    if isinstance(feature, Sma):
        assert same(theirs, -compute(reads(Sma("close", 3)), market, "rust").columns(Sma("close", 3)))

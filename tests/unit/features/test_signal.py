"""How features meet the grid, and how forecasts are held."""

from typing import Any

import numpy as np
import pytest

from kraken_flow.core import Feature, Source, Strategy, UserError, Window, WindowFeature, nan, node, where
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.signal import compute, required_lookback
from kraken_flow.core.units import FloatArray
from kraken_flow.features import Bollinger, Cross, Ema, Htf, Rank, Returns, Roc, Rsi, Sma
from strategies.sma_cross import SmaCross
from tests.hand_made import HOUR, T0
from tests.signal_cases import ENGINES, graph, reads

NAN = float("nan")


def market(*closes: list[float | None], max_gap: int = 2, step_ns: int = HOUR) -> Market:
    """Pairs by their closes: None is a missing bar, and leading ones are before the pair's first bar."""
    pairs = []
    for k, values in enumerate(closes):
        close, state, last = [], [], None
        for value in values:
            state.append(REAL if value is not None else ABSENT if last is None else SYNTHETIC)
            last = value if value is not None else last
            close.append(round((last or 0) * 10**8))
        column = np.array(close, np.int64)
        volume = np.where(np.array(state) == REAL, 10**8, 0)
        pairs.append(PairColumns(f"{chr(65 + k)}/USD", *[column] * 4, volume, np.array(state, np.uint8)))
    return Market(step_ns, T0 + np.arange(len(closes[0])) * step_ns, tuple(pairs), max_gap=max_gap)


def columns(feature: Source, of: Market, engine: str) -> FloatArray:
    """A single-output feature's columns, one row per pair."""
    return compute(reads(feature), of, engine).columns(feature)[0]


def near(expected: list[Any]) -> Any:
    """What is near these numbers, NaN where they are."""
    return pytest.approx(np.array(expected, float), nan_ok=True)


@node
class Says(Strategy):
    """Forecasts the close itself, 99 meaning nothing to say."""

    def features(self) -> dict[str, Source]:
        return {"close": "close"}

    def forecast(self, f: Any) -> Any:
        return where(f.close == 99, nan, f.close)


@pytest.mark.parametrize("engine", ENGINES)
class TestGrid:
    def test_a_missing_bar_carries_the_last_output_and_is_not_seen(self, engine):
        of = market([1, 2, None, 3, 4], max_gap=2)
        assert columns(Sma("close", 2), of, engine) == near([[NAN, 1.5, 1.5, 2.5, 3.5]])

    def test_after_max_gap_missing_bars_outputs_are_nan_and_states_start_afresh(self, engine):
        of = market([1, 2, None, None, None, 5, 6], max_gap=2)
        assert columns(Sma("close", 2), of, engine) == near([[NAN, 1.5, 1.5, 1.5, NAN, NAN, 5.5]])
        within = market([1, 2, None, None, 5, 6], max_gap=2)
        assert columns(Sma("close", 2), within, engine) == near([[NAN, 1.5, 1.5, 1.5, 3.5, 5.5]])

    def test_before_a_pairs_first_bar_there_is_nothing(self, engine):
        of = market([None, None, 3, 4], [1, 2, 3, 4])
        assert columns("close", of, engine) == near([[NAN, NAN, 3, 4], [1, 2, 3, 4]])

    def test_a_rank_leaves_missing_bars_out(self, engine):
        of = market([1, 2, None, 4], [2, 1, 5, 4], [3, 3, 1, 9])
        expected = [[0, 0.5, NAN, 0.25], [0.5, 0, 1, 0.25], [1, 1, 0, 1]]
        assert columns(Rank(Level()), of, engine) == near(expected)
        assert columns(Rank(Level(), centred=True), of, engine)[2] == pytest.approx([1, 1, -1, 1])

    def test_a_lone_pair_has_no_rank(self, engine):
        assert columns(Rank(Level()), market([1, 2]), engine) == near([[NAN, NAN]])


@node
class Level(WindowFeature):
    """The close itself."""

    source: Source = "close"
    length: Window = 1

    def window(self, *windows: Any) -> Any:
        return windows[0][..., -1]


@pytest.mark.parametrize("engine", ENGINES)
class TestHigherTimeframe:
    def test_a_decision_reads_the_last_complete_higher_bar(self, engine):
        minutes = 60 * 10**9
        of = market([float(i) for i in range(1, 13)], step_ns=15 * minutes)
        assert columns(Htf("1h", Level()), of, engine) == near([[NAN, NAN, NAN, 4, 4, 4, 4, 8, 8, 8, 8, 12]])

    def test_a_higher_bar_whose_last_bars_are_missing_is_complete_all_the_same(self, engine):
        of = market([1, 2, 3, None, None, 6, 7, 8], step_ns=15 * 60 * 10**9)
        values = columns(Htf("1h", Level()), of, engine)[0]
        assert values[5:] == pytest.approx([3, 3, 8])

    def test_a_first_bar_that_begins_late_is_left_out(self, engine):
        of = market([None, 2, 3, 4, 5, 6, 7, 8, 9], step_ns=15 * 60 * 10**9)
        values = columns(Htf("1h", Level()), of, engine)[0]
        assert values == near([NAN] * 7 + [8, 8])

    def test_a_timeframe_below_the_decision_bar_is_refused(self, engine):
        with pytest.raises(UserError, match="multiple of the decision bar"):
            columns(Htf("15m", Level()), market([1.0, 2.0]), engine)

    def test_pairs_are_not_compared_inside_it(self, engine):
        with pytest.raises(UserError, match="swap the two"):
            columns(Htf("2h", Rank(Level())), market([1.0, 2.0], [2.0, 1.0]), engine)


@pytest.mark.parametrize("engine", ENGINES)
class TestHold:
    def test_nan_keeps_and_before_the_first_number_it_is_0(self, engine):
        of = market([99, 1, 99, -0.5 + 1, 99])
        assert compute(graph(Says()), of, engine).forecast.tolist() == [[0, 1, 1, 0.5, 0.5]]

    def test_a_missing_bar_keeps_whatever_the_strategy_says(self, engine):
        @node
        class Rows(Strategy):
            """Says 1 where the close is carried."""

            def features(self) -> dict[str, Source]:
                return {"close": "close"}

            def forecast(self, f: Any) -> Any:
                return np.where(f.close == 0.25, 0.25, 1.0)

        assert compute(graph(Rows()), market([0.25, None, 0.5]), engine).forecast.tolist() == [[0.25, 0.25, 1]]

    def test_a_forecast_outside_its_range_names_strategy_pair_and_time(self, engine):
        with pytest.raises(
            UserError, match=r"Says: forecast 1\.5 for A/USD at 2024-01-01T01:00:00Z is outside \[-1, 1\]"
        ):
            compute(graph(Says()), market([0.5, 1.5]), engine)

    def test_a_forecast_of_the_wrong_shape_is_named(self, engine):
        @node
        class Short(Says):
            """Drops a row."""

            def forecast(self, f: Any) -> Any:
                return f.close[1:]

        with pytest.raises(UserError, match=r"Short.forecast returned shape \(1,\) for 2 rows"):
            compute(graph(Short()), market([0.5, 0.5]), engine)

    def test_fixed_forecasts_are_integers_of_a_billionth(self, engine):
        signals = compute(graph(Says()), market([0.5, 1 / 3]), engine)
        assert signals.forecast_fix.tolist() == [[500_000_000, 333_333_330]]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("closes", "crossings"),
    [
        ([1, 1, 2], [NAN, NAN, 1]),
        ([1, 2, 3], [NAN, NAN, 0]),
        ([2, 1, 1, 2], [NAN, NAN, 0, 1]),
        ([2, 1, 1, 1, 0.5], [NAN, NAN, 0, 0, 0]),
        ([1, 2, 2, 3, 2.5], [NAN, NAN, 0, 0, -1]),
    ],
)
def test_equal_averages_change_nothing(engine, closes, crossings):
    of = market(closes)
    assert columns(Cross("close", Sma("close", 2)), of, engine)[0] == near(crossings)
    assert columns(Cross(Sma("close", 1), Sma("close", 2)), of, engine)[0] == near(crossings)


def test_look_backs_add_up_along_the_graph():
    lookbacks: dict[Feature, int] = {
        Sma("close", 20): 19,
        Ema("close", 12): 56,
        Ema("close", 200): 922,
        Rsi(14): 125,
        Sma(Returns("close", 3), 5): 7,
        Cross(Sma("close", 10), Sma("close", 50)): 50,
        Rank(Roc("close", 5)): 5,
    }
    assert {feature: feature.lookback for feature in lookbacks} == lookbacks
    assert required_lookback(graph(SmaCross(10, 50))) == 50
    assert required_lookback(graph(SmaCross(10, 50), slow=Ema("close", 50))) == 231


def test_the_declared_look_back_of_a_higher_timeframe_suffices_at_every_phase():
    feature = Htf("4h", Sma("close", 3))
    for phase in range(4):
        bars = feature.lookback_at(HOUR) + 1
        times = T0 + (np.arange(bars) + phase) * HOUR
        of = market([float(i) for i in range(1, bars + 1)])
        shifted = Market(HOUR, times, of.pairs)
        assert not np.isnan(compute(reads(feature), shifted, "python").columns(feature)[0, 0, -1])


def test_equal_features_are_one():
    assert len({Sma("close", 20), Sma(), Sma("close", 21), Sma("open", 20)}) == 3


def test_several_outputs_are_not_one_value():
    with pytest.raises(UserError, match="upper, middle, lower"):
        compute(reads(Sma(Bollinger("close", 3), 2)), market([1.0, 2.0, 3.0]), "python")


def test_a_window_feature_that_keeps_the_wrong_axis_is_told():
    @node
    class Wrong(Level):
        """Reduces everything."""

        length: Window = 2

        def window(self, *windows: Any) -> Any:
            return windows[0]

    with pytest.raises(UserError, match="reduce the last axis only"):
        compute(reads(Wrong()), market([1.0, 2.0, 3.0]), "python")


def test_an_unknown_engine_and_a_missing_extension_are_told(monkeypatch):
    with pytest.raises(UserError, match="auto, rust, python"):
        pick_native("go")
    monkeypatch.setattr("kraken_flow.native.native", None)
    monkeypatch.setattr("kraken_flow.native.REASON", "it is not installed")
    with pytest.raises(UserError, match="it is not installed"):
        pick_native("rust")
    assert pick_native("auto") is None

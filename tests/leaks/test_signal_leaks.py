"""No feature and no strategy reads what was not knowable yet, and the checker catches those that do."""

from typing import Any

import numpy as np
import pytest
import yaml

from kraken_flow.config.nodes import build_node
from kraken_flow.core import CrossSection, Feature, Source, Strategy, Window, WindowFeature, node
from kraken_flow.core.feature import HigherTimeframe
from kraken_flow.core.frame import Frame
from kraken_flow.core.signal import compute
from kraken_flow.core.strategy import Scripted
from tests.conftest import ROOT
from tests.leaks.checker import leaks_by_perturbation, leaks_by_prefix
from tests.signal_cases import ENGINES, FEATURES, graph, random_market, reads

ROWS = (0, 1, 5, 23, 24, 57, 58, 59, 90, 141, 188)
CHECKS = (leaks_by_prefix, leaks_by_perturbation)


def shipped_strategies() -> dict[str, Strategy]:
    """Every forecasting strategy of the configuration, with windows short enough for the test's market."""
    found = {}
    for path in sorted((ROOT / "conf" / "strategy").glob("*.yaml")):
        problems: list[str] = []
        values = {"path": "orders.csv"} if path.stem == "scripted" else {}
        built = build_node({**yaml.safe_load(path.read_text("utf-8")), **values}, "strategy", "strategy", problems)
        assert problems == []
        if not isinstance(built, Scripted):
            found[path.stem] = built
    return found


STRATEGIES = shipped_strategies()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_no_feature_reads_ahead(feature: Feature, engine, check):
    market = random_market(190, 7, n_pairs=3, gaps=0.15)

    def answer(part):
        return compute(reads(feature), part, engine).columns(feature)

    assert check(answer, market, ROWS) == []


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_reads_ahead(name, check):
    market = random_market(190, 8, n_pairs=3, gaps=0.05)

    def answer(part):
        return compute(graph(STRATEGIES[name]), part, "auto").forecast

    assert (answer(market) != 0).any()
    assert check(answer, market, ROWS) == []


@node
class Peek(WindowFeature):
    """Planted: tomorrow's close, which batch columns make easy to read."""

    source: Source = "close"
    length: Window = 1

    def window(self, *windows: Any) -> Any:
        column = windows[0][..., -1]
        return np.append(column[1:], column[-1:])


@node
class WholeSample(WindowFeature):
    """Planted: a z-score by the mean of the whole series."""

    source: Source = "close"
    length: Window = 1

    def window(self, *windows: Any) -> Any:
        column = windows[0][..., -1]
        return column - column.mean()


@node
class UnfinishedHour(HigherTimeframe):
    """Planted: the higher bar that is still being made, as a join on its open time gives it."""

    feature: Feature

    @property
    def timeframe_ns(self) -> int:
        return 4 * 3600 * 10**9

    @property
    def inner(self) -> Feature:
        return self.feature


@node
class RankOfTomorrow(CrossSection):
    """Planted: ranks of the next row."""

    source: Source = "close"

    def across(self, values: Any) -> Any:
        return np.roll(values, -1, axis=1)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("planted", [Peek(), WholeSample(), RankOfTomorrow()], ids=str)
def test_a_planted_feature_that_reads_ahead_is_caught(planted, check):
    market = random_market(190, 9)
    assert check(lambda part: compute(reads(planted), part).columns(planted), market, ROWS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_planted_join_on_open_time_is_caught(check, monkeypatch):
    from kraken_flow.features import Returns

    planted = UnfinishedHour(Returns("close"))
    market = random_market(190, 9)

    def answer(part):
        return compute(reads(planted), part, "python").columns(planted)

    assert check(answer, market, ROWS) == []
    honest = Frame._resample

    def hasty(self, length):
        above, bins = honest(self, length)
        return above, bins - 1

    monkeypatch.setattr(Frame, "_resample", hasty)
    assert check(answer, market, ROWS)


@node
class Smoothed(Strategy):
    """Planted: a strategy that smooths its forecast with rows to come."""

    def features(self) -> dict[str, Source]:
        return {"close": "close"}

    def forecast(self, f: Any) -> Any:
        later = np.append(f.close[1:], f.close[-1:])
        return np.where(later > f.close, 1.0, -1.0)


@pytest.mark.parametrize("check", CHECKS)
def test_a_planted_strategy_that_reads_ahead_is_caught(check):
    market = random_market(190, 9)
    assert check(lambda part: compute(graph(Smoothed()), part).forecast, market, ROWS)

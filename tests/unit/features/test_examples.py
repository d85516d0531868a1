"""The code in the user guide runs as it stands there."""

import re
import sys
from dataclasses import replace
from textwrap import dedent
from types import ModuleType

import numpy as np
import pytest
import talib

from kraken_flow.core import Feature, Strategy
from kraken_flow.core.signal import compute
from kraken_flow.features import Atr
from tests.conftest import ROOT
from tests.signal_cases import ENGINES, graph, lcg_bars, random_market, reads, values


def classes(page: str, base: type) -> list[type]:
    """Run the examples of a page that define nodes, and return those they define."""
    found = []
    text = (ROOT / "docs" / page).read_text("utf-8")
    for number, block in enumerate(re.findall(r"(?:^ {4}.*\n|^\n)+", text, re.M)):
        if "@node" in block:
            module = ModuleType(f"example_{page.partition('.')[0]}_{number}")
            sys.modules[module.__name__] = module
            exec(compile(dedent(block), page, "exec"), vars(module))  # noqa: S102 - our own documentation
            found += [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    return [c for c in found if issubclass(c, base)]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_features_of_the_guide_run(engine):
    market = random_market(300, 1)
    names = []
    for cls in classes("features.md", Feature):
        assert not np.isnan(compute(reads(cls()), market, engine).columns(cls())[..., -1]).any()
        names.append(cls.__name__)
    assert names == ["Range", "CrossedAbove", "Drawdown", "AtrStop", "Adx"]


def stops(closes, ranges):
    """A level that trails three ranges below the close, said by a loop over the whole column."""
    level, said = 0.0, []
    for close, width in zip(closes, ranges, strict=True):
        if np.isnan(width):
            said.append((np.nan, np.nan))
            continue
        hit = close < level
        level = close - 3 * width if hit else max(level, close - 3 * width)
        said.append((level, float(hit)))
    return np.array(said).T


@pytest.mark.parametrize("engine", ENGINES)
def test_the_features_of_the_guide_are_what_they_are_called(engine):
    _, crossed, _, stop, adx = (cls() for cls in classes("features.md", Feature))
    bars = lcg_bars(1, 400)
    close = bars["close"]
    crossed = replace(crossed, level=float(np.median(close)))
    above = close > crossed.level
    (rises,) = values(crossed, bars, engine)
    assert np.array_equal(rises[1:], ~above[:-1] & above[1:])
    assert rises[1:].any()
    (ranges,) = values(Atr(14), bars, engine)
    assert np.array_equal(values(stop, bars, engine), stops(close, ranges), equal_nan=True)
    (strength,) = values(adx, bars, engine)
    whole = talib.ADX(bars["high"], bars["low"], close, 14)
    assert np.allclose(strength[200:], whole[200:], rtol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_strategies_of_the_guide_run(engine):
    (strategy,), (stopped,) = classes("strategies.md", Strategy), classes("features.md", Strategy)
    market = random_market(300, 1)
    assert compute(graph(strategy()), market, engine).forecast.any()
    assert set(compute(graph(stopped()), market, engine).forecast.ravel()) == {0.0, 1.0}

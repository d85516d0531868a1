"""The code in the user guide runs as it stands there."""

import re
import sys
from textwrap import dedent
from types import ModuleType

import numpy as np
import pytest

from kraken_flow.core import Feature, Strategy
from kraken_flow.core.signal import compute
from tests.conftest import ROOT
from tests.signal_cases import ENGINES, graph, random_market, reads


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
    market = random_market(60, 1)
    names = []
    for cls in classes("features.md", Feature):
        assert not np.isnan(compute(reads(cls()), market, engine).columns(cls())[..., -1]).any()
        names.append(cls.__name__)
    assert names == ["Range", "Drawdown"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_strategies_of_the_guide_run(engine):
    (strategy,) = classes("strategies.md", Strategy)
    assert compute(graph(strategy()), random_market(300, 1), engine).forecast.any()

"""The test kit that users hold their strategies with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from kraken_flow.core import Forecast, Source, Strategy, UserError, node, where
from kraken_flow.features import Sma
from kraken_flow.testing import check_strategy

QUICK = ("pairs=[BTC/USD,ETH/USD]", "timeframe=4h")


@node
class Above(Strategy):
    """Hold above an average."""

    size: float = 1.0

    def features(self) -> Mapping[str, Source]:
        return {"close": "close", "average": Sma("close", 9)}

    def forecast(self, f: Any) -> Forecast:
        return where(f.close > f.average, self.size, 0.0)


@node
class Tomorrow(Above):
    """Hold where the next close is above the average."""

    def forecast(self, f: Any) -> Forecast:
        return where(np.append(f.close[1:], f.close[-1:]) > f.average, 1.0, 0.0)


@node
class Silent(Above):
    """Say nothing."""

    def forecast(self, f: Any) -> Forecast:
        return np.full(np.shape(f.close), np.nan)


def test_a_sound_strategy_passes() -> None:
    check_strategy(Above(), QUICK, rows=200)
    check_strategy("sma_cross", [*QUICK, "strategy.fast=3", "strategy.slow=9", "risk=none"], rows=200)


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        (Tomorrow(), "Tomorrow knows the future: first for"),
        (Above(size=3.0), r"forecast 3.0 for .* is outside \[-1, 1\]"),
        (Silent(), "Silent never wants a position on these bars"),
    ],
    ids=["future", "range", "silent"],
)
def test_an_unsound_one_is_told_where(strategy: Strategy, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_strategy(strategy, QUICK, rows=200)


def test_wrong_words_are_the_user_s() -> None:
    with pytest.raises(UserError, match="strategy=sma_corss: no such option"):
        check_strategy("sma_corss")
    with pytest.raises(UserError, match="must be a strategy made from a class"):
        check_strategy(Above)  # type: ignore[arg-type]  # a class is what people give by mistake

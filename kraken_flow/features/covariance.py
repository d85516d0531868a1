"""How two pairs move together."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np

from kraken_flow.core.feature import CrossSection, Feature, Source
from kraken_flow.core.node import NonNegative, node
from kraken_flow.core.pairwise import Pairwise
from kraken_flow.core.units import FloatArray
from kraken_flow.features.average import Ema, Sma
from kraken_flow.features.change import Returns
from kraken_flow.features.volatility import Sample

PERCENT_SQUARED = 1e4
"""Products of returns in squared percents, which leaves nine decimals of them enough digits on bars of a minute."""


@node
class Product(CrossSection):
    """A pair's return times that of another, in squared percents; NaN where one of them has no real bar."""

    alone: ClassVar[bool] = True

    source: Source
    """The return of a bar."""
    other: NonNegative[int] = 0
    """Number of the other pair, by name."""

    def inputs(self) -> tuple[Source, ...]:
        """Return the source."""
        return (self.source,)

    def across(self, values: FloatArray) -> FloatArray:
        """Multiply each row of float64 (n_pairs, n_rows) by the other pair's; a pair that is not there is NaN."""
        if self.other >= len(values):
            return np.full(values.shape, np.nan)
        result: FloatArray = values * values[self.other] * PERCENT_SQUARED
        return result


@node
class Covariance(Pairwise):
    """Mean of the products of two pairs' log returns over `window` bars, in squared percents per bar.

    No mean is taken off, as RiskMetrics does: over bars of hours and days it is far smaller than its own error. First
    valid at index window; a bar that one of the two lacks starts the window afresh.
    """

    names: ClassVar[tuple[str, ...]] = ("value",)
    window: Sample = 168
    """Returns in the mean."""
    weights: Literal["equal", "exponential"] = "equal"
    """equal: all alike; exponential: the newest weighs 2 / (window + 1), so that window=32 is a decay of 0.94."""
    source: Source = "close"
    """Price whose returns are taken."""
    other: NonNegative[int] = 0
    """Number of the pair to measure against, by name; nodes that ask for all pairs set it."""

    def definition(self) -> Feature:
        """Return the average of the products."""
        product = Product(Returns(self.source), self.other)
        return Sma(product, self.window) if self.weights == "equal" else Ema(product, self.window)

    def against(self, other: int) -> Self:
        """Return the same covariance against another pair."""
        return replace(self, other=other)

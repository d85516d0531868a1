"""Comparisons between pairs."""

import numpy as np

from kraken_flow.core.feature import CrossSection, Feature, Source
from kraken_flow.core.node import node
from kraken_flow.core.units import FloatArray


@node
class Rank(CrossSection):
    """Rank of a pair's feature among all pairs of the run: 0 the lowest, 1 the highest, ties share their mean rank.

    A pair takes part at a row where it has a real bar and a value; elsewhere it is NaN, and so is a lone pair.
    """

    feature: Feature
    """What to rank by."""
    centred: bool = False
    """Give -1 .. 1 instead of 0 .. 1."""

    def inputs(self) -> tuple[Source, ...]:
        """Return the feature to rank by."""
        return (self.feature,)

    def across(self, values: FloatArray) -> FloatArray:
        """Rank each row of float64 (n_pairs, n_rows); NaN takes no part."""
        others = (~np.isnan(values)).sum(axis=0) - 1
        result = np.full(values.shape, np.nan)
        for own, ranks in zip(values, result, strict=True):
            twice = 2 * (values < own).sum(axis=0) + (values == own).sum(axis=0) - 1
            np.divide(twice, 2 * others, out=ranks, where=(others > 0) & ~np.isnan(own))
        return 2.0 * result - 1.0 if self.centred else result

"""Features that measure a pair against each other pair: a column per other pair, made when they are known."""

from abc import abstractmethod
from typing import Self

from kraken_flow.core.feature import Derived


class Pairwise(Derived):
    """Base of features between two pairs; a node that declares one gets it against every pair in turn."""

    @abstractmethod
    def against(self, other: int) -> Self:
        """Return the feature that measures against pair number `other`, by name."""


def columns_against(name: str, feature: Pairwise, n_pairs: int) -> dict[str, Pairwise]:
    """Return the feature against each pair as `name_0`, `name_1`, ..."""
    return {f"{name}_{k}": feature.against(k) for k in range(n_pairs)}

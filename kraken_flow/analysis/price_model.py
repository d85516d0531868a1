"""By how much a venue's model moved the prices of takers, as numbers for statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kraken_flow.core.result import Columns
from kraken_flow.core.terms import Slippage, Terms
from kraken_flow.core.units import UNIT, FloatArray, Int64Array

IMPACT = (Slippage.SQRT_IMPACT, Slippage.VOLUME_SHARE)
"""The models in which a price moves the further, the larger the order."""


@dataclass(frozen=True)
class PriceModel:
    """How the venue moved the prices of a run's takers.

    Parameters: `model` which of the formulas; `size` half a spread in quote units, or an impact model's factor;
    `latency` the fraction that late arrival may add; `largest_share` how much of
    a bar's volume may fill; `sigma` and `mean_volume` what the square-root impact read for
    each fill, float64 of shape (n_fills,), NaN where it had no estimate.
    """

    model: Slippage = Slippage.NONE
    size: float = 0.0
    latency: float = 0.0
    largest_share: float = 1.0
    sigma: FloatArray = field(default_factory=lambda: np.zeros(0))
    mean_volume: FloatArray = field(default_factory=lambda: np.zeros(0))

    @staticmethod
    def of(terms: Terms, fills: Columns, read: Mapping[str, FloatArray]) -> "PriceModel":
        """Take the terms of a run. Parameters: `read` the columns that its impact model declared, (n_pairs, n_rows)."""
        cap = terms.participation / UNIT
        rates = (terms.slippage_size / UNIT, terms.latency_rate / UNIT, cap if 0.0 < cap < 1.0 else 1.0)
        if terms.slippage is not Slippage.SQRT_IMPACT:
            return PriceModel(terms.slippage, *rates)
        # An order that fills in a bar was sent with what was known at the close before.
        place = fills["pair"], fills["row"] - 1
        return PriceModel(terms.slippage, *rates, read["sigma"][place], read["mean_volume"][place])

    @property
    def grows(self) -> bool:
        """Whether a larger order pays a worse price."""
        return self.model in IMPACT

    def offsets(
        self, printed: FloatArray, qty: Int64Array, volume: Int64Array, before: Int64Array | int = 0
    ) -> FloatArray:
        """Return how far the model moves each fill's price, quote units, before the rounding to the tick.

        Parameters: `printed` the prices it moves; `qty` the whole order's quantity, `volume` the bar's, 10^-8;
        `before` what the order's parent had filled or working when it was sent, 10^-8.
        Formulas: Y sigma sqrt(Q / V) of the price, of a child what its parent pays more for it, over Q: the root is
        r + s^2 / (r + s) with the roots r, s of what is done after and before it, over V. k (q / v)^2 of the price,
        q / v at most 1.
        """
        if self.model is Slippage.HALF_SPREAD:
            return np.full(len(printed), self.size)
        if self.model is Slippage.SQRT_IMPACT:
            known = (self.sigma >= 0.0) & (self.mean_volume > 0.0)
            none = np.zeros(len(printed))
            after, ahead = (
                np.sqrt(np.divide(done / UNIT, self.mean_volume, out=none.copy(), where=known))
                for done in (qty + before, none + before)
            )
            root = after + np.divide(ahead**2, after + ahead, out=none, where=ahead > 0.0)
            moved: FloatArray = printed * self.size * np.where(known, self.sigma, 0.0) * root
            return moved
        if self.model is Slippage.VOLUME_SHARE:
            return printed * self.size * shares(qty, volume) ** 2
        return np.zeros(len(printed))


def shares(qty: Int64Array, volume: Int64Array) -> FloatArray:
    """Return quantities over the volumes of their bars, at most 1; 0 in a bar without volume."""
    of = np.divide(qty, volume, out=np.zeros(len(qty)), where=volume > 0)
    result: FloatArray = np.minimum(of, 1.0)
    return result

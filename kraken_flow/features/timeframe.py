"""Features on a higher timeframe."""

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Feature, HigherTimeframe
from kraken_flow.core.node import node
from kraken_flow.core.times import parse_timeframe


@node
class Htf(HigherTimeframe):
    """A feature of a higher timeframe: at each decision the value of the last higher bar that is complete.

    Higher bars are built from the pair's real bars, label = open, closed = left; days begin at 00:00 UTC, weeks on
    Monday. At the close of 10:30 the newest `1h` bar is the one of 09:00; at the close of 10:59 it is that of 10:00.
    NaN where more than `max_gap` higher bars are missing.
    """

    timeframe: str
    """Length of the higher bar, a multiple of the decision bar: 4h, 1d."""
    feature: Feature
    """What to compute there."""

    @model_validator(mode="after")
    def readable(self) -> Self:
        """Refuse a timeframe that cannot be read."""
        try:
            parse_timeframe(self.timeframe)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override] # the outputs are those of the inner feature
        """Names of the inner feature's outputs."""
        return self.feature.names

    @property
    def timeframe_ns(self) -> int:
        """Length of the higher bar."""
        return parse_timeframe(self.timeframe)

    @property
    def inner(self) -> Feature:
        """The feature to compute there."""
        return self.feature

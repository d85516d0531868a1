"""The protocol of a data source: configuration in, market columns out."""

from typing import Protocol, runtime_checkable

from kraken_flow.core.market import Market


@runtime_checkable
class Source(Protocol):
    """A node of group `data`."""

    @property
    def feed_delay_ns(self) -> int:
        """Return the time after a bar's close at which it is known, ns."""

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Read the pairs onto one grid.

        Parameters: `pairs` sorted names; `timeframe` the decision bar; `start` (inclusive) and `end` (exclusive) in ns
        UTC by bar open, None for the union of the pairs' spans; `lookback` warm-up bars wanted before `start`, taken
        as far as the data has them; `detail` the timeframe of finer bars for the intrabar path, None without.
        Raises `UserError` naming file and row, or pair and folder.
        """

"""Buy and hold."""

from collections.abc import Mapping
from typing import Any

from kraken_flow.core import Forecast, Source, Strategy, node, where


@node
class Hold(Strategy):
    """Be fully long from the first bar on: what other strategies have to beat."""

    def features(self) -> Mapping[str, Source]:
        """Return the close, which says how many rows there are."""
        return {"close": "close"}

    def forecast(self, f: Any) -> Forecast:
        """Return 1 wherever there is a close, 0 elsewhere."""
        return where(f.close > 0, 1.0, 0.0)

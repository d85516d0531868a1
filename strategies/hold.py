"""Buy and hold."""

from typing import Any

from numpy import array

from kraken_flow.core import Forecast, Strategy, node


@node
class Hold(Strategy):
    """Be fully long from the first bar on: what other strategies have to beat."""

    def forecast(self, f: Any) -> Forecast:
        """Return 1 for all rows."""
        return array(1.0)

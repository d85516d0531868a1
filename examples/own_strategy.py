"""A strategy of your own, defined here: buy weakness in an up-trend, on the synthetic sample market.

`python -m kraken_flow mode=new mode.name=my_idea` makes one that the command line and sweeps know too.
"""

from kraken_flow import backtest
from kraken_flow.core import Positive, Strategy, nan, node, where
from kraken_flow.features import Rsi, Sma


@node
class BuyTheDip(Strategy):
    """Long while the close is weak and its average rises above a slower one; flat once it is strong again."""

    fast: Positive[int] = 24
    slow: Positive[int] = 96
    weak: float = 35.0
    strong: float = 60.0

    def features(self):
        """Return what `forecast` reads, by name."""
        return {"rsi": Rsi(14), "fast": Sma("close", self.fast), "slow": Sma("close", self.slow)}

    def forecast(self, f):
        """Return 1 to be long, 0 to be flat, NaN to keep what there is."""
        return where((f.rsi < self.weak) & (f.fast > f.slow), 1.0, where(f.rsi > self.strong, 0.0, nan))


for weak in (25.0, 30.0, 35.0):
    run = backtest(["pairs=majors", "timeframe=1h", "exchange=kraken"], strategy=BuyTheDip(weak=weak))
    print(f"weak={weak}: {run}")

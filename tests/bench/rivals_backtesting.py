"""What backtesting.py does with the same data: a strategy called at every bar, orders at the next open."""

import io
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from typing import Any

import numpy as np
import pandas as pd
import talib
from backtesting import Backtest, Strategy
from backtesting.lib import compute_stats
from numpy.typing import NDArray

from tests.bench import terms

Floats = NDArray[np.float64]


class Crossing(Strategy):  # type: ignore[misc] # its base class has no types
    """One unit on each crossing; equal averages change nothing, as in all of these comparisons."""

    stop: float | None = None
    target: float | None = None

    def init(self) -> None:
        """Averages over the whole columns."""
        close = self.data.Close
        self.fast = self.I(talib.SMA, close, terms.FAST)
        self.slow = self.I(talib.SMA, close, terms.SLOW)
        self.side = 0.0

    def next(self) -> None:
        """Trade where the side of the averages changed; the first bar with both averages is the one before."""
        before = self.side or np.sign(self.fast[-2] - self.slow[-2])
        now = np.sign(self.fast[-1] - self.slow[-1]) or before
        self.side = now
        if now > 0 > before:
            price = self.data.Close[-1]
            self.buy(
                size=1,
                sl=None if self.stop is None else price * (1 - self.stop),
                tp=None if self.target is None else price * (1 + self.target),
            )
        elif now < 0 < before and self.position:
            self.position.close()


def frame(bars: Mapping[str, Floats]) -> pd.DataFrame:
    """Bars as backtesting.py takes them."""
    index = pd.date_range("2022-01-01", periods=len(bars["close"]), freq="1min")
    return pd.DataFrame({name.capitalize(): column for name, column in bars.items()}, index=index)


def _quietly(call: Callable[[], Any]) -> Any:
    """Keep its progress bar, and warnings that it uses what pandas has deprecated, from the terminal."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return call()


def run(bars: pd.DataFrame, stop: float | None = None, target: float | None = None) -> Any:
    """Its table of statistics; the trades of a position still open at the end are left open."""
    test = Backtest(bars, Crossing, cash=terms.CASH, commission=terms.FEE)
    return _quietly(lambda: test.run(stop=stop, target=target))


def crossing(bars: pd.DataFrame, stop: float | None = None, target: float | None = None) -> dict[str, float]:
    """Final equity, closed trades and drawdown."""
    table = run(bars, stop, target)
    return {
        "final": float(table["Equity Final [$]"]),
        "trades": int(table["# Trades"]),
        "max_drawdown": float(table["Max. Drawdown [%]"]) / 100,
    }


def statistics(bars: pd.DataFrame, table: Any) -> Any:
    """The table of statistics of a run made again from its trades and equity."""
    return _quietly(lambda: compute_stats(stats=table, data=bars))

"""TA-Lib's way to the values of our features: one function where it has one, a few of its functions where not."""

from collections.abc import Callable

import numpy as np
import talib
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Call = Callable[[], tuple[Floats, ...]]

WITHOUT = {
    "Covariance": "two pairs: TA-Lib has CORREL and BETA of two columns, and no covariance",
    "Htf": "bars of a higher timeframe: TA-Lib knows no times",
    "Product": "a step of Covariance",
    "Rank": "compares pairs: TA-Lib sees one at a time",
}
"""Features that TA-Lib has nothing for, and why."""

COMPOSED = {"z-score 60", "log return 1", "volatility 60", "volume z-score 20", "SMA cross 10/50", "RMA 14"}
"""What takes several of its functions, or one that was made for something else."""

LATER = {"Donchian 20": "TA-Lib's MAX and MIN include the bar itself, ours is the channel of the bars before"}
"""Features whose values stand one bar later than TA-Lib's."""

SETTLED = {"RMA 14": (1000, "its Wilder average lives inside ATR, which starts one bar later with its seed")}
"""Features whose seed differs and is forgotten: compared from this row on."""


def calls(bars: dict[str, Floats]) -> dict[str, Call]:
    """Return the calls for the features of `indicators.features`, by their names there."""
    high, low, close, volume = bars["high"], bars["low"], bars["close"], bars["volume"]
    zeros = np.zeros(len(close))

    def z_score(values: Floats, window: int) -> Floats:
        sample = float(np.sqrt(window / (window - 1)))
        result: Floats = (values - talib.SMA(values, window)) / talib.STDDEV(values, window, sample)
        return result

    def log_return() -> Floats:
        logs = talib.LN(close)
        return np.concatenate(([np.nan], logs[1:] - logs[:-1]))

    def crossings() -> Floats:
        side = np.sign(talib.SMA(close, 10) - talib.SMA(close, 50))
        moved = np.zeros(len(close))
        moved[1:] = np.sign(side[1:] - side[:-1])
        return moved

    return {
        "RSI 14": lambda: (talib.RSI(close, 14),),
        "EMA 50": lambda: (talib.EMA(close, 50),),
        "RMA 14": lambda: (talib.ATR(close, zeros, zeros, 14),),
        "ATR 14": lambda: (talib.ATR(high, low, close, 14),),
        "Bollinger 20": lambda: talib.BBANDS(close, 20, 2.0, 2.0),
        "rolling std 60": lambda: (talib.STDDEV(close, 60),),
        "z-score 60": lambda: (z_score(close, 60),),
        "volume z-score 20": lambda: (z_score(talib.LN(volume), 20),),
        "SMA 50": lambda: (talib.SMA(close, 50),),
        "SMA cross 10/50": lambda: (crossings(),),
        "ROC 10": lambda: (talib.ROC(close, 10),),
        "return 1": lambda: (talib.ROCP(close, 1),),
        "log return 1": lambda: (log_return(),),
        "volatility 60": lambda: (talib.STDDEV(log_return(), 60, float(np.sqrt(60 / 59))),),
        "Donchian 20": lambda: (talib.MAX(high, 20), talib.MIN(low, 20)),
    }

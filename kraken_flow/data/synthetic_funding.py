"""Funding of the sample market's perpetuals: made from their own prices by round numbers, known when it is due."""

import numpy as np

from kraken_flow.core.contract import RATE_UNIT
from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.resample import Bars
from kraken_flow.core.times import SECOND
from kraken_flow.core.units import Int64Array

EVERY_NS = 8 * 3600 * SECOND
BASE = RATE_UNIT // 10_000
"""0.01 % per event, what longs pay in a market that goes nowhere."""
SHARE = 100
"""One part in so many of the last eight hours' return is added."""
MOST = 3 * RATE_UNIT // 1_000
"""No event is larger than 0.3 %."""


def funding_of(pair: str, bars: Bars, step_ns: int) -> FundingColumns:
    """Return an event at 00:00, 08:00 and 16:00 UTC for a pair's bars of `step_ns` ns, in integers throughout."""
    closes = bars.times + step_ns
    first = -(-int(closes[0]) // EVERY_NS) * EVERY_NS + EVERY_NS
    time = np.arange(first, int(closes[-1]) + 1, EVERY_NS, dtype=np.int64)
    now = np.searchsorted(closes, time, side="right") - 1
    before = np.searchsorted(closes, time - EVERY_NS, side="right") - 1
    move = (bars.close[now] - bars.close[before]) * (RATE_UNIT // 10**6) // bars.close[before] * 10**6
    rate: Int64Array = np.clip(BASE + move // SHARE, -MOST, MOST)
    return FundingColumns(pair, time, time.copy(), rate)

"""Mark prices on the grid of a market."""

from collections.abc import Mapping

import numpy as np

from kraken_flow.core.market import ABSENT, REAL, Market, PairColumns
from kraken_flow.core.notes import Notes, tell
from kraken_flow.data.grid import Series, columns, to_timeframe


def laid_marks(market: Market, series: Mapping[str, Series], notes: Notes) -> tuple[PairColumns, ...]:
    """Lay the pairs' marks on a market's grid; where one is missing, the pair's own prices stand for it.

    Parameters: `series` by pair, one for each. Raises `UserError` where marks are coarser than the bars.
    """
    return tuple(_laid(market, pair, series[pair.pair], notes) for pair in market.pairs)


def _laid(market: Market, pair: PairColumns, series: Series, notes: Notes) -> PairColumns:
    first, step, n = int(market.times[0]), market.timeframe_ns, market.n_rows
    bars = to_timeframe(series, step, "data.mark", notes)
    low, high = np.searchsorted(bars.times, [first, first + n * step])
    mark = columns(pair.pair, bars.take(slice(int(low), int(high))), first, step, n)
    real = mark.state == REAL
    if lacking := int(np.count_nonzero(~real[market.first_row :] & (pair.state[market.first_row :] == REAL))):
        tell(notes, pair.pair, f"bars without a mark price, judged at their own: {lacking}")
    prices = {
        name: np.where(real, getattr(mark, name), getattr(pair, name)) for name in ("open", "high", "low", "close")
    }
    state = np.where(real | (pair.state != ABSENT), REAL, ABSENT).astype(np.uint8)
    return PairColumns(pair.pair, **prices, volume=np.zeros(n, np.int64), state=state)

"""Orders that ended with nothing or with a part: how many, and why."""

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.market import REAL
from kraken_flow.core.orders import LogKind, OrderType, Reason, State
from kraken_flow.core.units import INT64_MAX

VOLUME = "volume"
"""The word for what no reason of the exchange names: bars that had too little to give."""
_TAKEN_BACK = [int(r) for r in (Reason.NONE, Reason.TARGET_CHANGED, Reason.OCO, Reason.POSITION_CLOSED)]

_LATE = [int(r) for r in (Reason.TIMEOUT, Reason.GTD_EXPIRED)]


def unfilled(run: FinishedRun) -> dict[str, int]:
    """Return how many orders ended unfilled or in part, by reason; those that were merely taken back do not count.

    One that ran out of its time partly filled counts as lacking volume, for that is why it did.
    """
    orders, lacking = run.result.orders, short_of_volume(run)
    ended = (orders["state"] > int(State.FILLED)) & ~np.isin(orders["end_reason"], _TAKEN_BACK) & ~lacking
    codes, counts = np.unique(orders["end_reason"][ended], return_counts=True)
    found = {Reason(code).word: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}
    short = int(lacking.sum())
    return found | ({VOLUME: short} if short else {})


def short_of_volume(run: FinishedRun) -> NDArray[np.bool_]:
    """Return which orders lack of volume left unfilled or in part: bool of shape (n_orders,).

    Nothing but volume fills a part of an order that is taken back, or runs out of its time, later. A market order takes
    all that the next bar of its pair gives: where it was taken back after such a bar with nothing, or waits at the end,
    the bar gave none. Where a message takes a bar or longer, single orders that were taken back on their way count as
    well.
    """
    orders, log, times = run.result.orders, run.result.log, run.market.times
    taken_back = np.isin(orders["end_reason"], _TAKEN_BACK) & (orders["state"] != int(State.FILLED))
    short = taken_back & (orders["filled"] < orders["qty"])
    nothing = short & (orders["filled"] == 0)
    until = np.full(len(short), INT64_MAX)
    cancels = log["kind"] == int(LogKind.CANCEL)
    until[log["order"][cancels]] = log["time"][cancels]
    begin, end = np.searchsorted(times, orders["time"]), np.searchsorted(times, until)
    for p, columns in enumerate(run.market.pairs):
        mine = nothing & (orders["pair"] == p)
        seen = np.concatenate(([0], np.cumsum(columns.state == REAL)))
        short[mine] = seen[end[mine]] > seen[np.minimum(begin[mine], end[mine])]
    part = (orders["filled"] > 0) & (orders["filled"] < orders["qty"])
    late = part & np.isin(orders["end_reason"], _LATE)
    found: NDArray[np.bool_] = late | (short & (~nothing | (orders["type"] == int(OrderType.MARKET))))
    return found

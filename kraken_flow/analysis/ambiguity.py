"""How much hangs on prices inside bars that the data does not tell: the band around a run's result.

A fill is ambiguous where its bar reached levels on both sides of the open, or where its order was born inside the bar.
For each one that closes a position this asks what else the bar allows: the exit at the other leg of its bracket, or,
after an entry by a stop inside the bar, none, so that the position is worth the bar's close. The band takes the better,
and the worse, of each bar by itself. It does not run on from there: what later trades would have been sized to, or
whether they would have been made, stays as it was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.flows import fill_flow
from kraken_flow.core.orders import LogKind, OrderType, Reason
from kraken_flow.core.units import Int64Array, cash_text

_SIBLINGS = (int(Reason.OCO), int(Reason.POSITION_CLOSED))


@dataclass(frozen=True)
class Band:
    """What the ambiguous bars could have made of a run.

    Parameters
    ----------
    fills, bars
        Ambiguous fills, and the bars (per pair) that they lie in.
    exits
        Those of them that closed a position by a reduce-only order.
    alternatives
        Exits that the bar allows another end for.
    unknown
        Exits whose other leg was a trailing stop: its level is not recorded, and they count as they were.
    worse, better
        Money of 10^-16 by which the worst and the best of the alternatives change the result: at most 0, at least 0.
        Fees are those of the fill that was made; another stop fills at its level, without slippage.
    """

    fills: int
    bars: int
    exits: int
    alternatives: int
    unknown: int
    worse: int
    better: int

    def numbers(self, run: FinishedRun) -> dict[str, Any]:
        """Return `ambiguity` of `metrics.json`."""
        worst, best = run.final_equity + self.worse, run.final_equity + self.better
        return {
            "fills": self.fills,
            "bars": self.bars,
            "exits": self.exits,
            "alternatives": self.alternatives,
            "unknown": self.unknown,
            "worst_equity": cash_text(worst),
            "best_equity": cash_text(best),
            "worst_return": worst / run.start_cash - 1.0,
            "best_return": best / run.start_cash - 1.0,
        }


def band(run: FinishedRun) -> Band:
    """Return the band of a run."""
    fills, orders = run.result.fills, run.result.orders
    doubtful = np.flatnonzero(fills["ambiguous"] != 0)
    if len(doubtful) == 0:
        return Band(0, 0, 0, 0, 0, 0, 0)
    bars = len(np.unique(fills["row"][doubtful] * len(run.market.pairs) + fills["pair"][doubtful]))
    exits = doubtful[orders["reduce_only"][fills["order"][doubtful]] != 0]
    cancelled = _cancelled(run)
    alternatives = unknown = worse = better = 0
    for fill in exits.tolist():
        others, untold = _others(run, fill, cancelled)
        unknown += untold
        if not others:
            continue
        alternatives += 1
        changes = [_change(run, fill, price) for price in others]
        worse += min(0, *changes)
        better += max(0, *changes)
    return Band(len(doubtful), bars, len(exits), alternatives, unknown, worse, better)


def _cancelled(run: FinishedRun) -> dict[tuple[int, int], list[int]]:
    """Return the protective orders that ended because another one filled, by pair and the close of that bar."""
    log, orders = run.result.log, run.result.orders
    ended = (log["kind"] == int(LogKind.CANCEL)) & np.isin(log["reason"], _SIBLINGS)
    found: dict[tuple[int, int], list[int]] = {}
    numbers = log["order"][ended]
    kept = orders["reduce_only"][numbers] != 0
    for number, time in zip(numbers[kept].tolist(), log["time"][ended][kept].tolist(), strict=True):
        found.setdefault((int(orders["pair"][number]), time), []).append(number)
    return found


def _others(run: FinishedRun, fill: int, cancelled: dict[tuple[int, int], list[int]]) -> tuple[list[int], bool]:
    """Return the prices at which the position could have ended this bar instead, and whether one is not known."""
    fills, orders, market = run.result.fills, run.result.orders, run.market
    row, pair, side = (int(fills[name][fill]) for name in ("row", "pair", "side"))
    columns = market.pairs[pair]
    high, low, close = int(columns.high[row]), int(columns.low[row]), int(columns.close[row])
    prices, untold = [], False
    for number in cancelled.get((pair, int(market.times[row]) + market.timeframe_ns), []):
        if int(orders["side"][number]) != side:
            continue
        kind = OrderType(int(orders["type"][number]))
        limit, stop = int(orders["limit_price"][number]), int(orders["stop_price"][number])
        if kind is OrderType.LIMIT and (high > limit if side < 0 else low < limit):
            prices.append(limit)
        elif kind is OrderType.STOP and (low <= stop if side < 0 else high >= stop):
            prices.append(stop)
        untold |= kind is OrderType.TRAILING and int(orders["type"][fills["order"][fill]]) == int(OrderType.LIMIT)
    if _entered_by_stop_inside(run, fill) and _not_crossed(run, fill, close):
        prices.append(close)
    return prices, untold and not prices


def _entered_by_stop_inside(run: FinishedRun, fill: int) -> bool:
    """Whether the position was opened inside the same bar by a stop: the bar may have turned before, and not after."""
    fills, kinds = run.result.fills, run.result.orders["type"]
    for before in range(fill - 1, -1, -1):
        if int(fills["row"][before]) != int(fills["row"][fill]):
            return False
        same = int(fills["pair"][before]) == int(fills["pair"][fill])
        if same and int(fills["side"][before]) == -int(fills["side"][fill]):
            stop = int(kinds[int(fills["order"][before])]) in (int(OrderType.STOP), int(OrderType.STOP_LIMIT))
            return stop and int(fills["open_phase"][before]) == 0
    return False


def _not_crossed(run: FinishedRun, fill: int, close: int) -> bool:
    """Whether the exit was a stop that the close is not beyond: it need not have been reached after the entry."""
    fills, orders = run.result.fills, run.result.orders
    number, side = int(fills["order"][fill]), int(fills["side"][fill])
    if int(orders["type"][number]) != int(OrderType.STOP):
        return False
    stop = int(orders["stop_price"][number])
    return close > stop if side < 0 else close < stop


def _change(run: FinishedRun, fill: int, price: int) -> int:
    """Return what the fill would have brought more at another price, exact."""
    fills = run.result.fills
    pair = fills["pair"][fill : fill + 1]
    change: Int64Array = fills["side"][fill : fill + 1] * fills["qty"][fill : fill + 1]
    other = fill_flow(np.array([price]), change, run.inverse[pair])
    made = fill_flow(fills["price"][fill : fill + 1], change, run.inverse[pair])
    return (other - made).total()

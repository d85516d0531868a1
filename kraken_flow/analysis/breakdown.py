"""Closed trades summed up by pair, tag, exit reason and time, with exact profits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import Value
from kraken_flow.analysis.trips import Trips
from kraken_flow.core.contract import values
from kraken_flow.core.orders import Reason
from kraken_flow.core.units import CASH_UNIT, FloatArray, Int64Array, cash_text, to_floats

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PERIODS = ("day", "week", "month", "year", "weekday")
"""What trades are broken down by in time: UTC, by the bar in which they closed; weeks begin on Monday."""
_CALENDAR = {"day": "D", "month": "M", "year": "Y"}
_TO_MONDAY = 3
"""Days from the Monday before 1970-01-01, a Thursday."""


@dataclass(frozen=True)
class Line:
    """One line of a table of trades: how often, how much, how long.

    Parameters: `profit`, `won`, `lost` exact, units of 10^-16, `lost` positive; `mean_return` of the profit over the
    entry's value; `duration_ns` the mean holding time. Means are NaN without a trade.
    """

    name: str
    trades: int
    mean_return: float
    profit: int
    duration_ns: float
    wins: int
    draws: int
    losses: int
    won: int
    lost: int

    @property
    def win_rate(self) -> float:
        """Wins over all trades."""
        return self.wins / self.trades if self.trades else float("nan")

    @property
    def profit_factor(self) -> Value:
        """What was won over what was lost."""
        if not self.trades:
            return "no_closed_trades"
        return self.won / self.lost if self.lost else "no_losing_trades"

    def row(self) -> dict[str, Any]:
        """Return it as it stands in `metrics.json`; what is not defined is None."""
        factor = self.profit_factor
        return {
            "name": self.name,
            "trades": self.trades,
            "wins": self.wins,
            "draws": self.draws,
            "losses": self.losses,
            "win_rate": self.win_rate if self.trades else None,
            "profit": cash_text(self.profit),
            "mean_return": self.mean_return if self.trades else None,
            "profit_factor": None if isinstance(factor, str) else factor,
            "mean_duration_s": self.duration_ns / 1e9 if self.trades else None,
        }


@dataclass(frozen=True)
class TradeColumns:
    """Trips as floats: profit in the account's currency, return on the entry's value, holding time in ns."""

    profit: FloatArray
    gain: FloatArray
    held: Int64Array

    @staticmethod
    def of(run: FinishedRun, trips: Trips) -> "TradeColumns":
        """Read trips; an open one is held until the last close."""
        profit = trips.pnl.floats(CASH_UNIT)
        value = values(run.inverse[trips.pair], to_floats(trips.qty), to_floats(trips.entry_price))
        ends = run.fill_times[trips.last]
        if len(run.closes):
            ends = np.where(trips.closed, ends, run.closes[-1])
        # A trip that began with what an earlier one left of a lot was entered at no cost: it has no return.
        gain = np.divide(profit, value, out=np.zeros(len(profit)), where=value > 0)
        return TradeColumns(profit, gain, ends - run.fill_times[trips.first])


def lines(run: FinishedRun, trips: Trips, codes: Int64Array, names: Sequence[str]) -> list[Line]:
    """Return a line per name, in their order. Parameters: `codes` int64 per trip, which name it is of."""
    columns = TradeColumns.of(run, trips)
    order = np.argsort(codes, kind="stable")
    found = codes[order]
    starts = np.flatnonzero(np.diff(found, prepend=-1))
    if len(starts) == 0:
        return [_nothing(name) for name in names]
    pnl = trips.pnl.take(order)
    above, below = pnl.positive.astype(np.int64), pnl.negative.astype(np.int64)
    counts = np.diff(starts, append=len(order))
    sums = [
        *(pnl.sums(starts).ints(), pnl.masked(above).sums(starts).ints(), pnl.masked(below).sums(starts).ints()),
        *(np.add.reduceat(part, starts).tolist() for part in (above, below)),
        *((np.add.reduceat(part[order], starts) / counts).tolist() for part in (columns.gain, columns.held)),
    ]
    made = {}
    for code, n, *parts in zip(found[starts].tolist(), counts.tolist(), *sums, strict=True):
        profit, won, lost, wins, losses, gain, held = parts
        made[code] = Line(names[code], n, gain, profit, held, wins, n - wins - losses, losses, won, -lost)
    return [made.get(code) or _nothing(name) for code, name in enumerate(names)]


def _nothing(name: str) -> Line:
    return Line(name, 0, float("nan"), 0, float("nan"), 0, 0, 0, 0, 0)


def total(run: FinishedRun, trips: Trips, name: str = "TOTAL") -> Line:
    """Return one line of all trips."""
    return lines(run, trips, np.zeros(len(trips), np.int64), [name])[0]


def by_pair(run: FinishedRun, trips: Trips) -> list[Line]:
    """Return a line per pair that the run covers, most profitable first."""
    return sorted(lines(run, trips, trips.pair, run.market.names), key=lambda line: (-line.profit, line.name))


def by_word(run: FinishedRun, words: Sequence[str]) -> list[Line]:
    """Return a line per word (tag, exit reason, both) of the closed trades, most frequent first."""
    names = sorted(set(words))
    place = {name: code for code, name in enumerate(names)}
    codes = np.array([place[word] for word in words], np.int64)
    return sorted(lines(run, run.trades, codes, names), key=lambda line: (-line.trades, line.name))


def exit_reasons(run: FinishedRun) -> Int64Array:
    """Return each closed trade's reason: that of its last fill, where the entry of a reversal is an `exit_signal`."""
    result, trades = run.result, run.trades
    reasons = result.orders["reason"][result.fills["order"][trades.last]]
    closed: Int64Array = np.where(reasons == int(Reason.ENTRY_SIGNAL), int(Reason.EXIT_SIGNAL), reasons)
    return closed


def reason_words(run: FinishedRun) -> list[str]:
    """Return each closed trade's exit reason."""
    codes = exit_reasons(run)
    words = {code: Reason(code).word for code in np.unique(codes).tolist()}
    return [words[code] for code in codes.tolist()]


def tag_words(run: FinishedRun) -> list[str]:
    """Return each closed trade's tag, that of its first order."""
    orders = run.result.fills["order"][run.trades.first]
    return [run.result.tags[code] for code in run.result.orders["tag"][orders].tolist()]


def by_period(run: FinishedRun, period: str) -> list[Line]:
    """Return a line per period of `PERIODS` in which trades closed, in time; of months and years every one of the run.

    A trade belongs to the bar of its last fill: one that fills inside the last bar of a month is of that month.
    """
    trades = run.trades
    inside = run.result.fills["open_phase"][trades.last] == 0
    numbers = _numbers(run.fill_times[trades.last] - inside, period)
    if period == "weekday":
        return lines(run, trades, numbers, WEEKDAYS)
    if period in ("month", "year") and len(run.closes):
        first, last = _numbers(np.array([run.first_close - 1, run.closes[-1] - 1]), period).tolist()
        shown = np.arange(first, last + 1)
    else:
        shown = np.unique(numbers)
    return lines(run, trades, np.searchsorted(shown, numbers), [_period_name(n, period) for n in shown.tolist()])


def _numbers(times: Int64Array, period: str) -> Int64Array:
    """Return the number of the period that each time lies in: days, weeks, months or years since 1970, or weekdays."""
    if period in _CALENDAR:
        stamps: Int64Array = times.astype("datetime64[ns]").astype(f"datetime64[{_CALENDAR[period]}]").astype(np.int64)
        return stamps
    days = _numbers(times, "day") + _TO_MONDAY
    return days % 7 if period == "weekday" else days // 7


def _period_name(number: int, period: str) -> str:
    if period == "week":
        number, period = 7 * number - _TO_MONDAY, "day"
    return str(np.array(number).astype(f"datetime64[{_CALENDAR[period]}]"))


def account_returns(run: FinishedRun, period: str) -> list[float | None]:
    """Return the account's return over each month or year of the run, None from the row on where equity is gone."""
    equity, closes = run.result.equity, run.closes
    if len(equity) == 0:
        return []
    first, last = _numbers(np.array([closes[0] - 1, closes[-1] - 1]), period).tolist()
    kind = f"datetime64[{_CALENDAR[period]}]"
    ends = np.arange(first + 1, last + 2).astype(kind).astype("datetime64[ns]").astype(np.int64)
    worth = np.concatenate(([run.start_equity], equity[np.searchsorted(closes, ends, side="right") - 1]))
    alive = np.minimum.accumulate(worth[:-1]) > 0
    changes = np.divide(worth[1:], worth[:-1], out=np.ones(len(worth) - 1), where=alive) - 1.0
    return [change if known else None for change, known in zip(changes.tolist(), alive.tolist(), strict=True)]


def breakdowns(run: FinishedRun) -> dict[str, Any]:
    """Return `breakdown` of `metrics.json`: lists of lines by what trades are broken down by, and `total`."""
    tags, reasons = tag_words(run), reason_words(run)
    mixed = [f"{tag or '-'} / {reason}" for tag, reason in zip(tags, reasons, strict=True)]
    found: dict[str, Any] = {
        "total": total(run, run.trades).row(),
        "pair": [line.row() for line in by_pair(run, run.trades)],
        "enter_tag": [line.row() for line in by_word(run, tags)],
        "exit_reason": [line.row() for line in by_word(run, reasons)],
        "mixed_tag": [line.row() for line in by_word(run, mixed)],
    }
    for period in ("month", "year"):
        rows = [line.row() for line in by_period(run, period)]
        changes = account_returns(run, period)
        found[period] = [row | {"return": change} for row, change in zip(rows, changes, strict=True)]
    found["weekday"] = [line.row() for line in by_period(run, "weekday")]
    return found

"""What the console report says, as words and numbers; `console.py` draws it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import daily_returns, day_ends, drawdowns
from kraken_flow.analysis.trips import Trips
from kraken_flow.core.contract import values
from kraken_flow.core.orders import Liquidity, Reason, State
from kraken_flow.core.times import DAY, SECOND, iso
from kraken_flow.core.units import CASH_UNIT, FloatArray, Int64Array, to_floats
from kraken_flow.runs.tables import exit_reasons

_TAKEN_BACK = [int(r) for r in (Reason.NONE, Reason.TARGET_CHANGED, Reason.OCO, Reason.POSITION_CLOSED)]


@dataclass(frozen=True)
class Line:
    """One line of a table of trades: how often, how much, how long."""

    name: str
    trades: int
    mean_return: float
    profit: float
    duration_ns: float
    wins: int
    draws: int
    losses: int

    @property
    def win_rate(self) -> float:
        """Wins over all trades."""
        return self.wins / self.trades if self.trades else float("nan")


@dataclass(frozen=True)
class TradeColumns:
    """Trips as floats for tables: profit in the account's currency, return on the entry's value, holding time in ns."""

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
        return TradeColumns(profit, profit / value, ends - run.fill_times[trips.first])

    def line(self, name: str, chosen: NDArray[np.bool_] | slice = slice(None)) -> Line:
        """Sum up the chosen trades."""
        profit, held = self.profit[chosen], self.held[chosen]
        n = len(profit)
        return Line(
            name,
            n,
            float(self.gain[chosen].mean()) if n else float("nan"),
            float(profit.sum()),
            float(held.mean()) if n else float("nan"),
            int((profit > 0).sum()),
            int((profit == 0).sum()),
            int((profit < 0).sum()),
        )


def by_pair(run: FinishedRun, trips: Trips) -> list[Line]:
    """Return a line per pair that the run covers, most profitable first, and the total."""
    columns = TradeColumns.of(run, trips)
    lines = [columns.line(name, trips.pair == i) for i, name in enumerate(run.market.names)]
    return [*sorted(lines, key=lambda line: (-line.profit, line.name)), columns.line("TOTAL")]


def by_word(run: FinishedRun, words: list[str]) -> list[Line]:
    """Return a line per word (exit reason, tag) of the closed trades, most frequent first, and the total."""
    columns = TradeColumns.of(run, run.trades)
    labels = np.array(words, dtype=object)
    lines = [columns.line(word, labels == word) for word in sorted(set(words))]
    return [*sorted(lines, key=lambda line: (-line.trades, line.name)), columns.line("TOTAL")]


def reason_words(run: FinishedRun) -> list[str]:
    """Return each closed trade's exit reason."""
    return [Reason(code).word for code in exit_reasons(run).tolist()]


def tag_words(run: FinishedRun) -> list[str]:
    """Return each closed trade's tag, that of its first order."""
    orders = run.result.fills["order"][run.trades.first]
    return [run.result.tags[code] for code in run.result.orders["tag"][orders].tolist()]


def duration(ns: float) -> str:
    """Write a holding time: `3d 04:30`, hours and minutes; `-` where there is none."""
    if ns != ns:
        return "-"
    days, rest = divmod(round(ns / (60 * SECOND)), 24 * 60)
    return f"{days}d {rest // 60:02}:{rest % 60:02}" if days else f"{rest // 60}:{rest % 60:02}"


def longest_streaks(profit: FloatArray) -> tuple[int, int]:
    """Return the longest run of wins and of losses; a trade that made nothing breaks both."""
    best = [0, 0]
    current = [0, 0]
    for sign in np.sign(profit).tolist():
        current = [current[0] + 1 if sign > 0 else 0, current[1] + 1 if sign < 0 else 0]
        best = [max(best[0], current[0]), max(best[1], current[1])]
    return best[0], best[1]


def trade_facts(run: FinishedRun, percent: str = "{:+.2%}") -> Iterator[tuple[str, str]]:
    """Return the lines of the summary that speak of single trades and pairs."""
    trades = run.trades
    if not len(trades):
        return
    columns = TradeColumns.of(run, trades)
    names, pairs = run.market.names, by_pair(run, trades)[:-1]
    traded = [line for line in pairs if line.trades]
    for label, line in (("Best pair", traded[0]), ("Worst pair", traded[-1])) if len(pairs) > 1 else ():
        yield label, f"{line.name} {percent.format(line.profit / run.start_equity)}"
    for label, row in (("Best trade", int(columns.gain.argmax())), ("Worst trade", int(columns.gain.argmin()))):
        yield label, f"{names[int(trades.pair[row])]} {percent.format(columns.gain[row])}"
    won, lost = columns.profit > 0, columns.profit < 0
    for label, chosen in (("Avg. duration winners", won), ("Avg. duration losers", lost)):
        yield label, duration(columns.line("", chosen).duration_ns)
    wins, losses = longest_streaks(columns.profit)
    yield "Max consecutive wins / losses", f"{wins} / {losses}"
    longs = trades.side > 0
    if not longs.all():
        yield "Long / short trades", f"{int(longs.sum())} / {int((~longs).sum())}"


def curve_facts(run: FinishedRun) -> Iterator[tuple[str, str]]:
    """Return the lines of the summary that speak of the equity curve."""
    equity, step = run.result.equity, run.market.timeframe_ns
    if not len(equity):
        return
    depth = drawdowns(equity, run.start_equity)
    low = int(depth.argmin())
    if depth[low] < 0:
        peak = int(equity[: low + 1].argmax())
        above = equity[peak] > run.start_equity
        yield "Drawdown start", iso(int(run.closes[peak])) if above else "the start"
        yield "Drawdown end", iso(int(run.closes[low]))
    if step <= DAY and (equity > 0).all():
        first = run.first_close
        daily = daily_returns(equity, run.start_equity, first, step)
        ends = day_ends(first, step, len(equity))
        for label, row in (("Best day", int(daily.argmax())), ("Worst day", int(daily.argmin()))):
            # A day's close is 00:00 of the day after.
            yield label, f"{iso(int(run.closes[ends[row]]) - 1)[:10]} {daily[row]:+.2%}"
        signs = np.sign(daily)
        yield "Days win / draw / lose", " / ".join(str(int((signs == s).sum())) for s in (1, 0, -1))


def market_change(run: FinishedRun) -> float:
    """Return the mean over pairs of the last close over the first decision bar's open, minus 1."""
    first = run.market.first_row
    changes = []
    for columns in run.market.pairs:
        known = np.flatnonzero(columns.state[first:] != 0)
        if len(known):
            changes.append(columns.close[-1] / columns.open[first + known[0]] - 1.0)
    return float(np.mean(changes)) if changes else float("nan")


def unfilled(run: FinishedRun) -> dict[str, int]:
    """Return how many orders ended unfilled or in part, by reason; those that were merely taken back do not count."""
    orders = run.result.orders
    ended = (orders["state"] > int(State.FILLED)) & ~np.isin(orders["end_reason"], _TAKEN_BACK)
    codes, counts = np.unique(orders["end_reason"][ended], return_counts=True)
    return {Reason(code).word: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}


def fees_by_liquidity(run: FinishedRun) -> dict[str, int]:
    """Return the fees paid as maker and as taker, exact, units of 10^-16."""
    flags = run.result.fills["liquidity"]
    return {kind.word: run.fees.take(flags == int(kind)).total() for kind in Liquidity}

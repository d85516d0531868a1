"""The lines of SUMMARY METRICS: those that freqtrade prints, in its order and under its names."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kraken_flow.analysis.bootstrap import DAY_CLOSES, OF_DEPTH
from kraken_flow.analysis.breakdown import TradeColumns, by_pair
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.money import places
from kraken_flow.analysis.returns import daily_returns, day_ends
from kraken_flow.analysis.unfilled import unfilled
from kraken_flow.core.contract import MarginMode
from kraken_flow.core.orders import Reason, State
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import DAY, SECOND, iso, timeframe_name
from kraken_flow.core.units import CASH_UNIT, UNIT, FloatArray
from kraken_flow.runs import figures
from kraken_flow.runs.figures import Figure, written

Facts = Iterator[tuple[str, str]]
"""Lines of a table of names and values."""


def duration(ns: float) -> str:
    """Write a holding time: `3d 04:30`, hours and minutes; `-` where there is none."""
    if ns != ns:
        return "-"
    days, rest = divmod(round(ns / (60 * SECOND)), 24 * 60)
    return f"{days}d {rest // 60:02}:{rest % 60:02}" if days else f"{rest // 60}:{rest % 60:02}"


class Words:
    """How the numbers of one run are written.

    Parameters: `metrics` what stands in `metrics.json`.
    """

    def __init__(self, run: FinishedRun, metrics: Mapping[str, Any]) -> None:
        self.run = run
        self.metrics = metrics
        self.quote = run.instruments[0].currency if run.instruments else ""
        self.places = places(self.quote)

    def money(self, value: float) -> str:
        """Write an amount of the account's currency."""
        return f"{value:,.{self.places}f} {self.quote}".rstrip()

    def exact(self, units: int) -> str:
        """Write an exact amount, units of 10^-16."""
        return self.money(units / CASH_UNIT)

    def undefined(self, name: str) -> str:
        """Say why a number of `metrics.json` is not defined."""
        return f"undefined ({self.metrics['null_reasons'][name].replace('_', ' ')})"

    def line(self, figure: Figure, flag: str = "") -> tuple[str, str]:
        """Return the line of a number: its label, and how it is written."""
        return figure.label, self.number(figure.name, figure.pattern, flag)

    def number(self, name: str, pattern: str, flag: str = "") -> str:
        """Write one number of `metrics.json`, `group.name` for one inside another, with its interval if it has one."""
        group, _, inner = name.rpartition(".")
        value = self.metrics[group][inner] if group else self.metrics[name]
        if value is None:
            return self.undefined(name)
        interval = None if group else self.metrics["intervals"].get(name)
        daily = self.metrics["intervals"].get("returns_of") == DAY_CLOSES
        of = f" of {DAY_CLOSES}" if name in OF_DEPTH and daily else ""
        around = f"  [{written(interval[0], pattern)} to {written(interval[1], pattern)}{of}]" if interval else ""
        return written(value, pattern) + around + flag


def summary(words: Words, audit: str, verb: str = "Backtesting", spec: Spec | None = None) -> Facts:
    """Yield every line. Parameters: `spec` what the engine was told of venue and account."""
    run, metrics = words.run, words.metrics
    yield from _span(run, audit, verb, spec)
    days = metrics["span_days"]
    rate = f"{len(run.trades) / days:.2f}" if days else "-"
    yield "Total/Daily Avg Trades", f"{len(run.trades)} / {rate}"
    yield "Trades left open", str(int((~run.trips.closed).sum()))
    yield "Starting balance", words.exact(run.start_cash)
    yield "Final balance", words.exact(run.final_equity)
    yield "Absolute profit", words.exact(run.final_equity - run.start_cash)
    flag = "  (short sample, under 90 days)" if metrics["short_sample"] else ""
    yield words.line(figures.TOTAL_RETURN)
    yield words.line(figures.CAGR, flag)
    yield words.line(figures.SORTINO)
    yield words.line(figures.SHARPE)
    yield words.line(figures.CALMAR, flag)
    yield words.line(figures.SQN)
    yield words.line(figures.PROFIT_FACTOR)
    ratio = "" if metrics["expectancy_ratio"] is None else f" ({metrics['expectancy_ratio']:.2f})"
    expectancy = metrics["expectancy"]
    yield (
        "Expectancy (Ratio)",
        words.undefined("expectancy") if expectancy is None else words.money(float(expectancy)) + ratio,
    )
    if days:
        yield "Avg. daily profit", words.money((run.final_equity - run.start_cash) / CASH_UNIT / days)
    yield from _trades(words)
    yield from _curve(words)
    yield words.line(figures.MARKET_CHANGE)


def _span(run: FinishedRun, audit: str, verb: str, spec: Spec | None) -> Facts:
    if len(run.closes):
        yield f"{verb} from", iso(run.first_close - run.market.timeframe_ns)
        yield f"{verb} to", iso(int(run.closes[-1]))
    yield "Trading Mode", trading_mode(run, spec)
    yield "Timeframe, pairs", f"{timeframe_name(run.market.timeframe_ns)}, {len(run.market.pairs)}"
    if audit:
        yield "Look-ahead", audit


def trading_mode(run: FinishedRun, spec: Spec | None) -> str:
    """Say what was traded, and where coins of spot pairs were sold short, who lent them for what."""
    spot = np.array([not i.settle for i in run.instruments], np.bool_)
    if not spot.all():
        said = "spot and perpetual" if spot.any() else "perpetual"
        return said if spec is None else f"{said}, {spec.margin.mode.word} margin"
    if spec is None:
        return "spot"
    said = "spot"
    if spec.margin.mode is MarginMode.LEVEL:
        said += f" on margin, liquidated at a level of {100 * spec.margin.maintenance / UNIT:g}%"
    if spec.leverage != UNIT:
        said += f", leverage {spec.leverage / UNIT:g}"
    if not spec.short:
        return f"{said}, no shorts"
    if not (run.trips.side < 0).any():
        return said
    borrow = spec.borrow
    if not borrow.every_ns:
        return f"{said}, shorts of borrowed coins, lent for nothing"
    opening, more = (100 * 100 * rate / UNIT for rate in (borrow.opening, borrow.rollover))
    return f"{said}, shorts of borrowed coins at {opening:g} bps and {more:g} bps per {timeframe_name(borrow.every_ns)}"


def _trades(words: Words) -> Facts:
    """Yield the lines that speak of single trades and pairs, and of orders that came to nothing."""
    run, trades = words.run, words.run.trades
    yield "Max open trades (seen)", str(words.metrics["max_open_positions"] or 0)
    if len(trades):
        columns = TradeColumns.of(run, trades)
        stake = np.divide(columns.profit, columns.gain, out=np.full(len(trades), np.nan), where=columns.gain != 0)
        if np.isfinite(stake).any():
            yield "Avg. stake amount", words.money(float(np.nanmean(stake)))
    yield "Total trade volume", words.money(float(run.notional.sum()))
    if not len(trades):
        return
    yield from _sides(words, columns)
    names, pairs = run.market.names, by_pair(run, trades)
    traded = [line for line in pairs if line.trades]
    for label, line in (("Best Pair", traded[0]), ("Worst Pair", traded[-1])) if len(pairs) > 1 else ():
        yield label, f"{line.name} {line.profit / run.start_cash:+.2%}"
    for label, row in (("Best trade", int(columns.gain.argmax())), ("Worst trade", int(columns.gain.argmin()))):
        yield label, f"{names[int(trades.pair[row])]} {columns.gain[row]:+.2%}"
    for label, chosen in (("Winners", columns.profit > 0), ("Losers", columns.profit < 0)):
        held = columns.held[chosen]
        spans = (held.min(), held.max(), held.mean()) if len(held) else (float("nan"),) * 3
        yield f"Min/Max/Avg. Duration {label}", " / ".join(duration(float(span)) for span in spans)
    yield (
        "Max Consecutive Wins / Loss",
        " / ".join(str(words.metrics[f"max_consecutive_{kind}"]) for kind in ("wins", "losses")),
    )
    yield words.line(figures.WIN_RATE)


def _sides(words: Words, columns: TradeColumns) -> Facts:
    """Yield longs and shorts apart, where there are both."""
    run, longs = words.run, words.run.trades.side > 0
    if longs.all():
        return
    sides = [columns.profit[chosen] for chosen in (longs, ~longs)]
    yield "Long / Short trades", " / ".join(str(len(profit)) for profit in sides)
    for label, profit in zip(("Long", "Short"), sides, strict=True):
        total = float(profit.sum())
        yield f"Total profit {label}", f"{words.money(total)} ({total / run.start_equity:+.2%})"


def orders_that_came_to_nothing(run: FinishedRun) -> Facts:
    """Yield how many orders were refused, ran out of time, were taken back, and why others ended unfilled."""
    orders = run.result.orders
    entry = orders["reduce_only"] == 0
    rejected = orders["state"] == int(State.REJECTED)
    yield "Rejected Entry signals", str(int((rejected & entry).sum()))
    late = np.isin(orders["end_reason"], (int(Reason.TIMEOUT), int(Reason.GTD_EXPIRED)))
    yield "Entry/Exit Timeouts", f"{int((late & entry).sum())} / {int((late & ~entry).sum())}"
    replaced = orders["end_reason"] == int(Reason.TARGET_CHANGED)
    yield "Canceled Trade Entries", str(int((replaced & entry).sum()))
    ended = unfilled(run)
    yield "Orders unfilled or cut", ", ".join(f"{word} {n}" for word, n in ended.items()) or "none"


def _curve(words: Words) -> Facts:
    """Yield the lines that speak of the equity curve."""
    run = words.run
    equity, step = run.result.equity, run.market.timeframe_ns
    if not len(equity):
        return
    if step <= DAY and (equity > 0).all():
        yield from _days(run, daily_returns(equity, run.start_equity, run.first_close, step))
    yield from orders_that_came_to_nothing(run)
    yield "Min balance", words.money(min(float(equity.min()), run.start_equity))
    yield "Max balance", words.money(max(float(equity.max()), run.start_equity))
    yield words.line(figures.MAX_DRAWDOWN)
    worst = words.metrics["drawdowns"]
    if not worst:
        return
    deepest = worst[0]
    depth = deepest["trough_equity"] - deepest["peak_equity"]
    # The deepest in money is another one, perhaps; this is the money of the deepest by its share.
    yield "Absolute drawdown", f"{words.money(depth)} ({deepest['depth']:.2%})"
    ended = "" if deepest["recovered"] else "  (not recovered)"
    yield "Drawdown duration", f"{duration(deepest['bars'] * step)}{ended}"
    for label, name in (("start", "peak"), ("end", "trough")):
        yield f"Profit at drawdown {label}", words.money(deepest[f"{name}_equity"] - run.start_equity)
    yield "Drawdown start", str(deepest["peak"])
    yield "Drawdown end", str(deepest["trough"])


def _days(run: FinishedRun, daily: FloatArray) -> Facts:
    ends = day_ends(run.first_close, run.market.timeframe_ns, len(run.result.equity))
    for label, row in (("Best day", int(daily.argmax())), ("Worst day", int(daily.argmin()))):
        # A day's close is 00:00 of the day after.
        yield label, f"{iso(int(run.closes[ends[row]]) - 1)[:10]} {daily[row]:+.2%}"
    signs = np.sign(daily)
    yield "Days win/draw/lose", " / ".join(str(int((signs == s).sum())) for s in (1, 0, -1))

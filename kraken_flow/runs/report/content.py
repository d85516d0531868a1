"""What the page of a run says, read from the run's folder and, where it can be had, the market it traded on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kraken_flow.analysis import series
from kraken_flow.analysis.returns import daily_returns, day_ends
from kraken_flow.core.instrument import currency_of
from kraken_flow.core.market import Market
from kraken_flow.core.redact import redact
from kraken_flow.core.times import DAY, YEAR, parse_timeframe
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.runs.past import TABLES, PastRun
from kraken_flow.runs.report import words
from kraken_flow.runs.report.indicators import Indicator
from kraken_flow.runs.report.market import CELLS, MOST_CELLS, Spans, pair_candles
from kraken_flow.runs.report.packing import Pack
from kraken_flow.runs.report.reading import floats, ns, read_table, texts
from kraken_flow.runs.report.trades import packed_fills, packed_trades
from kraken_flow.runs.tables import PARENTS

MOST_POINTS = 6_000
"""Points of a curve over the whole run."""
ROLLING_DAYS = 90
MS = 1_000_000


@dataclass(frozen=True)
class Seen:
    """The market that a run traded on, as far as it can be had.

    Parameters
    ----------
    market
        Its candles; None where they cannot be read again.
    lines
        What the strategy reads of it.
    why
        Why there is no market.
    note
        What to mind about the lines.
    """

    market: Market | None = None
    lines: Sequence[Indicator] = ()
    why: str = ""
    note: str = ""


@dataclass(frozen=True)
class Content:
    """A run's folder, laid out for the page.

    Parameters
    ----------
    past
        The run.
    seen
        Its market.
    """

    past: PastRun
    seen: Seen = field(default_factory=Seen)

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """The run's tables; those that an earlier version did not write are missing."""
        found = {}
        for name in (*TABLES, PARENTS):
            path = self.past.folder / f"{name}.parquet"
            if path.is_file():
                found[name] = read_table(path, f"{self.past.name}: its {name}.parquet")
        return found

    @cached_property
    def times(self) -> Int64Array:
        """Closes of the decision bars, ns UTC."""
        return ns(self.tables["equity"]["time"])

    @cached_property
    def equity(self) -> FloatArray:
        """Equity at them."""
        return floats(self.tables["equity"]["equity"])

    @cached_property
    def step(self) -> int:
        """Length of the decision bar, ns."""
        if len(self.times) > 1:
            return int(self.times[1] - self.times[0])
        return parse_timeframe(str(self.past.manifest.get("timeframe") or "1h"))

    @cached_property
    def start_equity(self) -> float:
        """Equity before the first bar, from the final one and the total return, else the first one there is."""
        total, final = self.past.metrics.get("total_return"), self.past.metrics.get("final_equity")
        if isinstance(total, int | float) and total > -1 and final is not None:
            # Both have come through decimals: what is left of that is no money.
            return float(f"{float(final) / (1.0 + total):.12g}")
        return float(self.equity[0]) if len(self.equity) else 0.0

    @cached_property
    def currency(self) -> str:
        """Currency of the account."""
        pairs = self.past.manifest.get("pairs") or []
        return currency_of(str(pairs[0])) if pairs else ""

    @cached_property
    def days(self) -> tuple[Int64Array, FloatArray]:
        """Closes of UTC days (of bars, where these are longer), and the returns between them."""
        if not len(self.times):
            return self.times, self.equity
        first = int(self.times[0])
        ends = day_ends(first, self.step, len(self.times))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.times[ends], daily_returns(self.equity, self.start_equity, first, self.step)

    def facts(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what the page reads as JSON, and the blobs that it unpacks when it needs them."""
        manifest, metrics = self.past.manifest, self.past.metrics
        blobs: dict[str, str] = {}
        shadow = words.shadow_kill(self.shadow_kills)
        warnings = words.warnings(manifest, metrics, self.seen.why, self.seen.note)
        facts: dict[str, Any] = {
            "kind": "run",
            "strategy": self.past.strategy,
            "mode": self.past.mode,
            "folder": redact(str(self.past.folder)),
            "pairs": manifest.get("pairs") or [],
            "timeframe": manifest.get("timeframe"),
            "step_ms": self.step // MS,
            "span": manifest.get("span"),
            "currency": self.currency,
            "start_equity": self.start_equity,
            "warnings": warnings if shadow is None else [shadow, *warnings],
            "headline": words.headline(metrics, self.currency),
            "numbers": words.numbers(metrics, self.currency),
            "months": series.monthly_returns(self.times, self.equity, self.start_equity),
            "costs": words.costs(metrics, self.currency),
            "capacity": words.capacity(metrics, self.currency),
            "risk": self._risk(),
            "config": self.past.config,
            "manifest": {key: value for key, value in manifest.items() if key != "config"},
            "metrics": metrics,
        }
        curves, facts["curves"] = self._curves()
        blobs["curves"], facts["curves"]["columns"] = curves.text(), curves.index
        tables, origin = self.tables, int(self.times[0]) if len(self.times) else 0
        trades = packed_trades(tables["trades"], tables["orders"], origin)
        blobs["trades"], facts["trades"] = trades.text(), {"columns": trades.index}
        fills = packed_fills(tables["fills"], origin)
        blobs["fills"], facts["fills"] = fills.text(), {"columns": fills.index}
        facts["candles"] = self._candles(blobs)
        return facts, blobs

    def _curves(self) -> tuple[Pack, dict[str, Any]]:
        """Return equity, drawdown and the benchmark, thinned; and daily series."""
        pack = Pack()
        table = self.tables["equity"]
        columns = {"equity": self.equity, "drawdown": floats(table["drawdown"])}
        if (held := self._held()) is not None:
            columns["hold"] = held
        rows = series.thinned(list(columns.values()), MOST_POINTS) if len(self.equity) else np.zeros(0, np.intp)
        pack.whole("row", rows)
        for name, values in columns.items():
            pack.real(name, values[rows])
        closes, returns = self.days
        pack.whole("day", (closes - (int(closes[0]) if len(closes) else 0)) // (1000 * MS))
        pack.real("return", returns)
        per_year = YEAR / max(self.step, DAY)
        interval = words.interval_of(self.past.metrics, "total_return")
        if interval is not None and min(interval) > -1.0 and len(returns):
            for name, values in zip(("low", "high"), series.fan(*interval, len(returns)), strict=True):
                pack.real(name, values * self.start_equity)
        sharpe = series.rolling_sharpe(returns, ROLLING_DAYS, per_year)
        pack.real("sharpe", sharpe)
        pack.real("invested", self._invested(floats(table["exposure"])), digits=5)
        pack.real("turnover", self._turnover(closes))
        moved = returns[np.isfinite(returns) & (returns != 0.0)]
        edges, counts = series.histogram(moved)
        facts = {
            "first_ms": int(self.times[0]) // MS if len(self.times) else 0,
            "first_day_ms": int(closes[0]) // MS if len(closes) else 0,
            "points": len(rows),
            "of": len(self.times),
            "rolling_days": ROLLING_DAYS,
            "no_rolling_sharpe": "" if np.isfinite(sharpe).any() else _why_no_sharpe(len(returns)),
            "histogram": {"edges": edges, "counts": counts, "still": len(returns) - len(moved)},
        }
        return pack, facts

    def _held(self) -> FloatArray | None:
        """Return the worth of the starting equity, spread over the pairs and held; None where that is not known."""
        market = self.seen.market
        if market is None or not len(self.times):
            return None
        first = market.first_row
        rows = slice(first, first + len(self.times))
        if market.n_rows < rows.stop:
            return None
        # A contract settled in its base names that behind the colon.
        inverse = [pair.partition(":")[2] == pair.partition("/")[0] for pair in market.names]
        return series.held_value(market, rows, inverse) * self.start_equity

    def _invested(self, exposure: FloatArray) -> FloatArray:
        """Return the mean exposure of each day; bars at which nothing is left do not count."""
        if not len(exposure):
            return exposure
        starts = np.append(0, day_ends(int(self.times[0]), self.step, len(exposure))[:-1] + 1)
        known = np.isfinite(exposure)
        counts = np.add.reduceat(known.astype(np.float64), starts)
        total = np.add.reduceat(np.where(known, exposure, 0.0), starts)
        result: FloatArray = np.divide(total, counts, out=np.full(len(starts), np.nan), where=counts > 0)
        return result

    def _turnover(self, closes: Int64Array) -> FloatArray:
        """Return bought plus sold value over equity of the last `ROLLING_DAYS` days, a year, at each day's close."""
        table = self.tables["fills"]
        if not len(closes) or not table.num_rows:
            return np.zeros(len(closes))
        value = floats(table["qty"]) * floats(table["price"])
        times = ns(table["time"])
        at = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.equity[at] > 0, value / self.equity[at], 0.0)
        day = np.minimum(np.searchsorted(closes, times), len(closes) - 1)
        summed = series.rolling_sum(np.bincount(day, share, len(closes)).astype(np.float64), ROLLING_DAYS)
        spans = np.minimum(np.arange(1, len(closes) + 1), ROLLING_DAYS) * max(self.step, DAY)
        result: FloatArray = summed * (YEAR / spans)
        return result

    def _risk(self) -> list[dict[str, Any]]:
        table = self.tables.get("risk")
        if table is None:
            return []
        rows = table.slice(0, 500).to_pylist()
        return [{key: _plain(value) for key, value in row.items()} | words.alone(row) for row in rows]

    @cached_property
    def shadow_kills(self) -> list[dict[str, Any]]:
        """The events at which limits that were only recorded would have ended trading, 500 at most."""
        table = self.tables.get("risk")
        if table is None or "shadow" not in table.column_names:
            return []
        found = table.filter(pc.and_(table["shadow"], pc.equal(table["after"], "killed")))
        return [{key: _plain(value) for key, value in row.items()} for row in found.slice(0, 500).to_pylist()]

    def _candles(self, blobs: dict[str, str]) -> dict[str, Any]:
        """Lay out the candles of each pair; those that traded come first."""
        market = self.seen.market
        if market is None:
            return {"pairs": [], "why": self.seen.why}
        most = max(MOST_CELLS // (CELLS + len(self.seen.lines)) // max(len(market.pairs), 1), 1000)
        trades = self.tables["trades"]
        pairs = texts(trades["pair"])
        profit = np.abs(floats(trades["pnl"]))
        begins, ends = (self._row(market, trades[name]) for name in ("entry_time", "exit_time"))
        found = []
        for number, name in enumerate(market.names):
            own = pairs == name
            spans = Spans(begins[own], ends[own], profit[own])
            made = pair_candles(market, number, spans, self.seen.lines, most)
            found.append({**made.facts, "trades": int(own.sum())})
            blobs[f"candles{number}"] = made.blob
        return {
            "first_ms": int(market.times[0]) // MS if len(market.times) else 0,
            "lines": [{"name": line.name, "over": line.over} for line in self.seen.lines],
            "pairs": found,
            "why": "",
        }

    def _row(self, market: Market, column: pa.ChunkedArray) -> Int64Array:
        """Return the rows of the market in which times lie; a bar's close belongs to the bar."""
        rows: Int64Array = (ns(column) - int(market.times[0])) // market.timeframe_ns
        return np.clip(rows, 0, market.n_rows - 1)


def _why_no_sharpe(n: int) -> str:
    """Say why n returns have no Sharpe ratio that looks back."""
    if n < ROLLING_DAYS:
        return f"There is none: the run has {n} of the {ROLLING_DAYS} returns that the first point looks back on."
    return f"There is none: no {ROLLING_DAYS} returns in a row vary."


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else value.isoformat()


def folder_facts(content: Mapping[str, Any]) -> str:
    """Return in a few words what a run is: for titles."""
    return f"{content['strategy']} · {content['mode']} · {', '.join(content['pairs'][:3])}"

"""Two runs over the same days: how much of the difference of their results may be luck."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.analysis.bootstrap import (
    LEVEL,
    OF_RETURNS,
    RESAMPLES,
    Opened,
    difference_intervals,
    of_depth,
    trade_difference_intervals,
)
from kraken_flow.analysis.returns import daily_returns, day_ends
from kraken_flow.core.errors import UserError
from kraken_flow.core.times import DAY, YEAR
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.runs.arrow import nearest_floats
from kraken_flow.runs.past import PastRun


def paired_intervals(a: PastRun, b: PastRun) -> dict[str, Any]:
    """Return the 90 % intervals of b's numbers less a's where both runs cover the same days.

    Returns
    -------
    dict
        `level`, `resamples`, `why` (empty, or why there is no interval at all), `intervals` (name -> two numbers, None
        where that number has none).
    """
    found: dict[str, Any] = {"level": LEVEL, "resamples": RESAMPLES, "why": "", "intervals": {}}
    old, new = _daily(a), _daily(b)
    if old is None or new is None:
        found["why"] = "equity was gone in one of the runs, or there were no bars"
    elif not np.array_equal(old.ends, new.ends):
        found["why"] = "the runs cover different days"
    else:
        made = of_depth(difference_intervals(old.returns, new.returns, old.per_year, old.span_ns), _deeper(a, b))
        made |= trade_difference_intervals(_opened(a, old.ends), _opened(b, new.ends), len(old.ends))
        if a.currency != b.currency:
            made["expectancy"] = "other_currency"
        found["intervals"] = {name: None if isinstance(span, str) else span for name, span in made.items()}
        if all(span is None for span in found["intervals"].values()):
            found["why"] = str(made[OF_RETURNS[0]]).replace("_", " ")
    return found


def _deeper(a: PastRun, b: PastRun) -> float:
    """Return b's drawdown less a's, those of all bars; NaN where one is not known."""
    before, now = (run.metrics.get("max_drawdown") for run in (a, b))
    return now - before if isinstance(before, int | float) and isinstance(now, int | float) else np.nan


class _Daily(NamedTuple):
    """Returns of days, or of bars that are longer: the day that each of them ends, how many a year has, their span."""

    ends: Int64Array
    returns: FloatArray
    per_year: float
    span_ns: int


def _opened(run: PastRun, ends: Int64Array) -> Opened:
    """Return the day of each closed trade's entry, as a row of the days' `ends`, and its profit."""
    table = _table(run, "trades", "entry_time", "pnl")
    days = table.column("entry_time").cast(pa.int64()).to_numpy() // DAY
    # A fill inside a day's last bar bears the time of its close, which is the next day's first.
    return np.minimum(np.searchsorted(ends, days), len(ends) - 1), nearest_floats(table.column("pnl")).to_numpy()


def _table(run: PastRun, name: str, *columns: str) -> pa.Table:
    path = run.folder / f"{name}.parquet"
    try:
        return pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{run.name}: {path} cannot be read ({str(error).splitlines()[0]})") from None


def _daily(run: PastRun) -> _Daily | None:
    """Return a run's daily returns; None where equity was gone at a time."""
    table = _table(run, "equity", "time", "equity")
    times: Int64Array = table.column("time").cast(pa.int64()).to_numpy()
    equity: FloatArray = table.column("equity").to_numpy()
    total, final = run.metrics.get("total_return"), run.metrics.get("final_equity")
    known = isinstance(final, str) and isinstance(total, float) and total > -1.0
    if not known or len(times) == 0 or not (equity > 0).all():
        return None
    # The configuration has the starting cash too, and would have to be loaded for it, with what it names of code.
    start = float(str(final)) / (1.0 + float(str(total)))
    step, first = int(times[1] - times[0]) if len(times) > 1 else DAY, int(times[0])
    ends = (times[day_ends(first, step, len(times))] - 1) // DAY
    returns = daily_returns(equity, start, first, step)
    return _Daily(ends, returns, 365.0 if step <= DAY else YEAR / step, len(times) * step)

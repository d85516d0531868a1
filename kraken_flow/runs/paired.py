"""Two runs over the same days: how much of the difference of their results may be luck."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.analysis.bootstrap import LEVEL, OF_RETURNS, RESAMPLES, difference_intervals
from kraken_flow.analysis.returns import daily_returns
from kraken_flow.core.errors import UserError
from kraken_flow.core.times import DAY, YEAR
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.runs.past import PastRun


def paired_intervals(a: PastRun, b: PastRun) -> dict[str, Any]:
    """Return the 90 % intervals of b's numbers less a's where both runs have the same closes.

    Returns
    -------
    dict
        `level`, `resamples`, `why` (empty, or why there is no interval at all), `intervals` (name -> two numbers, None
        where that number has none).
    """
    found: dict[str, Any] = {"level": LEVEL, "resamples": RESAMPLES, "why": "", "intervals": {}}
    old, new = _curve(a), _curve(b)
    if old is None or new is None:
        found["why"] = "equity was gone in one of the runs"
    elif not np.array_equal(old[0], new[0]):
        found["why"] = "the runs cover different bars"
    elif len(old[0]) < 2:
        found["why"] = "the runs cover fewer than two bars"
    else:
        made = _intervals(*old, new[1])
        found["intervals"] = {name: None if isinstance(span, str) else span for name, span in made.items()}
        if all(span is None for span in found["intervals"].values()):
            found["why"] = str(made[OF_RETURNS[0]]).replace("_", " ")
    return found


def _curve(run: PastRun) -> tuple[Int64Array, FloatArray] | None:
    """Return closes and equity, the equity before the first bar ahead of the rest; None where it was gone at a time."""
    path = run.folder / "equity.parquet"
    try:
        table = pq.read_table(path, columns=["time", "equity"])
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{run.name}: {path} cannot be read ({str(error).splitlines()[0]})") from None
    times: Int64Array = table.column("time").cast(pa.int64()).to_numpy()
    equity: FloatArray = table.column("equity").to_numpy()
    total = run.metrics.get("total_return")
    final = run.metrics.get("final_equity")
    if not isinstance(final, str) or not isinstance(total, float) or total <= -1.0 or not (equity > 0).all():
        return None
    # The configuration has the starting cash too, and would have to be loaded for it, with what it names of code.
    start = float(final) / (1.0 + total)
    return times, np.concatenate(([start], equity))


def _intervals(times: Int64Array, old: FloatArray, new: FloatArray) -> Mapping[str, Any]:
    step = int(times[1] - times[0])
    a, b = (daily_returns(equity[1:], float(equity[0]), int(times[0]), step) for equity in (old, new))
    return difference_intervals(a, b, 365.0 if step <= DAY else YEAR / step, len(times) * step)

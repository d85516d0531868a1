"""Candles that a program holds already: the library's `bars=` argument."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import Market
from kraken_flow.core.node import NonNegative, node
from kraken_flow.core.times import iso, parse_timeframe, timeframe_name
from kraken_flow.data.candles import CandleSource
from kraken_flow.data.check import check
from kraken_flow.data.grid import Series, assemble, columns_sha256
from kraken_flow.data.stamps import NAMES
from kraken_flow.data.table import Table, from_arrow


@node
class Memory(CandleSource):
    """Candles by pair: a DataFrame (time as a column or as the index), or a mapping of column names to arrays.

    The columns, the times and the rules on rows are those of a file.
    """

    bars: dict[str, Any]
    """Candles by pair, for example {"BTC/USD": frame}."""
    on_bad: Literal["error", "drop"] = "error"
    """What to do with a bad row: stop and name it, or leave it out and count it."""
    max_gap: NonNegative[int] = 24
    """Longest run of missing bars over which features carry their last output; after a longer one they start anew."""
    feed_delay: str | int = "0"
    """How long after its close a bar is known, for example 500ms or 2s."""

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Check the pairs' candles and put them onto one grid; see `core.source.Source`.

        `detail` resamples the same candles, where they are fine enough. Raises `UserError` naming pair and row.
        """
        timeframe_ns = parse_timeframe(timeframe)
        lacking = [pair for pair in pairs if pair not in self.bars]
        if lacking:
            raise UserError(f"bars: no candles for {', '.join(lacking)}; there are {', '.join(self.bars) or 'none'}")
        series: list[Series] = []
        problems: list[str] = []
        for pair in sorted(pairs):
            try:
                series.append(self._series(pair, timeframe_ns))
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise UserError("\n".join(problems))
        finer = None
        if detail is not None:
            detail_ns = parse_timeframe(detail, "exchange.fill.detail")
            finer = detail_ns, {one.pair: one for one in series if one.checked.step_ns <= detail_ns}
        return assemble(series, timeframe_ns, start, end, lookback, self.max_gap, finer)

    def _series(self, pair: str, timeframe_ns: int) -> Series:
        checked = check(table_of(self.bars[pair], f"bars[{pair!r}]"), self.on_bad, (timeframe_ns,))
        bars = checked.bars
        record = {
            "pair": pair,
            "path": "memory",
            "role": "bars",
            "timeframe": timeframe_name(checked.step_ns),
            "sha256": columns_sha256(bars),
            "first": iso(int(bars.times[0])),
            "last": iso(int(bars.times[-1])),
            "rows": len(bars.times),
        }
        return Series(pair, checked, record)


def from_bars(bars: Mapping[str, Any]) -> Memory:
    """Return the source for candles by pair, with the defaults of a file source."""
    return Memory(bars=dict(bars))


def table_of(candles: Any, where: str) -> Table:
    """Read a DataFrame or a mapping of arrays of one length as a `Table`."""
    if isinstance(candles, pd.DataFrame):
        frame = candles
    elif isinstance(candles, Mapping):
        arrays = {str(name): np.asarray(values) for name, values in candles.items()}
        flat = [name for name, values in arrays.items() if values.ndim != 1]
        if flat:
            raise UserError(f"{where}: {', '.join(flat)} must be a list of numbers, or an array of one dimension")
        lengths = {name: len(values) for name, values in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"{where}: columns differ in length: {lengths}")
        frame = pd.DataFrame(arrays)
    else:
        raise UserError(
            f"{where}: {type(candles).__name__} is no candle table; give a DataFrame or a mapping of arrays"
        )
    names = {str(name).strip().lower() for name in frame.columns}
    if names.isdisjoint(NAMES) and (isinstance(frame.index, pd.DatetimeIndex) or frame.index.name in NAMES):
        frame = frame.rename_axis(frame.index.name if frame.index.name in NAMES else "time").reset_index()
    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.rename(columns=str)
    try:
        # A handful of columns of numbers is shared rather than copied: handing them to threads takes longer.
        table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    except (pa.ArrowException, ValueError) as problem:
        raise UserError(f"{where}: not a table of numbers and times: {problem.args[0]}") from None
    return from_arrow(table, where)

"""The first trade in which two past runs differ."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kraken_flow.core.errors import UserError
from kraken_flow.runs import arrow
from kraken_flow.runs.past import PastRun

_SEEN = ("pair", "side", "entry_time", "exit_time", "entry_price", "exit_price", "qty", "pnl", "exit_reason")


def trade_differences(a: PastRun, b: PastRun) -> dict[str, Any]:
    """Return how many trades each run closed, and the first that differs, None where all are equal.

    A trade's `number` counts from 1 in the order in which trades closed; a or b is None where that run has ended.
    """
    tables = {"a": _trades(a), "b": _trades(b)}
    found: dict[str, Any] = {letter: len(table) for letter, table in tables.items()} | {"first": None}
    shorter = min(found["a"], found["b"])
    row = _first_row(*(table.slice(0, shorter) for table in tables.values()))
    if row < shorter or found["a"] != found["b"]:
        found["first"] = {"number": row + 1} | {letter: _row(table, row) for letter, table in tables.items()}
    return found


def _trades(run: PastRun) -> pa.Table:
    """Return a run's trades."""
    path = run.folder / "trades.parquet"
    try:
        table = pq.read_table(path, columns=list(_SEEN))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{run.name}: {path} cannot be read ({str(error).splitlines()[0]})") from None
    return table.replace_schema_metadata(None)


def _first_row(a: pa.Table, b: pa.Table) -> int:
    """Return the first row in which two tables of one length differ, their length where none does."""
    differ = arrow.booleans(np.zeros(len(a), np.bool_))
    for name in _SEEN:
        differ = pc.or_(differ, pc.not_equal(a.column(name), b.column(name)).combine_chunks())
    row = pc.index(differ, True).as_py()
    return len(a) if row < 0 else int(row)


def _row(table: pa.Table, row: int) -> dict[str, str] | None:
    """Return a trade with times and exact decimals as text, None where there is none."""
    if row >= len(table):
        return None
    found = {}
    for name in _SEEN:
        value = table.column(name).slice(row, 1).combine_chunks()
        if pa.types.is_decimal(value.type):
            value = arrow.decimal_text(value)
        elif pa.types.is_timestamp(value.type):
            value = arrow.time_text(value.cast(pa.int64()).to_numpy())
        found[name] = str(value[0].as_py())
    return found

"""Times as they stand in files, read into int64 nanoseconds UTC."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kraken_flow.core.errors import UserError
from kraken_flow.core.units import Int64Array

UNREADABLE = -(2**63)
"""Stands for a time that could not be read; such a row is a bad row."""
NAMES = ("ts_ns", "ts_ms", "open_time", "timestamp", "ts", "time", "datetime", "date")
"""Columns that may hold the bar's open, the most telling name first."""
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_BY_NAME = {"ts_ns": "ns", "ts_ms": "ms"}
_ZONE = re.compile(r"(Z|z|[+-]\d\d(:?\d\d)?)$")


def _magnitudes(values: Int64Array) -> Int64Array:
    """Return 0 for seconds, 1 for ms, 2 for us, 3 for ns: each covers the years 1970 to 5138 of the one before."""
    size = np.abs(values)
    result: Int64Array = (
        (size >= 10**11).astype(np.int64) + (size >= 10**14).astype(np.int64) + (size >= 10**17).astype(np.int64)
    )
    return result


def _integers(values: Int64Array, valid: np.ndarray, name: str) -> tuple[Int64Array, str]:
    """Turn integers into ns; the unit is the name's, else the one that fits the middle value's size."""
    good = values[valid]
    if not len(good):
        return np.full(len(values), UNREADABLE, np.int64), ""
    sizes = _magnitudes(values)
    unit = _BY_NAME.get(name)
    if unit is None:
        common = int(np.bincount(sizes[valid]).argmax())
        unit = tuple(_UNITS)[common]
        valid = valid & ((sizes == common) | (values == 0))
    factor = _UNITS[unit]
    fits = valid & (np.abs(values) <= (2**63 - 1) // factor)
    return np.where(fits, np.where(fits, values, 0) * factor, UNREADABLE), f"times are Unix {_WORDS[unit]}"


def _texts(column: pa.ChunkedArray, name: str) -> tuple[Int64Array, str]:
    """Read ISO-8601 text, or integers written as text."""
    series = column.cast(pa.string()).to_pandas()
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers).sum() * 2 > len(numbers):
        return _floats(numbers, name)
    moments = pd.DatetimeIndex(pd.to_datetime(series, utc=True, format="ISO8601", errors="coerce"))
    stamps = moments.as_unit("ns").asi8.copy()
    empty = np.asarray(moments.isna())
    stamps[empty] = UNREADABLE
    sample = series[~empty].head(1)
    zoned = not len(sample) or _ZONE.search(str(sample.iloc[0]).strip()[10:]) is not None
    return stamps, "" if zoned else "times carry no zone: read as UTC"


def _floats(values: "np.ndarray[tuple[int], np.dtype[np.float64]]", name: str) -> tuple[Int64Array, str]:
    """Read whole numbers that came as floats; a fraction of a unit is unreadable."""
    valid = np.isfinite(values) & (np.abs(values) < 2.0**62) & (np.rint(values) == values)
    return _integers(np.where(valid, values, 0).astype(np.int64), valid, name)


def to_ns(column: pa.ChunkedArray, name: str, where: str) -> tuple[Int64Array, str]:
    """Read a time column.

    Parameters: `column` timestamps, dates, integers, whole floats or ISO-8601 text; `name` its lower-case name (`ts_ms`
    and `ts_ns` state their unit, elsewhere the size of the numbers does); `where` for the error message.
    Returns int64 ns UTC of the column's length (`UNREADABLE` where it cannot be read) and a note for the summary, empty
    if there is nothing to say. Raises `UserError` for a type that is no time.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        factor = _UNITS[kind.unit]
        numbers = column.cast(pa.int64())
        valid = pc.is_valid(numbers).to_numpy(zero_copy_only=False)
        values = numbers.fill_null(0).to_numpy()
        fits = valid & (np.abs(values) <= (2**63 - 1) // factor)
        note = "" if kind.tz else "times carry no zone: read as UTC"
        return np.where(fits, np.where(fits, values, 0) * factor, UNREADABLE), note
    if pa.types.is_integer(kind):
        numbers = column.cast(pa.int64(), safe=False)
        valid = pc.is_valid(numbers).to_numpy(zero_copy_only=False)
        return _integers(numbers.fill_null(0).to_numpy(), valid, name)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floats(column.cast(pa.float64()).to_numpy(zero_copy_only=False), name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(column, name)
    raise UserError(f"{where}: column {name!r} holds {kind}, not a time; write ISO-8601 with zone or Unix time")

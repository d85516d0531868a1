"""Columns of a run's tables as arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.core.errors import UserError
from kraken_flow.core.units import FloatArray, Int64Array


def read_table(path: Path, name: str) -> pa.Table:
    """Return a table. Raises `UserError` naming it where the file is damaged."""
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{name} cannot be read ({str(error).splitlines()[0]})") from None


def ns(column: pa.ChunkedArray) -> Int64Array:
    """Return times as ns UTC."""
    values: Int64Array = column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
    return values


def floats(column: pa.ChunkedArray) -> FloatArray:
    """Return numbers as floats, NaN for none."""
    values: FloatArray = column.cast(pa.float64()).to_numpy()
    return values


def texts(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return words as an array of strings."""
    return np.array(column.to_pylist(), dtype=str)

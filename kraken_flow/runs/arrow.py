"""Engine integers as Arrow columns: exact decimals, words and UTC times, without a loop over rows.

Columns are made from buffers, because `pyarrow.array` imports pandas, which takes longer than a whole backtest.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kraken_flow.analysis.wide import Wide
from kraken_flow.core.orders import Word
from kraken_flow.core.units import CASH_DECIMALS, PRICE_DECIMALS, FloatArray, Int64Array

UTC_NS = pa.timestamp("ns", tz="UTC")


def column(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return a contiguous copy-free column of a fixed-width type whose layout is that of `values`."""
    plain = np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(plain), [None, pa.py_buffer(plain)])


def integers(values: NDArray[Any]) -> pa.Array:
    """Return int64."""
    return column(values.astype(np.int64, copy=False), pa.int64())


def floats(values: FloatArray) -> pa.Array:
    """Return float64."""
    return column(values, pa.float64())


def known_floats(values: FloatArray) -> pa.Array:
    """Return float64, null where a value is NaN."""
    return pa.array(values, pa.float64(), from_pandas=True)


def booleans(values: NDArray[np.bool_]) -> pa.Array:
    """Return bool."""
    return column(values.view(np.uint8), pa.uint8()).cast(pa.bool_())


def strings(values: Sequence[str]) -> pa.Array:
    """Return strings."""
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    data = pa.py_buffer(b"".join(encoded))
    return pa.Array.from_buffers(pa.string(), len(encoded), [None, pa.py_buffer(offsets), data])


def literal(text: str) -> pa.Scalar:
    """Return one string, for a function that takes columns and constants."""
    return strings([text])[0]


def join(*parts: pa.Array | str) -> pa.Array:
    """Join columns and constants row by row, without a separator."""
    return pc.binary_join_element_wise(*(literal(p) if isinstance(p, str) else p for p in parts), literal(""))


def when(mask: NDArray[np.bool_], text: pa.Array | str) -> pa.Array:
    """Return the text where the mask is set, else an empty string."""
    return pc.if_else(booleans(mask), literal(text) if isinstance(text, str) else text, literal(""))


def wide(values: Wide, decimals: int = CASH_DECIMALS) -> pa.Array:
    """Return 128-bit integers of 10^-decimals as decimal128(38, decimals)."""
    limbs = np.empty((len(values), 2), "<u8")
    limbs[:, 0] = values.lo
    limbs[:, 1] = values.hi.astype(np.uint64)
    return column(limbs, pa.decimal128(38, decimals))


def decimals(units: Int64Array, *, zero_is_null: bool = False) -> pa.Array:
    """Return prices or quantities as decimal128(38, 8)."""
    exact = wide(Wide.of(units), PRICE_DECIMALS)
    if zero_is_null and (units == 0).any():
        exact = pc.if_else(booleans(units != 0), exact, pa.nulls(len(exact), exact.type))
    return exact


def units(exact: pa.ChunkedArray) -> Int64Array:
    """Return decimals of eight places as the int64 units that they were made from; the inverse of `decimals`."""
    if len(exact) == 0:
        return np.zeros(0, np.int64)
    whole = exact.combine_chunks()
    limbs = np.frombuffer(whole.buffers()[1], "<i8")
    low: Int64Array = limbs[2 * whole.offset : 2 * (whole.offset + len(whole)) : 2].astype(np.int64)
    return low


def nearest_floats(exact: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return decimals as the floats that are nearest to them; Arrow's own cast is off by the last bit of some."""
    return exact.cast(pa.string()).cast(pa.float64())


def times(ns: Int64Array) -> pa.Array:
    """Return ns as timestamp[ns, UTC]."""
    return column(ns, UTC_NS)


def pick(names: Sequence[str], index: NDArray[np.integer[Any]]) -> pa.Array:
    """Return names[index] as strings."""
    return strings(names).take(integers(index))


def words(enum: type[Word], values: Int64Array) -> pa.Array:
    """Return the lower-case words of an enum's values."""
    known = {int(member): member.word for member in enum}
    low = min(known)
    return pick([known.get(low + i, "") for i in range(max(known) - low + 1)], values - low)


def decimal_text(exact: pa.Array) -> pa.Array:
    """Write decimals without trailing zeros; null as an empty string."""
    written = exact.cast(pa.string())
    if pc.any(pc.match_substring(written, "E")).as_py():
        # Arrow writes 0.0000001 as 1.0E-7, and 0 with eight decimals as 0E-8.
        coded = written.dictionary_encode()
        written = strings([f"{Decimal(text):f}" for text in coded.dictionary.to_pylist()]).take(coded.indices)
    plain = pc.utf8_rtrim(pc.utf8_rtrim(written, "0"), ".")
    return pc.coalesce(plain, literal(""))


def time_text(ns: Int64Array) -> pa.Array:
    """Write times as ISO-8601 UTC, to the nanosecond where seconds are not whole; 0 as an empty string.

    Whole days are `2024-01-31T00:00:00Z`.
    """
    whole = bool((ns % 10**9 == 0).all())
    moments = column(ns // 10**9, pa.timestamp("s")) if whole else column(ns, pa.timestamp("ns"))
    iso = join(pc.utf8_replace_slice(moments.cast(pa.string()), 10, 11, "T"), "Z")
    return when(ns != 0, iso) if (ns == 0).any() else iso

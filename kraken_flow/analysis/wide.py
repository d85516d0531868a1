"""Columns of 128-bit integers: exact money in bulk, where a price times a quantity does not fit 64 bits."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.units import FloatArray, Int64Array

_LOW32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_TWO64 = 2.0**64

Integers = TypeVar("Integers", Int64Array, NDArray[np.uint64])


LONG_SEGMENT = 16
"""Rows per segment from which a sum per segment costs less than a running sum."""


def segment_sums(values: Integers, starts: NDArray[np.intp]) -> Integers:
    """Sum each segment of an integer column, as `np.add.reduceat` does, but fast where segments are short.

    Differences of a running sum are exact in integers, even where the running sum wraps.
    """
    if len(starts) * LONG_SEGMENT < len(values):
        long: Integers = np.add.reduceat(values, starts)
        return long
    running = np.zeros(len(values) + 1, values.dtype)
    np.cumsum(values, out=running[1:])
    edges = running[np.append(starts, len(values))]
    sums: Integers = edges[1:] - edges[:-1]
    return sums


def mean(total: int, n: int) -> int:
    """Divide a sum by a count, half to even."""
    whole, rest = divmod(total, n)
    return whole + (2 * rest > n or (2 * rest == n and whole % 2 == 1))


@dataclass(frozen=True)
class Wide:
    """A column of signed 128-bit integers, value = hi * 2^64 + lo, in units of 10^-16 for money.

    Parameters
    ----------
    hi
        int64 of shape (n,).
    lo
        uint64 of shape (n,).
    """

    hi: Int64Array
    lo: NDArray[np.uint64]

    @staticmethod
    def of(values: Int64Array) -> "Wide":
        """Widen an int64 column."""
        return Wide(values >> 63, values.astype(np.uint64))

    @staticmethod
    def of_split(hi: Int64Array, lo: Int64Array) -> "Wide":
        """Widen the two columns of an engine's 128-bit cash, value = hi * 2^62 + lo with 0 <= lo < 2^62."""
        low = hi.astype(np.uint64) << np.uint64(62)
        return Wide(hi >> 2, low | lo.astype(np.uint64))

    @staticmethod
    def of_ints(values: Iterable[int]) -> "Wide":
        """Widen Python integers."""
        numbers = list(values)
        hi = np.array([v >> 64 for v in numbers], np.int64)
        return Wide(hi, np.array([v & (2**64 - 1) for v in numbers], np.uint64))

    @staticmethod
    def product(a: Int64Array, b: Int64Array) -> "Wide":
        """Multiply exactly; |a x b| < 2^112, which is 5e17 of a currency.

        The low 64 bits are those of a wrapping product; the float product, off by less than 2^63, gives the rest.
        """
        lo = a.astype(np.uint64) * b.astype(np.uint64)
        near = a.astype(np.float64) * b.astype(np.float64)
        hi: Int64Array = np.rint((near - lo.astype(np.float64)) / _TWO64).astype(np.int64)
        return Wide(hi, lo)

    def __len__(self) -> int:
        return len(self.hi)

    def __add__(self, other: "Wide") -> "Wide":
        lo = self.lo + other.lo
        return Wide(self.hi + other.hi + (lo < self.lo), lo)

    def __neg__(self) -> "Wide":
        lo = ~self.lo + np.uint64(1)
        return Wide(~self.hi + (lo == 0), lo)

    def __sub__(self, other: "Wide") -> "Wide":
        return self + (-other)

    def times(self, sign: Int64Array) -> "Wide":
        """Multiply by +1 or -1, row by row."""
        turned = -self
        flip = sign < 0
        return Wide(np.where(flip, turned.hi, self.hi), np.where(flip, turned.lo, self.lo))

    def masked(self, chosen: Int64Array) -> "Wide":
        """Multiply by 0 or 1, row by row."""
        return Wide(self.hi * chosen, self.lo * chosen.astype(np.uint64))

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Wide":
        """Return the rows of an index, a mask or a slice."""
        return Wide(self.hi[rows], self.lo[rows])

    def sums(self, starts: NDArray[np.intp]) -> "Wide":
        """Sum each segment; `starts` ascending and unique, the last segment runs to the end."""
        if len(starts) == 0:
            return Wide(np.zeros(0, np.int64), np.zeros(0, np.uint64))
        low = segment_sums(self.lo & _LOW32, starts)
        middle = segment_sums(self.lo >> _32, starts) + (low >> _32)
        hi = segment_sums(self.hi, starts) + (middle >> _32).astype(np.int64)
        return Wide(hi, (middle << _32) | (low & _LOW32))

    def total(self) -> int:
        """Sum the column exactly."""
        if len(self) == 0:
            return 0
        parts = (int(self.hi.sum()) << 64, int((self.lo >> _32).sum()) << 32, int((self.lo & _LOW32).sum()))
        return sum(parts)

    def ints(self) -> list[int]:
        """Return Python integers."""
        return [(h << 64) + low for h, low in zip(self.hi.tolist(), self.lo.tolist(), strict=True)]

    def floats(self, unit: int) -> FloatArray:
        """Return value / `unit` as float64, to about one part in 10^15."""
        magnitude = self.times(np.where(self.hi < 0, -1, 1))
        size = magnitude.hi.astype(np.float64) * _TWO64 + magnitude.lo.astype(np.float64)
        result: FloatArray = np.where(self.hi < 0, -size, size) / float(unit)
        return result

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Rows above 0."""
        above: NDArray[np.bool_] = (self.hi > 0) | ((self.hi == 0) & (self.lo > 0))
        return above

    @property
    def negative(self) -> NDArray[np.bool_]:
        """Rows below 0."""
        below: NDArray[np.bool_] = self.hi < 0
        return below

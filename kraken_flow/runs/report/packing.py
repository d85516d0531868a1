"""Columns as a page carries them: integers that change little from row to row, gzipped, in base64."""

import gzip
import math
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 4
"""Effort of gzip: beyond it a page takes twice the time for 4 % fewer bytes."""
MISSING = -(2**31)
"""What stands for NaN."""
_LARGEST = 2**31 - 1
_DIGITS = 9


def packed(content: bytes) -> str:
    """Return bytes gzipped and in base64; equal bytes give equal text."""
    return b64encode(gzip.compress(content, LEVEL, mtime=0)).decode()


@dataclass
class Pack:
    """Columns that are carried as one blob, and the index by which the page finds them in it."""

    parts: list[bytes] = field(default_factory=list)
    index: dict[str, dict[str, Any]] = field(default_factory=dict)

    def whole(self, name: str, values: NDArray[Any], step: float = 1.0, walks: bool = True) -> None:
        """Add integers, of which each stands for `step` times itself; `MISSING` for NaN.

        They are written with the sign in the lowest bit and the lowest bytes of all rows first, and those of a column
        that `walks`, whose neighbours are near each other, as differences: most bytes are 0.
        Raises `ValueError` where one does not fit in 32 bits.
        """
        wide = values.astype(np.int64)
        if len(wide) and not MISSING <= int(wide.min()) <= int(wide.max()) <= _LARGEST:
            raise ValueError(f"{name}: the page carries integers of 32 bits")
        # The difference of two may take 33 bits; what is lost is lost again when they are summed up.
        steps = (np.diff(wide, prepend=0) if walks else wide).astype(np.int32)
        bits = ((steps << 1) ^ (steps >> 31)).view(np.uint8).reshape(-1, 4)
        self._add(name, bits, {"kind": "walk" if walks else "whole", "step": step})

    def real(self, name: str, values: NDArray[np.float64], digits: int = _DIGITS) -> None:
        """Add floats, rounded to a power of ten that leaves the largest of them `digits` significant digits."""
        size = float(np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values))) if len(values) else 0.0
        step = 10.0 ** (math.floor(math.log10(size)) + 1 - digits) if size > 0 else 1.0
        known = np.isfinite(values)
        scaled = np.rint(np.divide(values, step, out=np.zeros(len(values)), where=known))
        self.whole(name, np.where(known, scaled, MISSING).astype(np.int64), step)

    def exact(self, name: str, values: NDArray[np.float64]) -> None:
        """Add floats as they are."""
        self._add(name, np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8), {"kind": "exact"})

    def words(self, name: str, values: list[str | None]) -> None:
        """Add strings: each is written once, None and nothing are the same."""
        known = {word: number for number, word in enumerate(dict.fromkeys(word or "" for word in values))}
        self.whole(name, np.array([known[word or ""] for word in values], np.int64))
        self.index[name]["words"] = list(known)

    def _add(self, name: str, rows: NDArray[np.uint8], facts: dict[str, Any]) -> None:
        self.index[name] = {"n": len(rows), **facts}
        self.parts.append(rows.T.tobytes())

    def text(self) -> str:
        """Return the blob."""
        return packed(b"".join(self.parts))

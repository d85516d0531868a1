"""Exact equality of two engines' results."""

import numpy as np

from kraken_flow.core.orders import OrderType, Reason, Side, State
from kraken_flow.core.result import Columns, Result


def assert_same(ours: Result, theirs: Result) -> None:
    """Assert that two results agree in every column, mark, balance and counter; name the first row that differs."""
    for table in ("orders", "fills", "log", "flows", "parents", "children"):
        assert_same_columns(table, getattr(ours, table), getattr(theirs, table))
    for name in ("equity", "cash", "gross"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == other.shape, f"{name}: {mine.shape} and {other.shape}"
        differ = np.flatnonzero(mine.view(np.int64) != other.view(np.int64))
        assert not len(differ), f"{name}[{differ[0]}]: {mine[differ[0]]!r} and {other[differ[0]]!r}"
    assert list(ours.risk) == list(theirs.risk)
    for name, column in ours.risk.items():
        assert column.dtype == theirs.risk[name].dtype, name
        assert column.tolist() == theirs.risk[name].tolist(), f"risk {name}"
    assert repr(ours.exposure) == repr(theirs.exposure)
    assert (ours.final_cash, ours.basis) == (theirs.final_cash, theirs.basis)
    assert ours.final_positions.tolist() == theirs.final_positions.tolist()
    assert ours.tags == theirs.tags
    assert {k: v for k, v in ours.counts.items() if v} == {k: v for k, v in theirs.counts.items() if v}


def assert_same_columns(table: str, ours: Columns, theirs: Columns) -> None:
    """Assert that two tables have the same names, lengths and values."""
    assert list(ours) == list(theirs), table
    first = min((_first_difference(ours[name], theirs[name]) for name in ours), default=-1)
    if first >= 0 and first < 2**62:
        mine, other = ({n: int(c[first]) for n, c in t.items() if first < len(c)} for t in (ours, theirs))
        wrong = sorted(n for n in ours if mine.get(n) != other.get(n))
        raise AssertionError(f"{table} differ at row {first} in {wrong}:\n  {_words(mine)}\n  {_words(other)}")


def _first_difference(ours: np.ndarray, theirs: np.ndarray) -> int:
    shared = min(len(ours), len(theirs))
    differ = np.flatnonzero(ours[:shared] != theirs[:shared])
    if len(differ):
        return int(differ[0])
    return 2**62 if len(ours) == len(theirs) else shared


def _words(row: dict[str, int]) -> dict[str, object]:
    kinds = {"side": Side, "type": OrderType, "state": State, "reason": Reason, "end_reason": Reason}
    return {name: kinds[name](value).word if name in kinds else value for name, value in row.items()}

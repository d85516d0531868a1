"""Asking a strategy for its forecast: what is wrong with its answer is said in terms of its own code."""

from types import SimpleNamespace

import numpy as np

from kraken_flow.core.blame import users_line
from kraken_flow.core.errors import UserError
from kraken_flow.core.strategy import Strategy
from kraken_flow.core.units import FloatArray
from kraken_flow.nearest import hint


def ask(strategy: Strategy, f: SimpleNamespace) -> tuple[FloatArray, FloatArray | None]:
    """Return what a strategy says of the rows in `f`, and its confidence, None where it gives none.

    Raises `UserError` where it reads a name that it does not declare, asks `if` of a column, or returns another tuple.
    """
    name = f"{type(strategy).__name__}.forecast"
    try:
        said = strategy.forecast(f)
    except AttributeError as error:
        if error.obj is not f:
            raise
        known = list(vars(f))
        near = hint(str(error.name), known, prefix="f.")
        raise UserError(
            f"{_at(error)}{name} reads f.{error.name}, and {', '.join(known) or 'nothing'} is declared{near}"
        ) from error
    except ValueError as error:
        if "truth value of an array" not in str(error):
            raise
        raise UserError(
            f"{_at(error)}{name} decides by `if`, `and`, `or` or `not` on a column of many rows: "
            "write where(condition, value, otherwise), and & | ~ between conditions in brackets"
        ) from error
    if not isinstance(said, tuple):
        return said, None
    if len(said) != 2:
        raise UserError(f"{name} returned {len(said)} things: return the forecast, or forecast and confidence")
    return said


def as_rows(strategy: Strategy, values: FloatArray, n_rows: int) -> FloatArray:
    """Check that a strategy gave a number for each row, or one for all."""
    name = f"{type(strategy).__name__}.forecast"
    if values is None:
        raise UserError(f"{name} returned nothing: end it with return ...")
    try:
        result = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        shown = repr(values) if len(repr(values)) < 60 else f"a {type(values).__name__}"
        raise UserError(f"{name} returned {shown}: it must be numbers from -1 to 1, one for each row") from None
    if result.shape not in {(), (n_rows,)}:
        raise UserError(f"{name} returned shape {result.shape} for {n_rows} rows")
    return result


def _at(error: BaseException) -> str:
    where = users_line(error)
    return f"{where}: " if where else ""

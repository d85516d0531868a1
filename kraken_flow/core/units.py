"""Scaled integers: the only place where a float becomes money, and an integer becomes text.

Prices and quantities are int64 in units of 10^-8, so a notional (price x quantity) is exact in the unit of cash,
10^-16 of the quote currency. Rates (basis points, margins, caps) are integers of 10^-8. What enters the account half
as a float (forecast, volatility, volume estimate) becomes an integer of 10^-9 once, by `fix`.
"""

from decimal import Decimal, InvalidOperation
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.errors import UserError

PRICE_DECIMALS = 8
QTY_DECIMALS = 8
CASH_DECIMALS = 16
UNIT = 10**8
"""Units in one price, one quantity or one rate of 1.0."""
CASH_UNIT = 10**16
"""Units of cash in one quote currency."""
FIX = 10**9
"""Units of a weight, a volatility or a volume share of 1.0."""
INT64_MAX = 2**63 - 1
TOO_LARGE = (
    "a price or a quantity is larger than the engine can hold exactly: 92,233,720,368 with 8 decimals; "
    "lower account.cash or leave out pairs of such low prices"
)
"""What a user is told when a quantity leaves 64 bits."""
LARGEST_RATE = 1_000_000
"""Rates, factors and basis points up to this keep every product within the engines' 128 bits."""
LARGEST_AMOUNT = 10**10
"""Price steps and quantities up to this fit 64 bits in units of 10^-8."""
FIX_NAN = -(2**63)
"""The integer that stands for "no value" in a column of fixed weights."""
_SHORT = 12
"""Numbers below which calls of NumPy cost more than Python's own arithmetic."""

Int64Array: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]


def decimals_of(values: FloatArray, limit: int = PRICE_DECIMALS) -> int:
    """Return the fewest decimals (at most `limit`) that write every value exactly; `limit` where none does."""
    probe = values[:256]
    for places in range(limit):
        scale = 10.0**places
        if np.array_equal(np.rint(probe * scale) / scale, probe) and np.array_equal(
            np.rint(values * scale) / scale, values
        ):
            return places
    return limit


def to_units(values: FloatArray, decimals: int | None = None) -> Int64Array:
    """Convert floats to integers of 10^-8, half to even, going through their own decimals so that text survives.

    Parameters: `values` float64 of any shape, finite; `decimals` the decimals the data is written in (found if None).
    Values above the int64 range are an error of the caller for prices; volumes are clipped to the largest integer.
    """
    places = decimals_of(values) if decimals is None else decimals
    factor = 10 ** (PRICE_DECIMALS - places)
    scaled = np.rint(values * 10.0**places)
    top = float(INT64_MAX // factor) * (1 - 2**-52)
    result: Int64Array = np.clip(scaled, -top, top).astype(np.int64) * factor
    return result


def to_floats(units: Int64Array) -> FloatArray:
    """Return prices or quantities as float64: the float nearest to the decimal, one correctly rounded division."""
    result: FloatArray = units / float(UNIT)
    return result


def fix(value: float) -> int:
    """Round a float to an integer of 10^-9, half to even; NaN becomes `FIX_NAN`."""
    if value != value:
        return FIX_NAN
    return round(min(max(value * 1e9, -9.2e18), 9.2e18))


def fix_column(values: FloatArray) -> Int64Array:
    """`fix` for a whole column, the same to the bit; values beyond the int64 range are clipped to it."""
    if values.ndim == 1 and len(values) < _SHORT:
        return np.array([fix(value) for value in values.tolist()], np.int64)
    scaled = np.clip(np.rint(values * 1e9), -9.2e18, 9.2e18)
    result: Int64Array = np.where(np.isnan(scaled), 0, scaled).astype(np.int64)
    result[np.isnan(scaled)] = FIX_NAN
    return result


def parse(text: str | float | Decimal, decimals: int = PRICE_DECIMALS, what: str = "number") -> int:
    """Read a decimal number exactly into integers of 10^-decimals; more decimals than that are a `UserError`."""
    try:
        number = Decimal(str(text).strip())
        scaled = number.scaleb(decimals)
        exact = scaled.to_integral_value()
    except InvalidOperation:
        raise UserError(f"{what}: {text!r} is not a number") from None
    if not number.is_finite() or scaled != exact:
        raise UserError(f"{what}: {text!r} has more than {decimals} decimals or is not finite")
    return int(exact)


def rate(value: float) -> int:
    """Return a fraction (0.0026 = 26 bps) as an integer of 10^-8, half to even; one beyond a million is an error."""
    if abs(value) > LARGEST_RATE:
        raise UserError(f"{value:g}: a share, a factor or a multiple is at most {LARGEST_RATE:,}; set a lower one")
    return round(value * UNIT)


def rate_bps(bps: float) -> int:
    """Return basis points as an integer rate of 10^-8, half to even; more than a million is an error."""
    if abs(bps) > LARGEST_RATE:
        raise UserError(f"{bps:g} basis points: at most {LARGEST_RATE:,}; set fewer")
    return int(Decimal(repr(bps)).scaleb(4).to_integral_value())


def text(units: int, decimals: int = PRICE_DECIMALS) -> str:
    """Write an integer of 10^-decimals as an exact decimal without exponent or trailing zeros."""
    sign = "-" if units < 0 else ""
    whole, part = divmod(abs(units), 10**decimals)
    digits = str(part).rjust(decimals, "0").rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def cash_text(units: int) -> str:
    """Write cash as an exact decimal."""
    return text(units, CASH_DECIMALS)


def ceil_div(a: int, b: int) -> int:
    """Divide rounding up; `b` > 0."""
    return -(-a // b)

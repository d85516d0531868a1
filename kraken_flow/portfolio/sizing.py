"""Integer arithmetic that the sizers share: everything is floored toward zero, step by step, the same in Rust."""

from collections.abc import Sequence

from kraken_flow.core.account import View
from kraken_flow.core.units import FIX, UNIT


def budget(view: View, fraction: int, buffer: int) -> int:
    """Return the cash (10^-16) that may be exposed: the fraction of equity, at most leverage x (1 - buffer).

    `fraction` and `buffer` are rates of 10^-8. Without equity there is no budget.
    """
    ceiling = view.leverage * (UNIT - buffer) // UNIT
    return max(view.equity, 0) * min(fraction, ceiling) // UNIT


def kept(view: View, unknown: Sequence[bool]) -> int:
    """Return the value (10^-16) of what is held of the pairs whose share is not known: it stays, and is not divided."""
    held = zip(unknown, view.position, view.price, strict=True)
    return sum(abs(position) * price for stays, position, price in held if stays)


def signed(value: int, forecast: int, price: int) -> int:
    """Return the quantity (10^-8) of a cash value scaled by the forecast's size, with the forecast's sign."""
    if price <= 0:
        return 0
    qty = value * abs(forecast) // FIX // price
    return qty if forecast > 0 else -qty

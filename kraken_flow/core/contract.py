"""Contracts in integers: what a position is worth, what margin it needs, what holding it costs.

A linear contract is worth quantity x price in the quote currency, which it settles in. An inverse one is a number of
quote units, settled in base: the value of `n` bought at E and marked at X is n x (1/E - 1/X). Both fit one ledger:
cash pays a position's value when it is opened and holds it as an asset, a linear one worth q x P, an inverse one -n/P.
What else needs an amount of money asks here: `value`, `cost`, `notional` and `values` in the account's currency,
`quoted` in the quote currency, in which venues write their fee tiers and smallest costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.orders import Word
from kraken_flow.core.units import CASH_UNIT, UNIT, FloatArray

RATE_DECIMALS = 12
"""Decimals of a funding rate: venues write up to twelve."""
RATE_UNIT = 10**RATE_DECIMALS


class MarginMode(Word):
    """What stands behind a position, and so when the venue closes it."""

    NONE = 0
    """Nothing is ever liquidated: spot without a margin level."""
    CROSS = 1
    """The whole account, as long as its equity is above the maintenance margin of all positions."""
    ISOLATED = 2
    """The position's own margin, notional over leverage at entry."""
    LEVEL = 3
    """Spot on margin: equity over used margin has to stay above a level."""


class FlowKind(Word):
    """Why cash moved without a fill."""

    FUNDING = 0
    BORROW_OPENING = 1
    BORROW_ROLLOVER = 2


@dataclass(frozen=True)
class MarginTerms:
    """When and how a venue liquidates. Rates are 10^-8.

    `maintenance` is a share of the notional at the mark, for LEVEL the share of used margin. `at_bankruptcy` closes at
    the price that leaves nothing of the margin (spec F16, pessimistic), else at the mark, never beyond that price.
    `fee` is charged on the notional as far as margin is left.
    """

    mode: MarginMode = MarginMode.NONE
    maintenance: int = 0
    fee: int = 0
    at_bankruptcy: bool = True


@dataclass(frozen=True)
class BorrowTerms:
    """What borrowed base costs on spot: rates (10^-8) of the notional at entry; `every_ns` 0 is off (spec F17)."""

    opening: int = 0
    rollover: int = 0
    every_ns: int = 0


def value(inverse: bool, qty: int, price: int) -> int:
    """Return what a signed position is worth at a price, 10^-16 of the settlement currency, rounded down."""
    if not inverse:
        return qty * price
    return -qty * CASH_UNIT // price if qty else 0


def cost(inverse: bool, change: int, price: int) -> int:
    """Return what cash pays for a signed change of position, 10^-16, rounded against the trader."""
    return change * price if not inverse else -(change * CASH_UNIT // price)


def unit_price(inverse: bool, price: int) -> int:
    """Return the price of one unit of quantity in the settlement currency, 10^-8, which sizes are computed with.

    That of an inverse contract's quote unit is rounded up: sizes are never too large for it.
    """
    return price if not inverse or price == 0 else -(-(10**16) // price)


def notional(inverse: bool, qty: int, price: int) -> int:
    """Return the size of a quantity at a price, 10^-16 of the settlement currency, rounded up."""
    return qty * price if not inverse else (-(-qty * CASH_UNIT // price) if qty else 0)


def quote_price(inverse: bool, price: int) -> int:
    """Return the price of one unit of quantity in the quote currency, 10^-8: inverse contracts are counted in it."""
    return UNIT if inverse else price


def quoted(inverse: bool, qty: int, price: int) -> int:
    """Return the size of a quantity in the quote currency, 10^-16: what fee tiers and smallest costs are written in."""
    return qty * quote_price(inverse, price)


def values(inverse: NDArray[np.bool_], qty: FloatArray, price: FloatArray) -> FloatArray:
    """Return the size of quantities at prices in the account's currency, with the quantities' sign, for statistics.

    Parameters: arrays that broadcast, `qty` and `price` in whole units. An inverse contract has none at a price of 0.
    """
    linear: FloatArray = qty * price
    if not inverse.any():
        return linear
    result: FloatArray = np.where(inverse, np.divide(qty, np.where(price > 0.0, price, np.inf)), linear)
    return result

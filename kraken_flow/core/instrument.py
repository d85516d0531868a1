"""What is traded: one pair on one exchange, with the grid its orders must lie on."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kraken_flow.core.contract import quote_price, quoted
from kraken_flow.core.units import ceil_div

Origin: TypeAlias = Literal["table", "venue", "data", "override"]
"""Where tick, lot and minima come from: the exchange's table, the venue itself, the data's decimals, or the user."""


@dataclass(frozen=True)
class Instrument:
    """A spot pair or a perpetual contract. All integers: prices and quantities in 10^-8, cost in 10^-16 of the quote.

    Tick and lot bind our orders, not market data: a quarter of Kraken's own historical prices lie off today's tick.
    """

    pair: str
    base: str
    quote: str
    tick: int
    lot: int
    qty_min: int = 0
    cost_min: int = 0
    origin: Origin = "table"
    settle: str = ""
    """Currency that a perpetual is settled in; empty for spot."""

    @property
    def inverse(self) -> bool:
        """Whether it is a perpetual settled in its base: then quantities are numbers of quote units."""
        return self.settle == self.base

    @property
    def currency(self) -> str:
        """The account's currency that it is traded in."""
        return self.settle or self.quote

    def takes(self, qty: int, price: int) -> bool:
        """Return whether the venue takes an order of this size."""
        return qty >= self.qty_min and not self.is_cheap(qty, price)

    def is_cheap(self, qty: int, price: int) -> bool:
        """Return whether an order costs less than the venue takes."""
        return quoted(self.inverse, qty, price) < self.cost_min

    def least(self, price: int) -> int:
        """Return the smallest quantity that the venue takes at a price above 0."""
        costly = ceil_div(ceil_div(self.cost_min, quote_price(self.inverse, price)), self.lot) * self.lot
        return max(self.qty_min, costly)

    def without_dust(self, qty: int, closing: int, price: int) -> int:
        """Return what may fill of an order that was cut to `qty`, of which `closing` only closes a position.

        Nothing below the venue's minima is sent, nor is so little opened: no order could close it again.
        """
        if qty > closing and not self.takes(qty - closing, price):
            qty = closing
        return qty if self.takes(qty, price) else 0


def split_pair(pair: str) -> tuple[str, str]:
    """Return base and quote of `BASE/QUOTE` or `BASE/QUOTE:SETTLE`."""
    base, _, quote = pair.partition(":")[0].partition("/")
    return base, quote


def settled_in(pair: str) -> str:
    """Return the settlement currency of a perpetual's pair, nothing for a spot pair."""
    return pair.partition(":")[2]


def is_inverse(pair: str) -> bool:
    """Return whether a pair is a perpetual settled in its base."""
    return settled_in(pair) == split_pair(pair)[0]


def currency_of(pair: str) -> str:
    """Return the account's currency that a pair is traded in: what it settles in, else its quote."""
    return settled_in(pair) or split_pair(pair)[1]

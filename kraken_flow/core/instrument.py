"""What is traded: one pair on one exchange, with the grid its orders must lie on."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Origin: TypeAlias = Literal["table", "venue", "data", "override"]
"""Where tick, lot and minima come from: the exchange's table, the venue itself, the data's decimals, or the user."""


@dataclass(frozen=True)
class Instrument:
    """A spot pair. All integers: prices and quantities in 10^-8, cost in cash units of 10^-16.

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


def split_pair(pair: str) -> tuple[str, str]:
    """Return base and quote of `BASE/QUOTE`."""
    base, _, quote = pair.partition("/")
    return base, quote

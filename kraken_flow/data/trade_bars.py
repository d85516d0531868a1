"""Bars made of single trades."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from kraken_flow.core.tape import Bar

_Place: TypeAlias = tuple[int, int, int]
"""Where a trade stands among those of its bar: its time, its number, when it arrived."""


class Trade(NamedTuple):
    """A trade: when it happened (ns UTC), its id at the venue ("" where it has none), price and quantity in 10^-8."""

    time: int
    id: str
    price: int
    qty: int


@dataclass
class _Making:
    """A bar that is being made."""

    first: _Place
    last: _Place
    open: int
    close: int
    high: int
    low: int
    volume: int = 0
    ids: set[str] = field(default_factory=set)

    def add(self, place: _Place, price: int, qty: int) -> None:
        if place < self.first:
            self.first, self.open = place, price
        if place >= self.last:
            self.last, self.close = place, price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += qty


class TradeBars:
    """The bars of one pair, from trades in any order, each counted once.

    Parameters
    ----------
    step
        Length of a bar, ns; bars open on multiples of it.
    since
        Trades before it are left out, ns UTC: a bar that was not witnessed from its open is not made.
    """

    def __init__(self, step: int, since: int) -> None:
        self.step = step
        self.since = since
        self.duplicates = 0
        self._making: dict[int, _Making] = {}
        self._arrived = 0

    def add(self, trades: Iterable[Trade]) -> dict[int, Bar]:
        """Take trades; return the bars that they changed, by open.

        Trades of one time stand in the order of their numbers, where they have numbers, else in that of arrival.
        """
        changed = set()
        for trade in trades:
            if trade.time < self.since or trade.price <= 0 or trade.qty <= 0:
                continue
            self._arrived += 1
            place = (trade.time, int(trade.id) if trade.id.isdecimal() else 0, self._arrived)
            opened = trade.time - trade.time % self.step
            made = self._making.get(opened)
            if made is None:
                price = trade.price
                made = self._making[opened] = _Making(place, place, price, price, price, price)
            if trade.id and trade.id in made.ids:
                self.duplicates += 1
                continue
            made.ids.add(trade.id)
            made.add(place, trade.price, trade.qty)
            changed.add(opened)
        bars = {}
        for opened in sorted(changed):
            made = self._making[opened]
            bars[opened] = (made.open, made.high, made.low, made.close, made.volume)
        return bars

    def forget(self, before: int) -> None:
        """Drop the bars that open before a time."""
        for opened in [opened for opened in self._making if opened < before]:
            del self._making[opened]

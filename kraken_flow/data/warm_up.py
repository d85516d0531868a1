"""The bars before a live session's start, and what is known of its tape when it begins."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from kraken_flow.core.tape import Bar, Tape
from kraken_flow.core.units import PRICE_DECIMALS, text
from kraken_flow.data.venue import Venue

logger = logging.getLogger(__name__)

_SPAN = 100
"""Bars that a venue looks through for one answer at the least: many answer about so many from where they are asked, and
say nothing where none of these traded."""
_FRUITLESS = 2
"""How often the look-back is doubled without finding more before a venue is taken to have no more."""
Found = dict[str, dict[int, Bar]]
"""Bars by pair and open."""


@dataclass(frozen=True)
class Wanted:
    """What a live tape is to be.

    Parameters: `pairs` in order; `timeframe_ns` of the decision bar; `start` open of the first decision row, ns UTC;
    `lookback` bars of each pair before it; `max_gap` as in `Market`.
    """

    pairs: tuple[str, ...]
    timeframe_ns: int
    start: int
    lookback: int
    max_gap: int


async def history(venue: Venue, pair: str, since: int, step: int, until: int) -> dict[int, Bar]:
    """Return a pair's bars that open in [since, until), ns UTC, and in which something traded, as the venue has them.

    Asks again from where an answer ends until `until` is reached. Bars without trades lack in many answers, so that an
    empty one may be all there is to say about some bars, or a slip: it is believed when it comes twice.
    """
    found: dict[int, Bar] = {}
    nothing = False
    while since < until:
        candles = [candle for candle in await venue.candles(pair, since) if candle.time >= since]
        if candles:
            found |= {candle.time: candle.bar for candle in candles if candle.bar[4] > 0 and candle.time < until}
            since = max(candle.time for candle in candles) + step
        elif nothing:
            since += _SPAN * step
        nothing = not candles and not nothing
    return found


async def warm_up(venue: Venue, wanted: Wanted) -> Found:
    """Return exactly `lookback` bars of each pair before the start, fewer where the venue has fewer."""
    return {pair: await _before(venue, pair, wanted) for pair in wanted.pairs}


async def _before(venue: Venue, pair: str, wanted: Wanted) -> dict[int, Bar]:
    step, lookback, reach = wanted.timeframe_ns, wanted.lookback, wanted.lookback
    found: dict[int, Bar] = {}
    fruitless = 0
    while len(found) < lookback and fruitless < _FRUITLESS:
        earlier = await history(venue, pair, wanted.start - reach * step, step, wanted.start)
        fruitless = 0 if len(earlier) > len(found) else fruitless + 1
        found, reach = max(found, earlier, key=len), max(2 * reach, _SPAN)
    return cut(found, wanted.start, lookback)


def cut(bars: Mapping[int, Bar], start: int, lookback: int) -> dict[int, Bar]:
    """Leave out what lies before the last `lookback` bars before `start`."""
    before = sorted(time for time in bars if time < start)
    dropped = set(before[: max(0, len(before) - lookback)])
    return {time: bar for time, bar in bars.items() if time not in dropped}


def head(venue: str, wanted: Wanted, found: Found, terms: Mapping[str, Mapping[str, int]]) -> Tape:
    """Return what is known of the tape before its first instant.

    Parameters: `venue` its name; `found` the warm-up; `terms` tick, lot and minima of the pairs, units of 10^-8.
    """
    first = min((time for bars in found.values() for time in bars), default=wanted.start)
    short = [f"{pair} {len(bars)}" for pair, bars in found.items() if len(bars) < wanted.lookback]
    notes = [f"bars stream from {venue}; those before the start are its own candles"]
    if short:
        notes.append(f"warm-up bars that {venue} has, of {wanted.lookback} wanted: {', '.join(short)}")
    return Tape(
        pairs=wanted.pairs,
        timeframe_ns=wanted.timeframe_ns,
        first=first,
        first_row=(wanted.start - first) // wanted.timeframe_ns,
        max_gap=wanted.max_gap,
        decimals={pair: _decimals(terms[pair]["tick"]) for pair in wanted.pairs},
        notes=tuple(notes),
        terms={pair: dict(terms[pair]) for pair in wanted.pairs},
    )


def _decimals(tick: int) -> int:
    """Return the decimals that prices on a tick are written with."""
    return min(len(text(tick).partition(".")[2]), PRICE_DECIMALS)

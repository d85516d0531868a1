"""How a parent order is worked: its plan in integers, its slices, and the draws that randomise them (spec 7).

The natural unit is a bar: slices are sent at decision instants, the closes of bars. A plan over N bars sends at N
closes at most, the first of them that of the decision itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kraken_flow.core.orders import Word
from kraken_flow.core.units import UNIT, ceil_div


class Algo(Word):
    """The way in which a parent order is cut into children."""

    TWAP = 1
    """Equal parts over time."""
    VWAP = 2
    """Parts in proportion to a forecast of the volume."""
    POV = 3
    """A share of the volume that was traded."""
    ICEBERG = 4
    """One limit order after another, of which each shows a part."""
    CHASE = 5
    """The whole as one limit order that follows the price."""


class Remainder(Word):
    """What becomes of a parent's rest at the end of its plan."""

    CANCEL = 0
    CROSS = 1
    """It is sent at once, as a market order or, where the parent has a limit price, as one at that price."""


@dataclass(frozen=True)
class Plan:
    """A plan in integers; rates are 10^-8, prices 10^-8, lengths bars, 0 or -1 is off where a field says so.

    Parameters
    ----------
    bars
        Bars that the plan lasts; 0: until the parent is filled.
    every
        Bars from slice to slice.
    time_jitter
        Largest shift of a slice, as a rate of `every`; what is less than a bar is none.
    size_jitter
        Largest change of a slice, or of what an iceberg shows, as a rate.
    offset
        Distance of children on the passive side of the close; -1: they are market orders, or rest at the limit price.
    limit_rate
        Worst price as a distance from the arrival price; -1 off.
    limit_price
        Worst price; 0 off. It goes before `limit_rate`.
    max_participation
        Largest share of the last bar's volume that works at a time; -1 off.
    participation, burst
        Share of all volume that a POV takes, and its largest child as a multiple of the last bar's part.
    display
        Share of the parent that an iceberg shows.
    period, periods
        Bars after which the volume curve of a VWAP repeats, and how many such stretches of the past it is taken from.
    exit_market
        Whether what only reduces a position goes as one market order.
    """

    algo: Algo
    bars: int = 0
    every: int = 1
    time_jitter: int = 0
    size_jitter: int = 0
    offset: int = -1
    limit_rate: int = -1
    limit_price: int = 0
    max_participation: int = -1
    participation: int = 0
    burst: int = UNIT
    display: int = 0
    period: int = 0
    periods: int = 0
    remainder: Remainder = Remainder.CANCEL
    post_only: bool = False
    exit_market: bool = False

    @property
    def lookback(self) -> int:
        """Return the number of past bars that the plan reads."""
        return self.period * self.periods

    @property
    def slices(self) -> int:
        """Return the number of slices of a schedule."""
        return ceil_div(self.bars, self.every)


AT_ONCE = "market"
"""What a plan of one part is called, which is sent at once."""


def way(algo: Algo, bars: int) -> str:
    """Return in a word how a parent is worked: a schedule of one bar is an order at the market."""
    return AT_ONCE if algo is Algo.TWAP and bars == 1 else algo.word


_MASK = 2**64 - 1


def draw(seed: int, parent: int, index: int, stream: int, n: int) -> int:
    """Return 0 <= k < n, n < 2^32: a number that follows from its counters alone, so that a replay draws it again.

    Parameters: `seed` of the run; `parent` its number; `index` of the slice; `stream` 0 for times, 1 for sizes.
    """
    z = (
        seed * 0x9E3779B97F4A7C15
        + parent * 0xBF58476D1CE4E5B9
        + index * 0x94D049BB133111EB
        + stream * 0xD6E8FEB86659FD93
    ) & _MASK
    for _ in range(2):
        z = (z + 0x9E3779B97F4A7C15) & _MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
        z ^= z >> 31
    return (z >> 32) * n >> 32


def jittered(value: int, jitter: int, seed: int, parent: int, index: int) -> int:
    """Return a size changed by at most the rate `jitter`, rounded down."""
    if jitter == 0:
        return value
    return value * (UNIT - jitter + draw(seed, parent, index, 1, 2 * jitter + 1)) // UNIT


def offsets(plan: Plan, seed: int, parent: int) -> tuple[int, ...]:
    """Return at which bar after the decision each slice is sent; ascending, the last within the plan."""
    span = plan.every * plan.time_jitter // UNIT
    shifts = [draw(seed, parent, i, 0, 2 * span + 1) - span if span else 0 for i in range(plan.slices)]
    return tuple(max(0, min(i * plan.every + shift, plan.bars - 1)) for i, shift in enumerate(shifts))


def cumulative(plan: Plan, qty: int, lot: int, weights: Sequence[int], seed: int, parent: int) -> tuple[int, ...]:
    """Return the quantity that shall have been sent after each slice: floors of the cumulative weights, in lots.

    Parameters: `weights` of the slices, at least one above 0. The last is the whole quantity.
    """
    narrow = max(0, max(weights).bit_length() + len(weights).bit_length() - 60)
    sized = [jittered(weight >> narrow, plan.size_jitter, seed, parent, i) for i, weight in enumerate(weights)]
    whole, total, lots = sum(sized), 0, qty // lot
    result = []
    for weight in sized:
        total += weight
        result.append(lots * total // whole * lot if whole else qty)
    return (*result[:-1], qty)


def volume_weights(plan: Plan, row: int, volume_at: Callable[[int], int]) -> list[int] | None:
    """Return each slice's part of the volume that past days let expect; None where they do not tell.

    The bar `row + j` is expected to trade the median of the bars that lie whole periods before it. Parameters: `row` of
    the decision; `volume_at` a past row's volume, -1 where there is no bar of the data. Row t uses rows up to t.
    """
    expected = []
    for j in range(plan.bars):
        first = row + 1 + j % plan.period - plan.period
        past = [volume_at(first - k * plan.period) for k in range(plan.periods)]
        known = sorted(volume for volume in past if volume >= 0)
        if not known:
            return None
        half = len(known) // 2
        expected.append(known[half] if len(known) % 2 else (known[half - 1] + known[half]) // 2)
    weights = [sum(expected[i : i + plan.every]) for i in range(0, plan.bars, plan.every)]
    return weights if any(weights) else None


def pov_part(volume: int, participation: int) -> int:
    """Return the quantity that makes up a share of all volume beside `volume` of others: rate / (1 - rate) x volume."""
    return participation * volume // (UNIT - participation)

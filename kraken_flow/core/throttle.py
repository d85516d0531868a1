"""Throttles: new positions are smaller in a drawdown and after losing trades in a row (spec 6)."""

from collections.abc import Sequence

from kraken_flow.core.limits import Limits
from kraken_flow.core.units import FIX, UNIT, fix


def drawdown_share(limits: Limits, high: float, equity: float) -> int:
    """Return the share of its size that a new position keeps, 10^-9: 1 down to where it begins, 0 at the limit."""
    if limits.throttle_from < 0 or high <= 0:
        return FIX
    start, end = limits.throttle_from / UNIT, limits.max_drawdown / UNIT
    return fix(min(max((end - (high - equity) / high) / (end - start), 0.0), 1.0))


def halved(limits: Limits, streak: int) -> bool:
    """Return whether the row of losses is half as long as the one that begins a cool-down."""
    return limits.loss_throttle and limits.max_losses > 0 and 2 * streak >= limits.max_losses


def held_back(wanted: list[int | None], held: Sequence[int], share: int, lots: Sequence[int]) -> list[int | None]:
    """Return targets of which what would open or enlarge a position is smaller; what is held may be kept.

    Parameters: `wanted` and `held` 10^-8; `share` 10^-9.
    """
    if share == FIX:
        return wanted
    result = list(wanted)
    for p, target in enumerate(wanted):
        if target is not None:
            size, side = abs(target), 1 if target > 0 else -1
            kept = max(size * share // FIX, side * held[p]) // lots[p] * lots[p]
            result[p] = side * min(size, kept)
    return result

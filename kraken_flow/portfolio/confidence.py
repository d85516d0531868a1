"""Sizes by how sure the strategy is, how wild the market is, and how much is open already."""

from collections.abc import Mapping

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.counterfactual import Confidence, SignalStatistics
from kraken_flow.core.feature import Source
from kraken_flow.core.node import Factor, Positive, Rate, Reserve, node
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, rate
from kraken_flow.portfolio.inverse_vol import FLOOR
from kraken_flow.portfolio.sizing import budget, signed


@node
class ConfidenceSize(Portfolio):
    """Hold an equal share of equity per pair, times forecast, confidence, and average over current volatility.

    Each other open position makes it smaller by `crowding`, and beyond `max_positions` there is none.
    """

    volatility: Source
    """Current volatility per bar: a feature with one output."""
    average: Source
    """Its average: the same over a longer window."""
    fraction: Factor = 1.0
    """Share of equity that all pairs together may use at full confidence and average volatility."""
    most: Factor = 1.5
    """Largest factor that a calm market gives; a wild one has no least."""
    crowding: Reserve = 0.1
    """Share by which each other open position makes a position smaller."""
    max_positions: Positive[int] | None = None
    """Positions at a time: open ones stay, of new ones the surest come first, then the first by name."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used; exposure is capped at leverage x (1 - cash_buffer)."""

    def features(self) -> Mapping[str, Source]:
        """Return the two volatilities."""
        return {"volatility": self.volatility, "average": self.average}

    def statistics(self) -> SignalStatistics | None:
        """Return the strategy's confidence."""
        return Confidence()

    def targets(self, view: View) -> list[int | None]:
        """Return the shares; None while a volatility is not known."""
        n = len(view.price)
        slots = n if self.max_positions is None else min(n, self.max_positions)
        share = budget(view, rate(self.fraction), rate(self.cash_buffer)) // slots
        ceiling = budget(view, view.leverage, rate(self.cash_buffer)) // slots
        sure = [0 if c == FIX_NAN else c for c in view.aux["confidence"]]
        strength = [abs(f) * c // FIX for f, c in zip(view.forecast, sure, strict=True)]
        allowed = chosen(strength, view.position, self.max_positions)
        most, less = rate(self.most) * (FIX // UNIT), UNIT - rate(self.crowding)
        n_open = sum(1 for held in view.position if held)
        result: list[int | None] = []
        for p in range(n):
            current, average = view.aux["volatility"][p], view.aux["average"][p]
            if p not in allowed:
                result.append(0)
                continue
            if current == FIX_NAN or average == FIX_NAN:
                result.append(None)
                continue
            calm = min(max(average, FLOOR) * FIX // max(current, FLOOR), most)
            value = min(share * calm // FIX, ceiling) * sure[p] // FIX
            for _ in range(n_open - (1 if view.position[p] else 0)):
                value = value * less // UNIT
            result.append(signed(value, view.forecast[p], view.price[p]))
        return result


def chosen(strength: list[int], position: list[int], most: int | None) -> set[int]:
    """Return the pairs that may have a position: those open and still wanted first, then by strength and name."""
    wanted = [p for p, size in enumerate(strength) if size]
    if most is None:
        return set(wanted)
    return set(sorted(wanted, key=lambda p: (position[p] == 0, -strength[p], p))[:most])

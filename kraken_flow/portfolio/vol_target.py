"""Exposure scaled so that each pair contributes a target volatility."""

from collections.abc import Mapping
from typing import ClassVar

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.feature import Source
from kraken_flow.core.node import Factor, Rate, Reserve, node
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, rate
from kraken_flow.portfolio.inverse_vol import FLOOR
from kraken_flow.portfolio.sizing import budget, signed


@node
class VolTarget(Portfolio):
    """Scale each pair's exposure to `target` / its annual volatility, divided over pairs, times the forecast."""

    kernel: ClassVar[str | None] = "vol_target"
    volatility: Source
    """Volatility per bar: a feature with one output, as in `portfolio.volatility.window=168`."""
    target: Factor = 0.2
    """Annual volatility wanted, as a fraction (365 days)."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used; exposure is capped at leverage x (1 - cash_buffer)."""

    def features(self) -> Mapping[str, Source]:
        """Return the volatility column."""
        return {"volatility": self.volatility}

    def targets(self, view: View) -> list[int | None]:
        """Return equity x target / volatility / pairs x forecast / close; None while the volatility is not known."""
        n = len(view.price)
        share = max(view.equity, 0) * rate(self.target) // UNIT // n
        ceiling = budget(view, view.leverage, rate(self.cash_buffer)) // n
        result: list[int | None] = []
        for v, f, price in zip(view.aux["volatility"], view.forecast, view.price, strict=True):
            if v == FIX_NAN:
                result.append(None)
                continue
            annual = max(v, FLOOR) * view.periods_root // FIX
            result.append(signed(min(share * FIX // annual, ceiling), f, price))
        return result

    def parameters(self) -> dict[str, int]:
        """Return target and buffer as rates."""
        return {"target": rate(self.target), "buffer": rate(self.cash_buffer)}

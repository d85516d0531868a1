"""The bet that grows fastest, from what the forecasts would have earned, shrunk and cut."""

from dataclasses import dataclass
from typing import Annotated

import annotated_types
import numpy as np

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.counterfactual import BoolArray, Counterfactual, SignalState, SignalStatistics
from kraken_flow.core.kelly import fractions, shrinkage
from kraken_flow.core.node import Positive, Rate, Reserve, node
from kraken_flow.core.times import YEAR
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, FloatArray, rate
from kraken_flow.portfolio.sizing import signed

LEAST_TRADES = 30
"""Counterfactual trades below which a pair's edge is not believed at all."""


@dataclass(frozen=True)
class KellyStatistics:
    """The declared column `kelly`: the fraction of equity that each pair's full forecast deserves, at least 0."""

    fraction: float
    prior: float
    memory: int
    refresh: int
    names: tuple[str, ...] = ("kelly",)

    def state(self, n_pairs: int, taker_fee: float, timeframe_ns: int) -> SignalState:
        """Return a state without returns."""
        return KellyState(self, n_pairs, taker_fee, YEAR / timeframe_ns)


class KellyState:
    """Exponentially weighted moments of the forecasts' counterfactual returns, over all pairs."""

    def __init__(self, asked: KellyStatistics, n_pairs: int, taker_fee: float, bars_per_year: float) -> None:
        self.asked, self.bars_per_year = asked, bars_per_year
        self.keep = 1.0 - 1.0 / asked.memory
        self.past = Counterfactual(n_pairs, taker_fee)
        self.weight = 0.0
        self.rows = 0
        self.first, self.trades = np.zeros(n_pairs), np.zeros(n_pairs)
        self.second = np.zeros((n_pairs, n_pairs))
        self.value = np.zeros((1, n_pairs))

    def update(self, forecast: FloatArray, confidence: FloatArray, opens: FloatArray, live: BoolArray) -> FloatArray:
        """Take one row; return the fractions, which are worked out anew every `refresh` rows."""
        earned, closed = self.past.update(forecast, opens, live)
        self.weight = self.keep * self.weight + 1.0
        self.first = self.keep * self.first + earned
        self.second = self.keep * self.second + earned[:, None] * earned
        self.trades = self.trades + closed
        if self.rows % self.asked.refresh == 0:
            self.value = np.array([self.fractions()])
        self.rows += 1
        return self.value

    def fractions(self) -> list[float]:
        """Return the fraction of each pair: 0 without enough trades or without an edge."""
        mean = self.first / self.weight
        covariance = (self.second / self.weight - mean[:, None] * mean).tolist()
        result = [0.0] * len(mean)
        chosen = [i for i, n in enumerate(self.trades.tolist()) if n >= LEAST_TRADES and covariance[i][i] > 0.0]
        believed = []
        for i in chosen:
            yearly, years = covariance[i][i] * self.bars_per_year, self.weight / self.bars_per_year
            believed.append(float(mean[i]) * shrinkage(self.asked.prior**2, yearly, years))
        part = [[covariance[i][k] for k in chosen] for i in chosen]
        for i, value in zip(chosen, fractions(believed, part), strict=True):
            result[i] = self.asked.fraction * value
        return result


@node
class Kelly(Portfolio):
    """Hold a fraction of the growth-optimal bet on each pair's forecast, times the forecast.

    The edge is that of the forecasts since `start`: what each would have earned from the next open to the open after,
    less taker fees, whatever the account did. It is shrunk toward nothing, solved over all pairs together, and a pair
    with fewer than 30 closed trades gets nothing.
    """

    fraction: Annotated[float, annotated_types.Gt(0), annotated_types.Le(0.5)] = 0.25
    """Share of the growth-optimal bet that is held; half of it already has three quarters of the growth."""
    prior: Positive[float] = 0.2
    """Deviation of yearly edges as you believe them to be before looking: smaller shrinks more."""
    memory: Annotated[int, annotated_types.Ge(2)] = 4000
    """Bars in which the weight of a return falls to 1/e."""
    refresh: Positive[int] = 24
    """Bars between two estimates."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used; exposure is capped at leverage x (1 - cash_buffer)."""

    def statistics(self) -> SignalStatistics | None:
        """Return the column of fractions."""
        return KellyStatistics(self.fraction, self.prior, self.memory, self.refresh)

    def targets(self, view: View) -> list[int | None]:
        """Return equity x fraction x forecast / close; where they exceed what may be held, all are cut alike."""
        known = [0 if k == FIX_NAN else k for k in view.aux["kelly"]]
        gross = sum(k * abs(f) // FIX for k, f in zip(known, view.forecast, strict=True))
        ceiling = view.leverage * (UNIT - rate(self.cash_buffer)) // UNIT * (FIX // UNIT)
        equity = max(view.equity, 0)
        if gross > ceiling:
            equity = equity * ceiling // gross
        return [signed(equity * k // FIX, f, p) for k, f, p in zip(known, view.forecast, view.price, strict=True)]

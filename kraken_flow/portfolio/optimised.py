"""Weights of an optimiser, made anew on a schedule from past returns."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import annotated_types
from pydantic import Field

from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.allocation import WEIGHT, Allocation
from kraken_flow.core.book_risk import Level
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import Factor, Fraction, NonNegative, Positive, Rate, Reserve, node
from kraken_flow.core.optimisation import LONG_ONLY, WITHOUT_COST, Objective, Opinion, Problem, optimise, require
from kraken_flow.core.times import YEAR, parse_duration, parse_length
from kraken_flow.core.units import FIX, FIX_NAN, FloatArray, rate
from kraken_flow.nearest import hint
from kraken_flow.portfolio.sizing import budget, kept, signed

Bound = Annotated[float, annotated_types.Ge(-10), annotated_types.Le(10)]
"""A weight, or a return of a year."""


@node
class MarketView:
    """What is expected of one pair, or of one less another."""

    pair: str
    """The pair."""
    annual_return: Bound
    """Simple return expected in a year, as a share."""
    less: str | None = None
    """The pair that it is expected to beat by that; null: the return is the pair's own."""


@node
class Optimised(Portfolio):
    """Give each pair the weight that an optimiser finds over past bars, times the forecast; rebalanced on a schedule.

    The returns are simple ones of closes known at the decision. Weights sum to 1 before the forecast scales them. A
    pair without enough bars has none, and where no weights are found those before stand.
    """

    objective: Objective = "min_variance"
    """What the weights achieve: the least variance; the best mean less variance; equal contributions to risk
    (risk_parity); hierarchical risk parity (hrp, single linkage); the largest diversification ratio; the least mean
    loss in the tail (cvar); the best mean less variance after equilibrium returns and `views` (black_litterman)."""
    window: Annotated[int, annotated_types.Ge(10), annotated_types.Le(100_000)] = 500
    """Returns in the look-back window."""
    purge: Annotated[int, annotated_types.Ge(0), annotated_types.Le(100_000)] = 0
    """Newest bars before the decision that are left out of the window."""
    rebalance: str = "1w"
    """Time between two optimisations, counted from the first decision."""
    min_weight: Bound = 0.0
    """Smallest weight of a pair; below 0 the optimiser may sell short, where `account.short` allows it."""
    max_weight: Annotated[float, annotated_types.Gt(0), annotated_types.Le(10)] = 1.0
    """Largest weight of a pair. Where too few pairs have enough bars to fill the portfolio, the rest stays in cash."""
    risk_aversion: Positive[float] = 3.0
    """Of mean_variance and black_litterman: they maximise mean - risk_aversion / 2 x variance."""
    covariance: Literal["sample", "shrunk"] = "sample"
    """sample: of the window as it is; shrunk: drawn toward a multiple of the identity, as Ledoit and Wolf do."""
    level: Level = 0.95
    """Of cvar: confidence level of the tail."""
    turnover_cost_bps: Rate = 0.0
    """Cost of changing weights, in basis points of the value traded, which the optimiser weighs against what it gains
    until the next time; not for risk_parity, hrp and max_diversification."""
    tau: Fraction = 0.05
    """Of black_litterman: uncertainty of the equilibrium returns, as a multiple of the covariance."""
    views: dict[str, MarketView] = Field(default_factory=dict)
    """Of black_litterman: what you expect, by a name of yours."""
    market_weights: dict[str, NonNegative[float]] = Field(default_factory=dict)
    """Of black_litterman: each pair's share of the market, 0 where it is not named; all equal without any."""
    fraction: Factor = 1.0
    """The budget: share of equity that all pairs together may use; capped at leverage x (1 - cash_buffer)."""
    band: Rate | None = 0.1
    """A target is recomputed when it drifted by more than this share of the standing target; null switches it off."""
    cash_buffer: Reserve = 0.01
    """Share of equity never used."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        parse_length(self.rebalance, "portfolio.rebalance")
        named = f"portfolio.objective={self.objective}"
        if self.min_weight > self.max_weight:
            raise UserError(
                f"portfolio.min_weight={self.min_weight:g}: must be at most portfolio.max_weight={self.max_weight:g}"
            )
        if self.min_weight < 0 and self.objective in LONG_ONLY:
            raise UserError(f"portfolio.min_weight={self.min_weight:g}: {named} has no short positions; use 0 or more")
        if self.turnover_cost_bps and self.objective in WITHOUT_COST:
            raise UserError(
                f"portfolio.turnover_cost_bps={self.turnover_cost_bps:g}: {named} has no return to weigh a cost "
                "against; use 0, and portfolio.band to trade less"
            )
        for key, given in (("views", self.views), ("market_weights", self.market_weights)):
            if given and self.objective != "black_litterman":
                raise UserError(f"portfolio.{key}: {named} reads none; use portfolio.objective=black_litterman")
        if self.market_weights and not sum(self.market_weights.values()):
            raise UserError("portfolio.market_weights: one of them must be above 0")

    def allocation(self, pairs: Sequence[str], timeframe_ns: int) -> Allocation:
        """Return window and schedule; `UserError` without skfolio, and where the bounds leave no portfolio."""
        require("portfolio=optimised")
        if self.min_weight * len(pairs) > 1:
            raise UserError(
                f"portfolio.min_weight={self.min_weight:g}: {len(pairs)} pairs would weigh more than 1 together; "
                f"use {1 / len(pairs):.4g} at most"
            )
        every = self.rebalance_bars(timeframe_ns)
        problem = Problem(
            objective=self.objective,
            min_weight=self.min_weight,
            max_weight=self.max_weight,
            risk_aversion=self.risk_aversion,
            level=self.level,
            shrunk=self.covariance == "shrunk",
            cost=self.turnover_cost_bps / 1e4 / every,
            tau=self.tau,
            opinions=tuple(self._opinion(name, view, pairs, timeframe_ns) for name, view in self.views.items()),
            market={_number(f"market_weights.{p}", p, pairs): w for p, w in self.market_weights.items()},
        )
        return Allocation(self.window, self.purge, every, partial(_solve, problem))

    def _opinion(self, name: str, view: MarketView, pairs: Sequence[str], timeframe_ns: int) -> Opinion:
        plus = _number(f"views.{name}.pair", view.pair, pairs)
        minus = None if view.less is None else _number(f"views.{name}.less", view.less, pairs)
        if plus == minus:
            raise UserError(f"portfolio.views.{name}.less={view.less}: is the pair itself")
        return Opinion(plus, minus, view.annual_return * timeframe_ns / YEAR)

    def rebalance_bars(self, timeframe_ns: int) -> int:
        """Return the schedule in bars, at least one."""
        return max(1, parse_duration(self.rebalance, "portfolio.rebalance") // timeframe_ns)

    def targets(self, view: View) -> list[int | None]:
        """Return budget x weight x forecast / close; None for a pair that has no weight.

        What is held of such a pair stays, and the others share what it leaves of the budget.
        """
        weights = view.aux[WEIGHT]
        gross = sum(abs(w) for w in weights if w != FIX_NAN)
        whole = budget(view, rate(self.fraction), rate(self.cash_buffer))
        # Short positions make the weights' sizes exceed 1, the exposure must not exceed what the account allows.
        ceiling = budget(view, view.leverage, rate(self.cash_buffer))
        if whole * gross > ceiling * FIX:
            whole = ceiling * FIX // gross
        whole = max(whole - kept(view, [w == FIX_NAN for w in weights]), 0)
        return [
            None if w == FIX_NAN else signed(whole * abs(w) // FIX, f if w >= 0 else -f, price)
            for w, f, price in zip(weights, view.forecast, view.price, strict=True)
        ]


def _number(key: str, pair: str, pairs: Sequence[str]) -> int:
    if pair not in pairs:
        raise UserError(f"portfolio.{key}={pair}: is none of the system's pairs{hint(pair, list(pairs))}")
    return list(pairs).index(pair)


def _solve(problem: Problem, returns: FloatArray, columns: list[int], previous: FloatArray | None) -> FloatArray | None:
    return optimise(returns, problem.of(columns), previous)

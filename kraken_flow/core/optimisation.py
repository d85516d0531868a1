"""Portfolio weights from a window of returns, by skfolio: the one module that imports it, and only when asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.units import FloatArray

Objective: TypeAlias = Literal[
    "min_variance", "mean_variance", "risk_parity", "hrp", "max_diversification", "cvar", "black_litterman"
]
"""What weights are to achieve."""
LONG_ONLY: tuple[Objective, ...] = ("risk_parity", "hrp")
"""Objectives that have no meaning with short positions."""
WITHOUT_COST: tuple[Objective, ...] = ("risk_parity", "hrp", "max_diversification")
"""Objectives without an amount of return that costs of turnover could be weighed against."""
INSTALL = 'pip install --editable ".[optimise]"'
DECIMALS = 6
"""Weights are rounded to these decimals: what lies below is the solver's noise."""
TOLERANCES: tuple[dict[str, float] | None, ...] = (
    {
        **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas", "tol_ktratio"), 1e-12),
        **dict.fromkeys(("reduced_tol_gap_abs", "reduced_tol_gap_rel", "reduced_tol_feas"), 1e-9),
    },
    None,
)
"""Accuracy asked of the solver, and skfolio's own where it cannot reach that: an error of the variance comes out of the
weights as its root."""


@dataclass(frozen=True)
class Opinion:
    """A view of Black and Litterman: assets `plus` (less the asset `minus`) earn `per_bar`.

    Assets are numbers of columns; `per_bar` is a simple return of one bar.
    """

    plus: int
    minus: int | None
    per_bar: float


@dataclass(frozen=True)
class Problem:
    """What is asked of the optimiser; weights sum to 1 and lie in [`min_weight`, `max_weight`].

    Parameters
    ----------
    objective
        One of `Objective`. mean_variance and black_litterman maximise mean - risk_aversion / 2 x variance, per bar.
    risk_aversion
        Return asked for a unit of variance.
    level
        Confidence level of cvar: the mean of the losses beyond it is made small.
    shrunk
        Whether the sample covariance (divisor n - 1) is drawn toward a multiple of the identity as Ledoit and Wolf do.
    cost
        What turnover costs, as a fraction of the value traded spread over the bars between two decisions.
    tau
        Of black_litterman: uncertainty of the prior mean as a multiple of the covariance.
    opinions
        Of black_litterman; without any the mean is that of equilibrium.
    market
        Of black_litterman: weights of the market portfolio by column; equal where empty.
    """

    objective: Objective = "min_variance"
    min_weight: float = 0.0
    max_weight: float = 1.0
    risk_aversion: float = 3.0
    level: float = 0.95
    shrunk: bool = False
    cost: float = 0.0
    tau: float = 0.05
    opinions: tuple[Opinion, ...] = ()
    market: Mapping[int, float] = field(default_factory=dict)

    def of(self, columns: list[int]) -> "Problem":
        """Return the problem of some columns alone, renumbered; opinions about others are left out."""
        at = {column: k for k, column in enumerate(columns)}
        kept = tuple(
            Opinion(at[o.plus], None if o.minus is None else at[o.minus], o.per_bar)
            for o in self.opinions
            if o.plus in at and (o.minus is None or o.minus in at)
        )
        market = {at[column]: weight for column, weight in self.market.items() if column in at}
        return Problem(**{**vars(self), "opinions": kept, "market": market})

    def scaled(self, unit: float) -> "Problem":
        """Return the problem in returns divided by `unit`: it has the same weights."""
        opinions = tuple(Opinion(o.plus, o.minus, o.per_bar / unit) for o in self.opinions)
        changed = {"opinions": opinions, "cost": self.cost / unit, "risk_aversion": self.risk_aversion * unit}
        return Problem(**{**vars(self), **changed})


def require(asked_by: str) -> None:
    """Raise `UserError` with the command that installs skfolio where it is missing; imports nothing."""
    if find_spec("skfolio") is None:
        raise UserError(f"{asked_by} needs the library skfolio, which is not installed: {INSTALL}")


def optimise(returns: FloatArray, problem: Problem, previous: FloatArray | None = None) -> FloatArray | None:
    """Return the weights that solve a problem; None where the solver finds none.

    Parameters: `returns` float64 (n_observations, n_assets), simple, without NaN; `previous` the weights held before,
    float64 (n_assets,), from which turnover is counted (None: it costs nothing). Returns float64 (n_assets,), rounded
    to 10^-6. The same input gives the same weights. Of fewer assets than fill the bounds each gets the largest weight.
    """
    # Sums depend on the order in memory.
    returns = np.ascontiguousarray(returns)
    n_assets = returns.shape[1]
    if problem.max_weight * n_assets <= 1.0:
        return np.full(n_assets, problem.max_weight)
    if n_assets == 1:
        return np.ones(1)
    scale = float(returns.std(axis=0, ddof=1).mean())
    if not 0.0 < scale < np.inf:
        return None
    inner = problem.scaled(scale)
    for tolerance in TOLERANCES:
        found = _fitted(_model(inner, n_assets, previous, tolerance), returns / scale)
        if found is not None:
            return rounded(found)
    return None


def rounded(weights: FloatArray) -> FloatArray:
    """Return weights to 10^-6; the solver may end on -1e-9 where the bound is 0, which is 0 then and not -0."""
    result: FloatArray = np.round(weights, DECIMALS) + np.float64(0.0)
    return result


def efficient_frontier(returns: FloatArray, problem: Problem, n_points: int) -> FloatArray:
    """Return portfolios of least variance for rising means, float64 (n_points, n_assets).

    From the least variance of all to the largest mean, in equal steps of the mean. Raises `UserError` where there is no
    such portfolio within the bounds of the problem.
    """
    from skfolio.optimization import ObjectiveFunction

    returns = np.ascontiguousarray(returns)
    scale = float(returns.std(axis=0, ddof=1).mean())
    for tolerance in TOLERANCES if 0.0 < scale < np.inf else ():
        points = _frontier(returns / scale, problem.scaled(scale), n_points, tolerance, ObjectiveFunction)
        if points is not None:
            return rounded(points)
    raise UserError("mode=frontier: no portfolio meets mode.min_weight and mode.max_weight over these dates")


def _frontier(
    returns: FloatArray, problem: Problem, n_points: int, tolerance: Mapping[str, float] | None, objective: Any
) -> FloatArray | None:
    """Return the portfolios unrounded; None where one of them was not found."""
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk

    def solved(goal: Any, **more: Any) -> FloatArray | None:
        model = MeanRisk(
            objective_function=goal,
            risk_measure=RiskMeasure.VARIANCE,
            prior_estimator=_prior(problem, returns.shape[1]),
            min_weights=problem.min_weight,
            max_weights=problem.max_weight,
            solver_params=tolerance,
            **more,
        )
        return _fitted(model, returns)

    least, most = solved(objective.MINIMIZE_RISK), solved(objective.MAXIMIZE_RETURN)
    if least is None or most is None:
        return None
    mean = returns.mean(axis=0)
    low, high = float(mean @ least), float(mean @ most)
    points = [least]
    for k in range(1, n_points):
        # Short of the last one by what the solver takes for equal.
        asked = low + (high - low) * k / (n_points - 1) * (1.0 - 1e-8)
        found = solved(objective.MINIMIZE_RISK, min_return=asked)
        if found is None:
            return None
        points.append(found)
    return np.array(points)


def _fitted(model: Any, returns: FloatArray) -> FloatArray | None:
    """Fit, and return the weights; None where the problem has no solution."""
    import warnings

    import pandas as pd
    from cvxpy.error import SolverError
    from skfolio.exceptions import OptimizationError

    # The solver warns of accuracy below what is rounded away, past any filter where it solves several at a time.
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("ignore")
        try:
            model.fit(pd.DataFrame(returns, columns=[f"x{k}" for k in range(returns.shape[1])]))
        except (OptimizationError, SolverError, np.linalg.LinAlgError):
            return None
    weights: FloatArray = np.asarray(model.weights_, np.float64)
    return weights if np.isfinite(weights).all() else None


def _model(problem: Problem, n_assets: int, previous: FloatArray | None, tolerance: Mapping[str, float] | None) -> Any:
    """Return skfolio's estimator of a problem."""
    from skfolio import RiskMeasure
    from skfolio.cluster import HierarchicalClustering, LinkageMethod
    from skfolio.optimization import (
        HierarchicalRiskParity,
        MaximumDiversification,
        MeanRisk,
        ObjectiveFunction,
        RiskBudgeting,
    )

    common: dict[str, Any] = {
        "prior_estimator": _prior(problem, n_assets),
        "min_weights": problem.min_weight,
        "max_weights": problem.max_weight,
    }
    if problem.objective == "hrp":
        clustering = HierarchicalClustering(linkage_method=LinkageMethod.SINGLE)
        return HierarchicalRiskParity(
            risk_measure=RiskMeasure.VARIANCE,
            distance_estimator=_distance(),
            hierarchical_clustering_estimator=clustering,
            **common,
        )
    common["solver_params"] = tolerance
    if problem.objective == "risk_parity":
        return RiskBudgeting(risk_measure=RiskMeasure.VARIANCE, **common)
    if problem.objective == "max_diversification":
        return MaximumDiversification(**common)
    charged = previous is not None and problem.cost > 0
    if problem.objective in ("mean_variance", "black_litterman"):
        if charged:
            common |= {"transaction_costs": problem.cost, "previous_weights": previous}
        return MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_measure=RiskMeasure.VARIANCE,
            risk_aversion=problem.risk_aversion / 2,
            **common,
        )
    cvar = problem.objective == "cvar"
    if charged:
        # A mean loss counts as it is, a variance times half the risk aversion.
        price = problem.cost if cvar else 2 * problem.cost / problem.risk_aversion
        common["add_objective"] = _turnover(price, previous)
    return MeanRisk(
        objective_function=ObjectiveFunction.MINIMIZE_RISK,
        risk_measure=RiskMeasure.CVAR if cvar else RiskMeasure.VARIANCE,
        cvar_beta=problem.level,
        **common,
    )


def _distance() -> Any:
    """Return how far two assets are apart: how far their distances sqrt((1 - correlation) / 2) to all assets are."""
    from skfolio.distance import PearsonDistance

    class ColumnDistance(PearsonDistance):  # type: ignore[misc] # the library is an extra, unknown where it is missing
        def fit(self, X: Any, y: None = None) -> Any:  # noqa: N803 - the library's name for returns
            super().fit(X, y)
            near = np.sqrt(np.clip((1.0 - self.codependence_) / 2.0, 0.0, 1.0))
            self.distance_ = np.sqrt(((near[:, :, None] - near[:, None, :]) ** 2).sum(axis=0))
            return self

    return ColumnDistance()


def _turnover(price: float, previous: FloatArray | None) -> Any:
    import cvxpy

    def cost(weights: Any) -> Any:
        return price * cvxpy.norm1(weights - previous)

    return cost


def _prior(problem: Problem, n_assets: int) -> Any:
    """Return skfolio's estimator of means and covariances."""
    from skfolio.moments import EmpiricalCovariance, EquilibriumMu, LedoitWolf
    from skfolio.prior import BlackLitterman, EmpiricalPrior

    covariance = LedoitWolf() if problem.shrunk else EmpiricalCovariance()
    if problem.objective != "black_litterman":
        return EmpiricalPrior(covariance_estimator=covariance)
    market = np.array([problem.market.get(k, 0.0) for k in range(n_assets)])
    market = market / market.sum() if market.sum() > 0 else np.full(n_assets, 1.0 / n_assets)
    mean = EquilibriumMu(risk_aversion=problem.risk_aversion, weights=market, covariance_estimator=covariance)
    prior = EmpiricalPrior(mu_estimator=mean, covariance_estimator=covariance)
    if not problem.opinions:
        return prior
    views = [
        f"x{o.plus} == {o.per_bar:.15f}" if o.minus is None else f"x{o.plus} - x{o.minus} == {o.per_bar:.15f}"
        for o in problem.opinions
    ]
    return BlackLitterman(views=views, tau=problem.tau, prior_estimator=prior)

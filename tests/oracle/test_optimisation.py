"""Weights of the optimiser against closed forms, the numbers of the specification, other algorithms and skfolio."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from kraken_flow.core.optimisation import LONG_ONLY, Objective, Opinion, Problem, efficient_frontier, optimise

pytest.importorskip("skfolio")

DEVIATION = np.array([0.6, 0.8, 1.0])
CORRELATION = np.array([[1, 0.8, 0.6], [0.8, 1, 0.7], [0.6, 0.7, 1]])
COVARIANCE = CORRELATION * np.outer(DEVIATION, DEVIATION)
MEAN = np.array([0.20, 0.30, 0.45])
FEW = settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def sample(mean: np.ndarray, covariance: np.ndarray, n: int = 120) -> np.ndarray:
    """Returns whose sample mean and covariance (divisor n - 1) are those given."""
    drawn = np.random.default_rng(7).normal(size=(n, len(mean)))
    drawn -= drawn.mean(axis=0)
    drawn = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T))).T
    return drawn @ np.linalg.cholesky(covariance).T + mean


RETURNS = sample(MEAN, COVARIANCE)


@pytest.mark.parametrize("unit", [1.0, 0.01, 1e-4])
@pytest.mark.parametrize(
    ("problem", "weights"),
    [
        (Problem(min_weight=-5, max_weight=5), (1.0947712, -0.13071895, 0.03594771)),
        (Problem(), (1, 0, 0)),
        (Problem(max_weight=0.7), (0.7, 0.221538, 0.078462)),
        (Problem("risk_parity"), (0.42691477, 0.30784375, 0.26524148)),
        (Problem("max_diversification"), (0.5, 0.16666667, 0.33333333)),
        (Problem("mean_variance"), (0.86979168, 0, 0.13020832)),
    ],
    ids=["unconstrained", "long", "capped", "parity", "diversified", "mean variance"],
)
def test_numbers_of_the_specification(problem, weights, unit):
    """In any unit: a bar of an hour has returns a hundredth of those of a year."""
    scaled = Problem(**{**vars(problem), "risk_aversion": 3.0 / unit})
    assert optimise(RETURNS * unit, scaled) == pytest.approx(np.array(weights), abs=3e-6)


def test_hierarchical_risk_parity_of_the_specification():
    deviation, correlation = np.array([0.6, 0.8, 1.0, 0.2]), np.eye(4)
    for (i, j), value in {(0, 1): 0.8, (0, 2): 0.6, (0, 3): 0.1, (1, 2): 0.7, (1, 3): 0.0, (2, 3): 0.05}.items():
        correlation[i, j] = correlation[j, i] = value
    found = optimise(sample(np.zeros(4), correlation * np.outer(deviation, deviation)), Problem("hrp"))
    assert found == pytest.approx(np.array([0.05618374, 0.03160335, 0.03508511, 0.87712780]), abs=2e-6)


def test_tail_of_the_specification():
    scenarios = np.array([(0.05, 0.02), (-0.04, 0.01), (0.03, -0.03), (-0.08, -0.01), (0.06, 0.03)])
    found = optimise(scenarios, Problem("cvar", level=0.6))
    assert found == pytest.approx(np.array([0.0, 1.0]), abs=2e-6)


def test_views_of_the_specification():
    """The posterior means .8146 and .8846; the weights are those of maximal utility of the posterior, summing to 1."""
    covariance = np.array([[0.36, 0.24], [0.24, 0.64]])
    returns = sample(np.zeros(2), covariance)
    asked = Problem("black_litterman", risk_aversion=2.5, market={0: 0.7, 1: 0.3}, min_weight=-1, max_weight=2)
    # Without a view it is the market that is held.
    assert optimise(returns, asked) == pytest.approx(np.array([0.7, 0.3]), abs=3e-6)
    found = optimise(returns, Problem(**{**vars(asked), "opinions": (Opinion(1, 0, 0.05),)}))
    mean = np.array([0.81461538, 0.88461538])
    view = np.array([[-1.0, 1.0]])
    precision = np.linalg.inv(0.05 * covariance) + view.T @ view / 0.026
    posterior = covariance + np.linalg.inv(precision)
    spread = np.array([1.0, -1.0])
    first = (2.5 * (posterior[1, 1] - posterior[0, 1]) + mean[0] - mean[1]) / (2.5 * spread @ posterior @ spread)
    assert found == pytest.approx(np.array([first, 1 - first]), abs=3e-6)


@FEW
@seed(1)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_closed_forms(number, n_assets):
    """The least variance is the inverse covariance's row sums; two assets of equal risk go by inverse volatility."""
    random = np.random.default_rng(number)
    returns = random.normal(size=(80, n_assets)) @ random.normal(size=(n_assets, n_assets)) * 0.01 + 0.02 * (
        random.normal(size=(80, n_assets))
    )
    inverse = np.linalg.inv(np.cov(returns.T))
    expected = inverse.sum(axis=1) / inverse.sum()
    assert optimise(returns, Problem(min_weight=-10, max_weight=10)) == pytest.approx(expected, abs=2e-5)
    two = 1 / returns[:, :2].std(axis=0)
    assert optimise(returns[:, :2], Problem("risk_parity")) == pytest.approx(two / two.sum(), abs=2e-5)


@FEW
@seed(2)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 6),
    st.sampled_from(get_args(Objective)),
    st.sampled_from([0.0, 0.05, -0.3]),
    st.sampled_from([1.0, 0.6]),
    st.booleans(),
)
def test_weights_keep_their_bounds_and_do_not_depend_on_the_call(number, n_assets, objective, low, high, shrunk):
    returns = np.random.default_rng(number).normal(0.001, 0.02, (60, n_assets))
    problem = Problem(objective, 0.0 if objective in LONG_ONLY else low, high, shrunk=shrunk)
    found = optimise(returns, problem)
    assert found is not None
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert (found >= problem.min_weight - 2e-6).all()
    assert (found <= high + 2e-6).all()
    np.testing.assert_array_equal(found, optimise(np.asfortranarray(returns), problem))


@pytest.mark.parametrize("objective", ["min_variance", "mean_variance", "risk_parity", "max_diversification", "cvar"])
def test_weights_are_those_of_skfolio(objective):
    from skfolio import RiskMeasure
    from skfolio.optimization import MaximumDiversification, MeanRisk, ObjectiveFunction, RiskBudgeting

    returns = np.random.default_rng(3).standard_t(4, (400, 5)) * [0.01, 0.02, 0.03, 0.02, 0.015] + 0.001
    utility = ObjectiveFunction.MAXIMIZE_UTILITY
    theirs = {
        "min_variance": lambda: MeanRisk(risk_measure=RiskMeasure.VARIANCE),
        "mean_variance": lambda: MeanRisk(utility, RiskMeasure.VARIANCE, risk_aversion=1.5),
        "risk_parity": lambda: RiskBudgeting(risk_measure=RiskMeasure.VARIANCE),
        "max_diversification": MaximumDiversification,
        "cvar": lambda: MeanRisk(risk_measure=RiskMeasure.CVAR),
    }
    expected = theirs[objective]().fit(returns).weights_
    assert optimise(returns, Problem(objective)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("objective", ["min_variance", "mean_variance", "cvar", "black_litterman"])
def test_costs_hold_weights_where_they_were(objective):
    before = np.array([0.2, 0.3, 0.5])
    moved = [
        np.abs(optimise(RETURNS, Problem(objective, cost=cost), before) - before).sum() for cost in (0.0, 0.02, 0.1, 10)
    ]
    assert all(more >= less - 1e-5 for more, less in pairwise(moved))
    assert moved[-1] == pytest.approx(0, abs=1e-5)
    assert moved[0] > 0.1


def test_the_frontier_of_the_specification():
    """Unconstrained: the variance at a mean m is (A m^2 - 2 B m + C) / D; it begins at the least variance."""
    points = efficient_frontier(RETURNS, Problem(min_weight=-3, max_weight=3), 9)
    a, b, c, d = 2.8021978, 0.54899267, 0.21053114, 0.28855693
    mean = points @ MEAN
    variance = np.einsum("ki,ij,kj->k", points, COVARIANCE, points)
    # The last points touch the bounds, and lie above the parabola.
    parabola = (a * mean**2 - 2 * b * mean + c) / d
    assert variance[:4] == pytest.approx(parabola[:4], rel=1e-4)
    assert (variance >= parabola * (1 - 1e-5)).all()
    assert np.sqrt(variance[0]) == pytest.approx(0.59737990, abs=1e-5)
    assert (np.diff(mean) > 0).all()
    assert (np.diff(variance) > 0).all()


def test_what_cannot_be_solved_has_no_weights():
    assert optimise(np.zeros((20, 3)), Problem()) is None
    assert optimise(RETURNS, Problem(min_weight=0.5)) is None
    assert optimise(RETURNS, Problem(max_weight=0.25)).tolist() == [0.25] * 3
    assert optimise(RETURNS[:, :1], Problem()).tolist() == [1.0]

"""Sizers that look at the whole book, against floats, closed forms and the numbers of the specification."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kraken_flow.core import book_risk, kelly
from kraken_flow.core.account import Portfolio, View
from kraken_flow.core.compile import periods_root
from kraken_flow.core.counterfactual import Counterfactual
from kraken_flow.core.times import DAY, YEAR, parse_timeframe
from kraken_flow.core.units import CASH_UNIT, FIX, FIX_NAN, UNIT, fix, rate
from kraken_flow.features import Covariance
from kraken_flow.portfolio.confidence import ConfidenceSize, chosen
from kraken_flow.portfolio.correlation_limits import CorrelationLimits
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.kelly import LEAST_TRADES, Kelly, KellyState, KellyStatistics
from kraken_flow.portfolio.var_target import VarTarget, book_value_at_risk

COVARIANCE = Covariance()
EQUITY = 1_000_000.0
Z95 = NormalDist().inv_cdf(0.95)
CORRELATIONS = st.lists(st.floats(-1, 1), min_size=9, max_size=9)
DEVIATIONS = st.lists(st.floats(0.05, 5), min_size=3, max_size=3)
FORECASTS = st.lists(st.floats(-1, 1).map(lambda f: round(f, 3)), min_size=3, max_size=3)


def matrix_of(numbers: list[float], deviations: list[float]) -> np.ndarray:
    """A covariance matrix in squared percents from any nine numbers."""
    columns = np.array(numbers).reshape(3, 3) + np.eye(3) * 0.05
    columns /= np.linalg.norm(columns, axis=0)
    return np.outer(deviations, deviations) * (columns.T @ columns)


def view(
    covariance: np.ndarray,
    forecasts: list[float],
    name: str = "covariance",
) -> View:
    """An hourly account with the covariances given, in squared percents."""
    n = len(forecasts)
    state = View(n, UNIT, 0, periods_root(parse_timeframe("1h")))
    state.equity = round(EQUITY) * CASH_UNIT
    state.price = [100 * UNIT] * n
    state.forecast = [fix(f) for f in forecasts]
    state.aux = {f"{name}_{k}": [fix(float(covariance[i, k])) for i in range(n)] for k in range(n)}
    return state


def weights_of(state: View, targets: list[int | None]) -> np.ndarray:
    return np.array([(t or 0) * p for t, p in zip(targets, state.price, strict=True)], float) / state.equity


def risk(weights: np.ndarray, covariance: np.ndarray, bars: float = 24.0) -> float:
    """Value at risk of a day by floats."""
    return Z95 * math.sqrt(max(weights @ covariance @ weights, 0.0) * bars) / 100


# the book


@given(CORRELATIONS, DEVIATIONS, st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_a_book_s_risk_is_that_of_floats(numbers, deviations, weights):
    covariance = matrix_of(numbers, deviations)
    state = view(covariance, [0.0] * 3)
    found = book_value_at_risk(
        state, [fix(w) for w in weights], book_risk.covariance_matrix(state.aux, "covariance", 3), 0.95, "1d"
    )
    assert found is not None
    assert found / FIX == pytest.approx(risk(np.array(weights), covariance), rel=1e-5, abs=2e-6)


def test_two_assets_of_the_specification():
    """0.1 BTC at 50000 (3 % a day), 1 ETH at 3000 (4 %), correlation 0.8, as shares of 8000: 421.61 at 95 %."""
    covariance = np.array([[9.0, 0.8 * 12], [0.8 * 12, 16.0]])
    state = view(covariance, [0.0, 0.0])
    state.periods_root = periods_root(DAY)
    matrix = book_risk.covariance_matrix(state.aux, "covariance", 2)
    for level, value in ((0.95, 421.60907), (0.99, 596.28975)):
        found = book_value_at_risk(state, [fix(5000 / 8000), fix(3000 / 8000)], matrix, level, "1d")
        assert found is not None
        assert found / FIX * 8000 == pytest.approx(value, rel=1e-6)


@given(CORRELATIONS, DEVIATIONS, st.lists(st.floats(-2, 2), min_size=3, max_size=3), st.integers(0, 2))
def test_what_is_not_known_adds_up(numbers, deviations, weights, blind):
    """A book with an unknown correlation is at least as risky as with any that it might have."""
    covariance = matrix_of(numbers, deviations)
    state = view(covariance, [0.0] * 3)
    matrix = book_risk.covariance_matrix(state.aux, "covariance", 3)
    known = book_risk.book_variance([fix(w) for w in weights], matrix)
    hidden = [[FIX_NAN if blind in (i, k) and i != k else c for k, c in enumerate(row)] for i, row in enumerate(matrix)]
    found = book_risk.book_variance([fix(w) for w in weights], hidden)
    assert known is not None
    assert found is not None
    assert found >= known - 10**12
    matrix[blind][blind] = FIX_NAN
    unknown = book_risk.book_variance([fix(w) for w in weights], matrix)
    assert (unknown is None) == (fix(weights[blind]) != 0)


def test_one_side_of_a_covariance_is_enough():
    """Where one pair lacked bars, the column of the other counts; where both have it, their mean."""
    aux = {"c_0": [9, FIX_NAN], "c_1": [6, 4]}
    assert book_risk.covariance_matrix(aux, "c", 2) == [[9, 6], [6, 4]]
    assert book_risk.covariance_matrix({"c_0": [9, 5], "c_1": [8, 4]}, "c", 2) == [[9, 6], [6, 4]]


def test_divisions_go_toward_zero():
    assert [book_risk.toward_zero(a, 4) for a in (7, -7, 8, -8)] == [1, -1, 2, -2]
    assert book_risk.weight_of(-3 * UNIT, 100 * UNIT, 900 * CASH_UNIT) == -333_333_333


def test_clusters_are_chains():
    high, low = 9 * FIX, FIX
    matrix = [
        [10 * FIX, high, low, low],
        [high, 10 * FIX, high, low],
        [low, high, 10 * FIX, low],
        [low, low, low, 10 * FIX],
    ]
    assert book_risk.clusters(matrix, rate(0.7)) == [[0, 1, 2], [3]]
    assert book_risk.clusters(matrix, rate(0.95)) == [[0], [1], [2], [3]]
    matrix[3][0] = matrix[0][3] = FIX_NAN
    assert book_risk.clusters(matrix, rate(0.95)) == [[0, 3], [1], [2]]


# value at risk as a target


@given(CORRELATIONS, DEVIATIONS, FORECASTS, st.floats(0.002, 0.2))
def test_the_target_meets_its_limit_or_the_ceiling(numbers, deviations, forecasts, limit):
    assume(any(abs(f) > 0.01 for f in forecasts))
    covariance = matrix_of(numbers, deviations)
    state = view(covariance, forecasts)
    weights = weights_of(state, VarTarget(covariance=COVARIANCE, limit=limit).targets(state))
    assert (weights * np.array(forecasts) >= 0).all()
    at_risk, gross = risk(weights, covariance), float(np.abs(weights).sum())
    assert at_risk <= limit * (1 + 1e-4) + 1e-6
    assert gross <= 0.99 + 1e-9
    assert at_risk == pytest.approx(limit, rel=1e-3, abs=1e-5) or gross == pytest.approx(0.99, rel=1e-3)


def test_a_pair_without_a_variance_keeps_its_target_and_takes_no_share():
    state = view(np.diag([1.0, 1.0]), [1.0, 1.0])
    state.aux["covariance_1"] = [FIX_NAN, FIX_NAN]
    first, second = VarTarget(covariance=COVARIANCE, limit=0.02).targets(state)
    assert second is None
    assert first is not None
    assert first * 100 / UNIT / EQUITY == pytest.approx(0.02 / (Z95 * 0.01 * math.sqrt(24)), rel=1e-5)


def test_no_equity_and_no_wish_want_nothing():
    state = view(np.diag([1.0, 1.0]), [0.0, 0.0])
    assert VarTarget(covariance=COVARIANCE).targets(state) == [0, 0]
    state = view(np.diag([1.0, 1.0]), [1.0, -1.0])
    state.aux |= {"kelly": [FIX // 10] * 2, "confidence": [FIX] * 2, "volatility": [10**6] * 2, "average": [10**6] * 2}
    state.aux |= {f"limit_{name}": column for name, column in state.aux.items() if name.startswith("cov")}
    state.equity = -5
    nodes: list[Portfolio] = [
        VarTarget(covariance=COVARIANCE),
        Kelly(),
        ConfidenceSize(volatility="close", average="close"),
        CorrelationLimits(sizer=FixedFraction(), covariance=COVARIANCE),
    ]
    assert [node.targets(state) for node in nodes] == [[0, 0]] * 4


# limits around another portfolio


def limited(state: View, **fields: object) -> np.ndarray:
    node = CorrelationLimits(sizer=FixedFraction(), covariance=COVARIANCE, **{"max_cluster": None, **fields})  # type: ignore[arg-type]  # fields of the node by name
    return weights_of(state, node.targets(state))


@given(CORRELATIONS, DEVIATIONS, FORECASTS, st.floats(0.05, 1), st.floats(0.0, 0.95))
def test_no_side_of_a_cluster_is_above_its_limit(numbers, deviations, forecasts, most, threshold):
    covariance = matrix_of(numbers, deviations)
    state = view(covariance, forecasts, "limit_covariance")
    weights, plain = limited(state, max_cluster=most, threshold=threshold), limited(state)
    matrix = book_risk.covariance_matrix(state.aux, "limit_covariance", 3)
    for cluster in book_risk.clusters(matrix, rate(threshold)):
        for side in (1, -1):
            held = sum(max(weights[p] * side, 0.0) for p in cluster)
            before = sum(max(plain[p] * side, 0.0) for p in cluster)
            assert held <= most + 1e-7
            assert held == pytest.approx(min(before, most), rel=1e-5, abs=1e-6)


@given(CORRELATIONS, DEVIATIONS, FORECASTS, st.floats(0.0005, 0.1))
def test_the_book_is_cut_to_its_value_at_risk_and_no_further(numbers, deviations, forecasts, limit):
    covariance = matrix_of(numbers, deviations)
    state = view(covariance, forecasts, "limit_covariance")
    weights, plain = limited(state, max_var=limit), limited(state)
    assert risk(weights, covariance) <= limit * (1 + 1e-4) + 1e-6
    if risk(plain, covariance) <= limit:
        assert weights == pytest.approx(plain)
    else:
        assert risk(weights, covariance) == pytest.approx(limit, rel=1e-3, abs=1e-5)


def test_a_position_that_stands_counts_and_is_not_touched():
    """The pair without a target has 0.4 of equity at risk already; the other gets what is left."""

    class Half(FixedFraction):
        def targets(self, view: View) -> list[int | None]:
            return [None, super().targets(view)[1]]

    covariance = np.diag([4.0, 4.0])
    state = view(covariance, [1.0, 1.0], "limit_covariance")
    state.position = [4_000 * UNIT, 0]
    limit = risk(np.array([0.4, 0.1]), covariance)
    node = CorrelationLimits(sizer=Half(), covariance=COVARIANCE, max_cluster=None, max_var=limit)
    first, second = node.targets(state)
    assert first is None
    assert second is not None
    assert second * 100 / UNIT / EQUITY == pytest.approx(0.1, rel=1e-3)
    tight = CorrelationLimits(sizer=Half(), covariance=COVARIANCE, max_cluster=None, max_var=limit / 2)
    assert tight.targets(state) == [None, 0]


def test_equal_bets_on_one_thing_swing_as_one_on_many():
    """n perfectly correlated targets are divided by the root of n; independent ones and hedges stay."""
    same = np.full((4, 4), 4.0)
    alike = view(same, [1.0] * 4, "limit_covariance")
    adjusted, plain = limited(alike, adjust=True), limited(alike)
    assert adjusted == pytest.approx(plain / 2, rel=1e-6)
    assert risk(adjusted, same) == pytest.approx(risk(plain, np.diag([4.0] * 4)), rel=1e-6)
    apart = view(np.diag([4.0] * 4), [1.0] * 4, "limit_covariance")
    assert limited(apart, adjust=True) == pytest.approx(limited(apart))
    hedged = view(np.full((2, 2), 4.0), [1.0, -1.0], "limit_covariance")
    assert limited(hedged, adjust=True) == pytest.approx(limited(hedged))


def test_the_largest_and_the_open_positions_stay():
    state = view(np.diag([1.0] * 3), [0.2, 0.5, 1.0], "limit_covariance")
    assert (limited(state, max_positions=1) != 0).tolist() == [False, False, True]
    state.position = [5 * UNIT, 0, 0]
    assert (limited(state, max_positions=2) != 0).tolist() == [True, False, True]
    assert chosen([5, 0, 5, 5], [0, 9, 0, 0], 2) == {0, 2}


@given(CORRELATIONS, DEVIATIONS, FORECASTS, st.booleans(), st.sampled_from([None, 1, 2]), st.sampled_from([None, 0.01]))
def test_limits_only_ever_shrink(numbers, deviations, forecasts, adjust, positions, at_risk):
    state = view(matrix_of(numbers, deviations), forecasts, "limit_covariance")
    plain = limited(state)
    cut = limited(state, max_cluster=0.3, adjust=adjust, max_positions=positions, max_var=at_risk)
    assert (np.abs(cut) <= np.abs(plain) + 1e-12).all()
    assert (cut * plain >= 0).all()


# confidence


def test_size_from_confidence_volatility_and_open_positions():
    state = view(np.diag([1.0, 1.0]), [1.0, -0.5])
    state.aux = {
        "confidence": [fix(0.5), fix(0.8)],
        "volatility": [fix(0.02), fix(0.01)],
        "average": [fix(0.01), fix(0.012)],
    }
    node = ConfidenceSize(volatility="close", average="close", crowding=0.25)
    weights = weights_of(state, node.targets(state))
    assert weights == pytest.approx([0.495 * 0.5 * 0.5, -0.495 * 0.8 * 0.5], rel=1e-6)
    state.position = [UNIT, 0]
    weights = weights_of(state, node.targets(state))
    assert weights == pytest.approx([0.495 * 0.5 * 0.5, -0.495 * 0.8 * 0.5 * 0.75], rel=1e-6)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-4, 0.1), st.floats(1e-4, 0.1))
def test_more_confidence_is_never_a_smaller_position_and_more_volatility_never_a_larger(one, other, low, high):
    low, high = sorted((low, high))

    def size(sure: float, volatility: float) -> int:
        state = view(np.diag([1.0]), [1.0])
        state.aux = {"confidence": [fix(sure)], "volatility": [fix(volatility)], "average": [fix(0.01)]}
        (target,) = ConfidenceSize(volatility="close", average="close", fraction=0.6).targets(state)
        assert target is not None
        return target

    assert size(max(one, other), low) >= size(min(one, other), low)
    assert size(one, low) >= size(one, high)
    assert size(1.0, low) * 100 <= EQUITY * UNIT * 0.99


def test_positions_beyond_the_most_are_not_opened():
    state = view(np.diag([1.0] * 3), [1.0, 1.0, -1.0])
    state.aux = {"confidence": [fix(0.3), fix(0.9), fix(0.6)], "volatility": [10**7] * 3, "average": [10**7] * 3}
    node = ConfidenceSize(volatility="close", average="close", max_positions=2)
    assert [bool(t) for t in node.targets(state)] == [False, True, True]
    state.aux["average"][1] = FIX_NAN
    assert node.targets(state)[1] is None


# Kelly


def test_kelly_of_a_bet():
    assert kelly.binary(0.55, 1.5, 1.0) == pytest.approx(0.25)
    assert kelly.binary(0.55, 1.46, 1.04) == pytest.approx(0.22062698, rel=1e-7)


def test_kelly_of_two_assets():
    mean, covariance = [0.30, 0.25], [[0.36, 0.288], [0.288, 0.64]]
    found = np.array(kelly.fractions(mean, covariance))
    assert found == pytest.approx([0.81380208, 0.02441406], rel=1e-6)
    growth = [found * s @ np.array(mean) - 0.5 * found * s @ np.array(covariance) @ (found * s) for s in (1.0, 0.5)]
    assert growth == pytest.approx([0.12512207, 0.09384155], rel=1e-6)


def test_an_edge_is_shrunk():
    share = kelly.shrinkage(0.04, 0.36, 2)
    assert share == pytest.approx(0.18181818, rel=1e-7)
    (full,) = kelly.fractions([0.30 * share], [[0.36]])
    assert full == pytest.approx(0.15151515, rel=1e-7)
    assert full / 2 == pytest.approx(0.07575758, rel=1e-7)


@given(CORRELATIONS, DEVIATIONS, st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3))
def test_no_fraction_is_negative_and_none_grows_faster_alone(numbers, deviations, mean):
    """Of all portfolios without shorts that scale one fraction, none grows faster."""
    covariance = matrix_of(numbers, deviations) / 10 + np.eye(3) * 0.01
    found = np.array(kelly.fractions(mean, covariance.tolist()))
    assert (found >= 0).all()

    def growth(f: np.ndarray) -> float:
        return float(f @ np.array(mean) - 0.5 * f @ covariance @ f)

    for i in np.flatnonzero(found > 0):
        for factor in (0.9, 1.1):
            other = found.copy()
            other[i] *= factor
            assert growth(other) <= growth(found) + 1e-12


@given(CORRELATIONS, DEVIATIONS)
def test_the_equations_are_solved_as_numpy_does(numbers, deviations):
    matrix = matrix_of(numbers, deviations) + np.eye(3) * 0.01
    found = kelly.solve(matrix.tolist(), [1.0, 2.0, 3.0])
    assert found == pytest.approx(np.linalg.solve(matrix, [1.0, 2.0, 3.0]), rel=1e-6, abs=1e-9)
    assert kelly.solve([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0]) is None
    assert kelly.fractions([0.1, 0.1], [[1.0, 1.0], [1.0, 1.0]]) == [0.1, 0.0]


def test_a_forecast_earns_from_the_next_open_to_the_open_after():
    """Long at the close of row 0: bought at the open of 1 (100), worth 110 at that of 2, closed at that of 3."""
    past = Counterfactual(1, 0.01)
    steps = [(1.0, 90.0), (1.0, 100.0), (0.0, 110.0), (0.0, 99.0), (0.0, 99.0)]
    found = [past.update(np.array([f]), np.array([o]), np.array([True])) for f, o in steps]
    assert [float(earned[0]) for earned, _ in found] == pytest.approx([0, 0, 0.1 - 0.01, -0.1, -0.01])
    assert [bool(closed[0]) for _, closed in found] == [False, False, False, False, True]


def test_a_missing_bar_earns_nothing_and_the_next_the_whole_move():
    past = Counterfactual(1, 0.0)
    steps = [(1.0, 100.0, True), (1.0, 100.0, True), (1.0, 0.0, False), (1.0, 120.0, True)]
    found = [past.update(np.array([f]), np.array([o]), np.array([real])) for f, o, real in steps]
    assert [float(earned[0]) for earned, _ in found] == pytest.approx([0, 0, 0, 0.2])


def fed(n: int, edge: float) -> KellyState:
    """A state after `n` trades of two bars each, right in the mean by `edge`."""
    rng = np.random.default_rng(1)
    state = KellyState(KellyStatistics(0.5, 0.2, 4000, 1), 1, 0.0, YEAR / parse_timeframe("1h"))
    price = 100.0
    for row in range(2 * n + 2):
        state.update(np.array([1.0 if row % 2 else -1.0]), np.array([1.0]), np.array([price]), np.array([True]))
        held = -1.0 if row % 2 else 1.0
        price *= 1.0 + held * edge + rng.normal(0, 0.01)
    return state


def test_fewer_than_thirty_trades_are_no_edge():
    assert fed(10, 0.004).value[0, 0] == 0.0
    assert fed(60, 0.004).value[0, 0] > 0.0
    assert fed(60, -0.004).value[0, 0] == 0.0
    assert LEAST_TRADES == 30


def test_kelly_sizes_follow_the_column_and_stay_below_the_ceiling():
    state = view(np.diag([1.0, 1.0]), [1.0, -0.5])
    state.aux = {"kelly": [fix(0.3), fix(0.2)]}
    assert weights_of(state, Kelly().targets(state)) == pytest.approx([0.3, -0.1])
    state.aux = {"kelly": [fix(1.2), fix(1.6)]}
    assert weights_of(state, Kelly().targets(state)) == pytest.approx([0.99 * 0.6, -0.99 * 0.4])
    state.aux = {"kelly": [FIX_NAN, 0]}
    assert Kelly().targets(state) == [0, 0]


def test_what_is_held_of_a_pair_without_a_variance_takes_its_share_of_limit_and_exposure():
    state = view(np.diag([1.0, 1.0]), [1.0, 1.0])
    state.aux["covariance_1"] = [FIX_NAN, FIX_NAN]
    alone, _ = VarTarget(covariance=COVARIANCE, limit=0.02).targets(state)
    state.position[1] = UNIT
    beside, second = VarTarget(covariance=COVARIANCE, limit=0.02).targets(state)
    assert second is None
    assert beside == pytest.approx(alone / 2, rel=1e-6)
    state.position[1] = int(0.5 * EQUITY / 100 * UNIT)
    capped, _ = VarTarget(covariance=COVARIANCE, limit=0.9).targets(state)
    assert capped * 100 / UNIT / EQUITY == pytest.approx(0.49, rel=1e-6)

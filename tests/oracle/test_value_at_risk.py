"""Value at risk against the worked numbers of the specification, closed forms, and real markets."""

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kraken_flow.analysis.coverage import (
    LEAST,
    WINDOW,
    backtest,
    conditional,
    independence,
    kupiec,
    rolling_forecasts,
    traffic_light,
)
from kraken_flow.analysis.value_at_risk import (
    METHODS,
    Tail,
    cornish_fisher,
    cornish_fisher_tail,
    linear_quantile,
    monotone,
    normal_tail,
)
from tests.signal_cases import lcg_bars

RETURNS = np.diff(np.log(lcg_bars(42, 120)["close"]))[-100:]
CASES = st.integers(60, 200).flatmap(
    lambda n: arrays(np.float64, n, elements=st.integers(-999, 999).map(lambda k: k / 1e4))
)


def close_to(value: float):
    return pytest.approx(value, rel=1e-7)


def tail(name: str, returns=RETURNS, level: float = 0.95) -> Tail:
    found = METHODS[name](returns, level)
    assert isinstance(found, Tail)
    return found


def test_the_fixture_is_that_of_the_specification():
    assert RETURNS.mean() == pytest.approx(-0.00145913, abs=5e-9)
    assert RETURNS.std(ddof=1) == pytest.approx(0.00459677, abs=5e-9)


@pytest.mark.parametrize(
    ("name", "var", "cvar"),
    [
        ("historical", 0.0086158212, 0.010151532),
        ("normal", 0.0090201427, 0.010940945),
        ("cornish_fisher", 0.0085438883, None),
        ("ewma", 0.0084300008, None),
        ("filtered", 0.0082025788, 0.011208708),
    ],
)
def test_tails_are_those_of_the_specification(name, var, cvar):
    found = tail(name)
    assert found.var == close_to(var)
    if cvar is not None:
        assert found.cvar == close_to(cvar)
    assert found.form == ""


def test_other_conventions_of_the_specification():
    assert linear_quantile(RETURNS, 0.95) == close_to(0.0078343000)
    assert normal_tail(0.0, float(RETURNS.std(ddof=1)), 0.95).var == close_to(0.0075610137)
    fat = cornish_fisher_tail(0.0, 0.04, -0.8, 5.0, 0.99)
    assert monotone(-0.8, 5.0)
    assert fat.var == close_to(0.15370732)
    assert fat.var / 0.04 == close_to(3.8426829)
    assert normal_tail(0.0, 0.04, 0.99).var == close_to(0.093053915)


def test_two_assets_of_the_specification():
    """0.1 BTC at 50000 (3 % a day) and 1 ETH at 3000 (4 %), correlation 0.8."""
    a, b = 0.1 * 50_000 * 0.03, 3_000 * 0.04
    deviation = math.sqrt(a * a + b * b + 2 * 0.8 * a * b)
    assert deviation == close_to(256.32011)
    assert normal_tail(0.0, deviation, 0.95).var == close_to(421.60907)
    assert normal_tail(0.0, deviation, 0.99).var == close_to(596.28975)
    assert normal_tail(0.0, deviation, 0.99).cvar == close_to(683.14800)


def expansion(z, skew, excess):
    return z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36


SHAPES = [(0.0, 0.0), (-0.8, 5.0), (0.3, 0.4), (2.5, 1.0), (0.0, 8.5), (1.0, -0.5)]
NEAR_NORMAL = [(0.0, -0.1), (0.1, -0.05), (-0.3, 0.05), (0.2, 0.0), (-0.05, 0.001)]


@pytest.mark.parametrize(("skew", "excess"), [*SHAPES, *NEAR_NORMAL])
def test_monotone_is_what_a_fine_grid_says(skew, excess):
    quantile = expansion(np.linspace(-5, 5, 60_001), skew, excess)
    assert monotone(skew, excess) == bool((np.diff(quantile) > 0).all())


@pytest.mark.parametrize(("skew", "excess"), NEAR_NORMAL)
def test_a_shape_near_the_normal_has_an_expansion(skew, excess):
    """It falls again at some ten deviations, so that no excess kurtosis below 0 rises on the whole line."""
    far = np.linspace(-60, 60, 60_001)
    assert not (np.diff(expansion(far, skew, excess)) > 0).all()
    assert monotone(skew, excess)


MIDPOINTS = np.linspace(-9, 9, 90_001)
MASS = np.exp(-(MIDPOINTS**2) / 2) / math.sqrt(2 * math.pi) * (MIDPOINTS[1] - MIDPOINTS[0])


@given(st.floats(-1.5, 1.5), st.floats(-1.0, 8.0), st.sampled_from([0.95, 0.99]))
def test_an_expansion_that_is_taken_is_the_quantile_of_its_own_distribution(skew, excess, level):
    """By quadrature: what lies below the quantile has its probability, and its mean is the shortfall."""
    assume(monotone(skew, excess))
    losses = -expansion(MIDPOINTS, skew, excess)
    found = cornish_fisher_tail(0.0, 1.0, skew, excess, level)
    beyond = losses >= found.var
    assert MASS[beyond].sum() == pytest.approx(1 - level, abs=2e-4 * (1 - level) + MASS.max())
    assert (MASS * losses)[beyond].sum() / MASS[beyond].sum() == pytest.approx(found.cvar, abs=5e-3)


def test_an_expansion_that_is_no_quantile_gives_way_to_history():
    returns = np.append(np.linspace(-0.01, 0.01, 99), 0.4)
    found = cornish_fisher(returns, 0.95)
    assert found == Tail(tail("historical", returns).var, tail("historical", returns).cvar, "historical")


@given(st.floats(-1.2, 1.2), st.floats(0.0, 6.0), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_shortfall_of_the_expansion_is_its_integral(skew, excess, level):
    """The mean of the quantiles below 1 - level, by the midpoint rule."""
    inverse = np.array([NormalDist().inv_cdf((1 - level) * (k + 0.5) / 4000) for k in range(4000)])
    z = inverse
    quantile = z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    assert cornish_fisher_tail(0.01, 0.02, skew, excess, level).cvar == pytest.approx(
        -(0.01 + 0.02 * quantile.mean()), rel=3e-3, abs=3e-5
    )


@given(CASES, st.sampled_from([0.9, 0.95]))
def test_the_mean_beyond_a_quantile_is_at_least_the_quantile(returns, level):
    for name in METHODS:
        found = METHODS[name](returns, level)
        assert isinstance(found, str) or found.cvar >= found.var - 1e-12 or name == "cornish_fisher"


@given(CASES, st.floats(0.1, 10))
def test_losses_scale_with_the_position(returns, factor):
    for name, method in METHODS.items():
        one, more = method(returns, 0.95), method(returns * factor, 0.95)
        if isinstance(one, Tail) and isinstance(more, Tail) and one.form == more.form:
            assert more.var == pytest.approx(one.var * factor, rel=1e-6, abs=1e-9), name


def test_what_is_not_defined_says_why():
    assert {name: method(RETURNS[:19], 0.95) for name, method in METHODS.items()} == dict.fromkeys(
        METHODS, "too_few_returns"
    )
    assert METHODS["filtered"](RETURNS[:59], 0.95) == "too_few_returns"
    assert all(isinstance(method(RETURNS[:60], 0.95), Tail) for method in METHODS.values())
    flat = np.zeros(100)
    assert {name: method(flat, 0.95) for name, method in METHODS.items() if name != "historical"} == dict.fromkeys(
        sorted(set(METHODS) - {"historical"}), "zero_variance"
    )
    assert backtest(RETURNS, 0.95) == "too_few_returns"
    quiet = backtest(np.zeros(400), 0.95)
    assert not isinstance(quiet, str)
    assert quiet["normal"] == {"reason": "zero_variance"}


@pytest.mark.parametrize(
    ("days", "tail_", "violations", "statistic"),
    [
        (250, 0.01, 0, 5.0251679),
        (250, 0.01, 2, 0.10843522),
        (250, 0.01, 5, 1.9568098),
        (250, 0.01, 7, 5.4969904),
        (250, 0.01, 10, 12.955491),
        (365, 0.05, 18, 0.0036206),
        (365, 0.05, 30, 6.7246748),
    ],
)
def test_kupiec(days, tail_, violations, statistic):
    assert kupiec(days, violations, tail_).statistic == pytest.approx(statistic, rel=1e-7, abs=5e-8)


def test_kupiec_probability_and_certainty():
    assert kupiec(250, 7, 0.01).p == pytest.approx(0.019049, abs=5e-7)
    assert kupiec(250, 250, 0.01).statistic > 1000


def test_christoffersen():
    violated = np.zeros(250, bool)
    violated[[20, 21, 22, 100, 180, 181, 240]] = True
    assert independence(violated).statistic == close_to(13.487564)
    assert independence(violated).p == pytest.approx(0.00024015, rel=1e-4)
    both = conditional(violated, 0.01)
    assert both.statistic == close_to(18.984554)
    assert both.p == pytest.approx(math.exp(-18.984554 / 2), rel=1e-6)


def test_the_zones_of_the_basel_rule():
    zones = [traffic_light(n) for n in range(13)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 3
    below = sum(math.comb(250, k) * 0.01**k * 0.99 ** (250 - k) for k in range(5))
    assert below == close_to(0.89218763)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_rolling_forecasts_are_the_methods_on_what_was_known(seed, skewed):
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(4, 90) * 0.02 if not skewed else rng.exponential(0.02, 90) - 0.02
    window = 60
    rolled = rolling_forecasts(returns, 0.95, window)
    for t in (window, window + 7, len(returns) - 1):
        past = returns[t - window : t]
        for name in ("historical", "normal", "cornish_fisher"):
            assert rolled[name][t - window] == pytest.approx(tail(name, past).var, rel=1e-9)
        assert rolled["ewma"][t - window] == pytest.approx(tail("ewma", returns[:t]).var, rel=1e-12)


@given(st.integers(0, 10_000), st.floats(-0.5, 0.5))
def test_no_forecast_reads_what_it_forecasts(seed, other):
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.02, 80)
    changed = returns.copy()
    changed[70:] = other
    before, after = rolling_forecasts(returns, 0.95, 50), rolling_forecasts(changed, 0.95, 50)
    for name in METHODS:
        np.testing.assert_array_equal(before[name][:21], after[name][:21])


def test_a_right_model_is_nominal_and_a_wrong_one_fails():
    rng = np.random.default_rng(5)
    fair = backtest(rng.normal(0, 0.02, 3000), 0.95)
    assert not isinstance(fair, str)
    assert {name: found["coverage"] for name, found in fair.items()} == dict.fromkeys(METHODS, "nominal")
    rising = rng.normal(0, 1, 2000) * np.linspace(0.002, 0.05, 2000)
    grown = backtest(rising, 0.95)
    assert not isinstance(grown, str)
    assert grown["normal"]["coverage"] == "too_many"
    assert len(rising) > WINDOW + LEAST


def real_returns(folder: Path, name: str):
    path = folder / "data" / "ohlcv" / "kraken_1d" / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"the market data has no {path.name}")
    closes = pq.read_table(path)["close"].to_numpy()
    return closes[1:] / closes[:-1] - 1.0


@pytest.mark.parametrize("name", ["btcusd", "ethusd"])
def test_real_returns_are_covered_nominally_or_reported_as_failing(name, shared):
    """The methods that follow volatility cover years of real returns; what does not is told by its test."""
    found = backtest(real_returns(shared, name), 0.95)
    assert not isinstance(found, str)
    for method, result in found.items():
        share = result["violations"] / result["days"]
        assert result["days"] > 2000
        assert (result["coverage"] == "nominal") == (result["kupiec_p"] >= 0.05), method
        assert result["coverage"] != "nominal" or abs(share - 0.05) < 0.01
    assert found["filtered"]["coverage"] == "nominal"

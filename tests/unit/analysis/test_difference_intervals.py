"""Intervals of the difference of two runs: both drawn in the same blocks."""

import itertools

import numpy as np
import pytest

from kraken_flow.analysis.bootstrap import OF_RETURNS, Draws, difference_intervals
from kraken_flow.core.times import DAY

N = 250
RESAMPLES = 200


def returns(seed, mean=0.001):
    return np.random.default_rng(seed).normal(mean, 0.02, N)


def spans(a, b):
    return difference_intervals(a, b, 365.0, N * DAY, RESAMPLES)


def test_a_run_does_not_differ_from_itself():
    assert spans(returns(1), returns(1)) == {name: [0.0, 0.0] for name in OF_RETURNS}


def test_each_resample_takes_the_same_days_of_both():
    a, b = returns(1), returns(2)
    draws = Draws.of(N, RESAMPLES)
    bounds = np.append(draws.firsts, len(draws.starts))
    differences = []
    for first, last in itertools.pairwise(bounds):
        blocks = zip(draws.starts[first:last], draws.lengths[first:last], strict=True)
        days = np.concatenate([(start + np.arange(length)) % N for start, length in blocks])
        sharpes = [x[days].mean() / x[days].std(ddof=1) * np.sqrt(365) for x in (a, b)]
        differences.append(sharpes[1] - sharpes[0])
    assert spans(a, b)["sharpe"] == pytest.approx(np.percentile(differences, (5, 95)).tolist(), rel=1e-9)


def test_what_moved_both_cancels_out():
    a = returns(1)
    related, stranger = a + returns(2, 0.0) / 10, returns(3)
    widths = [spans(a, b)["sharpe"][1] - spans(a, b)["sharpe"][0] for b in (related, stranger)]
    assert widths[0] < widths[1] / 4


def test_a_difference_of_every_day_is_more_than_luck():
    a = returns(1)
    assert spans(a, a + 0.001)["sharpe"][0] > 0
    assert spans(a, a - 0.001)["total_return"][1] < 0


def test_too_few_days_have_no_interval():
    assert set(difference_intervals(np.zeros(29), np.zeros(29), 365.0, 29 * DAY).values()) == {"too_few_returns"}


def test_days_on_which_either_run_moved_tell_of_luck():
    assert spans(returns(1), np.zeros(N))["total_return"][0] < spans(returns(1), np.zeros(N))["total_return"][1]

"""Intervals of the difference of two runs: both drawn in the same blocks."""

import itertools

import numpy as np
import pytest

from kraken_flow.analysis.bootstrap import (
    OF_RETURNS,
    OF_TRADES,
    Draws,
    difference_intervals,
    trade_difference_intervals,
)
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


def market(seed, days=N):
    """Return what each day holds for whoever enters on it, days that hang together."""
    random = np.random.default_rng(seed)
    return np.convolve(random.normal(0.0, 1.0, days + 2), np.ones(3) / 3, "valid")


def trader(seed, days_hold, share=0.6, edge=0.0, noise=0.5):
    """Return the trades of one who enters on a share of the days, some of them twice: their days and profits."""
    random = np.random.default_rng(seed)
    opened = np.sort(random.choice(len(days_hold), round(share * len(days_hold))))
    return opened, days_hold[opened] + random.normal(edge, noise, len(opened))


def by_day(trades):
    found = {}
    for day, profit in zip(*(column.tolist() for column in trades), strict=True):
        found.setdefault(day, []).append(profit)
    return found


def plain(profits):
    """Return win rate, profit factor and expectancy of a list of profits, as one reads them in a book."""
    won, lost = sum(p for p in profits if p > 0), -sum(p for p in profits if p < 0)
    wins = sum(1 for p in profits if p > 0)
    return {"win_rate": wins / len(profits), "profit_factor": won / lost, "expectancy": sum(profits) / len(profits)}


def test_each_resample_takes_the_trades_that_the_same_days_opened():
    a, b = trader(1, market(1), 1.0), trader(2, market(1), 0.3, 0.2)
    draws = Draws.of(N, RESAMPLES)
    bounds = np.append(draws.firsts, len(draws.starts))
    differences = {name: [] for name in OF_TRADES}
    for first, last in itertools.pairwise(bounds):
        blocks = zip(draws.starts[first:last].tolist(), draws.lengths[first:last].tolist(), strict=True)
        days = [(start + step) % N for start, length in blocks for step in range(length)]
        old, new = (plain([p for day in days for p in run.get(day, ())]) for run in (by_day(a), by_day(b)))
        for name, found in differences.items():
            found.append(new[name] - old[name])
    made = trade_difference_intervals(a, b, N, RESAMPLES)
    for name, found in differences.items():
        assert made[name] == pytest.approx(np.percentile(found, (5, 95)).tolist(), rel=1e-9, abs=1e-12), name


def test_trades_that_are_equal_do_not_differ():
    a = trader(1, market(1))
    assert trade_difference_intervals(a, a, N) == {name: [0.0, 0.0] for name in OF_TRADES}


def test_the_market_that_two_share_cancels_out():
    a = trader(1, market(1), noise=0.1)
    related, stranger = trader(1, market(1), noise=0.1, edge=0.01), trader(1, market(9), noise=0.1)
    widths = [np.ptp(trade_difference_intervals(a, b, N, RESAMPLES)["expectancy"]) for b in (related, stranger)]
    assert widths[0] < widths[1] / 4


def test_nine_in_ten_intervals_hold_the_true_difference():
    """Two who differ by 0.2 a trade, in 150 markets: a binomial of 0.9 lies within these bounds but for one in 10^4."""
    held = 0
    for seed in range(150):
        days = market(seed)
        low, high = trade_difference_intervals(
            trader(1000 + seed, days), trader(2000 + seed, days, edge=0.2), N, RESAMPLES
        )["expectancy"]
        held += low <= 0.2 <= high
    assert 120 <= held <= 147


@pytest.mark.parametrize(("trades", "days", "why"), [(29, N, "too_few_trades"), (60, 29, "too_few_returns")])
def test_too_few_trades_or_days_have_no_interval(trades, days, why):
    many, few = (np.arange(count) % days for count in (200, trades))
    found = trade_difference_intervals((many, np.ones(200)), (few, np.ones(trades)), days)
    assert set(found.values()) == {why}


def test_where_draws_often_have_no_trade_that_lost_there_is_no_profit_factor():
    trades = (np.arange(60), np.r_[-1.0, np.ones(59)])
    assert trade_difference_intervals(trades, trades, N)["profit_factor"] == "often_undefined"


def test_days_on_which_either_run_moved_tell_of_luck():
    assert spans(returns(1), np.zeros(N))["total_return"][0] < spans(returns(1), np.zeros(N))["total_return"][1]

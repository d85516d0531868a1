"""Each rival's results equal ours on small sizes."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from kraken_flow import features as shipped
from tests.bench import bar_by_bar, graphs, indicators, market, plain, portfolio, reporting, small, sweep, terms
from tests.bench.findings import Section
from tests.bench.talib_calls import WITHOUT, calls

BARS = 3000

SECTIONS = {
    "plain": lambda: plain.crossing(BARS, 1),
    "limits": lambda: plain.limits(BARS, 1),
    "portfolio": lambda: portfolio.weekly(3, terms.FIRST_REBALANCE + 3 * terms.WEEK, 1),
    "asked": lambda: bar_by_bar.section(BARS, 1),
    "sweep": lambda: sweep.section(BARS, 1, ((5, 50), (10, 50), (20, 100))),
    "small": lambda: small.section(500, 1),
    "metrics": lambda: reporting.section(BARS, 1),
}


@pytest.mark.filterwarnings("default")  # what others have deprecated is theirs to mend
@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_results_equal_those_of_the_rivals(section: Callable[[], Section]) -> None:
    found = section()
    assert found.checks
    assert [check for check in found.checks if not check.equal] == []


@pytest.mark.filterwarnings("default")
def test_where_a_stop_is_measured_from_is_the_whole_difference_to_backtesting() -> None:
    """With entries at the very close of the signal, its stops and ours are the same prices."""
    from tests.bench import rivals_backtesting

    bars = market.candles(BARS)
    bars["open"] = np.concatenate((bars["open"][:1], bars["close"][:-1]))
    bars["high"] = np.maximum(bars["high"], bars["open"])
    bars["low"] = np.minimum(bars["low"], bars["open"])
    loaded = market.market_of({"BTC/USD": bars}, "1m", 4)
    ours = plain.whole(graphs.stop_and_target(0.004, 0.008), loaded)
    theirs = rivals_backtesting.crossing(rivals_backtesting.frame(bars), 0.004, 0.008)
    assert plain.measure(ours)["trades"] == theirs["trades"]
    assert ours.final_equity / 1e16 == pytest.approx(theirs["final"], abs=0.05)


@pytest.mark.parametrize("name", indicators.features())
def test_features_equal_talib_in_every_row(name: str) -> None:
    bars, loaded = market.candles(BARS), indicators.with_floats(market.single(BARS))
    ours = indicators.computed(indicators.features()[name], loaded)
    check = indicators.same_columns(name, name, ours, calls(bars)[name]())
    assert check.equal, check


def test_every_feature_is_compared_with_talib_or_has_a_reason_not_to_be() -> None:
    compared = {type(feature).__name__ for feature in indicators.features().values()}
    assert compared | set(WITHOUT) == set(shipped.__all__)
    assert not compared & set(WITHOUT)


def test_a_column_that_differs_in_one_row_is_found() -> None:
    ours = np.array([np.nan, 1.0, 2.0])
    assert indicators.same_columns("x", "x", (ours,), (ours + 1e-5,)).ours == pytest.approx(1e-5, rel=1.0)
    assert not indicators.same_columns("x", "x", (ours,), (np.array([0.0, 1.0, 2.0]),)).equal
    assert indicators.same_columns("x", "x", (ours,), (ours,)).equal


def test_asking_at_every_bar_changes_nothing() -> None:
    loaded = market.single(BARS)
    whole = plain.whole(graphs.plain(), loaded).final_equity
    assert plain.whole(graphs.called_back(), loaded).final_equity == whole
    assert bar_by_bar.session(graphs.plain(), loaded) == pytest.approx(whole / 1e16, abs=1e-9)
    bars = market.candles(BARS)
    in_lists = bar_by_bar.loop_in_python(bars["open"].tolist(), bars["close"].tolist())
    assert in_lists[0] == pytest.approx(whole / 1e16, abs=0.005)


def test_rows_of_equal_averages_are_those_that_whole_numbers_find():
    close = np.round(100 + np.random.default_rng(3).integers(-2, 3, 400) / 10_000, 4)
    units = [round(price * 10_000) for price in close]
    equal = [row >= 49 and 5 * sum(units[row - 9 : row + 1]) == sum(units[row - 49 : row + 1]) for row in range(400)]
    expected = [now or before for before, now in pairwise([False, *equal])]
    assert indicators.undecided(close).tolist() == expected
    assert 0 < sum(expected) < 400

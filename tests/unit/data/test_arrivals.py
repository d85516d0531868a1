"""What is used of bars as they arrive, and what is counted."""

import pytest

from kraken_flow.data.arrivals import Arrivals

HALF, WHOLE = (10, 12, 9, 11, 5), (10, 13, 9, 12, 8)


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals(("A/USD", "B/USD"), 100, 10)


def test_the_state_with_more_volume_is_the_later_one(arrivals):
    for state in (WHOLE, HALF, WHOLE):
        arrivals.put("A/USD", 100, state)
    assert arrivals.take() == (WHOLE, None)
    counted = arrivals.counts["A/USD"]
    assert (counted.stale, counted.duplicates, counted.late) == (1, 1, 0)


def test_what_comes_after_its_row_is_counted_once_and_not_used(arrivals):
    arrivals.put("A/USD", 100, HALF)
    arrivals.take()
    for pair in ("A/USD", "B/USD"):
        for state in (HALF, WHOLE, WHOLE):
            arrivals.put(pair, 100, state)
    assert [arrivals.counts[pair].late for pair in ("A/USD", "B/USD")] == [1, 1]
    assert arrivals.counts["A/USD"].duplicates == 1
    assert arrivals.take() == (None, None)


def test_a_bar_without_trades_is_none(arrivals):
    arrivals.put("A/USD", 100, (10, 10, 10, 10, 0))
    assert arrivals.take() == (None, None)
    arrivals.put("A/USD", 100, (10, 10, 10, 10, 0))
    assert arrivals.counts["A/USD"].late == 0


@pytest.mark.parametrize(
    ("time", "bar"), [(105, WHOLE), (100, (10, 9, 8, 9, 1)), (100, (10, 12, 11, 12, 1)), (100, (0, 1, 0, 1, 1))]
)
def test_what_is_no_bar_of_the_grid_is_refused(arrivals, time, bar):
    arrivals.put("A/USD", time, bar)
    assert arrivals.counts["A/USD"].refused == 1
    assert arrivals.take() == (None, None)


def test_bars_from_before_the_stream_are_of_no_interest(arrivals):
    arrivals.put("A/USD", 90, WHOLE)
    assert arrivals.counts["A/USD"].late == 0


def test_what_was_asked_for_may_be_there_already(arrivals):
    arrivals.put("A/USD", 100, WHOLE)
    arrivals.put("A/USD", 100, WHOLE, asked=True)
    assert arrivals.counts["A/USD"].duplicates == 0


def test_memory_does_not_grow(arrivals):
    for row in range(5000):
        arrivals.put("A/USD", 100 + 10 * row, WHOLE)
        arrivals.take()
    assert len(arrivals._used["A/USD"]) == 2048

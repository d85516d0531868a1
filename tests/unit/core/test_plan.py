"""Plans of parent orders: the worked numbers of the spec, and what holds of every schedule."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.plan import Algo, Plan, cumulative, draw, jittered, offsets, pov_part, volume_weights
from kraken_flow.core.units import UNIT

HALF = UNIT // 2


def sizes(due: tuple[int, ...]) -> list[int]:
    return [after - before for before, after in pairwise((0, *due))]


def test_equal_parts_are_floors_that_add_up() -> None:
    """1000 lots in 7 slices."""
    plan = Plan(Algo.TWAP, bars=7)
    assert sizes(cumulative(plan, 1000, 1, [UNIT] * 7, 0, 0)) == [142, 143, 143, 143, 143, 143, 143]


def test_parts_along_a_volume_curve_are_floors_of_the_cumulative_curve() -> None:
    """733 lots along .05, .10, .20, .30, .20, .15."""
    plan = Plan(Algo.VWAP, bars=6)
    assert sizes(cumulative(plan, 733, 1, [5, 10, 20, 30, 20, 15], 0, 0)) == [36, 73, 147, 220, 147, 110]


def test_a_share_of_all_volume_is_more_than_that_share_of_the_others() -> None:
    """10 % of all: 120 -> 13.3333, 80 -> 8.8889, 200 -> 22.2222."""
    parts = [pov_part(volume * UNIT, UNIT // 10) for volume in (120, 80, 200)]
    assert parts == [1_333_333_333, 888_888_888, 2_222_222_222]


@given(
    bars=st.integers(1, 40),
    every=st.integers(1, 9),
    lots=st.integers(1, 10**12),
    lot=st.integers(1, 10**6),
    jitters=st.tuples(st.integers(0, HALF), st.integers(0, HALF)),
    seed=st.integers(0, 2**63),
    weights=st.lists(st.integers(0, 2**63 - 1), min_size=40, max_size=40),
)
def test_every_schedule_ends_with_the_whole_and_never_goes_back(
    bars: int, every: int, lots: int, lot: int, jitters: tuple[int, int], seed: int, weights: list[int]
) -> None:
    plan = Plan(Algo.VWAP, bars=bars, every=every, time_jitter=jitters[0], size_jitter=jitters[1])
    at, due = offsets(plan, seed, 3), cumulative(plan, lots * lot, lot, weights[: plan.slices], seed, 3)
    assert len(at) == len(due) == plan.slices
    assert due[-1] == lots * lot
    assert all(part >= 0 and part % lot == 0 for part in sizes(due))
    assert all(0 <= offset < bars for offset in at)
    assert list(at) == sorted(at)
    assert all(abs(offset - i * every) <= max(every // 2, 0) or offset == bars - 1 for i, offset in enumerate(at))
    assert (at, due) == (
        offsets(plan, seed, 3),
        cumulative(plan, lots * lot, lot, weights[: plan.slices], seed, 3),
    )


def test_parts_without_jitter_are_regular() -> None:
    assert offsets(Plan(Algo.TWAP, bars=10, every=3), 7, 1) == (0, 3, 6, 9)
    assert jittered(1000, 0, 1, 2, 3) == 1000


@given(st.integers(0, 2**40), st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 2**31))
def test_draws_follow_from_their_counters_and_stay_in_range(seed: int, parent: int, index: int, n: int) -> None:
    assert 0 <= draw(seed, parent, index, 0, n) < n
    assert draw(seed, parent, index, 0, n) == draw(seed, parent, index, 0, n)


def test_draws_are_spread_evenly_and_differ_by_each_counter() -> None:
    counts = [0] * 10
    for index in range(10_000):
        counts[draw(1, 2, index, 0, 10)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150
    one = draw(1, 2, 3, 0, 2**31)
    assert one not in {
        draw(9, 2, 3, 0, 2**31),
        draw(1, 9, 3, 0, 2**31),
        draw(1, 2, 9, 0, 2**31),
        draw(1, 2, 3, 1, 2**31),
    }


def test_a_curve_is_the_median_of_past_days_and_reads_no_bar_after_the_decision() -> None:
    """Four bars a day, decided after row 9 (the second bar of the third day)."""
    volumes = {0: 10, 1: 20, 2: 30, 3: 40, 4: 12, 5: 22, 6: 90, 7: 44, 8: 11, 9: 99}
    asked: list[int] = []

    def volume_at(row: int) -> int:
        asked.append(row)
        return volumes.get(row, -1)

    plan = Plan(Algo.VWAP, bars=4, period=4, periods=2)
    # Rows 10 to 13: the medians of 6 and 2, 7 and 3, 8 and 4, 9 and 5.
    assert volume_weights(plan, 9, volume_at) == [60, 42, 11, 60]
    assert max(asked) <= 9
    assert volume_weights(Plan(Algo.VWAP, bars=4, every=2, period=4, periods=2), 9, volume_at) == [102, 71]
    assert volume_weights(Plan(Algo.VWAP, bars=6, period=4, periods=1), 9, volume_at) == [90, 44, 11, 99, 90, 44]


def test_without_a_past_there_is_no_curve() -> None:
    assert volume_weights(Plan(Algo.VWAP, bars=2, period=4, periods=2), 1, lambda _: -1) is None
    assert volume_weights(Plan(Algo.VWAP, bars=2, period=4, periods=2), 9, lambda _: 0) is None

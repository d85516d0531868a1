"""What a run read, pinned: bars that came later change nothing, and a bar that is another one is found."""

from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.funding import FundingColumns
from kraken_flow.core.market import FIELDS, Detail, Market
from kraken_flow.core.pin import Pin
from kraken_flow.core.resample import Bars
from kraken_flow.core.times import SECOND, iso
from kraken_flow.data.grid import columns

HOUR = 3600 * SECOND
FIRST = 480_000 * HOUR
QUARTER = HOUR // 4


def bars(step, numbers, seed=1):
    numbers = np.asarray(numbers, np.int64)
    price = 1_000_000 + (numbers * 7919 * seed) % 4001
    return Bars(FIRST + numbers * step, price, price + 5, price - 5, price, numbers + 10)


def market(a, b, *, first=0, rows=40, start=0, detail=(), funding=()):
    """A market of rows `first` .. `rows` with the bars whose numbers are given."""

    def laid(name, numbers, step, low, n, seed):
        inside = [number for number in numbers if low <= number < low + n]
        return columns(name, bars(step, inside, seed), FIRST + low * step, step, n)

    n = rows - first
    fine = tuple(laid(name, detail, QUARTER, 4 * first, 4 * n, 3) for name in "AB")
    events = np.array([e for e in funding if first <= e <= rows], np.int64)
    return Market(
        HOUR,
        FIRST + HOUR * np.arange(first, rows, dtype=np.int64),
        (laid("A", a, HOUR, first, n, 1), laid("B", b, HOUR, first, n, 2)),
        first_row=start - first,
        decimals={"A": 2, "B": 3},
        detail=Detail(QUARTER, 4, fine) if len(detail) else None,
        funding=tuple(FundingColumns(p, FIRST + events * HOUR, FIRST + events * HOUR, events) for p in "AB"),
    )


def same(a, b):
    """Whether two markets hold the same."""
    parts = [(a.pairs, b.pairs)] + ([(a.detail.pairs, b.detail.pairs)] if a.detail else [])
    for old, new in parts:
        for one, other in zip(old, new, strict=True):
            assert one.state.tolist() == other.state.tolist()
            for name in FIELDS:
                assert getattr(one, name).tolist() == getattr(other, name).tolist()
    for one, other in zip(a.funding, b.funding, strict=True):
        assert one.known.tolist() == other.known.tolist()
    assert (a.times.tolist(), a.first_row, a.decimals) == (b.times.tolist(), b.first_row, b.decimals)


numbers = st.sets(st.integers(0, 39), min_size=1).map(sorted)


@given(numbers, numbers, st.integers(0, 39), st.integers(0, 6), st.integers(0, 6))
def test_bars_before_and_after_what_was_read_change_nothing(a, b, start, more_before, more_after):
    fine, events = range(4 * a[0], 4 * a[-1] + 1), range(0, 40, 8)
    before = market(a, b, start=start, detail=fine, funding=events)
    pin = Pin.from_plain(orjson.loads(orjson.dumps(Pin.of(before).plain())))
    assert pin == Pin.of(before)
    wide_a = [*range(-more_before, a[0]), *a, *range(a[-1] + 1, 40 + more_after)]
    wide_b = [*range(-more_before, b[0]), *b, *range(b[-1] + 1, 40 + more_after)]
    wide = market(
        wide_a,
        wide_b,
        first=-more_before,
        rows=40 + more_after,
        start=start,
        detail=[*range(-more_before, 4 * a[0]), *fine, *range(4 * a[-1] + 1, 200)],
        funding=[*events, *range(40, 48, 8)],
    )
    wide = replace(wide, decimals={"A": 5, "B": 5})
    again = pin.cut(wide)
    same(again, before)
    assert pin.changes(again) == []


@given(numbers, st.data())
def test_the_one_bar_that_is_another_one_is_named(there, data):
    before = market(there, [0, 39])
    pin = Pin.of(before)
    at = data.draw(st.integers(there[0], there[-1]))
    how = data.draw(
        st.sampled_from(["edited", *(["gone"] if at in there[1:-1] else []), *(["new"] * (at not in there))])
    )
    if how == "edited":
        at = data.draw(st.sampled_from(there))
        after = market(there, [0, 39])
        after.pairs[0].close[at] += data.draw(st.integers(1, 9))
    elif how == "gone":
        after = market([n for n in there if n != at], [0, 39])
    else:
        after = market(sorted({*there, at}), [0, 39])
    ((pair, said),) = pin.changes(pin.cut(after))
    assert pair == "A"
    assert said.startswith(f"A: the bar that opens at {iso(FIRST + at * HOUR)} ")
    assert said.endswith("is missing") == (how == "gone")


@given(st.sets(st.integers(0, 39), min_size=2, max_size=6).map(sorted))
def test_several_bars_that_are_others_are_named_by_where_they_lie(changed):
    pin = Pin.of(market(range(40), range(40)))
    after = market(range(40), range(40))
    after.pairs[1].volume[changed] += 1
    ((pair, said),) = pin.changes(pin.cut(after))
    assert pair == "B"
    assert said.startswith("B: several bars are not what was read, between those of ")
    assert iso(FIRST + changed[0] * HOUR) in said
    assert iso(FIRST + changed[-1] * HOUR) in said


@pytest.mark.parametrize("end", [30, 39])
def test_a_pair_and_rows_that_are_not_there_any_more_are_told(end):
    before = market(range(40), range(40), funding=[8, 16])
    pin = Pin.of(before)
    less = market(range(end), range(end), rows=end, funding=[8])
    told = dict(pin.changes(pin.cut(less)))
    assert set(told) == {"A", "B"}
    other = replace(before, pairs=before.pairs[:1], funding=())
    assert ("B", "B is not read any more") in pin.changes(pin.cut(other))

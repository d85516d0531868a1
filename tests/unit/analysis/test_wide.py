import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis.wide import LONG_SEGMENT, Wide
from kraken_flow.core.result import split128

BIG = st.integers(-(2**110), 2**110)
INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


def column(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@given(st.lists(BIG))
def test_python_integers_survive(values):
    assert Wide.of_ints(values).ints() == values


@given(st.lists(INT64))
def test_int64_widens(values):
    assert Wide.of(column(values)).ints() == values


@given(st.lists(BIG))
def test_the_engines_split_widens(values):
    parts = [split128(v) for v in values]
    assert Wide.of_split(column([h for h, _ in parts]), column([low for _, low in parts])).ints() == values


@given(st.lists(st.tuples(st.integers(-(2**55), 2**55), st.integers(-(2**56), 2**56))))
def test_a_product_is_exact(pairs):
    product = Wide.product(column([a for a, _ in pairs]), column([b for _, b in pairs]))
    assert product.ints() == [a * b for a, b in pairs]


@given(st.lists(st.tuples(BIG, BIG)))
def test_sum_difference_and_sign(pairs):
    a, b = Wide.of_ints(x for x, _ in pairs), Wide.of_ints(y for _, y in pairs)
    assert (a + b).ints() == [x + y for x, y in pairs]
    assert (a - b).ints() == [x - y for x, y in pairs]
    assert (-a).ints() == [-x for x, _ in pairs]
    assert a.positive.tolist() == [x > 0 for x, _ in pairs]
    assert a.negative.tolist() == [x < 0 for x, _ in pairs]


@pytest.mark.parametrize("repeats", [1, 2 * LONG_SEGMENT])
@given(values=st.lists(BIG, min_size=1), data=st.data())
def test_segments_add_up(values, data, repeats):
    values = values * repeats
    inner = data.draw(st.sets(st.integers(1, len(values)), max_size=40))
    starts = sorted({0, *(i for i in inner if i < len(values))})
    wide = Wide.of_ints(values)
    stops = [*starts[1:], len(values)]
    assert wide.sums(np.array(starts)).ints() == [sum(values[a:b]) for a, b in zip(starts, stops, strict=True)]
    assert wide.total() == sum(values)


@given(st.lists(BIG))
def test_floats_are_near(values):
    floats = Wide.of_ints(values).floats(10**16)
    assert np.allclose(floats, [v / 10**16 for v in values], rtol=1e-15, atol=0)


def test_nothing_adds_up_to_nothing():
    empty = Wide.of(column([]))
    assert empty.total() == 0
    assert len(empty.sums(np.zeros(0, np.intp))) == 0

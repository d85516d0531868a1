"""Our logarithm against one of 40 digits, and Rust's against Python's."""

import math
from decimal import Context, Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.logarithm import ln
from kraken_flow.native import native

CONTEXT = Context(prec=40)
LEAST, MOST, TINY = 2.0**-1022, math.nextafter(math.inf, 0.0), 5e-324


def around(x, steps=3):
    """x and its neighbours on both sides."""
    found, below, above = [x], x, x
    for _ in range(steps):
        below, above = math.nextafter(below, 0.0), math.nextafter(above, math.inf)
        found += [below, above]
    return [value for value in found if 0.0 < value < math.inf]


EDGES = sorted(
    {
        value
        for x in (1.0, math.sqrt(0.5), math.sqrt(2.0), 2.0 / 3.0, math.e, 10.0, LEAST, MOST, TINY, 1e-310, 1e300)
        for value in around(x)
    }
    | {value for k in range(-1074, 1024) for value in around(2.0**k, 1)}
    | {value for k in range(1, 53) for x in (1.0 + 2.0**-k, 1.0 - 2.0**-k) for value in around(x, 1)}
    | {value for k in range(-8, 9) for value in around(math.ldexp(math.sqrt(0.5), k), 2)}
)


def drawn(n):
    rng = np.random.default_rng(11)
    return np.concatenate(
        [
            rng.uniform(0.7, 1.42, n),
            rng.uniform(0.3, 0.75, n),
            np.exp(rng.normal(size=n) * 0.01),
            1.0 + rng.normal(size=n) * 1e-6,
            np.exp(rng.uniform(-708.0, 709.0, n)),
            rng.integers(1, 1 << 52, n).view(np.float64),
        ]
    )


def ulps_off(x):
    """Distance of our logarithm from the true one, in units in the last place of the true one."""
    true = CONTEXT.ln(Decimal(x))
    return float(abs(CONTEXT.subtract(Decimal(ln(x)), true)) / Decimal(math.ulp(float(true)))) if true else 0.0


def test_the_error_stays_below_one_unit_in_the_last_place():
    assert max(map(ulps_off, EDGES)) < 0.86
    assert max(map(ulps_off, drawn(300).tolist())) < 0.86


@given(st.floats(TINY, MOST, allow_subnormal=True))
def test_the_error_stays_below_one_unit_anywhere(x):
    assert ulps_off(x) < 0.9


@given(st.floats(0.5, 2.0))
def test_the_error_stays_below_one_unit_around_one(x):
    assert ulps_off(x) < 0.9


def test_it_rises_over_edges_and_neighbours():
    values = [ln(x) for x in EDGES]
    assert all(a <= b for a, b in pairwise(values))


def test_special_values():
    assert ln(1.0) == 0.0
    assert math.copysign(1.0, ln(1.0)) == 1.0
    assert ln(0.0) == ln(-0.0) == -math.inf
    assert ln(math.inf) == math.inf
    assert all(math.isnan(ln(x)) for x in (math.nan, -1.0, -TINY, -LEAST, -math.inf))


@pytest.mark.skipif(native is None, reason="the Rust extension is not built")
@pytest.mark.parametrize("lead", [0, 1, 63])
def test_rust_gives_the_same_bits(lead):
    # Over a value before of 1 the log return is the logarithm of the value itself.
    x = np.concatenate([np.ones(lead), EDGES, [math.inf], drawn(20_000)])
    pairs = np.ones(2 * len(x))
    pairs[1::2] = x
    out = np.empty((1, len(pairs)))
    native.run_feature("change", (1.0, 1.0, 0.0), [pairs], np.zeros(0, np.int64), out, True)
    ours = np.array([ln(value) for value in x.tolist()])
    assert np.array_equal(out[0][1::2].view(np.int64), ours.view(np.int64))
    # In a block of ordinary numbers alone: the same bits as beside others.
    ordinary = np.concatenate([np.ones(1), np.cumprod(1.0 + np.random.default_rng(lead).normal(size=5_000) * 0.01)])
    out = np.empty((1, len(ordinary)))
    native.run_feature("change", (1.0, 1.0, 0.0), [ordinary], np.zeros(0, np.int64), out, True)
    ours = np.array([ln(value) for value in (ordinary[1:] / ordinary[:-1]).tolist()])
    assert np.array_equal(out[0][1:].view(np.int64), ours.view(np.int64))

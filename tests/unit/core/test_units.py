"""Scaled integers against `decimal`, the independent oracle."""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.errors import UserError
from kraken_flow.core.units import (
    FIX_NAN,
    ceil_div,
    decimals_of,
    fix,
    fix_column,
    parse,
    rate,
    rate_bps,
    text,
    to_floats,
    to_units,
)

PRICES = st.decimals(min_value="0.00000001", max_value="9000000", places=8)


@given(PRICES)
def test_a_price_survives_the_way_through_float(price: Decimal) -> None:
    """Text to float to integer to text gives the same decimal number."""
    units = int(to_units(np.array([float(price)]))[0])
    assert units == int(price.scaleb(8))
    assert Decimal(text(units)) == price


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20), st.integers(0, 8))
def test_decimals_are_the_fewest_that_write_every_value(values: list[int], places: int) -> None:
    """The found decimals reproduce each value, and one fewer would not."""
    numbers = [Decimal(v).scaleb(-places) for v in values]
    needed = max(max(0, -int(n.normalize().as_tuple().exponent)) for n in numbers)
    assert decimals_of(np.array([float(n) for n in numbers])) == needed


@given(st.lists(st.integers(1, 2**52), min_size=1))
def test_floats_are_the_nearest_to_the_decimal(units: list[int]) -> None:
    """Integers of 10^-8 become the float that Python reads from their text."""
    floats = to_floats(np.array(units, dtype=np.int64))
    assert floats.tolist() == [float(text(u)) for u in units]


@given(st.floats(-1e6, 1e6))
def test_fix_rounds_half_to_even_like_decimal(value: float) -> None:
    """A weight is rounded once, and a column is rounded as its single values are."""
    expected = int(Decimal(value * 1e9).quantize(Decimal(1), ROUND_HALF_EVEN))
    assert fix(value) == expected
    assert fix_column(np.array([value, np.nan])).tolist() == [expected, FIX_NAN]


@given(st.lists(st.floats(), max_size=40))
def test_short_and_long_columns_are_fixed_alike(values: list[float]) -> None:
    """Whatever the length, a column is rounded as its single values are."""
    column = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        assert fix_column(column).tolist() == [fix(value) for value in values]
        assert fix_column(np.tile(column, 20)).tolist() == [fix(value) for value in values] * 20


@given(st.decimals(-10_000, 10_000, places=4))
def test_basis_points_are_exact(bps: Decimal) -> None:
    """A rate is the very decimal fraction that the user wrote."""
    assert rate_bps(float(bps)) == int(bps.scaleb(4))


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_division_rounds_up(a: int, b: int) -> None:
    """The quotient is the smallest integer not below a / b."""
    assert ceil_div(a, b) - 1 < Decimal(a) / b or ceil_div(a, b) * b >= a
    assert ceil_div(a, b) * b >= a > (ceil_div(a, b) - 1) * b


@pytest.mark.parametrize("wrong", ["1.123456789", "abc", "nan", "inf", ""])
def test_numbers_that_do_not_fit_are_refused(wrong: str) -> None:
    """What has more than eight decimals, or is no number, is named in the error."""
    with pytest.raises(UserError, match="quantity"):
        parse(wrong, what="quantity")


def test_volume_beyond_the_range_is_clipped() -> None:
    """A volume of a coin with 10^15 units traded becomes the largest integer, not an overflow."""
    assert int(to_units(np.array([1e15, 5.0]))[0]) > 9 * 10**18


@pytest.mark.parametrize(("read", "value"), [(rate, 1e7), (rate, -1e7), (rate_bps, 1e12)])
def test_a_rate_that_no_engine_can_hold_is_refused(read, value):
    with pytest.raises(UserError, match="at most 1,000,000"):
        read(value)

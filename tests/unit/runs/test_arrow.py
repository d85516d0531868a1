from decimal import Decimal

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kraken_flow.analysis.wide import Wide
from kraken_flow.runs import arrow

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


def plain(units: int, decimals: int) -> str:
    text = f"{Decimal(units).scaleb(-decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@given(st.lists(st.one_of(INT64, st.integers(-1000, 1000)), max_size=20))
@example([0, 10, 1000, -10])
def test_decimals_are_written_plainly_and_in_full(units):
    values = np.array(units, np.int64)
    assert arrow.decimal_text(arrow.decimals(values)).to_pylist() == [plain(n, 8) for n in units]


@given(st.lists(st.one_of(INT64, st.integers(0, 30).map(lambda n: 10**n % 2**63)), max_size=20))
@example([0, 10**6, 123 * 10**4])
def test_so_are_amounts_far_below_a_cent(units):
    values = Wide.of(np.array(units, np.int64))
    assert arrow.decimal_text(arrow.wide(values)).to_pylist() == [plain(n, 16) for n in units]


def test_null_is_an_empty_string():
    prices = arrow.decimals(np.array([0, 10], np.int64), zero_is_null=True)
    assert arrow.decimal_text(prices).to_pylist() == ["", "0.0000001"]

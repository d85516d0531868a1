"""What a venue takes of an order that was cut."""

from dataclasses import replace

import pytest

from kraken_flow.core.instrument import Instrument
from kraken_flow.core.units import CASH_UNIT, UNIT

ETH = Instrument("ETH/USD", "ETH", "USD", tick=1, lot=1, qty_min=5, cost_min=60)


INVERSE = Instrument("BTC/USD:BTC", "BTC", "USD", 1, UNIT, qty_min=UNIT, cost_min=5 * CASH_UNIT, settle="BTC")


def test_dollars_of_an_inverse_contract_are_not_multiplied_by_the_price() -> None:
    price = 50_000 * UNIT
    assert [qty for qty in range(1, 9) if INVERSE.takes(qty * UNIT, price)] == [5, 6, 7, 8]
    assert INVERSE.least(price) == 5 * UNIT
    assert replace(INVERSE, lot=3 * UNIT).least(price) == 6 * UNIT
    linear = replace(INVERSE, settle="", lot=1, qty_min=1)
    assert linear.takes(10**4, price)
    assert not linear.takes(10**4 - 1, price)
    assert linear.least(price) == 10**4


@pytest.mark.parametrize(
    ("qty", "closing", "price", "left"),
    [
        (5, 0, 12, 5),
        (4, 0, 99, 0),
        (5, 0, 11, 0),
        (12, 7, 12, 12),
        (11, 7, 12, 7),
        (7, 7, 12, 7),
        (9, 4, 12, 9),
        (8, 4, 12, 0),
        (4, 4, 99, 0),
    ],
)
def test_a_cut_order_neither_is_nor_opens_less_than_the_venue_takes(
    qty: int, closing: int, price: int, left: int
) -> None:
    assert ETH.without_dust(qty, closing, price) == left

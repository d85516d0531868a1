"""What a venue takes of an order that was cut."""

import pytest

from kraken_flow.core.instrument import Instrument

ETH = Instrument("ETH/USD", "ETH", "USD", tick=1, lot=1, qty_min=5, cost_min=60)


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

"""Implementation shortfall: the worked numbers of the spec, and a run worked by hand."""

from decimal import Decimal

import numpy as np
import pytest

from kraken_flow.analysis.tca import Shortfall, parent_costs, totals
from kraken_flow.core.orders import Reason, State
from kraken_flow.core.parents import CHILD_FIELDS, PARENT_FIELDS
from kraken_flow.core.plan import Algo
from kraken_flow.core.units import parse
from kraken_flow.runs.tables import Tables
from tests.hand_made import HOUR, T0, fill, finished, market, pair_columns

CASH = 10**16


def money(text: str) -> int:
    return parse(text, 16)


def golden(side: int = 1) -> Shortfall:
    fills = [(parse(q), parse(p)) for q, p in (("30", "100.05"), ("40", "100.20"), ("10", "100.40"))]
    return Shortfall.of(side, parse("100"), parse("100"), fills, parse("100.60"), money("8.0135"))


def test_the_shortfall_of_the_spec() -> None:
    """X=100, S0=100, fills 30@100.05, 40@100.20, 10@100.40, end 100.60, fee 10 bp."""
    found = golden()
    assert (found.execution, found.opportunity) == (money("13.50"), money("12.00"))
    assert found.fees == money("8.0135") == found.notional // 1000
    assert found.total == money("33.5135")
    assert found.total_bps == pytest.approx(33.5135)
    assert found.delay(parse("99.90")) == money("10.00")
    assert found.slippage_bps == pytest.approx(16.875)
    assert found.against_bps(100.15) == pytest.approx(1.8722, abs=5e-5)


def test_a_sale_is_the_mirror_of_a_purchase() -> None:
    fills = [(parse("30"), parse("99.95")), (parse("40"), parse("99.80")), (parse("10"), parse("99.60"))]
    sale = Shortfall.of(-1, parse("100"), parse("100"), fills, parse("99.40"), 0)
    assert (sale.execution, sale.opportunity) == (golden().execution, golden().opportunity)


@pytest.mark.parametrize("side", [1, -1])
def test_an_inverse_contract_is_measured_in_its_base(side: int) -> None:
    """10,000 dollars at 50,000: 4,000 filled at 40,000, 5,000 at 62,500, the rest never, 80,000 at the end."""
    fills = [(parse("4000"), parse("40000")), (parse("5000"), parse("62500"))]
    found = Shortfall.of(side, parse("10000"), parse("50000"), fills, parse("80000"), money("0.0001"), inverse=True)
    # 4000 (1/50000 - 1/40000) + 5000 (1/50000 - 1/62500) = -0.02 + 0.02; 1000 (1/50000 - 1/80000) = 0.0075.
    assert (found.execution, found.opportunity) == (0, side * money("0.0075"))
    assert (found.paper, found.done, found.notional) == (money("0.2"), money("0.18"), money("0.18"))
    assert found.total_bps == pytest.approx(1e4 * (side * 0.0075 + 0.0001) / 0.2)
    assert found.average == pytest.approx(50_000.0)
    assert found.delay(parse("40000")) == side * money("0.05")
    (summed,) = [totals([])]
    assert np.isnan(summed.shortfall_bps)


def test_what_was_never_filled_costs_what_was_missed() -> None:
    missed = Shortfall.of(1, parse("2"), parse("100"), [], parse("103"), 0)
    assert (missed.total, missed.total_bps) == (money("6"), 300.0)
    assert np.isnan(missed.slippage_bps)
    assert np.isnan(missed.average)


def test_a_run_is_measured_parent_by_parent() -> None:
    """Buy 10 decided at the close of bar 0 (100): 4 at 101, 4 at 103 of which half rested, the rest never."""
    bars = [(100, 101, 99, 100), (101, 104, 100, 102), (103, 106, 101, 105), (105, 107, 104, 106)]
    tape = market(pair_columns("BTC/USD", bars, volume=50))
    orders = [{"side": 1, "qty": parse("4"), "filled": parse("4"), "time": T0 + HOUR}] * 3
    fills = [
        fill(1, 1, "4", "101", "0.404"),
        fill(2, 1, "2", "103", "0.206", order=1),
        fill(2, 1, "2", "103", "0.206", order=2, liquidity=0),
    ]
    run = finished(tape, fills, orders)
    parent = dict.fromkeys(PARENT_FIELDS, 0) | {
        "side": 1, "qty": parse("10"), "filled": parse("8"), "algo": int(Algo.TWAP), "state": int(State.EXPIRED),
        "reason": int(Reason.ENTRY_SIGNAL), "end_reason": int(Reason.TIMEOUT), "time": T0 + HOUR, "end_row": 3,
        "arrival": parse("100"), "bars": 3,
    }  # fmt: skip
    run.result.parents.update({name: np.array([value], np.int64) for name, value in parent.items()})
    links = zip(CHILD_FIELDS, ([0, 1, 2], [0, 0, 0], [0, 4, 6]), strict=True)
    run.result.children.update({name: np.array(column, np.int64) for name, column in links})
    (one,) = parent_costs(run)
    assert one.shortfall.execution == money("16")  # 4 x 1 + 4 x 3
    assert one.shortfall.opportunity == money("12")  # 2 x 6
    assert one.shortfall.fees == money("0.816")
    assert one.wait == money("10")  # 10 x (101 - 100)
    assert one.maker == 0.25
    assert one.market_vwap == pytest.approx((306 / 3 + 312 / 3 + 317 / 3) / 3)
    # A bar later: 105 for the first, 106 for the others.
    assert one.markout_bps == pytest.approx(1e4 * (4 * 4 / 101 + 4 * 3 / 103) / 8)
    summed = totals([one])
    assert (summed.parents, summed.filled, summed.children) == (1, 0, 3)
    assert summed.shortfall == pytest.approx(28.816)
    assert summed.shortfall_bps == pytest.approx(288.16)
    table = Tables(run)
    (row,) = table.parents.to_pylist()
    assert (row["status"], row["reason"], row["algo"]) == ("partial", "timeout", "twap")
    assert row["shortfall"] == Decimal("28.816")
    assert row["average_price"] == 102.0
    assert table.parents.equals(Tables(run).parents)
    assert table.orders.column("parent_id").to_pylist() == [0, 0, 0]
    assert table.names[-1] == "parents"


def test_a_run_without_parents_has_none() -> None:
    run = finished(market(pair_columns("BTC/USD", [(100, 101, 99, 100)])), [])
    assert parent_costs(run) == []
    assert "parent_id" not in Tables(run).orders.column_names
    assert "parents" not in Tables(run).names

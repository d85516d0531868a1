from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from kraken_flow.core.orders import Reason, State, Tif
from kraken_flow.core.units import parse
from kraken_flow.runs.tables import Tables
from tests.hand_made import BARS_A, T0, fill, finished, market, pair_columns, s01

HOUR = 3600 * 10**9
COLUMNS = {
    "orders": "time pair side qty type limit_price stop_price tif status filled_qty reason tag order_id client_id",
    "fills": "time bar pair side qty price fee fee_currency liquidity order_id client_id tag reason",
    "trades": "pair side entry_time exit_time entry_price exit_price qty pnl fees mae mfe mae_r mfe_r tag exit_reason",
    "equity": "time equity cash exposure drawdown",
}


def tables_of(fills, orders=(), **more) -> Tables:
    return Tables(finished(market(pair_columns("BTC/USD", BARS_A)), fills, orders, **more), "scripted")


def at(hour: int) -> datetime:
    return datetime(2024, 1, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("tables", [Tables(s01()), tables_of([])], ids=["s01", "nothing traded"])
def test_columns_are_those_of_the_contract(name, tables):
    table = getattr(tables, name)
    assert table.column_names == COLUMNS[name].split()
    table.validate(full=True)
    for field in table.schema:
        if field.name == "time" or field.name.endswith("_time") or field.name == "bar":
            assert field.type == pa.timestamp("ns", tz="UTC")
        if field.name in {"qty", "price", "fee", "pnl", "fees", "limit_price", "entry_price", "filled_qty"}:
            assert pa.types.is_decimal(field.type)
    if name == "equity":
        assert {str(field.type) for field in table.schema if field.name != "time"} == {"double"}


def test_s01_equity_closes():
    table = Tables(s01()).equity.to_pydict()
    assert table["equity"] == [10000, 10008.995, 10013.995, 10014.973, 10014.973]
    assert table["cash"] == [10000, 8993.995, 8993.995, 10014.973, 10014.973]
    assert [t.to_pydatetime() for t in table["time"]] == [at(h) for h in range(1, 6)]
    assert table["drawdown"] == [0.0] * 5


def test_s01_fills():
    rows = Tables(s01(), "scripted").fills.to_pylist()
    assert [(r["side"], r["qty"], r["price"], r["fee"], r["liquidity"]) for r in rows] == [
        ("buy", 10, Decimal("100.5"), Decimal("1.005"), "taker"),
        ("sell", 10, Decimal("102.2"), Decimal("1.022"), "taker"),
    ]
    assert [r["time"].to_pydatetime() for r in rows] == [at(1), at(3)]
    assert {r["fee_currency"] for r in rows} == {"USD"}
    assert [r["order_id"] for r in rows] == [0, 1]
    assert all(r["client_id"].startswith("kf") and len(r["client_id"]) == 18 for r in rows)


def test_s01_trades():
    (row,) = Tables(s01()).trades.to_pylist()
    assert (row["pair"], row["side"], row["pnl"], row["fees"]) == (
        "BTC/USD",
        "long",
        Decimal("14.973"),
        Decimal("2.027"),
    )
    assert (row["entry_time"].to_pydatetime(), row["exit_time"].to_pydatetime()) == (at(1), at(3))
    assert row["exit_reason"] == "scripted"


def test_a_fill_inside_a_bar_is_stamped_with_its_close():
    (row,) = tables_of([fill(2, 1, "1", "101", open_phase=0)], [{}]).fills.to_pylist()
    assert (row["bar"].to_pydatetime(), row["time"].to_pydatetime()) == (at(2), at(3))


def test_a_fee_in_base_names_its_currency():
    bought = fill(1, 1, "1", "100", fee_is_base=1) | {"fee_lo": parse("0.001")}
    (row,) = tables_of([bought], [{}]).fills.to_pylist()
    assert (row["fee"], row["fee_currency"]) == (Decimal("0.001"), "BTC")


@pytest.mark.parametrize(
    ("state", "filled", "status"),
    [
        (State.FILLED, 10, "filled"),
        (State.CANCELLED, 4, "partial"),
        (State.CANCELLED, 0, "cancelled"),
        (State.EXPIRED, 0, "expired"),
        (State.EXPIRED, 3, "partial"),
        (State.REJECTED, 0, "rejected"),
        (State.ACTIVE, 0, "open"),
        (State.ACTIVE, 4, "open"),
        (State.PENDING, 0, "open"),
        (State.TRIGGERED, 0, "open"),
    ],
)
def test_status_of_an_order(state, filled, status):
    order = {"side": 1, "qty": 10, "filled": filled, "state": int(state), "reason": int(Reason.ENTRY_SIGNAL)}
    order |= {"end_reason": int(Reason.INSUFFICIENT_FUNDS) if state > State.FILLED else 0}
    (row,) = tables_of([], [order]).orders.to_pylist()
    assert row["status"] == status
    assert row["reason"] == ("entry_signal" if status in {"filled", "open"} else "insufficient_funds")


def test_what_an_order_does_not_have_is_null():
    order = {"side": 1, "qty": 10, "tif": int(Tif.GTD), "limit_price": parse("99.5"), "time": T0 + HOUR}
    (row,) = tables_of([], [order]).orders.to_pylist()
    assert (row["limit_price"], row["stop_price"], row["tif"]) == (Decimal("99.5"), None, "gtd")


@pytest.mark.parametrize(
    ("reason", "shown"),
    [(Reason.ENTRY_SIGNAL, "exit_signal"), (Reason.STOP_LOSS, "stop_loss"), (Reason.EXIT_SIGNAL, "exit_signal")],
)
def test_exit_reason_is_the_closing_fill_s(reason, shown):
    orders = [{"side": 1, "tag": 1}, {"side": -1, "reason": int(reason)}]
    fills = [fill(1, 1, "1", "100"), fill(2, -1, "2", "101", order=1)]
    (row,) = tables_of(fills, orders, tags=("", "mine")).trades.to_pylist()
    assert (row["exit_reason"], row["tag"]) == (shown, "mine")


def test_client_ids_do_not_depend_on_the_run():
    assert Tables(s01(), "a").client_ids == Tables(s01(), "a").client_ids
    assert Tables(s01(), "a").client_ids != Tables(s01(), "b").client_ids

"""The orders of a file: every column, every refusal with file and line."""

import pytest

from kraken_flow.core import UserError
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side, Tif
from kraken_flow.core.times import parse_time
from strategies.scripted import COLUMNS, ScriptedOrders
from tests.unit.features.test_signal import market

MARKET = market([1.0, 2.0], [1.0, 2.0])
U = 10**8


def requests(tmp_path, text):
    path = tmp_path / "orders.csv"
    path.write_text(text, "utf-8")
    return ScriptedOrders(str(path)).requests(MARKET, [])


def one(tmp_path, **cells):
    row = {"time": "2024-01-01T00:00:00Z", "pair": "A/USD", "side": "buy", "qty": "1", **cells}
    ((time, request),) = requests(tmp_path, ",".join(row) + "\n" + ",".join(row.values()) + "\n")
    assert time == parse_time("2024-01-01")
    return request


def test_four_columns_make_a_market_order(tmp_path):
    assert one(tmp_path) == OrderRequest(0, Side.BUY, U, reason=Reason.SCRIPTED)


def test_every_column_is_read(tmp_path):
    request = one(
        tmp_path, pair="B/USD", side="SELL", qty="0.25", type="stop_limit", limit_price="9.5", stop_price="10",
        tif="gtd", expire_time="2024-01-02", post_only="false", reduce_only="0", stop_loss="11", take_profit="8",
        trail="0.5", tag="a tag",
    )  # fmt: skip
    assert request == OrderRequest(
        pair=1, side=Side.SELL, qty=U // 4, type=OrderType.STOP_LIMIT, limit_price=95 * U // 10, stop_price=10 * U,
        tif=Tif.GTD, expire_time=parse_time("2024-01-02"), stop_loss=11 * U, take_profit=8 * U, bracket_trail=U // 2,
        reason=Reason.SCRIPTED, tag="a tag",
    )  # fmt: skip
    assert len(COLUMNS) == 15


def test_a_trail_on_a_reduce_only_order_without_a_type_is_a_trailing_stop(tmp_path):
    request = one(tmp_path, side="sell", reduce_only="1", trail="5")
    assert (request.type, request.trail, request.bracket_trail) == (OrderType.TRAILING, 5 * U, 0)
    typed = one(tmp_path, side="sell", reduce_only="true", type="market", trail="5")
    assert (typed.type, typed.trail, typed.bracket_trail) == (OrderType.MARKET, 0, 5 * U)


def test_orders_go_by_time_and_then_by_the_order_of_the_file(tmp_path):
    text = "time,pair,side,qty,tag\n2024-01-02,A/USD,buy,1,x\n\n2024-01-01,A/USD,buy,1,y\n2024-01-02,A/USD,sell,1,z\n"
    assert [request.tag for _, request in requests(tmp_path, text)] == ["y", "x", "z"]


@pytest.mark.parametrize(
    "time", ["1704067200", "1704067200000", "1704067200000000", "1704067200000000000", "2024-01-01"]
)
def test_times_are_text_or_counts_of_any_unit(tmp_path, time):
    one(tmp_path, time=time)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"pair": "X/USD"}, "pair 'X/USD' is not in this run; its pairs are A/USD, B/USD"),
        ({"side": "long"}, "side 'long' must be one of buy, sell"),
        ({"type": "iceberg"}, "type 'iceberg' must be one of market, limit, stop, stop_limit"),
        ({"tif": "day"}, "tif 'day' must be one of gtc, ioc, fok, gtd"),
        ({"post_only": "yes"}, "post_only 'yes' must be one of true, 1, false, 0"),
        ({"qty": "0"}, "qty: 0 must be above 0"),
        ({"qty": "-1"}, "qty: -1 must be above 0"),
        ({"qty": "1e30"}, "qty: 1e30 must be above 0 and below"),
        ({"qty": "nan"}, "qty: 'nan'"),
        ({"qty": "abc"}, "qty: 'abc' is not a number"),
        ({"qty": "0.123456789"}, "more than 8 decimals"),
        ({"qty": ""}, "qty must be given"),
        ({"time": "yesterday"}, "time: 'yesterday' is not a time"),
        ({"stop_loss": "x"}, "stop_loss: 'x' is not a number"),
        ({"type": "limit"}, "a limit order needs limit_price"),
        ({"type": "stop"}, "a stop order needs stop_price"),
        ({"type": "stop_limit", "stop_price": "1"}, "a stop_limit order needs limit_price"),
        ({"limit_price": "1"}, "a market order takes no limit_price"),
        ({"type": "limit", "limit_price": "1", "stop_price": "1"}, "a limit order takes no stop_price"),
        ({"type": "stop", "stop_price": "1", "tif": "ioc"}, "tif=ioc is for market and limit orders"),
        ({"reduce_only": "1", "trail": "1", "tif": "fok"}, "tif=fok is for market and limit orders"),
        ({"post_only": "1"}, "post_only is for limit orders that rest"),
        ({"type": "limit", "limit_price": "1", "post_only": "1", "tif": "ioc"}, "post_only is for limit orders that"),
        ({"tif": "gtd"}, "tif=gtd and expire_time go together"),
        ({"expire_time": "2024-02-01"}, "tif=gtd and expire_time go together"),
        ({"tif": "gtd", "expire_time": "2023-12-31"}, "expire_time must be after time"),
        ({"tag": "a\tb"}, "characters that cannot be printed"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path, cells, message):
    with pytest.raises(UserError) as caught:
        one(tmp_path, **cells)
    assert message in str(caught.value)
    assert "orders.csv, line 2: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,pair,side,qty,stoploss\n", "line 1: unknown column 'stoploss'; did you mean stop_loss?"),
        ("time,pair,side,qty,zzz\n", "line 1: unknown column 'zzz' (columns: time, pair"),
        ("time,pair,side,qty,qty\n", "line 1: column qty stands there twice"),
        ("time,pair\n", "line 1: column side, qty is missing"),
        ("", "line 1: column time, pair, side, qty is missing"),
        ("time,pair,side,qty\n2024-01-01,A/USD,buy\n", "line 2: 3 cells, and the header names 4"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        requests(tmp_path, text)
    assert message in str(caught.value)


def test_all_bad_rows_are_told_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        requests(tmp_path, "time,pair,side,qty\n2024-01-01,A/USD,buy,0\n2024-01-01,A/USD,buy,1\nx,A/USD,buy,1\n")
    assert ["line 2" in line or "line 4" in line for line in str(caught.value).splitlines()] == [True, True]


def test_all_that_is_wrong_with_a_row_and_a_header_is_told(tmp_path):
    rows = "2024-01-01,X/USD,hold,abc,iceberg\n2024-01-01,A/USD\n2024-01-01,A/USD,buy,1,stop\n"
    with pytest.raises(UserError) as caught:
        requests(tmp_path, "time,pair,side,qty,type\n" + rows)
    told = [line.partition("orders.csv, ")[2] for line in str(caught.value).splitlines()]
    assert told == [
        "line 2: pair 'X/USD' is not in this run; its pairs are A/USD, B/USD",
        "line 2: type 'iceberg' must be one of market, limit, stop, stop_limit",
        "line 2: side 'hold' must be one of buy, sell",
        "line 2: qty: 'abc' is not a number",
        "line 3: 2 cells, and the header names 5",
        "line 4: a stop order needs stop_price",
    ]
    with pytest.raises(UserError) as caught:
        requests(tmp_path, "time,pair,qty,qty,stoploss\n")
    assert len(str(caught.value).splitlines()) == 3


def test_of_many_problems_twenty_are_told_and_the_others_counted(tmp_path):
    with pytest.raises(UserError) as caught:
        requests(tmp_path, "time,pair,side,qty\n" + "2024-01-01,A/USD,buy,0\n" * 33)
    told = str(caught.value).splitlines()
    assert len(told) == 21
    assert told[-1].endswith("orders.csv: and 13 more")


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"strategy\.path: there is no file nowhere\.csv"):
        ScriptedOrders("nowhere.csv").requests(MARKET, [])


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "orders.xls").write_bytes(bytes(range(128, 256)))
    for path, says in ((tmp_path, r"cannot be read \(Is a directory\)"), (tmp_path / "orders.xls", "no text in UTF-8")):
        with pytest.raises(UserError, match=says):
            ScriptedOrders(str(path)).requests(MARKET, [])


def test_the_manifest_learns_which_file_was_read():
    assert ScriptedOrders("orders.csv").files() == ("orders.csv",)


@pytest.mark.parametrize(("side", "above"), [("buy", "take_profit"), ("sell", "stop_loss")])
def test_a_stop_on_the_side_of_the_target_is_refused(tmp_path, side, above):
    with pytest.raises(UserError, match=f"{above} must be above"):
        one(tmp_path, side=side, **dict(zip(("stop_loss", "take_profit"), ("9", "9"), strict=True)))

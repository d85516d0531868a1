from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from kraken_flow.core.market import Detail, Market
from kraken_flow.core.orders import LogKind, OrderType, Reason, Tif
from kraken_flow.core.units import parse
from kraken_flow.runs.logs import data_hash, ledger_log, order_log, text_hash
from kraken_flow.runs.tables import Tables
from tests.hand_made import BARS_A, HOUR, T0, finished, market, pair_columns, s01


def test_s01():
    tables = Tables(s01())
    assert order_log(tables).splitlines() == [
        "2024-01-01T01:00:00Z submit BTC/USD buy market 10 gtc scripted",
        "2024-01-01T03:00:00Z submit BTC/USD sell market 10 gtc scripted",
    ]
    assert ledger_log(tables).splitlines() == [
        "2024-01-01T01:00:00Z fill BTC/USD buy 10 @ 100.5 taker fee 1.005 USD scripted",
        "2024-01-01T03:00:00Z fill BTC/USD sell 10 @ 102.2 taker fee 1.022 USD scripted",
        "balance USD 10014.973",
    ]


def test_everything_that_an_order_has_is_said():
    order = {
        "side": -1,
        "type": int(OrderType.STOP_LIMIT),
        "tif": int(Tif.GTD),
        "qty": parse("2.5"),
        "limit_price": parse("94"),
        "stop_price": parse("95.01"),
        "trail": parse("3"),
        "expire_time": T0 + 5 * HOUR + 10**6,
        "post_only": 1,
        "reduce_only": 1,
        "tag": 1,
    }
    log = [
        {"time": T0 + HOUR, "qty": parse("2.5")},
        {"kind": int(LogKind.AMEND), "time": T0 + 2 * HOUR, "qty": parse("1")},
        {"kind": int(LogKind.CANCEL), "time": T0 + 3 * HOUR, "reason": int(Reason.TARGET_CHANGED)},
    ]
    run = finished(market(pair_columns("BTC/USD", BARS_A)), [], [order], log, tags=("", "two words"))
    rest = "limit=94 stop=95.01 trail=3 gtd expire=2024-01-01T05:00:00.001000000Z post_only reduce_only tag='two words'"
    assert order_log(Tables(run)).splitlines() == [
        f"2024-01-01T01:00:00Z submit BTC/USD sell stop_limit 2.5 {rest} scripted",
        f"2024-01-01T02:00:00Z amend BTC/USD sell stop_limit 1 {rest} scripted",
        f"2024-01-01T03:00:00Z cancel BTC/USD sell stop_limit 2.5 {rest} target_changed",
    ]


def test_nothing_traded_leaves_the_balance():
    run = finished(market(pair_columns("BTC/USD", BARS_A)), [])
    assert order_log(Tables(run)) == ""
    assert ledger_log(Tables(run)) == "balance USD 10000\n"


def test_the_hash_is_that_of_the_bytes():
    assert text_hash("a\n") == sha256(b"a\n").hexdigest()


def two_pairs() -> Market:
    return market(pair_columns("A/USD", BARS_A), pair_columns("B/USD", BARS_A, volume=7))


def test_the_data_hash_is_of_the_columns_alone():
    tape = two_pairs()
    assert data_hash(tape) == data_hash(two_pairs())
    assert data_hash(tape) == data_hash(replace(tape, pairs=tape.pairs[::-1]))
    assert data_hash(tape) == data_hash(replace(tape, files=({"path": "x"},), notes=("seen",)))


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_the_data_hash_sees_every_value(field):
    tape = two_pairs()
    column = getattr(tape.pairs[1], field).copy()
    column[-1] += 1
    assert data_hash(replace(tape, pairs=(tape.pairs[0], replace(tape.pairs[1], **{field: column})))) != data_hash(tape)


def test_the_data_hash_sees_names_states_times_and_detail():
    tape = two_pairs()
    renamed = replace(tape.pairs[1], pair="C/USD")
    holed = replace(tape.pairs[1], state=np.array([1, 1, 2, 1, 1], np.uint8))
    others = [
        replace(tape, pairs=(tape.pairs[0], renamed)),
        replace(tape, pairs=(tape.pairs[0], holed)),
        replace(tape, times=tape.times + 1),
        replace(tape, first_row=1),
        replace(tape, detail=Detail(HOUR // 4, 4, tape.pairs)),
    ]
    assert len({data_hash(other) for other in [tape, *others]}) == 6

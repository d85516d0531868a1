"""An order that a user gives a running session."""

import json
import signal
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kraken_flow.app import main
from kraken_flow.config import build, compose
from kraken_flow.core.errors import UserError
from kraken_flow.core.limits import Safety
from kraken_flow.core.orders import Control
from kraken_flow.core.plan import Algo, Remainder
from kraken_flow.core.session import Session
from kraken_flow.core.tape import Tape, instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.modes.driver import load
from kraken_flow.modes.order import PlaceOrder
from kraken_flow.modes.order_sense import warnings
from kraken_flow.runs.journal import Reader

HOUR = 3600 * 10**9
# A bar of an hour lasts 50 ms; the strategy holds nothing, so that all that trades is the user's.
SESSION = ("mode=paper", "mode.speed=72000x", "strategy=momentum", "strategy.threshold=9999", "risk=none")
SESSION += ("pairs=btc", "end=2021-04-05")
BUY = ("mode=order", "mode.run=out", "mode.side=buy", "mode.pair=BTC/USD", "mode.quantity=0.2")


def wait_for(bars):
    """Wait until the session has taken so many further bars."""

    def taken():
        return sum("instant" in frame.content for frame in Reader(Path("out/journal")))

    until, goal = time.monotonic() + 60, taken() + bars
    while taken() < goal:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_session_works_it_and_its_journal_replays(session, capsys):
    assert main([*BUY, "mode.algo=twap", "mode.over=8h"]) == 0
    assert "buy 0.2 BTC/USD by twap: taken" in capsys.readouterr().out
    for words, told in (
        (["mode.pair=BTC/USDT"], "mode.pair=BTC/USDT: the session trades BTC/USD; did you mean mode.pair=BTC/USD?"),
        (["mode.algo=twap"], "mode.algo=twap: needs mode.over"),
        (["mode.algo=vwap", "mode.over=90m"], "mode.over=90m: must be a multiple of the session's bars of 1h"),
        (["mode.quantity=1e-7"], "mode.quantity=1e-07: must be a multiple of 0.00000001, at least"),
        (["mode.algo=iceberg"], "mode.algo=iceberg: needs mode.limit"),
        (["mode.algo=now"], "mode.algo=now"),
        (["mode.quantity=1000000"], "the account carries"),
        (["mode.limit=1", "mode.quantity=0.01"], "exchange.price_band=0.5 refuses every order so far away"),
        (["mode.participation=5"], "mode.participation=5"),
        (["mode.algo=twap", "mode.over=0s"], "mode.over=0s: must be a multiple"),
    ):
        keys = {word.partition("=")[0] for word in words}
        assert main([*(word for word in BUY if word.partition("=")[0] not in keys), *words]) == 2
        assert told in capsys.readouterr().err
    wait_for(12)
    assert main(["mode=pause", "mode.run=out"]) == 0
    assert main([*BUY[:-1], "mode.quantity=0.01"]) == 0
    assert "the session is paused: an order that would enlarge a position is refused" in capsys.readouterr().err
    session.send_signal(signal.SIGINT)
    assert session.wait(30) == 130
    assert "PAPER TRADING REPORT" in session.stdout.read()
    first, refused = pq.read_table("out/parents.parquet").to_pylist()
    assert (first["status"], first["algo"], first["children"], first["manual"]) == ("filled", "twap", 8, True)
    assert (refused["status"], refused["reason"], refused["children"]) == ("rejected", "paused", 0)
    assert refused["algo"] == "market"
    orders = pq.read_table("out/orders.parquet").to_pylist()
    assert [order["parent_id"] for order in orders] == [0] * 8
    assert {order["reason"] for order in orders} == {"manual"}
    assert json.loads(Path("out/metrics.json").read_text())["parents"] == 2
    assert main(["mode=replay", "mode.run=out", "run_dir=again"]) == 0
    told = capsys.readouterr().out
    assert "equal to out" in told
    assert "REPLAY REPORT" in told
    assert "EXECUTION OF PARENT ORDERS" in told
    assert pq.read_table("again/parents.parquet").equals(pq.read_table("out/parents.parquet"))
    assert main(["mode=export", "mode.run=out", "mode.format=csv", "mode.out=sheets"]) == 0
    assert "buy 0.2 BTC/USD twap" in Path("sheets/controls.csv").read_text()
    assert Path("sheets/parents.csv").read_text().startswith("parent_id,time,pair,side,algo,qty")
    assert main([*BUY]) == 2
    assert "is not running" in capsys.readouterr().err


def in_session(*words, rows=40, controls=(), pairs="majors"):
    """A session in this process that has taken some bars of the sample market."""
    graph = build(compose([f"pairs={pairs}", "strategy=momentum", "strategy.threshold=9999", "risk=none", *words]))
    market = load(graph)
    session = Session(graph, tape_of(market), "python")
    for instant in islice(instants(market), market.first_row + rows):
        session.take(instant)
    for control in controls:
        session.control(control, session.known)
    return session


def said(session, **fields):
    order = PlaceOrder(**({"side": "buy", "pair": "BTC/USD", "quantity": 0.1} | fields))
    return [*warnings(order.order(session.graph, session.tape), session)]


def test_what_makes_sense_is_taken_without_a_word():
    session = in_session()
    close = session.closes[session.tape.pairs.index("BTC/USD")] // UNIT
    assert said(session) == []
    assert said(session, side="sell") == []
    assert said(session, limit=float(close), algo="twap", over="8h") == []
    assert said(session, limit=float(close), algo="iceberg", side="sell") == []


@pytest.mark.parametrize(
    ("words", "fields", "told"),
    [
        (
            (),
            {"quantity": 1e6},
            r"a position of 1000000 BTC/USD is worth .* the account carries",
        ),
        ((), {"quantity": 5.0, "side": "sell"}, r"a position of -5 BTC/USD is worth"),
        (("account.short=false",), {"side": "sell"}, "0 BTC/USD is held, and account.short=false sells no more"),
        ((), {"limit": 1.0}, "% below the last close .*: exchange.price_band=0.5 refuses every order so far away"),
        (("risk.system.price_band=0.01",), {"limit": 20_000.0}, "risk.system.price_band=0.01 refuses every order"),
        ((), {"participation": 0.2}, "mode.participation: mode.algo=market does not use it, pov does"),
        ((), {"display": 0.2, "algo": "twap", "over": "2h"}, "mode.display: mode.algo=twap does not use it"),
    ],
)
def test_what_makes_no_sense_is_refused(words, fields, told):
    with pytest.raises(UserError, match=told):
        said(in_session(*words), **fields)


def test_what_may_not_be_meant_is_taken_with_a_word():
    session = in_session("exchange.price_band=null")
    close = session.closes[session.tape.pairs.index("BTC/USD")] // UNIT
    (one,) = said(session, limit=float(close // 2), algo="twap", over="4h")
    assert "below the last close" in one
    assert "nothing fills unless the price falls that far" in one
    (one,) = said(session, limit=float(close * 2))
    assert "it bounds nothing near the market, and the order fills at once" in one
    (one,) = said(session, limit=float(close * 1.01 // 1), algo="iceberg")
    assert "its parts fill at once at the market, instead of resting" in one
    (one,) = said(in_session(controls=[Control.PAUSE]))
    assert "the session is paused" in one


def test_there_has_to_be_a_session(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*BUY]) == 2
    assert "there is no run of ours" in capsys.readouterr().err
    assert main(["mode=order", "mode.side=buy"]) == 2
    told = capsys.readouterr().err
    assert "mode.pair: must be given" in told
    assert "mode.quantity: must be given" in told


GRAPH = build(compose(["pairs=btc"]))
TAPE = Tape(("BTC/USD",), HOUR, 0)


def placed(**fields):
    return PlaceOrder(**({"side": "sell", "pair": "BTC/USD", "quantity": 0.5} | fields)).order(GRAPH, TAPE)


def test_orders_in_integers():
    order = placed(algo="pov", participation=0.2, over="4h", limit=41_000.5, max_participation=0.3, remainder="cancel")
    assert (order.pair, order.side, order.qty) == (0, -1, UNIT // 2)
    plan = order.plan
    assert (plan.algo, plan.bars, plan.participation, plan.burst) == (Algo.POV, 4, UNIT // 5, 2 * UNIT)
    assert (plan.limit_price, plan.max_participation) == (4_100_050_000_000, 3 * UNIT // 10)
    assert plan.remainder is Remainder.CANCEL
    assert placed(algo="vwap", over="1d").plan.period == 24
    assert placed(algo="iceberg", limit=41_000.0, display=0.2).plan.display == UNIT // 5
    at_once = placed().plan
    assert (at_once.algo, at_once.bars, at_once.slices) == (Algo.TWAP, 1, 1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"over": "2h"}, "mode.algo=market goes at once"),
        ({"algo": "pov", "participation": 0.0}, "must be above 0"),
        ({"limit": 41_000.55}, "must be a multiple of the tick 0.1"),
        ({"quantity": 0.000_000_015}, "more than 8 decimals"),
        ({"algo": "twap", "over": "0h"}, "must be a multiple"),
    ],
)
def test_what_the_session_could_not_work_is_refused(fields, told):
    with pytest.raises(UserError, match=told):
        placed(**fields)


def test_an_account_that_a_limit_has_stopped_is_named(monkeypatch):
    session = in_session()
    standing = replace(session.account.standing(), safety=Safety.KILLED)
    monkeypatch.setattr(session.account, "standing", lambda: standing)
    assert said(session) == ["the session's risk state is killed: it may refuse the order"]


def test_what_an_account_of_coins_cannot_carry_is_told_in_coins():
    session = in_session("exchange=kraken_futures", "account.cash=1", pairs="[BTC/USD:BTC]")
    close = session.closes[0] // UNIT
    assert said(session, pair="BTC/USD:BTC", quantity=float(close // 2)) == []
    with pytest.raises(
        UserError, match=r"is worth 2\.\d{8} BTC at the last close [\d.]+, the account carries 1\.0{8} "
    ):
        said(session, pair="BTC/USD:BTC", quantity=float(close * 2 + 9))

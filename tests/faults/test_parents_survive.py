"""A session that works parent orders, its own and its user's, killed after any instant, ends as the undisturbed one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kraken_flow.core.graph import Graph
from kraken_flow.core.orders import Control, Reason, Side
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.result import Result
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.twap import Twap
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.runs.control import ask, order_content
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.session_journal import JournalledSession, begin, fold
from strategies.momentum import Momentum
from tests.engines import ENGINES, graph_of
from tests.golden.bars import columns_of, market_of
from tests.parity.same import assert_same

TURNS = "100/103/99/102 | 102/105/101/104 | 104/105/97/98 | 98/99/95/96 | 96/97/93/94 | 94/99/93/98"
MARKET = replace(market_of(columns_of(" | ".join([TURNS] * 4), (40, 90, 10, 70) * 6)), first_row=2)
PLAN = Plan(Algo.VWAP, bars=5, size_jitter=UNIT // 5, period=6, periods=2, remainder=Remainder.CROSS)
SAID = {
    5: (Control.ORDER, ManualOrder(0, Side.BUY, 3 * UNIT, PLAN)),
    9: (Control.PAUSE, None),
    10: (Control.ORDER, ManualOrder(0, Side.BUY, UNIT, PLAN)),
    12: (Control.RESUME, None),
    13: (Control.ORDER, ManualOrder(0, Side.SELL, 2 * UNIT, replace(PLAN, algo=Algo.POV, participation=UNIT // 10))),
}


IMPACT = {"model": "sqrt_impact", "factor": 0.0005, "sigma": "close", "volume": "volume"}


def system() -> Graph:
    """Turns its position often, in jittered parts that participation cuts and that pay by what went before them."""
    return graph_of(
        MARKET,
        strategy=Momentum(1, 0.0),
        portfolio=FixedQuantity(quantity=9.0),
        exchange=SpotExchange(name="bare", tick=0.01, participation_cap=0.1, slippage=IMPACT),
        account=Account(cash=100_000.0),
        execution=Twap(bars=3, size_jitter=0.3),
        seed=11,
    )


def go(folder: Path, engine: str, stop: int = MARKET.n_rows) -> Result:
    """Begin or continue the session in a folder, up to a row; it is left as a kill leaves it."""
    session = JournalledSession(Session(system(), tape_of(MARKET), engine), folder)
    rows = session.session.rows
    for row, instant in enumerate(instants(MARKET, rows), start=rows):
        if row == stop:
            break
        session.take(instant, {})
        if row in SAID:
            what, order = SAID[row]
            ask(folder, what, b"" if order is None else order_content(order, MARKET.names))
            session.obey(session.session.known)
    session.close()
    return session.session.outcome().result


def written(folder: Path) -> list[dict[str, Any]]:
    """What stands in a journal, but for the names of requests, which are of the moment."""
    contents = [frame.content for frame in begin(folder / JOURNAL)[1]]
    return [{name: value for name, value in content.items() if name != "request"} for content in contents]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_killed_after_any_instant_works_its_parents_on(engine: str, tmp_path: Path) -> None:
    (whole := tmp_path / "whole").mkdir()
    result = go(whole, engine)
    reasons = set(result.parents["reason"].tolist())
    assert {int(Reason.MANUAL), int(Reason.ENTRY_SIGNAL)} <= reasons
    assert int((result.parents["filled"] > 0).sum()) >= 4
    later = result.children["order"][result.children["before"] > 0]
    assert int(np.isin(later, result.fills["order"][result.fills["slip_lo"] > 0]).sum()) >= 3
    for stop in range(3, MARKET.n_rows):
        (folder := tmp_path / str(stop)).mkdir()
        go(folder, engine, stop)
        assert_same(result, go(folder, engine))
        assert written(folder) == written(whole)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_replay_of_the_journal_works_the_same_parents(engine: str, tmp_path: Path) -> None:
    result = go(tmp_path, "python")
    tape, frames, reader = begin(tmp_path / JOURNAL)
    assert tape is not None
    session = Session(system(), tape, engine)
    assert fold(session, frames, reader.path) is None
    assert_same(result, session.outcome().result)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"pair": "DOGE/USD", "side": "buy", "quantity": "1", "plan": {"algo": "twap"}}'],
    ids=["empty", "no fields", "a list", "another pair"],
)
def test_what_is_no_order_is_left_out_and_said_so(content: bytes, tmp_path: Path, caplog: Any) -> None:
    session = JournalledSession(Session(system(), tape_of(MARKET), "python"), tmp_path)
    for instant in instants(MARKET):
        session.take(instant, {})
    size = (tmp_path / JOURNAL).stat().st_size
    request = ask(tmp_path, Control.ORDER, content)
    session.obey(session.session.known)
    session.close()
    assert not request.exists()
    assert "is left out" in caplog.text
    assert (tmp_path / JOURNAL).stat().st_size == size
    assert not session.session.outcome().result.parents["manual"].any()

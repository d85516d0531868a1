"""What a journal leaves is found again, however its strategy answers."""

from pathlib import Path

import numpy as np
import pytest

from kraken_flow.core.errors import CheckFailed
from kraken_flow.core.node import node
from kraken_flow.core.orders import Control
from kraken_flow.core.session import Session
from kraken_flow.core.strategy import Strategy
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.runs.control import ask
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.session_journal import JournalledSession
from tests.engines import ENGINES, graph_of
from tests.signal_cases import random_market

MARKET = random_market(80, 3, n_pairs=2)
TAPE = list(instants(MARKET))


@node
class Turning(Strategy):
    """Long above the mean of the column it is given: of one row that is the row itself."""

    sign: float = 1.0

    def features(self):
        return {"close": "close"}

    def forecast(self, f):
        return np.where(f.close >= f.close.mean(), self.sign, -self.sign)


@node
class Alone(Strategy):
    """Answers one row of pairs alone."""

    sign: float = 1.0

    def features(self):
        return {"close": "close"}

    def forecast(self, f):
        assert len(f.close) == 2
        return np.where(np.floor(f.close * 100) % 2 == 0, self.sign, -self.sign)


@node
class Steady(Strategy):
    """Long on even prices."""

    sign: float = 1.0

    def features(self):
        return {"close": "close"}

    def forecast(self, f):
        return np.where(np.floor(f.close * 100) % 2 == 0, self.sign, -self.sign)


def session(strategy: Strategy, engine: str) -> Session:
    graph = graph_of(MARKET, strategy=strategy, portfolio=FixedFraction())
    return Session(graph, tape_of(MARKET), engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("strategy", [Turning(), Alone(), Steady()], ids=lambda s: type(s).__name__)
def test_a_session_goes_on_where_its_journal_ends(tmp_path: Path, strategy: Strategy, engine: str) -> None:
    steady = session(strategy, engine)
    for instant in TAPE:
        steady.take(instant)
    for stop in (0, 1, 30, 31, len(TAPE)):
        journalled = JournalledSession(session(strategy, engine), tmp_path)
        for instant in TAPE[journalled.session.rows : stop]:
            journalled.take(instant, {})
        journalled.close()
    again = JournalledSession(session(strategy, engine), tmp_path)
    again.close()
    assert again.recovered == len(TAPE)
    for table in ("orders", "fills", "log"):
        expected = getattr(steady.account.result(), table)
        for name, column in getattr(again.session.account.result(), table).items():
            np.testing.assert_array_equal(column, expected[name])
    assert len(steady.account.result().fills["pair"]) > (0 if isinstance(strategy, Turning) else 10)


@node
class Keeping(Strategy):
    """Long on even prices, else what it had; of more rows than there are pairs it is short on the others."""

    sign: float = 1.0

    def features(self):
        return {"close": "close"}

    def forecast(self, f):
        others = -self.sign if len(f.close) > len(MARKET.pairs) else np.nan
        return np.where(np.floor(f.close * 100) % 2 == 0, self.sign, others)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stop", range(36, 42))
def test_what_a_paused_session_holds_is_what_it_held(tmp_path: Path, engine: str, stop: int) -> None:
    """No command tells the two ways to ask apart while it is paused; what strategies hold does."""
    steady = session(Keeping(), engine)
    journalled = JournalledSession(session(Keeping(), engine), tmp_path)
    ask(tmp_path, Control.PAUSE)
    for one in (steady, journalled.session):
        assert one.rows == 0
    steady.control(Control.PAUSE, TAPE[0].time)
    journalled.obey(TAPE[0].time)
    for instant in TAPE[:stop]:
        steady.take(instant)
        journalled.take(instant, {})
    journalled.close()
    again = JournalledSession(session(Keeping(), engine), tmp_path)
    again.close()
    assert again.session.paused
    assert again.session.said == steady.said
    for one in (steady, again.session):
        one.control(Control.RESUME, TAPE[stop].time)
        for instant in TAPE[stop:]:
            one.take(instant)
    for name, column in again.session.account.result().orders.items():
        np.testing.assert_array_equal(column, steady.account.result().orders[name])


def test_commands_that_do_not_come_again_are_named(tmp_path: Path) -> None:
    journalled = JournalledSession(session(Steady(), "python"), tmp_path)
    for instant in TAPE[:30]:
        journalled.take(instant, {})
    journalled.close()
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(CheckFailed, match=r"does not command again what stands there \(frame \d+\)"):
        JournalledSession(session(Steady(-1.0), "python"), tmp_path)
    assert (tmp_path / JOURNAL).read_bytes() == before

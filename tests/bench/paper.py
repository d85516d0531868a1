"""What a paper session pays for its journal and its console, and how long a restart takes."""

import asyncio
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

from rich.console import Console

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.session import News, Session
from kraken_flow.core.tape import Instant, tape_of
from kraken_flow.modes import live_console
from kraken_flow.modes.finite import Finite
from kraken_flow.modes.live_console import Watch
from kraken_flow.modes.paper import trade
from kraken_flow.runs import journal
from kraken_flow.runs.session_journal import JournalledSession
from tests.bench.findings import Check, Finding, Section, seconds
from tests.bench.market import candles, market_of

PAIRS = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD")


@dataclass
class Bare:
    """A session that writes nothing down and shows nothing."""

    session: Session

    def take(self, instant: Instant, counts: Mapping[str, Mapping[str, int]]) -> News | None:
        """Take an instant."""
        return self.session.take(instant)

    def obey(self, time: int) -> bool:
        """Nobody says anything."""
        return False

    def show(self, news: News | None) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class Cost:
    """One session: wall and processor time, s; fsyncs and their time, s; the final equity."""

    taken: float
    busy: float
    syncs: int
    sync_s: float
    equity: float


def graph() -> Graph:
    """The combined strategy on a few pairs."""
    return build(
        compose(["mode=paper", "strategy=combined", "risk=research", f"pairs=[{','.join(PAIRS)}]", "timeframe=1m"])
    )


def bare(system: Graph, market: Market) -> Cost:
    """Trade in memory alone."""
    session = Session(system, tape_of(market), "auto")
    alone = Bare(session)
    began, worked = time.perf_counter(), time.process_time()
    asyncio.run(trade(alone, Finite(market, math.inf), alone))
    return Cost(time.perf_counter() - began, time.process_time() - worked, 0, 0.0, session.account.standing().equity)


def without_fsync(system: Graph, market: Market, folder: Path) -> Cost:
    """Trade as paper does, but let the system decide when to write to the disk."""
    with patch.object(journal.os, "fsync", lambda handle: None):
        return whole(system, market, folder)


def whole(system: Graph, market: Market, folder: Path) -> Cost:
    """Trade as paper does, into a journal and onto a terminal."""
    session = Session(system, tape_of(market), "auto")
    journalled = JournalledSession(session, folder)
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        terminal = partial(Console, file=nowhere, force_terminal=True)
        with patch.object(live_console, "Console", lambda **_: terminal()):
            began, worked = time.perf_counter(), time.process_time()
            with Watch(session, market.n_rows) as watch:
                asyncio.run(trade(journalled, Finite(market, math.inf), watch))
            taken, busy = time.perf_counter() - began, time.process_time() - worked
    journalled.close()
    written = journalled.journal
    return Cost(taken, busy, written.syncs, written.sync_s, session.account.standing().equity)


def restart(system: Graph, market: Market, folder: Path) -> Cost:
    """Read a journal and take everything in it again."""
    began, worked = time.perf_counter(), time.process_time()
    journalled = JournalledSession(Session(system, tape_of(market), "auto"), folder)
    taken, busy = time.perf_counter() - began, time.process_time() - worked
    journalled.close()
    return Cost(taken, busy, 0, 0.0, journalled.session.account.standing().equity)


def section(n: int, rounds: int) -> Section:
    """The same session with and without journal and console, in turn, and the restart of its journal."""
    system = graph()
    market = market_of({pair: candles(n, seed) for seed, pair in enumerate(PAIRS)}, "1m", 4)
    without: list[Cost] = []
    paid: list[Cost] = []
    again: list[Cost] = []
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            without.append(bare(system, market))
            paid.append(without_fsync(system, market, folder))
            again.append(restart(system, market, folder))
            if turn == 0:
                (folder / journal.JOURNAL).unlink()
                synced = whole(system, market, folder)
    ratio = median(b.busy / a.busy for a, b in zip(without, paid, strict=True))
    wall = median(b.taken / a.taken for a, b in zip(without, paid, strict=True))
    note = (
        f"processor time {seconds(median(b.busy for b in paid))} over {seconds(median(a.busy for a in without))}; "
        f"by the wall {wall:.2f}x; {synced.syncs:,} fsyncs, left out, take {seconds(synced.sync_s)} more"
    )
    taken = seconds(median(cost.taken for cost in again))
    return Section(
        f"paper, {n:,} instants of {len(PAIRS)} pairs, strategy=combined",
        [
            Check("final equity, with and without a journal", paid[0].equity, without[0].equity),
            Check("final equity after a restart", again[0].equity, without[0].equity),
        ],
        [
            Finding("journal and console", ratio, "x", "at most", 1.25, note),
            Finding(
                "restart", median(c.busy for c in again), "s", "at most", 5.0, f"processor time; {taken} by the wall"
            ),
        ],
    )

"""A test kit: one line in a test holds a strategy to what every mode expects of it, offline.

from kraken_flow.testing import check_strategy

def test_my_idea():
check_strategy(MyIdea(fast=5))
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kraken_flow.analysis.answers import System
from kraken_flow.analysis.futures import window
from kraken_flow.analysis.leaks import audit
from kraken_flow.api import expect_strategy
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.result import Columns, Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.strategy import Strategy
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.times import iso
from kraken_flow.modes.audit import sentences
from kraken_flow.modes.driver import load_checked
from kraken_flow.native import native

CUTS = 8
"""Bars behind which the future is changed, as `mode.cuts` of an audit."""


def check_strategy(strategy: Strategy | str, overrides: Sequence[str] = (), rows: int = 500) -> None:
    """Assert that a strategy says something, stays in [-1, 1], knows no future, and trades alike in all modes.

    It is run on the last bars of the sample market (or of the data that the overrides name): asked again, with other
    futures, bar by bar; as a backtest and as a replay, on every engine that is installed.

    Parameters
    ----------
    strategy
        A strategy, `MyIdea(fast=5)`, or the name of an option, `"my_idea"`.
    overrides
        Further arguments as on the command line: `["pairs=[BTC/USD]", "timeframe=4h", "risk=none"]`.
    rows
        Decision bars; what features take to warm up comes on top.

    Raises
    ------
    AssertionError
        Naming what is wrong, and the first bar and pair where it shows.
    kraken_flow.core.errors.UserError
        Where the overrides are wrong, or there is no such option.
    """
    graph = _graph(strategy, overrides)
    system = System(graph, {}, "auto")
    market = window(load_checked(graph), rows + system.lookback)
    try:
        finding = audit(system, market, CUTS, graph.seed)
        assert finding.passed, "\n".join(sentences(finding, market))  # noqa: S101 - a failed check is what a test expects
        whole = execute(graph, market, "python").result
    except UserError as error:
        raise AssertionError(str(error)) from error
    for engine in ("python",) if native is None else ("python", "rust"):
        _same(whole, execute(graph, market, engine).result, f"a backtest with engine={engine}", market)
        _same(whole, _replayed(graph, market, engine), f"a replay with engine={engine}", market)


def _graph(strategy: Strategy | str, overrides: Sequence[str]) -> Graph:
    """Return the system that a strategy is tested in."""
    if isinstance(strategy, str):
        return build(compose([f"strategy={strategy}", *overrides]))
    expect_strategy(strategy)
    return replace(build(compose(["strategy=hold", *overrides])), strategy=strategy)


def _replayed(graph: Graph, market: Market, engine: str) -> Result:
    """Take the system through the market bar by bar."""
    session = Session(graph, tape_of(market), engine)
    for instant in instants(market):
        session.take(instant)
    return session.outcome().result


def _same(whole: Result, other: Result, what: str, market: Market) -> None:
    """Assert that two runs sent the same orders and had the same fills."""
    for name in ("orders", "fills"):
        first = _first_difference(getattr(whole, name), getattr(other, name))
        if first is not None:
            longer = max((whole, other), key=lambda run: len(getattr(run, name)["pair"]))
            table: Columns = getattr(longer, name)
            pair = market.names[int(table["pair"][first])]
            time = int(table["time"][first]) if name == "orders" else int(market.times[table["row"][first]])
            raise AssertionError(f"{what} has other {name}: first for {pair} at {iso(time)}")


def _first_difference(ours: Columns, theirs: Columns) -> int | None:
    """Return the first row in which two tables differ."""
    lengths = len(ours["pair"]), len(theirs["pair"])
    shared = min(lengths)
    rows = [np.flatnonzero(ours[name][:shared] != theirs[name][:shared]) for name in ours]
    found = [int(differ[0]) for differ in rows if len(differ)]
    return min(found) if found else None if lengths[0] == lengths[1] else shared

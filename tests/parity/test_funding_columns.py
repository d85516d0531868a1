"""Funding and marks as columns that features read: known at their time, the same in a batch and in a stream."""

from dataclasses import replace

import numpy as np
import pytest

from kraken_flow.analysis.futures import FUTURES, another, ends_at
from kraken_flow.core.funding import FundingColumns, column_of
from kraken_flow.core.market import REAL, Market
from kraken_flow.core.session import Session
from kraken_flow.core.signal import compute
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import FloatArray
from kraken_flow.exchange.perpetual import PerpetualExchange
from kraken_flow.features import Htf, Sma, ZScore
from tests.engines import graph_of
from tests.parity.draw_derivatives import funding_drawn, marks_drawn
from tests.signal_cases import ENGINES, reads, same
from tests.signal_cases import random_market as spot_market

WANTED = (Sma("funding", 4), ZScore("funding", 6), Sma("mark", 3), Htf("4h", Sma("funding", 2)))


def perpetuals(seed: int, gaps: float = 0.0) -> Market:
    market = spot_market(160, seed, n_pairs=2, gaps=gaps)
    names = ("AAA/USD:USD", "BBB/USD:USD")
    pairs = tuple(replace(pair, pair=name) for pair, name in zip(market.pairs, names, strict=True))
    random = np.random.default_rng(seed)
    return replace(
        market,
        pairs=pairs,
        marks=tuple(marks_drawn(pair, random) for pair in pairs),
        funding=tuple(funding_drawn(market, pair, random) for pair in pairs),
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("seed", "gaps"), [(1, 0.0), (2, 0.2)])
def test_a_session_sees_the_columns_that_a_batch_sees(engine: str, seed: int, gaps: float) -> None:
    market = perpetuals(seed, gaps)
    declared = reads(*WANTED)
    signals = compute(declared, market, engine)
    nodes = {"strategy": declared.strategy, "exchange": PerpetualExchange(name="bare", tick=0.01)}
    session = Session(graph_of(market, **nodes), tape_of(market), engine)
    rows: dict[object, list[FloatArray]] = {feature: [] for feature in WANTED}
    for instant in instants(market):
        session.take(instant)
        for feature in WANTED:
            rows[feature].append(session.signals.columns(feature))
    again = Session(graph_of(market, **nodes), tape_of(market), engine)
    list(again.catch_up([*instants(market)][:-1]))
    again.take([*instants(market)][-1])
    for feature in WANTED:
        assert same(again.signals.columns(feature), session.signals.columns(feature)), feature
    for feature in WANTED:
        table = np.moveaxis(np.array(rows[feature]), 0, -1)
        assert np.isfinite(table).any(), feature
        assert same(table, signals.columns(feature)), feature


def on_event_time(market: Market, index: int) -> FloatArray:
    """The mistake: an event counts from its own time on, known or not."""
    events = market.funding[index]
    early = FundingColumns(events.pair, events.time, events.time, events.rate)
    order = np.argsort(events.time, kind="stable")
    sorted_ = FundingColumns(events.pair, early.time[order], early.time[order], early.rate[order])
    funding = tuple(sorted_ if p == index else one for p, one in enumerate(market.funding))
    return column_of(replace(market, funding=funding), index, "funding")


def test_funding_counts_from_when_it_was_known_and_the_other_join_is_caught() -> None:
    """Rows up to t read nothing that comes after t, whatever becomes of it: prefixes and other futures say the same."""
    caught = 0
    for seed in range(3, 8):
        market = perpetuals(seed)
        whole = [column_of(market, p, "funding") for p in range(2)]
        wrong = [on_event_time(market, p) for p in range(2)]
        for row in range(5, market.n_rows, 7):
            for other in (ends_at(market, row), *(another(market, row, name, seed) for name in FUTURES)):
                for p in range(2):
                    assert same(column_of(other, p, "funding")[: row + 1], whole[p][: row + 1])
                    caught += not same(on_event_time(other, p)[: row + 1], wrong[p][: row + 1])
    assert caught > 100


def test_the_mark_is_the_close_where_the_data_has_none() -> None:
    market = replace(perpetuals(9), marks=(), funding=())
    assert same(column_of(market, 0, "mark"), market.pairs[0].floats("close"))
    assert np.isnan(column_of(market, 0, "funding")).all()
    assert (market.pairs[0].state == REAL).any()

"""What was known too late to act on: features take it, the account does not see it."""

import numpy as np
import pytest

from kraken_flow.core.session import Session
from kraken_flow.core.tape import Instant, instants, tape_of
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.runs.session_journal import instant_frame, instant_of
from strategies.sma_cross import SmaCross
from tests.engines import ENGINES, graph_of
from tests.hand_made import HOUR, T0, market, pair_columns

CLOSES = (1000 + 60 * np.sin(np.arange(120) / 6)).round().tolist()
MARKET = market(pair_columns("BTC/USD", [(close, close + 5, close - 5, close) for close in CLOSES]))
# The averages cross at row 66 or so, inside of it.
AWAY = range(60, 75)


def taken(engine: str, walk: list[Instant]) -> tuple[list[float], dict[str, list[int]], dict[str, list[int]]]:
    """Take the instants; return the forecast after each, the order log and the fills."""
    graph = graph_of(MARKET, strategy=SmaCross(fast=2, slow=5, side="both"), portfolio=FixedQuantity(quantity=1.0))
    session = Session(graph, tape_of(MARKET), engine)
    forecasts = []
    for instant in walk:
        session.take(instant_of(instant_frame(instant, {}, 0)))
        forecasts.append(float(session.signals.held.value[0]))
    result = session.outcome().result
    return forecasts, *({n: c.tolist() for n, c in table.items()} for table in (result.log, result.fills))


@pytest.mark.parametrize("engine", ENGINES)
def test_missed_instants_move_features_and_nothing_else(engine: str) -> None:
    whole = list(instants(MARKET))
    missed = [at._replace(missed=i in AWAY) for i, at in enumerate(whole)]
    forecasts, log, fills = taken(engine, missed)
    straight, straight_log, _ = taken(engine, whole)
    assert forecasts == straight
    decided = [(time - T0) // HOUR - 1 for time in log["time"]]
    assert set(AWAY).isdisjoint(decided)
    assert set(AWAY).isdisjoint(fills["row"])
    inside = [(time - T0) // HOUR - 1 for time in straight_log["time"]]
    assert any(row in AWAY for row in inside)
    # The first decision afterwards is on what the features came to know.
    assert AWAY.stop in decided
    assert [row for row in decided if row < AWAY.start] == [row for row in inside if row < AWAY.start]

"""Orders that bars without volume left unfilled are told, those that were merely taken back are not."""

from dataclasses import replace

import pytest

from kraken_flow.analysis.unfilled import short_of_volume, unfilled
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.orders import LogKind, OrderType, Reason, State
from kraken_flow.core.run import execute
from kraken_flow.core.units import to_units
from kraken_flow.modes.driver import concluded, load
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics
from tests.hand_made import BARS_A, HOUR, T0, finished, market, pair_columns

QTY = 10**9
BACK = {"state": int(State.CANCELLED), "end_reason": int(Reason.TARGET_CHANGED), "qty": QTY, "side": 1}


def taken_back(hours: int) -> dict[str, int]:
    return {"kind": int(LogKind.CANCEL), "time": T0 + hours * HOUR, "reason": int(Reason.TARGET_CHANGED)}


@pytest.mark.parametrize(
    ("order", "hours", "short"),
    [
        ({"type": int(OrderType.MARKET)}, 3, True),
        ({"type": int(OrderType.MARKET)}, 2, False),
        ({"type": int(OrderType.LIMIT)}, 3, False),
        ({"type": int(OrderType.LIMIT), "filled": QTY // 2}, 3, True),
        ({"type": int(OrderType.MARKET), "end_reason": int(Reason.TIMEOUT)}, 3, False),
        ({"type": int(OrderType.LIMIT), "end_reason": int(Reason.TIMEOUT)}, 3, False),
        ({"type": int(OrderType.LIMIT), "end_reason": int(Reason.TIMEOUT), "filled": QTY // 2}, 3, True),
        ({"type": int(OrderType.LIMIT), "end_reason": int(Reason.GTD_EXPIRED), "filled": 1}, 3, True),
        ({"type": int(OrderType.MARKET), "end_reason": int(Reason.INSUFFICIENT_FUNDS), "filled": 1}, 3, False),
        ({"type": int(OrderType.MARKET), "filled": QTY, "state": int(State.FILLED), "end_reason": 0}, 3, False),
    ],
)
def test_what_is_taken_back_lacked_volume_where_a_bar_could_have_filled_it(order, hours, short):
    orders = [BACK | {"time": T0 + 2 * HOUR} | order]
    run = finished(market(pair_columns("BTC/USD", BARS_A)), [], orders, [taken_back(hours)])
    assert short_of_volume(run).tolist() == [short]
    assert unfilled(run).get("volume", 0) == short
    assert sum(unfilled(run).values()) <= 1


def test_what_waits_at_the_end_lacked_volume_unless_no_bar_came():
    waits = {"state": int(State.PENDING), "qty": QTY, "side": 1}
    orders = [waits | {"time": T0 + hours * HOUR} for hours in (4, 5)]
    run = finished(market(pair_columns("BTC/USD", BARS_A)), [], orders)
    assert short_of_volume(run).tolist() == [True, False]


@pytest.mark.parametrize(("volume", "told"), [(0.0, True), (1e6, False)])
def test_a_market_without_volume_fills_nothing_and_says_so(volume, told):
    graph = build(compose(["risk=none", "strategy=momentum", "pairs=[BTC/USD]", "start=2021-01-01", "end=2021-03-01"]))
    tape = load(graph)
    pairs = [replace(p, volume=to_units(0.0 * p.volume + volume)) for p in tape.pairs]
    changed = replace(tape, pairs=pairs)
    run = concluded(graph, execute(graph, changed), changed, 0.0).finished
    orders = len(run.result.orders["qty"])
    warnings = {one["code"]: one["text"] for one in full_metrics(Tables(run))["warnings"]}
    assert orders > 3
    assert ("volume" in unfilled(run)) == told
    assert ("volume_short" in warnings) == told
    if told:
        assert warnings["volume_short"].startswith(f"{unfilled(run)['volume']} of {orders} orders filled nothing or a")

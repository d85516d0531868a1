"""The band of ambiguous bars against a plain account of what each bar allows, for longs and, mirrored, for shorts."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis.ambiguity import band
from kraken_flow.core.orders import LogKind, OrderType, Reason
from kraken_flow.core.units import parse
from tests.hand_made import HOUR, T0, fill, finished, market, pair_columns

QUIET = (100, 100, 100, 100)


class Exit(NamedTuple):
    """A position of 10 from 100 that leaves at `price` by a `kind` of order inside the bar; `others` were cancelled.

    Levels are integers around 100; `entry` is how it was opened: at an open before, or inside the same bar.
    """

    high: int
    low: int
    close: int
    kind: str
    price: int
    others: tuple[tuple[str, int], ...]
    entry: str = "before"


def placed(kind, level):
    name = {"limit": "limit_price", "stop": "stop_price"}.get(kind, "trail")
    types = {"limit": OrderType.LIMIT, "stop": OrderType.STOP, "trail": OrderType.TRAILING}
    return {"type": int(types[kind]), name: parse(str(level))}


def run_of(*exits, short=False, pairs=1):
    """Exits one after the other, each in a bar of its own with a quiet one before; the pairs take turns."""

    def at(level):
        return 200 - level if short else level

    bars = [[QUIET] * (2 * len(exits) + 1) for _ in range(pairs)]
    orders, log, fills = [], [], []
    for number, one in enumerate(exits):
        row, pair, side = 2 * number + 1, number % pairs, -1 if short else 1
        high, low = sorted((at(one.low), at(one.high)), reverse=True)
        bars[pair][row] = (100, high, low, at(one.close))
        inside = one.entry != "before"
        entry = placed("stop", 100) if one.entry == "stop" else placed("limit", 100) if one.entry == "limit" else {}
        leg = {"side": -side, "pair": pair, "reduce_only": 1, "qty": parse("10")}
        first = len(orders)
        orders += [{"side": side, "pair": pair} | entry, leg | placed(one.kind, at(one.price))]
        orders += [leg | placed(kind, at(level) if kind != "trail" else level) for kind, level in one.others]
        for other in range(first + 2, len(orders)):
            when = T0 + (row + 1) * HOUR
            log.append({"kind": int(LogKind.CANCEL), "order": other, "time": when, "reason": int(Reason.OCO)})
        places = {"pair": pair, "ambiguous": 1, "open_phase": 0}
        fills += [
            fill(row if inside else row - 1, side, "10", "100", pair=pair, order=first, open_phase=int(not inside)),
            fill(row, -side, "10", str(at(one.price)), order=first + 1, **places),
        ]
    columns = [pair_columns(name, rows) for name, rows in zip(("A/USD", "B/USD"), bars, strict=False)]
    return finished(market(*columns), fills, orders, log)


def allowed(one):
    """Where a long could have ended instead: a limit is traded through, a stop is touched."""
    ends = [level for kind, level in one.others if kind == "limit" and one.high > level]
    ends += [level for kind, level in one.others if kind == "stop" and one.low <= level]
    if one.entry == "stop" and one.kind == "stop" and one.close > one.price:
        ends.append(one.close)
    return ends


LEVELS = st.integers(90, 110)
LEGS = st.tuples(st.sampled_from(["limit", "stop"]), LEVELS)
EXITS = st.builds(
    Exit,
    high=st.integers(100, 110),
    low=st.integers(90, 100),
    close=LEVELS,
    kind=st.sampled_from(["limit", "stop"]),
    price=LEVELS,
    others=st.lists(LEGS, max_size=2).map(tuple),
    entry=st.sampled_from(["before", "stop", "limit"]),
)


@given(st.lists(EXITS, min_size=1, max_size=4), st.booleans(), st.integers(1, 2))
def test_the_band_is_the_sum_of_the_best_and_the_worst_that_each_bar_allows(exits, short, pairs):
    run = run_of(*exits, short=short, pairs=pairs)
    found = band(run)
    ends = [[10 * (end - one.price) for end in allowed(one)] for one in exits]
    assert (found.fills, found.bars, found.exits, found.unknown) == (len(exits), len(exits), len(exits), 0)
    assert found.alternatives == sum(map(bool, ends))
    assert found.better == sum(max(0, *changes) for changes in ends if changes) * 10**16
    assert found.worse == sum(min(0, *changes) for changes in ends if changes) * 10**16
    told = found.numbers(run)
    assert float(told["best_equity"]) == (run.final_equity + found.better) / 10**16
    assert float(told["worst_equity"]) == (run.final_equity + found.worse) / 10**16
    assert told["best_return"] == pytest.approx(float(told["best_equity"]) / 10_000 - 1)
    assert told["worst_return"] == pytest.approx(float(told["worst_equity"]) / 10_000 - 1)
    assert told["worst_return"] <= run.final_equity / run.start_cash - 1 <= told["best_return"]


def test_a_run_without_doubt_has_no_band():
    run = finished(market(pair_columns("A/USD", [QUIET] * 3)), [fill(0, 1, "1", "100"), fill(1, -1, "1", "103")])
    found = band(run)
    assert (found.fills, found.exits, found.worse, found.better) == (0, 0, 0, 0)
    assert found.numbers(run)["best_return"] == found.numbers(run)["worst_return"] == pytest.approx(3 / 10_000)


@pytest.mark.parametrize("short", [False, True])
def test_a_trailing_stop_beside_a_target_is_counted_as_unknown(short):
    target = Exit(106, 95, 100, "limit", 105, (("trail", 4),))
    found = band(run_of(target, short=short))
    assert (found.unknown, found.alternatives, found.worse, found.better) == (1, 0, 0, 0)
    both = target._replace(others=(("trail", 4), ("stop", 97)))
    found = band(run_of(both, short=short))
    assert (found.unknown, found.alternatives, found.worse) == (0, 1, -80 * 10**16)
    stop = target._replace(kind="stop", price=97)
    assert band(run_of(stop, short=short)).unknown == 0


@pytest.mark.parametrize(
    "changed",
    [{"time": T0 + 3 * HOUR}, {"reason": int(Reason.TARGET_CHANGED)}, {"kind": int(LogKind.SUBMIT)}],
)
def test_orders_that_ended_elsewhere_are_no_alternatives(changed):
    run = run_of(Exit(107, 95, 100, "stop", 97, (("limit", 106),)))
    assert band(run).better == 90 * 10**16
    log = [{name: int(column[0]) for name, column in run.result.log.items()} | changed]
    orders = [{n: int(c[i]) for n, c in run.result.orders.items()} for i in range(3)]
    fills = [{n: int(c[i]) for n, c in run.result.fills.items()} for i in range(2)]
    assert band(finished(run.market, fills, orders, log)).alternatives == 0
    for spoilt in ({"reduce_only": 0}, {"side": 1}, {"pair": 1}):
        entered = [*orders[:2], orders[2] | spoilt]
        assert band(finished(run.market, fills, entered, [log[0] | {"time": T0 + 2 * HOUR}])).alternatives == 0

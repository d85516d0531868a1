"""The limit on the value at risk of the book: single orders, targets of a decision, what is not known; both engines."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core.graph import Graph
from kraken_flow.core.limits import Safety, Trigger
from kraken_flow.core.market import Market
from kraken_flow.core.orders import Control, Reason
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo, Plan
from kraken_flow.core.result import Result
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import FIX, FIX_NAN, fix
from kraken_flow.core.var_limit import COLUMN, MOST_COVARIANCE, MOST_WEIGHT, Room, known_covariance, worst_variance
from kraken_flow.features import Covariance
from kraken_flow.risk.answer import answer
from kraken_flow.risk.tiers import SystemLimits, TieredRisk
from tests.engines import ENGINES, run_engine, spec_of
from tests.golden.bars import market_of
from tests.limit_checks import events
from tests.unit.risk.test_limits import ends, flat, holding, scripted, tiers, told

Z95 = 1.6448536269514722
ONE = 10**8
COVARIANCE = Covariance(4)


def var_risk(limit: float, horizon: str = "1h", **more: Any) -> TieredRisk:
    return tiers(system={"max_var": limit, "var_horizon": horizon} | more, covariance=COVARIANCE)


def pairs(*closes: float, n: int = 2) -> Market:
    names = ("ADA/USD", "BTC/USD", "ETH/USD")[:n]
    return market_of(*(flat(*(closes or (100, 100, 100, 100)), pair=name) for name in names))


def run(graph: Graph, engine: str, covariance: Any, long: Any = None) -> Result:
    """Run with the same covariances (squared percents, None unknown) in every row; `long` are forecasts per pair."""
    market = graph.source.market
    spec = spec_of(graph, market)
    n = len(market.pairs)
    aux = {}
    for k in range(n):
        column = [FIX_NAN if value is None else fix(float(value)) for value in np.array(covariance, object)[:, k]]
        aux[f"{COLUMN}_{k}"] = np.repeat(np.array(column, np.int64)[:, None], market.n_rows, axis=1)
    assert spec.aux == tuple(aux)
    forecast = None
    if long is not None:
        forecast = np.repeat(np.array([fix(f) for f in long], np.int64)[:, None], market.n_rows, axis=1)
    return run_engine(engine, spec, market, forecast, aux)


def units(result: Result) -> list[float]:
    return [q / ONE for q in result.final_positions.tolist()]


def test_two_assets_have_the_value_at_risk_of_the_specification() -> None:
    """0.1 BTC at 50000 and 1 ETH at 3000, 3 % and 4 % a day, correlation 0.8: 421.60907 at 95 %, 596.28975 at 99 %."""
    covariance = {
        "BTC/USD": {"BTC/USD": 0.03**2, "ETH/USD": 0.8 * 0.03 * 0.04},
        "ETH/USD": {"ETH/USD": 0.04**2},
    }

    def ask(loss: float, level: float, **more: Any) -> tuple[bool, str]:
        risk = TieredRisk(system=SystemLimits(max_var=loss / 10_000, var_level=level), covariance=COVARIANCE)
        order = {"pair": "ETH/USD", "side": "buy", "qty": 1.0, "positions": {"BTC/USD": 0.1}, "covariance": covariance}
        prices = {"BTC/USD": 50_000.0, "ETH/USD": 3_000.0}
        return tuple(answer(risk, cash=5_000.0, prices=prices, **order | more))

    assert ask(421.610, 0.95) == (True, "none")
    assert ask(421.608, 0.95) == (False, "max_var")
    assert ask(596.290, 0.99) == (True, "none")
    assert ask(596.289, 0.99) == (False, "max_var")
    assert ask(421.610, 0.95, covariance=None) == (False, "max_var")
    assert ask(1e-4, 0.95, pair="BTC/USD", side="sell", qty=0.1) == (True, "none")
    # Without their covariance, both count as moving together: 0.05 x 1.645 x (150 + 120) / 10000.
    alone = {name: {name: row[name]} for name, row in covariance.items()}
    assert ask(Z95 * 270 + 0.01, 0.95, covariance=alone) == (True, "none")
    assert ask(Z95 * 270 - 0.01, 0.95, covariance=alone) == (False, "max_var")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("limit", "filled"), [(0.05 * Z95 * 0.02, 5), (0.2 * Z95 * 0.02 + 1e-7, 20), (1e-8, 0)])
def test_an_order_is_cut_to_the_limit(engine: str, side: str, limit: float, filled: int) -> None:
    """Twenty at 100 of 10000 are a weight of 0.2; a deviation of 2 % a bar."""
    graph = scripted(pairs(n=1), [{"qty": 20, "side": side}], var_risk(limit + 1e-8))
    result = run(graph, engine, [[4.0]])
    assert abs(units(result)[0]) == pytest.approx(filled, abs=1e-4)
    cut = events(result)
    assert (cut == []) == (filled == 20)
    if cut:
        (event,) = cut
        assert (event["trigger"], event["after"], event["pair"], event["order"]) == (
            Trigger.MAX_VAR, Safety.NORMAL, 0, 0,
        )  # fmt: skip
        assert event["value"] == pytest.approx(0.2 * Z95 * 0.02, rel=1e-6)
        assert event["limit"] == pytest.approx(limit + 1e-8, abs=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_horizon_and_the_level_count(engine: str) -> None:
    """Four bars of an hour are at risk of twice as much as one."""
    held = []
    for horizon, level in (("1h", 0.95), ("4h", 0.95), ("1h", 0.99)):
        risk = var_risk(0.001, horizon, var_level=level)
        held += units(run(scripted(pairs(n=1), [{"qty": 20}], risk), engine, [[4.0]]))
    assert held[1] == pytest.approx(held[0] / 2, rel=1e-6)
    assert held[2] == pytest.approx(held[0] * Z95 / 2.3263478740408408, rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_reduces_is_always_admitted_and_orders_under_way_count(engine: str) -> None:
    limit = 0.05 * Z95 * 0.02 + 1e-7
    low = {"qty": 4, "type": "limit", "limit_price": "90"}
    orders = [low, {"qty": 4}, {"at": 1, "qty": 1, "side": "sell"}, {"at": 2, "qty": 9, "side": "sell"}]
    result = run(scripted(pairs(n=1), orders, var_risk(limit)), engine, [[4.0]])
    # Four rest below the market, so one may be bought at once; then all of it is sold, and five short are the limit.
    assert [q / ONE for q in result.orders["filled"].tolist()] == pytest.approx([0, 1, 1, 5], abs=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("correlation", "second"), [(1.0, 4.0), (0.0, 8.0), (-1.0, 8.0)])
def test_what_moves_with_what_is_held_finds_less_room(engine: str, correlation: float, second: float) -> None:
    """Six are held of ten; independent ones add by squares. What hedges may fill first: it counts alone."""
    limit = 0.1 * Z95 * 0.02 + 1e-7
    orders = [{"qty": 6}, {"at": 1, "qty": 8, "pair": 1}]
    shared = 4.0 * correlation
    result = run(scripted(pairs(), orders, var_risk(limit)), engine, [[4.0, shared], [shared, 4.0]])
    assert units(result) == pytest.approx([6, second], abs=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_beyond_the_limit_positions_are_only_reduced(engine: str) -> None:
    """Ten are bought at 100 and fall due at 300: too much. Not even a hedge is opened; selling them is fine."""
    limit = 0.1 * Z95 * 0.02 + 1e-7
    market = market_of(
        flat(100, 100, 300, 300, 300, 300, pair="ADA/USD"), flat(*[300] * 6, pair="BTC/USD"),
    )  # fmt: skip
    orders = [
        {"qty": 10}, {"at": 3, "qty": 1, "pair": 1}, {"at": 3, "qty": 10, "side": "sell", "pair": 1},
        {"at": 4, "qty": 4, "side": "sell"},
    ]  # fmt: skip
    result = run(scripted(market, orders, var_risk(limit)), engine, [[4.0, 4.0], [4.0, 4.0]])
    assert units(result) == pytest.approx([6, 0], abs=1e-3)
    assert [e["order"] for e in events(result)] == [1, 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_closes_a_hedge_takes_the_room_of_what_counted_on_it(engine: str) -> None:
    """Six long, six short, and six more wait to be sold: without the long they are beyond the limit."""
    limit = 0.1 * Z95 * 0.02 + 1e-7
    resting = {"at": 2, "qty": 6, "side": "sell", "pair": 1, "type": "limit", "limit_price": "110"}
    orders = [{"qty": 6}, {"at": 1, "qty": 6, "side": "sell", "pair": 1}, resting]
    together = [[4.0, 4.0], [4.0, 4.0]]
    result = run(scripted(pairs(*[100] * 6), orders, var_risk(limit)), engine, together)
    assert result.orders["end_reason"].tolist()[2] != Reason.MAX_VAR
    closed = [*orders, {"at": 3, "qty": 6, "side": "sell"}]
    result = run(scripted(pairs(*[100] * 6), closed, var_risk(limit)), engine, together)
    assert units(result) == pytest.approx([0, -6], abs=1e-3)
    assert result.orders["end_reason"].tolist()[2] == Reason.MAX_VAR


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("correlation", "held"), [(1.0, 5.0), (0.0, 5 * 2**0.5), (0.5, 5 * (4 / 3) ** 0.5), (None, 5.0)]
)
def test_targets_of_several_pairs_are_cut_together(engine: str, correlation: float | None, held: float) -> None:
    """Ten of each are wanted; what diversifies finds room, what is not known does not."""
    shared = None if correlation is None else 4.0 * correlation
    graph = holding(pairs(), var_risk(0.1 * Z95 * 0.02 + 1e-7))
    result = run(graph, engine, [[4.0, shared], [shared, 4.0]], [1.0, 1.0])
    assert units(result) == pytest.approx([held, held], abs=2e-3)
    assert {trigger for trigger, _, _ in told(result)} == {Trigger.MAX_VAR}
    whole = Z95 * 0.1 * 0.02 * (2 + 2 * (1.0 if correlation is None else correlation)) ** 0.5
    assert events(result)[0]["value"] == pytest.approx(whole, rel=1e-6)
    assert (events(result)[0]["pair"], events(result)[0]["order"]) == (-1, -1)


@pytest.mark.parametrize("engine", ENGINES)
def test_targets_within_the_limit_stand(engine: str) -> None:
    graph = holding(pairs(), var_risk(0.2 * Z95 * 0.02 + 1e-7))
    result = run(graph, engine, [[4.0, 4.0], [4.0, 4.0]], [1.0, 1.0])
    assert units(result) == [10.0, 10.0]
    assert told(result) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("own", [None, -1.0, 2e6])
def test_of_what_is_not_known_nothing_grows(engine: str, own: float | None) -> None:
    """No covariance, one that cannot be, one beyond what is computed with: the other pair trades, this one does not."""
    graph = holding(pairs(), var_risk(0.5))
    result = run(graph, engine, [[4.0, 0.0], [0.0, own]], [1.0, 1.0])
    assert units(result) == [10.0, 0.0]
    assert events(result)[0]["value"] == 0.0
    result = run(scripted(pairs(), [{"qty": 1}, {"qty": 1, "pair": 1}], var_risk(0.5)), engine, [[4.0, 0], [0, own]])
    assert ends(result) == [Reason.NONE, Reason.MAX_VAR]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_position_of_unknown_risk_is_only_reduced_and_stops_the_book(engine: str) -> None:
    market = pairs(*[100] * 8)
    graph = scripted(
        market,
        [{"qty": 3}, {"at": 3, "qty": 1}, {"at": 3, "qty": 1, "pair": 1}, {"at": 3, "qty": 2, "side": "sell"}],
        var_risk(0.5),
    )
    spec = spec_of(graph, market)
    aux = {name: np.full((2, market.n_rows), 0, np.int64) for name in spec.aux}
    for k in range(2):
        aux[f"{COLUMN}_{k}"][k] = 4 * FIX
    aux[f"{COLUMN}_0"][0, 2:] = FIX_NAN
    result = run_engine(engine, spec, market, None, aux)
    assert units(result) == [1.0, 0.0]
    assert ends(result) == [Reason.NONE, Reason.MAX_VAR, Reason.MAX_VAR, Reason.NONE]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_shadow_only_tells(engine: str) -> None:
    risk = tiers(system={"max_var": 1e-6}, covariance=COVARIANCE, shadow=True)
    result = run(holding(pairs(), risk), engine, [[4.0, 0.0], [0.0, 4.0]], [1.0, 1.0])
    assert units(result) == [10.0, 10.0]
    assert {trigger for trigger, _, _ in told(result)} == {Trigger.MAX_VAR}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_takes_its_covariances_from_the_newest_row_and_stops_orders_by_hand(engine: str) -> None:
    """Nobody trades but the user; before the window is full nothing is known, and nothing may be bought."""
    closes = [100, 101, 99, 102, 98, 101, 100, 100, 100]
    market = pairs(*closes, n=1)
    for said, limit, buys in ((2, 0.5, False), (6, 0.5, True), (6, 1e-5, False)):
        graph = scripted(market, [], var_risk(limit))
        session = Session(graph, tape_of(market), engine)
        for row, instant in enumerate(instants(market)):
            session.take(instant)
            if row == said:
                session.control(Control.ORDER, session.known, ManualOrder(0, 1, 5 * ONE, Plan(Algo.ICEBERG)))
        assert (session.account.standing().position[0] > ONE // 10) is buys


def test_without_the_limit_no_covariance_is_computed() -> None:
    graph = holding(pairs(), tiers(covariance=COVARIANCE))
    assert spec_of(graph, graph.source.market).aux == ()
    graph = holding(pairs(), var_risk(0.01))
    assert execute(graph, graph.source.market, "python").result.final_positions.tolist() == [0, 0]


# the bound

number = st.integers(-3 * FIX, 3 * FIX)
spans = st.lists(st.tuples(number, number).map(lambda ends: (min(ends), max(ends))), min_size=3, max_size=3)
loadings = st.lists(st.floats(-3, 3), min_size=6, max_size=6)


def of_loadings(numbers: list[float]) -> list[list[int]]:
    factors = np.array(numbers).reshape(3, 2)
    return [[fix(float(value)) for value in row] for row in factors @ factors.T]


def exact(weights: Any, matrix: list[list[int]]) -> float:
    at = np.array(weights, float) / FIX
    return float(at @ (np.array(matrix, float) / FIX) @ at)


@settings(max_examples=200, deadline=None)
@given(spans, loadings)
def test_the_worst_case_is_at_least_every_case(drawn: list[tuple[int, int]], numbers: list[float]) -> None:
    matrix = of_loadings(numbers)
    bound = worst_variance(drawn, matrix)
    assert bound is not None
    for p in range(3):
        assert (Room(drawn, p, matrix).at(*drawn[p]) or 0) <= bound
    cases = [exact(corner, matrix) for corner in product(*drawn)]
    tightest = min(Room(drawn, p, matrix).at(*drawn[p]) or 0 for p in range(3)) / 1e20
    assert tightest >= max(cases) - 1e-6
    fixed = [(low, low) for low, _ in drawn]
    assert (worst_variance(fixed, matrix) or 0) / 1e20 == pytest.approx(cases[0], abs=1e-6)
    if all(low >= 0 for low, _ in drawn) and min(map(min, matrix)) >= 0:
        assert bound / 1e20 == pytest.approx(max(cases), abs=1e-6)


def test_beyond_what_128_bits_hold_nothing_is_known() -> None:
    one = [[FIX]]
    assert worst_variance([(0, MOST_WEIGHT)], one) is not None
    assert worst_variance([(0, MOST_WEIGHT + 1)], one) is None
    assert worst_variance([(-MOST_WEIGHT - 1, 0)], one) is None
    assert worst_variance([(0, 1)], [[FIX_NAN]]) is None
    assert worst_variance([(0, 0)], [[FIX_NAN]]) == 0
    assert known_covariance({}, 2) == [[FIX_NAN] * 2] * 2
    most = {f"{COLUMN}_0": [MOST_COVARIANCE, -5], f"{COLUMN}_1": [-6, MOST_COVARIANCE + 1]}
    assert known_covariance(most, 2) == [[MOST_COVARIANCE, -5], [-5, FIX_NAN]]

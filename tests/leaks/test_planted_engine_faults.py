"""Engines with planted faults: every check that other tests rely on must catch the fault that it is for."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from kraken_flow.core import engine as reference
from kraken_flow.core import exits, paths
from kraken_flow.core.account import View
from kraken_flow.core.decision import Decider
from kraken_flow.core.engine import Engine
from kraken_flow.core.ledger import Ledger
from kraken_flow.core.market import REAL, SYNTHETIC, Market
from kraken_flow.core.orders import OrderRequest, OrderType, Side
from kraken_flow.core.result import Result
from kraken_flow.core.simulator import Simulator
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import FIX, UNIT, Int64Array
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests import engine_checks
from tests.engine_checks import Check, stopped_pairs_stay_out
from tests.engines import ENGINES, RUST, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import BARS, columns_of, market_of
from tests.golden.scenarios import SCENARIOS
from tests.golden.test_scenarios import fills_as_text, nested

NAMED = {scenario.name: scenario for scenario in SCENARIOS}
NO_LIMITS = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))


def scripted(name: str) -> tuple[Spec, Market]:
    """One of the fill scenarios."""
    scenario = NAMED[name]
    exchange = SpotExchange(name="bare", **nested(scenario.terms))
    return spec_of(graph_of(scenario.market, scenario.requests(), exchange=exchange), scenario.market), scenario.market


def held(market: Market) -> Int64Array:
    """A forecast of 1 from the first bar on."""
    return np.full((len(market.pairs), market.n_rows), FIX, np.int64)


def forecasting(market: Market, **nodes: Any) -> Spec:
    """A graph that holds a fixed quantity of every pair."""
    graph = graph_of(market, strategy=GivenForecast(), **{"portfolio": FixedQuantity(quantity=5.0), **nodes})
    return spec_of(graph, market)


# a fill on the signal bar


class FillsAtOnce(Engine):
    """Plays the bar again after the decision, as engines do that fill at the close that gave the signal."""

    def step(self, row: int, open_time: int, bars: Any, *rest: Any) -> None:
        super().step(row, open_time, bars, *rest)
        self.sim.open_time, self.sim.close_time = open_time, open_time + self.spec.timeframe_ns
        self.sim.play(bars, None)


def test_a_fill_on_the_signal_bar_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, market = scripted("S01")
    check = engine_checks.fills_come_after_their_decision
    check(spec, market, run_engine("python", spec, market))
    monkeypatch.setattr(reference, "Engine", FillsAtOnce)
    with pytest.raises(AssertionError, match="filled in the bar that decided it"):
        check(spec, market, run_engine("python", spec, market))


# twelve decisions in one instant


class Asked(FixedQuantity):
    """Notes at what time it was asked, and which closes it was shown."""

    kernel: ClassVar[str | None] = None
    seen: ClassVar[list[tuple[int, tuple[int, ...]]]] = []

    def targets(self, view: View) -> list[int | None]:
        self.seen.append((view.time, tuple(view.price)))
        return super().targets(view)


def decides_once(market: Market, seen: list[tuple[int, tuple[int, ...]]]) -> None:
    """Assert that no instant saw two decisions, and that each knew the closes of all pairs of its instant."""
    closes = np.stack([pair.close for pair in market.pairs], axis=1).tolist()
    known = {int(t) + market.timeframe_ns: tuple(row) for t, row in zip(market.times, closes, strict=True)}
    assert seen
    assert max(Counter(time for time, _ in seen).values()) == 1, "several decisions in one instant"
    assert all(known[time] == prices for time, prices in seen), "a decision before all pairs had closed"


def twelve_pairs() -> tuple[Spec, Market, Int64Array]:
    """Twelve pairs of one market, bought at different times."""
    names = [f"{chr(65 + i)}{chr(65 + i)}/USD" for i in range(12)]
    market = market_of(*(columns_of(BARS[b], pair=name) for b, name in zip(list(BARS)[:12], names, strict=True)))
    forecast = held(market)
    forecast[:, 0] = 0
    forecast[::2, 1] = 0
    Asked.seen.clear()
    return forecasting(market, portfolio=Asked(quantity=1.0), risk=NO_LIMITS), market, forecast


class DecidesPerPair(Engine):
    """Decides as each pair's bar arrives, as engines do that act on events one by one."""

    def step(self, row: int, open_time: int, bars: Any, forecast: list[int], *rest: Any) -> None:
        before = list(self.view.price)
        for p in range(len(bars.state)):
            state = [REAL if other == p else 0 for other in range(len(bars.state))]
            arrived = [bars.close[q] if q <= p else before[q] for q in range(len(bars.state))]
            super().step(row, open_time, replace(bars, state=state, close=arrived), forecast, *rest)


@pytest.mark.parametrize("engine", ENGINES)
def test_twelve_pairs_make_one_decision_per_instant(engine: str) -> None:
    spec, market, forecast = twelve_pairs()
    engine_checks.check_all(spec, market, run_engine(engine, spec, market, forecast), forecast)
    decides_once(market, Asked.seen)


def test_twelve_decisions_in_one_instant_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, market, forecast = twelve_pairs()
    monkeypatch.setattr(reference, "Engine", DecidesPerPair)
    result = run_engine("python", spec, market, forecast)
    with pytest.raises(AssertionError, match="several decisions in one instant"):
        decides_once(market, Asked.seen)
    with pytest.raises(AssertionError, match="not one mark per bar"):
        engine_checks.books_balance(spec, market, result)


def test_orders_sent_twice_in_one_instant_are_caught() -> None:
    spec, market, forecast = twelve_pairs()
    result = run_engine("python", spec, market, forecast)
    doubled = {name: np.repeat(column, 2) for name, column in result.orders.items()}
    twice = replace(result, record=lambda: (doubled, result.log))
    with pytest.raises(AssertionError, match="several decisions in one instant"):
        engine_checks.one_decision_per_instant(spec, market, twice)


# a re-entry after a stop


def stopped_out() -> tuple[Spec, Market, Int64Array]:
    """B5 falls through a stop 3 % below the entry while the forecast stands."""
    market = market_of(columns_of(BARS["B5"]))
    risk = PositionRisk(PositionLimits(stop_loss=0.03, take_profit=None))
    return forecasting(market, risk=risk), market, held(market)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stopped_pair_stays_out_while_its_forecast_stands(engine: str) -> None:
    spec, market, forecast = stopped_out()
    result = run_engine(engine, spec, market, forecast)
    assert fills_as_text(result) == ("b1 B 5@100 fee 0 T", "b2 S 5@97 fee 0 T")
    stopped_pairs_stay_out(spec, market, result, forecast)


def test_a_re_entry_after_a_stop_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def armed_at_once(self: Decider, p: int, changed: bool) -> bool:
        stopped, self.sim.stopped_row[p] = self.sim.stopped_row[p], -1
        return stopped >= 0

    spec, market, forecast = stopped_out()
    monkeypatch.setattr(Decider, "_rearm", armed_at_once)
    result = run_engine("python", spec, market, forecast)
    assert len(result.fills["row"]) > 2
    with pytest.raises(AssertionError, match="entered at row 2 while stopped"):
        stopped_pairs_stay_out(spec, market, result, forecast)


# an exit that an outage took


def cut_off() -> tuple[Spec, Market, Int64Array]:
    """The forecast leaves at the last bar before an outage of thirty."""
    market = market_of(columns_of(" | ".join(["100/101/99/100"] * 50)))
    state, volume = market.pairs[0].state.copy(), market.pairs[0].volume.copy()
    state[11:41], volume[11:41] = SYNTHETIC, 0
    market = replace(market, pairs=(replace(market.pairs[0], state=state, volume=volume),))
    forecast = held(market)
    forecast[:, 10:] = 0
    return forecasting(market, risk=NO_LIMITS), market, forecast


def test_a_lost_exit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, market, forecast = cut_off()
    for engine in ("python", "rust", "rust-steps") if RUST else ("python",):
        engine_checks.check_all(spec, market, run_engine(engine, spec, market, forecast), forecast)
    monkeypatch.setattr(exits, "unattended", lambda decider, p: 0)
    with pytest.raises(AssertionError, match="a lost exit"):
        engine_checks.check_all(spec, market, run_engine("python", spec, market, forecast), forecast)


# other faults that engines are known for


def exact_stop(take: Callable[..., None]) -> Callable[..., None]:
    """Fill a stop at its level although the open jumped over it."""

    def faulty(self: Simulator, order: Any, price: int, slip: bool) -> None:
        take(self, order, order.level if order.type is OrderType.STOP else price, slip)

    return faulty


def touching(sim: Simulator, order: Any, level: int, extreme: int, direction: int) -> bool:
    """Fill limits at a touch."""
    return direction * (extreme - level) >= 0


def without_fee(self: Ledger, pair: int, side: int, qty: int, price: int, fee: int, fee_base: int) -> None:
    """Forget the fee."""
    self.cash -= side * qty * price
    self.position[pair] += side * qty


FAULTS: dict[str, tuple[str, Any, str, Any, Check, str]] = {
    "a stop at its level despite the gap": (
        "S06", Simulator, "take", exact_stop(Simulator.take), engine_checks.prices_are_possible, "was not traded",
    ),
    "a limit at a touch": (
        "S39", paths, "_passes", touching, engine_checks.prices_are_possible, "at a mere touch",
    ),
    "a fill without volume": (
        "S30", Simulator, "tradable", lambda self, p: self.bars.state[p] == REAL,
        engine_checks.prices_are_possible, "without volume",
    ),
    "more than the bar's volume allows": (
        "S18", Simulator, "_capacity", lambda self, p: 2**62, engine_checks.prices_are_possible, "over the cap",
    ),
    "a fee that is not paid": (
        "S01", Ledger, "book", without_fee, engine_checks.books_balance, "books differ at row 1",
    ),
    "latency that is ignored": (
        "S24", Simulator, "_arrived", lambda self, order, detailed: True,
        engine_checks.fills_come_after_their_decision, "before it arrived",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, owner, attribute, faulty, check, message = FAULTS[fault]
    spec, market = scripted(name)
    spec = replace(spec, participation=-1 if name == "S30" else spec.participation)
    check(spec, market, run_engine("python", spec, market))
    monkeypatch.setattr(owner, attribute, faulty)
    result = run_engine("python", spec, market)
    with pytest.raises(AssertionError, match=message):
        check(spec, market, result)


def test_a_trail_raised_before_it_is_tested_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """S15: raising the level with the bar's own high would exit at 105 instead of 98."""
    play = Simulator._inside

    def high_first(self: Simulator, p: int, *rest: Any) -> None:
        for order in self.live[p]:
            if order.type is OrderType.TRAILING and order.side < 0:
                order.best = max(order.best, self.bars.high[p])
                self.set_level(order)
        play(self, p, *rest)

    spec, market = scripted("S15")
    monkeypatch.setattr(Simulator, "_inside", high_first)
    assert fills_as_text(run_engine("python", spec, market)) != NAMED["S15"].fills


@pytest.mark.parametrize("engine", ENGINES)
def test_a_target_is_not_met_by_a_high_from_before_the_entry(engine: str) -> None:
    spec, market = entered_inside()
    assert fills_as_text(run_engine(engine, spec, market))[0] == "b1 B 10@99 fee 0 M"
    assert not any(text.startswith("b1 S") for text in fills_as_text(run_engine(engine, spec, market)))


def test_a_target_met_by_a_high_from_before_the_entry_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar opens at 100, runs to 103 and falls to 98.5: bought at 99 on the way down, nothing was sold at 101."""

    def high_of_the_bar(sim: Simulator, p: int) -> bool:
        met = [o for o in sim.live[p] if o.born_inside and o.alive and o.rests_as_limit and sim.bars.high[p] > o.limit]
        for order in met:
            sim.make(order)
        return bool(met)

    spec, market = entered_inside()
    monkeypatch.setattr(paths, "_make_at_close", high_of_the_bar)
    assert fills_as_text(run_engine("python", spec, market))[:2] == ("b1 B 10@99 fee 0 M", "b1 S 10@101 fee 0 M")


def entered_inside() -> tuple[Spec, Market]:
    """A limit order for 99, with a target at 101, on a bar whose high may have come first."""
    market = market_of(columns_of("100/101/99.5/100 | 100/103/98.5/99.5 | 99.5/100/99/99.5 | 99.5/100/99/99.5"))
    entry = OrderRequest(
        pair=0, side=Side.BUY, qty=10 * UNIT, type=OrderType.LIMIT, limit_price=99 * UNIT, take_profit=101 * UNIT
    )
    return spec_of(graph_of(market, [(int(market.times[0]) + market.timeframe_ns, entry)]), market), market


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("table", "column", "check"),
    [
        ("fills", "row", "fills_come_after_their_decision"),
        ("fills", "qty", "books_balance"),
        ("fills", "fee_lo", "books_balance"),
        ("fills", "side", "orders_add_up"),
        ("orders", "filled", "orders_add_up"),
        ("orders", "state", "orders_add_up"),
    ],
)
def test_a_changed_number_is_caught(engine: str, table: str, column: str, check: str) -> None:
    """The checks see a single wrong number in the columns of either engine."""
    spec, market = scripted("S01")
    sound = run_engine(engine, spec, market)
    applied: Check = getattr(engine_checks, check)
    applied(spec, market, sound)
    with pytest.raises(AssertionError):
        applied(spec, market, changed(sound, table, column))


def changed(result: Result, table: str, column: str) -> Result:
    """The result with the first number of one column lowered by one."""
    columns = dict(getattr(result, table))
    columns[column] = columns[column].copy()
    columns[column][0] -= 1
    if table == "fills":
        return replace(result, fills=columns)
    record = {"orders": result.orders, "log": result.log, table: columns}
    return replace(result, record=lambda: (record["orders"], record["log"]))

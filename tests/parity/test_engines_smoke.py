"""The Rust engine gives what the reference gives: whole columns, row by row, one instant at a time, with callbacks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kraken_flow.core import twin
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import Market, PairColumns
from kraken_flow.core.result import Result
from kraken_flow.core.spec import Spec
from kraken_flow.core.strategy import Scripted
from kraken_flow.core.times import parse_time
from kraken_flow.core.units import FIX, FIX_NAN, fix_column
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.execution.market import MarketOrders
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.portfolio.fixed_risk import FixedRisk
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.portfolio.vol_target import VolTarget
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests.engines import RUST, WITHOUT_RUST, GivenForecast, graph_of, native, run_engine, spec_of

pytestmark = pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)

HOUR = 3_600_000_000_000
T0 = parse_time("2024-01-01")
PAIRS = ("ADA/USD", "BTC/USD", "ETH/USD")

PORTFOLIOS = {
    "fixed_quantity": FixedQuantity(quantity=3.0),
    "fixed_fraction": FixedFraction(fraction=0.9),
    "fixed_risk": FixedRisk(risk=0.01),
    "inverse_vol": InverseVol(volatility="close", rebalance="7h", band=0.02),
    "vol_target": VolTarget(volatility="close", target=0.4),
}
RISKS = {
    "none": PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)),
    "default": PositionRisk(),
    "all": PositionRisk(PositionLimits(trailing=0.02, max_bars=9, max_fraction=0.4), rearm="bars:3"),
}
EXECUTIONS = {
    "market": MarketOrders(),
    "limit": LimitOrders(offset_bps=20.0, timeout=2),
    "exit_limit": LimitOrders(offset_bps=5.0, timeout=None, exit_market=False),
}


def tape(pair: str, n: int, random: np.random.Generator, quiet: bool) -> PairColumns:
    """A random walk on a grid of .1 with missing bars, bars without volume and, for one pair, a late start."""
    scale = 2 if quiet else 12
    close = np.maximum(1000 + np.cumsum(random.integers(-scale, scale + 1, n)), 50)
    open_ = np.concatenate([[1000], close[:-1]]) + random.integers(-1, 2, n)
    high = np.maximum(open_, close) + random.integers(0, scale, n)
    low = np.minimum(open_, close) - random.integers(0, scale, n)
    volume = np.where(random.random(n) < 0.03, 0, random.integers(1, 400, n))
    state = np.ones(n, np.uint8)
    columns = [c.astype(np.int64) * 10**7 for c in (open_, high, low, close)] + [volume * 10**8]
    for row in np.flatnonzero(random.random(n) < 0.04)[1:]:
        state[row] = 2
        for c in columns[:4]:
            c[row] = columns[3][row - 1]
        columns[4][row] = 0
    if pair == "BTC/USD":
        state[:7] = 0
        for c in columns:
            c[:7] = 0
    return PairColumns(pair, *columns, state)


def drawn(seed: int, n: int = 600, quiet: bool = False) -> tuple[Market, np.ndarray, np.ndarray]:
    """A market of three pairs with held float forecasts and volatilities."""
    random = np.random.default_rng(seed)
    market = Market(HOUR, T0 + HOUR * np.arange(n), tuple(tape(p, n, random, quiet) for p in PAIRS), first_row=5)
    stay = 60 if quiet else 12
    forecast = np.repeat(random.choice([-1.0, 0.0, 0.0, 0.5, 1.0], (3, n // stay + 1)), stay, axis=1)[:, :n]
    volatility = random.uniform(0.002, 0.03, (3, n))
    volatility[:, :9] = np.nan
    return market, np.ascontiguousarray(forecast), volatility


def drawn_spec(market: Market, seed: int, **nodes: Any) -> Spec:
    """An account half whose exchange varies with the seed."""
    exchange = SpotExchange(
        name="drawn",
        fees={"taker_bps": 10.0, "maker_bps": 4.0, "currency": ("quote", "base")[seed % 2]},
        slippage={"model": ("none", "bps", "volume_share")[seed % 3], "bps": 3.0},
        fill={"path": ("pessimistic", "ohlc", "olhc", "adaptive")[seed % 4], "limit": ("through", "touch")[seed % 2]},
        participation_cap=(None, 0.2)[seed % 2],
        latency=("0", "0", "20m", "90m")[seed % 4],
        latency_bps=1.0,
        tick=0.01,
        lot=(0.00000001, 0.01)[seed % 2],
    )
    account = Account(cash=10_000.0, short=seed % 3 != 0, leverage=(1.0, 2.0)[seed % 2])
    return spec_of(graph_of(market, strategy=GivenForecast(), exchange=exchange, account=account, **nodes), market)


def assert_same(a: Result, b: Result) -> None:
    """Compare everything that two engines return, exactly."""
    for part in ("orders", "fills", "log"):
        mine, other = getattr(a, part), getattr(b, part)
        assert list(mine) == list(other)
        for name, values in mine.items():
            assert np.array_equal(values, other[name]), f"{part}.{name}"
    for part in ("equity", "cash", "gross", "final_positions"):
        assert getattr(a, part).tobytes() == getattr(b, part).tobytes(), part
    assert (a.final_cash, a.counts) == (b.final_cash, b.counts)
    assert np.array_equal([a.exposure], [b.exposure], equal_nan=True)


def fixed(spec: Spec, forecast: np.ndarray, volatility: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The columns as integers, as the reference takes them."""
    return fix_column(forecast), {name: fix_column(volatility) for name in spec.aux}


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_engines_agree(portfolio: str, risk: str, quiet: bool) -> None:
    for seed, execution in enumerate(EXECUTIONS.values(), start=len(portfolio) + len(risk)):
        market, forecast, volatility = drawn(seed, quiet=quiet)
        limits = RISKS["default"] if portfolio == "fixed_risk" and risk == "none" else RISKS[risk]
        spec = drawn_spec(market, seed, portfolio=PORTFOLIOS[portfolio], risk=limits, execution=execution)
        ints, aux = fixed(spec, forecast, volatility)
        reference = run_engine("python", spec, market, ints, aux)
        assert len(reference.fills["row"]) > 5
        assert_same(reference, run_engine("rust", spec, market, ints, aux))
        assert_same(reference, run_engine("rust-steps", spec, market, ints, aux))
        floats = dict.fromkeys(spec.aux, volatility)
        assert_same(reference, twin.run(native, spec, market, forecast, floats))


@pytest.mark.parametrize("seed", range(4))
def test_one_instant_at_a_time(seed: int) -> None:
    market, forecast, volatility = drawn(seed)
    spec = drawn_spec(market, seed, portfolio=PORTFOLIOS["inverse_vol"], risk=RISKS["all"])
    ints, aux = fixed(spec, forecast, volatility)
    stepper = twin.Stepper(native, spec)
    drained = []
    for row in range(market.first_row, market.n_rows):
        bars = [[int(getattr(p, f)[row]) for p in market.pairs] for f in ("open", "high", "low", "close", "volume")]
        states = [int(p.state[row]) for p in market.pairs]
        values = np.array([*bars, states, ints[:, row], *(aux[name][:, row] for name in spec.aux)], np.int64)
        stepper.step(row, int(market.times[row]), values)
        if row % 50 == 0:
            drained.append(stepper.drain())
    drained.append(stepper.drain())
    whole = run_engine("rust", spec, market, ints, aux)
    assert_same(whole, stepper.result())
    for k, part in enumerate(("orders", "fills", "log")):
        for name in getattr(whole, part) if part != "orders" else ("pair", "side", "time"):
            assert np.array_equal(np.concatenate([piece[k][name] for piece in drained]), getattr(whole, part)[name])


class MyPortfolio(FixedFraction):
    """A user's subclass: it inherits its parent's kernel, and must not be run by it."""

    def targets(self, view: Any) -> list[int | None]:
        return [None if t is None else t // 2 for t in super().targets(view)]


class BrokenPortfolio(FixedFraction):
    def targets(self, view: Any) -> list[int | None]:
        raise UserError("my portfolio: no")


def test_a_subclass_runs_as_a_callback() -> None:
    market, forecast, _ = drawn(3)
    spec = drawn_spec(market, 3, portfolio=MyPortfolio())
    assert twin.callbacks(spec) == (f"portfolio: {__name__}.MyPortfolio",)
    reference = run_engine("python", spec, market, fix_column(forecast))
    assert_same(reference, run_engine("rust", spec, market, fix_column(forecast)))


def test_an_error_of_a_callback_comes_through() -> None:
    market, forecast, _ = drawn(3)
    spec = drawn_spec(market, 3, portfolio=BrokenPortfolio())
    with pytest.raises(UserError, match="my portfolio: no"):
        run_engine("rust", spec, market, fix_column(forecast))


@pytest.mark.parametrize("engine", ["python", "rust"])
def test_a_quantity_beyond_64_bits_is_an_error_that_says_so(engine: str) -> None:
    market, forecast, _ = drawn(0)
    cheap = [replace(p, **{f: getattr(p, f) // 10**6 for f in ("open", "high", "low", "close")}) for p in market.pairs]
    market = replace(market, pairs=tuple(cheap))
    account = Account(cash=1e10)
    spec = spec_of(graph_of(market, strategy=GivenForecast(), portfolio=FixedFraction(), account=account), market)
    with pytest.raises(UserError, match="larger than the engine can hold"):
        run_engine(engine, spec, market, fix_column(forecast))


def test_scripted_graphs_have_no_callbacks() -> None:
    market, _, _ = drawn(0)
    graph = graph_of(market)
    assert isinstance(graph.strategy, Scripted)
    assert twin.callbacks(spec_of(graph, market)) == ()


def test_floats_are_rounded_as_python_rounds_them() -> None:
    market, _, _ = drawn(1)
    odd = np.full((3, market.n_rows), 0.5e-9)
    odd[:, 100:200], odd[:, 200:] = 1.5e-9, 0.3333333335
    spec = drawn_spec(market, 1, portfolio=FixedQuantity(quantity=1e9))
    assert fix_column(np.array([np.nan]))[0] == FIX_NAN
    assert fix_column(odd).max() < FIX
    reference = run_engine("python", spec, market, fix_column(odd))
    assert_same(reference, twin.run(native, spec, market, odd, {}))

"""One pair with market orders on a venue without latency and slippage: where the Rust engine takes short cuts.

Forecasts change every few rows, sometimes in two rows running, over missing bars and bars without volume, so that an
order and the protection of its position meet everything that sends them back to the step.
"""

from dataclasses import replace

import numpy as np
import pytest

from kraken_flow.core.limits import Effect, Limits, Trigger
from kraken_flow.core.market import Market
from kraken_flow.core.result import Result
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import CASH_UNIT, Int64Array, fix_column, rate
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests.engines import RUST, WITHOUT_RUST, GivenForecast, graph_of, run_engine, spec_of
from tests.parity.same import assert_same
from tests.parity.test_engines_smoke import HOUR, T0, tape

pytestmark = pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)

NONE = PositionLimits(stop_loss=None, take_profit=None, max_fraction=None)
LIMITS = {
    "none": NONE,
    "far": PositionLimits(stop_loss=0.9, take_profit=9.0, trailing=0.9, max_bars=10_000, max_fraction=100.0),
    "usual": PositionLimits(stop_loss=0.03, take_profit=0.06, trailing=0.02, max_fraction=None),
    "near": PositionLimits(stop_loss=0.004, take_profit=0.005, trailing=0.003, max_bars=4),
    "trail": PositionLimits(stop_loss=None, take_profit=None, trailing=0.006, max_bars=1),
    "target": PositionLimits(stop_loss=None, take_profit=0.004, max_fraction=0.3),
}
PATHS = ("pessimistic", "ohlc", "olhc", "adaptive")


def forecasts(random: np.random.Generator, n: int) -> np.ndarray:
    """Mostly in and out, some reversals and halves; spells of 1 to 12 rows."""
    spells = random.integers(1, 13, n)
    levels = random.choice([0.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.5], n)
    return np.repeat(levels, spells)[:n].reshape(1, n)


def drawn(seed: int, limits: PositionLimits) -> tuple[Spec, Market, Int64Array]:
    """A specification, a market and forecasts."""
    random, n = np.random.default_rng(seed), 1500
    bars = tape("ETH/USD", n, random, quiet=seed % 4 < 2)
    market = Market(HOUR, T0 + HOUR * np.arange(n), (bars,), first_row=(0, 5)[seed % 2])
    exchange = SpotExchange(
        name="one",
        fees={"taker_bps": 10.0, "maker_bps": 4.0},
        fill={"path": PATHS[seed % 4], "limit": ("through", "touch")[seed // 2 % 2]},
        participation_cap=(None, 0.02)[seed // 4],
        tick=(0.01, 0.1)[seed % 2],
        lot=(0.00000001, 0.01)[seed // 2 % 2],
    )
    spec = spec_of(
        graph_of(
            market,
            strategy=GivenForecast(),
            exchange=exchange,
            account=Account(cash=(10_000.0, 350.0)[seed % 3 == 2], short=seed % 3 != 1),
            portfolio=FixedFraction(fraction=0.9, band=None) if seed == 3 else FixedQuantity(quantity=3.0),
            risk=PositionRisk(limits, rearm=("on_change", "next_bar", "bars:3")[seed % 3]),
        ),
        market,
    )
    return spec, market, fix_column(forecasts(random, n))


def agreed(spec: Spec, market: Market, forecast: Int64Array) -> Result:
    """What both engines give, short cuts taken or not."""
    reference = run_engine("python", spec, market, forecast)
    assert_same(reference, run_engine("rust", spec, market, forecast))
    assert_same(reference, run_engine("rust-steps", spec, market, forecast))
    return reference


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("limits", LIMITS)
def test_engines_agree_on_one_pair(limits: str, seed: int) -> None:
    assert len(agreed(*drawn(seed, LIMITS[limits])).fills["row"]) > 50


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tight", [0.1, 0.5, 0.9, 1.1])
def test_engines_agree_on_one_pair_within_limits_of_equity(tight: float, seed: int) -> None:
    """Rows that lose too little to matter are passed over, and none that reaches a limit is."""
    spec, market, forecast = drawn(seed, LIMITS[("none", "usual", "near")[seed % 3]])
    equity = run_engine("rust", spec, market, forecast).equity
    high = np.maximum.accumulate(np.append(spec.cash / CASH_UNIT, equity))[1:]
    limit = rate(tight * float(np.max((high - equity) / high)))
    effects = (Effect.REDUCE_ONLY, Effect.HALT, Effect.FLATTEN)
    limits = Limits(
        max_loss=limit // 4 if seed % 2 else -1,
        max_drawdown=limit if seed != 5 else -1,
        day_effect=effects[seed % 3],
        system_effect=effects[seed // 3],
        shadow=seed == 6,
    )
    result = agreed(replace(spec, limits=limits), market, forecast)
    assert (Trigger.MAX_DRAWDOWN in result.risk["trigger"]) >= (tight < 1 and not seed % 2)
    assert len(result.risk["time"]) or tight > 0.4

"""A forecast that gives a position up is followed where no size is known; both engines."""

import numpy as np
import pytest

from kraken_flow.core.units import FIX, FIX_NAN, UNIT, fix
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.portfolio.vol_target import VolTarget
from kraken_flow.risk.position import PositionLimits, PositionRisk
from tests.engines import ENGINES, GivenForecast, graph_of, run_engine, spec_of
from tests.golden.bars import columns_of, market_of

FREE = SpotExchange(name="bare", tick=0.01, fees={"maker_bps": 0.0, "taker_bps": 0.0})
BARE = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))
NODES = [
    InverseVol(volatility="close", rebalance=None, band=None),
    VolTarget(volatility="close", target=10.0, band=None),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("portfolio", NODES, ids=lambda node: type(node).__name__)
@pytest.mark.parametrize(
    ("forecasts", "ends"),
    [((1.0, 1.0, 0.0), 0.0), ((1.0, 1.0, -1.0), 0.0), ((1.0, 1.0, 0.5), 99.0), ((0.0, 0.0, 1.0), 0.0)],
    ids=["leave", "turn", "less", "enter"],
)
def test_to_leave_needs_no_estimate(engine: str, portfolio: InverseVol | VolTarget, forecasts: tuple, ends: float):
    """From the third decision on the volatility is not known: what was said then is done where it closes."""
    rows = 8
    market = market_of(columns_of(" | ".join(["100/100/100/100"] * rows)))
    graph = graph_of(
        market,
        strategy=GivenForecast(),
        portfolio=portfolio,
        risk=BARE,
        exchange=FREE,
        account=Account(cash=10_000.0, short=True),
    )
    spec = spec_of(graph, market)
    said = np.array([[fix(f) for f in (*forecasts, *[forecasts[-1]] * (rows - 3))]], np.int64)
    volatility = np.full((1, rows), FIX_NAN, np.int64)
    volatility[0, :2] = FIX // 100
    name = next(iter(portfolio.features()))
    result = run_engine(engine, spec, market, said, {name: volatility})
    assert result.final_positions[0] / UNIT == pytest.approx(ends, abs=1e-6)

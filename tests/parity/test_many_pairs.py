"""Markets so large that another thread marks the rows: the results of the engine that marks each row as it steps."""

import numpy as np
import pytest

from kraken_flow.core.account import View
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.node import node
from kraken_flow.core.run import execute
from kraken_flow.core.signal import compute
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.limit import LimitOrders
from kraken_flow.features import LogReturnStd
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.risk.position import PositionLimits, PositionRisk
from strategies.hold import Hold
from strategies.sma_cross import SmaCross
from tests.engines import RUST, WITHOUT_RUST, graph_of, run_engine, spec_of
from tests.hand_made import HOUR, T0
from tests.parity.same import assert_same

pytestmark = pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)

ROWS = 64_000
UNPROTECTED = PositionRisk(PositionLimits(stop_loss=None, take_profit=None))


def wide_market(seed: int, n_pairs: int = 8, first_row: int = 0, gaps: bool = False) -> Market:
    """Random walks at very different prices, the last of them beyond what the quick conversion to floats takes."""
    rng = np.random.default_rng(seed)
    pairs = []
    for k in range(n_pairs):
        level = 5e7 if k == n_pairs - 1 else 10.0 ** rng.integers(0, 5)
        ticks = np.round(level * np.exp(np.cumsum(rng.normal(size=ROWS) * 0.004)) * 100) + 1
        close = ticks.astype(np.int64) * 10**6
        state = np.full(ROWS, REAL, np.uint8)
        if gaps:
            state[rng.random(ROWS) < 0.01] = SYNTHETIC
            state[: 3 * k] = ABSENT
            state[3 * k] = REAL
            real = np.maximum.accumulate(np.where(state == REAL, np.arange(ROWS), 0))
            close = np.where(state == ABSENT, 0, close[real])
        open_ = np.where(state == REAL, np.concatenate((close[:1], close[:-1])), close)
        open_ = np.where((state == REAL) & (open_ == 0), close, open_)
        high, low = np.maximum(open_, close), np.minimum(open_, close)
        volume = np.where(state == REAL, 10**18, 0)
        pairs.append(PairColumns(f"{chr(65 + k)}/USD", open_, high, low, close, volume, state))
    return Market(HOUR, T0 + np.arange(ROWS) * HOUR, tuple(pairs), first_row)


CASES = {
    "weekly": {"strategy": Hold(), "portfolio": InverseVol(LogReturnStd(100), rebalance="7d", band=None)},
    "once": {"strategy": Hold(), "portfolio": InverseVol(LogReturnStd(100), rebalance=None, band=None)},
    "changing": {"strategy": SmaCross(20, 90, side="both"), "portfolio": FixedFraction(fraction=0.8, band=None)},
    "orders at rest": {
        "strategy": SmaCross(20, 300),
        "portfolio": FixedFraction(fraction=0.8, band=None),
        "execution": LimitOrders(offset_bps=20.0, timeout=5),
        "risk": PositionRisk(PositionLimits(stop_loss=0.05, take_profit=0.1)),
    },
    "drifting": {"strategy": Hold(), "portfolio": FixedFraction(fraction=0.5, band=0.2)},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("first_row", "gaps"), [(150, False), (777, True)])
def test_marks_made_beside_the_run_are_those_of_its_steps(name, first_row, gaps):
    market = wide_market(len(name), first_row=first_row, gaps=gaps)
    exchange = SpotExchange(name="bare", tick=0.01, fees={"maker_bps": 16.0, "taker_bps": 26.0})
    graph = graph_of(market, **({"exchange": exchange, "risk": UNPROTECTED} | CASES[name]))
    spec, signals = spec_of(graph, market), compute(graph, market)
    ours, theirs = (
        run_engine(engine, spec, market, signals.forecast_fix, signals.aux_fix) for engine in ("rust", "rust-steps")
    )
    assert len(ours.fills["row"]) > 0
    assert_same(ours, theirs)


@node
class Failing(InverseVol):
    """A portfolio in Python that fails half way."""

    kernel = None

    def targets(self, view: View) -> list[int | None]:
        if view.row > ROWS // 2:
            raise UserError("no more")
        return super().targets(view)


def test_a_run_that_fails_ends_the_thread_beside_it():
    market = wide_market(5)
    portfolio = Failing(LogReturnStd(100), rebalance="7d", band=None)
    graph = graph_of(market, strategy=Hold(), portfolio=portfolio, risk=UNPROTECTED)
    with pytest.raises(UserError, match="no more"):
        execute(graph, market, "rust")

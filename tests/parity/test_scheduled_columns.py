"""Columns computed at rebalance rows alone: the bits of whole columns, and only where no other row can be read."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core import twin
from kraken_flow.core.feature_grid import FeatureColumns
from kraken_flow.core.node import node
from kraken_flow.core.run import Outcome, execute
from kraken_flow.exchange.spot import SlippageModel, SpotExchange
from kraken_flow.execution.market import MarketOrders
from kraken_flow.features import LogReturnStd, RollingStd, Sma
from kraken_flow.native import native
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.portfolio.vol_target import VolTarget
from kraken_flow.risk.position import PositionLimits, PositionRisk
from strategies.hold import Hold
from strategies.sma_cross import SmaCross
from tests.engines import RUST, WITHOUT_RUST, graph_of, spec_of
from tests.parity.same import assert_same
from tests.signal_cases import FEATURES, random_market, same

pytestmark = pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)

IMPACT = SpotExchange(
    name="bare",
    tick=0.01,
    slippage=SlippageModel(model="sqrt_impact", sigma=LogReturnStd(5), volume=Sma("volume", 5)),
)
UNPROTECTED = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, trailing=None, max_bars=None))


@st.composite
def prices(draw):
    """Whole prices of a hostile market: standstills, jumps, now and then none or one that no float holds exactly."""
    n_rows = draw(st.integers(1, 700))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    jumps = np.cumsum(rng.normal(size=n_rows) * draw(st.sampled_from([0.0, 0.01, 0.4])))
    column = np.maximum(10.0 ** draw(st.integers(1, 13)) * np.exp(np.clip(jumps, -10, 10)), 1).astype(np.int64)
    column[: draw(st.integers(0, n_rows))] = column[0]
    if draw(st.booleans()):
        column[draw(st.integers(0, n_rows - 1))] = draw(st.sampled_from([0, -5, 2**60 + 12345]))
    return column


@settings(max_examples=300)
@given(prices(), st.integers(2, 30), st.integers(0, 1), st.integers(0, 300), st.integers(1, 400))
def test_a_volatility_at_some_rows_has_the_bits_of_the_whole_column(column, window, ddof, first, every):
    whole = np.empty((1, len(column)))
    some = np.full(len(range(first, len(column), every)), -1.0)
    given = ("log_return_std", (window, ddof), [column])
    native.run_feature_units(*given, whole)
    native.sample_feature_units(*given, first, every, some)
    assert same(some, whole[0, first::every])


@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize(("first", "every"), [(0, 7), (41, 300), (299, 5), (300, 5)])
@pytest.mark.parametrize("engine", [None, native], ids=["python", "rust"])
def test_every_feature_can_be_asked_for_at_some_rows(gaps, first, every, engine):
    rows = range(first, 300, every)
    market = random_market(300, 8, n_pairs=3, gaps=gaps)
    for source in ["close", *(feature for feature in FEATURES if len(feature.names) == 1)]:
        columns = FeatureColumns(market, engine)
        assert same(columns.table("it", source, rows), columns.table("it", source)[:, first::every]), source


def test_a_number_of_rows_that_does_not_fit_is_refused():
    column = np.arange(1, 50)
    with pytest.raises(ValueError, match="5 rows of 49 are asked for, not 4"):
        native.sample_feature_units("log_return_std", (3, 1), [column], 0, 10, np.empty(4))


def run(engine: str, first_row: int = 0, gaps: float = 0.0, **nodes: Any) -> Outcome:
    market = random_market(400, 3, n_pairs=3, gaps=gaps)
    object.__setattr__(market, "first_row", first_row)
    return execute(
        graph_of(market, **({"strategy": Hold(), "portfolio": weekly(), "risk": UNPROTECTED} | nodes)), market, engine
    )


def weekly(**fields: Any) -> InverseVol:
    return InverseVol(**({"volatility": LogReturnStd(9), "rebalance": "24h", "band": None} | fields))


@pytest.mark.parametrize(
    "nodes",
    [
        {},
        {"first_row": 23},
        {"first_row": 399},
        {"portfolio": weekly(rebalance=None), "first_row": 30},
        {"portfolio": weekly(volatility=RollingStd("close", 5))},
        {"portfolio": VolTarget(volatility=LogReturnStd(12), band=None), "first_row": 50},
        {"exchange": IMPACT},
    ],
    ids=str,
)
def test_a_run_with_columns_of_rebalance_rows_is_the_run_with_whole_columns(nodes):
    ours, theirs = run("rust", **nodes), run("python", **nodes)
    assert set(ours.signals.rows) == {"volatility"}
    assert not theirs.signals.rows
    assert_same(ours.result, theirs.result)


@node
class Own(InverseVol):
    """A portfolio without a twin: the engine asks it, and shows it its columns whenever it asks."""

    kernel = None


@node
class OwnOrders(MarketOrders):
    """An executor without a twin, which is shown all columns."""

    kernel = None


@pytest.mark.parametrize(
    "nodes",
    [
        {"portfolio": weekly(band=0.1)},
        {"strategy": SmaCross(3, 8)},
        {"gaps": 0.2},
        {"risk": PositionRisk(PositionLimits(stop_loss=0.02), rearm="next_bar")},
        {"portfolio": Own(volatility=LogReturnStd(9), band=None)},
        {"execution": OwnOrders()},
    ],
    ids=str,
)
def test_columns_are_whole_where_another_row_may_be_read(nodes):
    ours, theirs = run("rust", **nodes), run("python", **nodes)
    assert not ours.signals.rows
    assert_same(ours.result, theirs.result)


def test_a_row_that_a_column_does_not_hold_is_never_taken_for_another():
    market = random_market(100, 3, n_pairs=2)
    spec = spec_of(graph_of(market, strategy=Hold(), portfolio=weekly(rebalance="10h"), risk=UNPROTECTED), market)
    forecast, rows = np.ones((2, 100)), range(0, 100, 20)
    with pytest.raises(BaseException, match="row 10 is read of a column that holds the rows 0, 20"):
        twin.run(native, spec, market, forecast, {"volatility": np.full((2, 5), 0.1)}, rows={"volatility": rows})

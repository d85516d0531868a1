"""What the shipped strategies do, on markets small enough to follow."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from kraken_flow.core.signal import compute
from strategies.combined import Combined
from strategies.donchian_breakout import DonchianBreakout
from strategies.hold import Hold
from strategies.mean_reversion import MeanReversion
from strategies.momentum import Momentum
from strategies.sma_cross import SmaCross
from tests.signal_cases import ENGINES, graph
from tests.unit.features.test_signal import market

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def held(strategy, *closes, engine):
    return compute(graph(strategy), market(*closes), engine).forecast.tolist()


def test_sma_cross_enters_on_a_crossing_only(engine):
    closes = [1, 2, 3, 4, 3, 2, 1, 2, 3, 4]
    assert held(SmaCross(1, 2), closes, engine=engine) == [[0, 0, 0, 0, 0, 0, 0, 1, 1, 1]]
    assert held(SmaCross(1, 2, side="both"), closes, engine=engine) == [[0, 0, 0, 0, -1, -1, -1, 1, 1, 1]]


@pytest.mark.parametrize("strategy", [SmaCross(1, 2), Combined(members={"cross": SmaCross(1, 2)})])
def test_a_crossing_before_the_start_is_no_reason_to_enter(strategy, engine):
    """However many bars other nodes ask for before the start, a strategy begins at the start."""
    closes = [2, 1, 2, 3, 4, 3, 2, 3]
    assert held(strategy, closes, engine=engine) == [[0, 0, 1, 1, 1, 0, 0, 1]]
    late = replace(market(closes), first_row=4)
    assert compute(graph(strategy), late, engine).forecast.tolist() == [[0, 0, 0, 0, 0, 0, 0, 1]]


def test_mean_reversion_fades_and_leaves(engine):
    closes = [10, 10.1, 9.9, 10, 8, 9.5, 10, 12]
    assert held(MeanReversion(4, 1.2, 0.9), closes, engine=engine)[0] == [0, 0, 0, 0, 1, 0, 0, -1]


def test_momentum_follows_the_sign_of_the_change(engine):
    closes = [100, 103, 103.5, 100, 100]
    assert held(Momentum(1, 2.0), closes, engine=engine)[0] == [0, 1, 0, -1, 0]
    assert held(Momentum(1, 2.0, side="long"), closes, engine=engine)[0] == [0, 1, 0, 0, 0]


def test_ranked_momentum_holds_the_strongest_against_the_weakest(engine):
    rows = held(Momentum(1, ranked=True), [1, 2, 2], [1, 1.5, 3], [1, 1, 4], engine=engine)
    assert rows == [[0, 1, -1], [0, 0, 0], [0, -1, 1]]


def test_a_breakout_is_a_close_beyond_the_bars_before(engine):
    closes = [10, 11, 10, 11, 12, 11.5, 11, 10.9]
    assert held(DonchianBreakout(3, 2), closes, engine=engine)[0] == [0, 0, 0, 0, 1, 1, 0, 0]
    assert held(DonchianBreakout(3, 2, side="both"), closes, engine=engine)[0] == [0, 0, 0, 0, 1, 1, 1, -1]


def test_hold_is_long_from_the_first_bar(engine):
    assert held(Hold(), [None, 1, None, 2], [1, 1, 1, 1], engine=engine) == [[0, 1, 1, 1], [1, 1, 1, 1]]


def test_a_pool_is_the_weighted_mean_of_what_its_members_hold(engine):
    members = {"always": Hold(), "cross": SmaCross(1, 2, side="both")}
    closes = [1, 2, 1, 2, None]
    assert held(Combined(members=members), closes, engine=engine)[0] == [0.5, 0.5, 0, 1, 1]
    assert held(Combined(members=members, weights={"cross": 3}), closes, engine=engine)[0] == [0.25, 0.25, -0.5, 1, 1]
    assert held(Combined(members=members, weights={"cross": 0}), closes, engine=engine)[0] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SmaCross(30, 10), r"fast \(30\) must be below slow \(10\)"),
        (lambda: MeanReversion(20, 1.0, 1.0), r"exit \(1\) must be below entry \(1\)"),
        (lambda: DonchianBreakout(10, 20), r"exit \(20\) must not be above entry \(10\)"),
        (lambda: Combined(weights={"nobody": 1}), "weights name nobody; the members are donchian_breakout"),
        (lambda: Combined(members={"a": Hold()}, weights={"a": 0}), "no member has a weight above 0"),
        (lambda: Combined(members={}), "no member has a weight above 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, message, engine):
    with pytest.raises(ValidationError, match=message):
        make()

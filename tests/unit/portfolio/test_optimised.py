"""The node around the optimiser: which bars it sees, when, what becomes of the weights, and what it refuses."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from kraken_flow.app import main
from kraken_flow.core import optimisation
from kraken_flow.core.account import View
from kraken_flow.core.allocation import Allocation, Weights, weight_column
from kraken_flow.core.market import REAL, Market
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.signal import required_lookback
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.times import parse_timeframe
from kraken_flow.core.units import CASH_UNIT, FIX, FIX_NAN, UNIT, fix
from kraken_flow.exchange.account import Account
from kraken_flow.features import Covariance
from kraken_flow.portfolio.correlation_limits import CorrelationLimits
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.optimised import MarketView, Optimised
from kraken_flow.risk.position import PositionLimits, PositionRisk
from strategies.hold import Hold
from strategies.sma_cross import SmaCross
from tests.engines import ENGINES, graph_of
from tests.parity.same import assert_same
from tests.signal_cases import random_market

HOUR = parse_timeframe("1h")
FREE = PositionRisk(PositionLimits(stop_loss=None, take_profit=None, max_fraction=None))
OBJECTIVES = ["min_variance", "mean_variance", "risk_parity", "hrp", "max_diversification", "cvar", "black_litterman"]
SKFOLIO = pytest.mark.skipif(find_spec("skfolio") is None, reason="skfolio is not installed")


def first_returns(returns, columns, previous):
    """A solver that tells what it was given: the sum of each pair's returns."""
    return returns.sum(axis=0)


def changed(market: Market, row: int) -> Market:
    """The market with other closes from a row on."""
    pairs = []
    for number, pair in enumerate(market.pairs):
        close = pair.close.copy()
        close[row:] = close[row:] * (number + 2)
        pairs.append(replace(pair, close=close))
    return replace(market, pairs=tuple(pairs))


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@seed(1)
@given(st.integers(0, 99), st.integers(3, 9), st.integers(0, 5), st.integers(1, 7), st.integers(0, 20))
def test_weights_read_what_was_known_and_nothing_purged(number, window, purge, every, first):
    """Row t of the column does not move with closes after t - purge, and does with those before."""
    market = replace(random_market(60, number, n_pairs=3, gaps=0.05), first_row=first)
    allocation = Allocation(window, purge, every, first_returns)
    whole = weight_column(allocation, market)
    cut = 40
    other = weight_column(allocation, changed(market, cut))
    np.testing.assert_array_equal(whole[:, : cut + purge], other[:, : cut + purge])
    assert np.isnan(whole[:, :first]).all()
    # The schedule counts from the first decision.
    moves = [
        row for row in range(first + 1, 60) if not np.array_equal(whole[:, row], whole[:, row - 1], equal_nan=True)
    ]
    begun = [row for row in moves if not np.isnan(whole[:, row - 1]).all()]
    assert all((row - first) % every == 0 for row in begun)


def test_weights_by_hand():
    market = replace(random_market(30, 4, n_pairs=2), first_row=12)
    table = weight_column(Allocation(5, 2, 4, first_returns), market)
    for row, decided in ((12, 12), (15, 12), (16, 16), (29, 28)):
        for p, pair in enumerate(market.pairs):
            closes = pair.floats("close")[decided - 2 - 5 : decided - 2 + 1]
            assert table[p, row] == pytest.approx((closes[1:] / closes[:-1] - 1).sum())


def test_a_pair_without_its_bars_takes_no_part():
    weights = Weights(Allocation(9, 0, 1, first_returns), 3)
    closes = np.cumprod(1 + np.random.default_rng(0).normal(0, 0.01, (10, 3)), axis=0)
    closes[:2, 0] = np.nan
    closes[4, 1] = np.nan
    closes[:, 2] = 5.0
    for row in closes[:-1]:
        weights.update(row, asked=False)
    weights.update(closes[-1], asked=True)
    kept = np.delete(closes[:, 1], 4)
    assert np.isnan(weights.value[0])
    assert weights.value[1] == pytest.approx((kept[1:] / kept[:-1] - 1).sum())
    assert np.isnan(weights.value[2])


def test_where_no_weights_are_found_those_before_stand():
    answers = [np.array([0.4, 0.6]), None, np.array([0.1, 0.9])]
    weights = Weights(Allocation(3, 0, 1, lambda *_: answers.pop(0)), 2)
    closes = np.cumprod(1 + np.random.default_rng(0).normal(0, 0.01, (6, 2)), axis=0)
    for row in closes[:3]:
        weights.update(row, asked=False)
    seen = []
    for row in closes[3:]:
        weights.update(row, asked=True)
        seen.append(weights.value.tolist())
    assert seen == [[0.4, 0.6], [0.4, 0.6], [0.1, 0.9]]


def view(weights: list[float], forecasts: list[float], leverage: float = 1.0) -> View:
    state = View(len(weights), round(leverage * UNIT), 0, FIX)
    state.equity = 10_000 * CASH_UNIT
    state.price = [100 * UNIT] * len(weights)
    state.forecast = [fix(f) for f in forecasts]
    state.aux = {"weight": [FIX_NAN if w != w else fix(w) for w in weights]}
    return state


def test_targets_are_budget_times_weight_times_forecast():
    node = Optimised(fraction=0.5)
    assert node.targets(view([0.25, 0.75, float("nan")], [1.0, -0.5, 1.0])) == [
        round(12.5 * UNIT),
        -round(18.75 * UNIT),
        None,
    ]
    # A short weight turns the forecast; sizes above what the account allows are cut alike.
    long, short = node.targets(view([1.2, -0.2], [1.0, 1.0]))
    assert (long, short) == (60 * UNIT, -10 * UNIT)
    long, short = Optimised().targets(view([1.5, -0.5], [1.0, 1.0]))
    assert long + abs(short) <= 99 * UNIT
    assert long == pytest.approx(-3 * short, abs=3)


def test_what_is_held_of_a_pair_without_a_weight_is_not_divided_again():
    state = view([1.0, float("nan")], [1.0, 1.0])
    state.position[1] = 30 * UNIT
    assert Optimised().targets(state) == [69 * UNIT, None]


@SKFOLIO
def test_the_look_back_is_loaded():
    market = random_market(40, 1, n_pairs=2)
    graph = graph_of(market, strategy=Hold(), portfolio=Optimised(window=30, purge=4))
    assert required_lookback(graph) == 34
    around = CorrelationLimits(sizer=Optimised(window=30), covariance=Covariance(5))
    assert required_lookback(graph_of(market, strategy=Hold(), portfolio=around)) == 30


@SKFOLIO
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_session_trades_as_a_backtest_does(objective, engine):
    market = replace(random_market(120, 5, n_pairs=3, gaps=0.03), first_row=25)
    views = {"a": MarketView(pair=market.names[0], annual_return=0.5)} if objective == "black_litterman" else {}
    cost = 0.0 if objective in optimisation.WITHOUT_COST else 20.0
    portfolio = Optimised(objective, window=20, purge=1, rebalance="12h", turnover_cost_bps=cost, views=views)
    graph = graph_of(
        market, strategy=SmaCross(fast=3, slow=8), portfolio=portfolio, risk=FREE, account=Account(cash=1e5)
    )
    graph = replace(graph, start=int(market.times[25]))
    whole = execute(graph, market, engine)
    assert len(whole.result.fills["pair"]) > 5
    steady, late = Session(graph, tape_of(market), engine), Session(graph, tape_of(market), engine)
    tape = list(instants(market))
    for instant in tape:
        steady.take(instant)
    for _ in late.catch_up(tape[:70]):
        pass
    for instant in tape[70:]:
        late.take(instant)
    assert_same(whole.result, steady.outcome().result)
    assert_same(whole.result, late.outcome().result)


@SKFOLIO
def test_least_variance_holds_what_the_closed_form_says():
    """Unconstrained weights of the last rebalance, from the fills alone."""
    market = replace(random_market(90, 8, n_pairs=2), first_row=60)
    portfolio = Optimised(window=60, rebalance="7d", min_weight=-5, max_weight=5, band=None, fraction=0.1)
    graph = graph_of(market, strategy=Hold(), portfolio=portfolio, risk=FREE, account=Account(cash=1e4, short=True))
    done = execute(graph, market, "python")
    closes = np.array([pair.floats("close")[:61] for pair in market.pairs])
    assert all((pair.state == REAL).all() for pair in market.pairs)
    inverse = np.linalg.inv(np.cov(closes[:, 1:] / closes[:, :-1] - 1))
    weights = inverse.sum(axis=1) / inverse.sum()
    fills = done.result.fills
    value = np.zeros(2)
    for pair, side, qty in zip(fills["pair"], fills["side"], fills["qty"], strict=True):
        value[pair] += int(side) * int(qty) / 1e8 * closes[pair, 60]
    assert value / 1e3 == pytest.approx(weights, abs=2e-3)


REFUSED = {
    "portfolio.objective=least": "must be min_variance, mean_variance",
    "portfolio.window=5": "portfolio.window=5: must be",
    "portfolio.purge=-1": "portfolio.purge=-1: must be",
    "portfolio.rebalance=soon": "portfolio.rebalance: 'soon' is not a duration",
    "portfolio.min_weight=0.3": "8 pairs would weigh more than 1 together; use 0.125 at most",
    "portfolio.max_weight=0": "portfolio.max_weight=0: must be",
    "portfolio.covariance=robust": "must be sample, shrunk",
    "portfolio.min_weight=0.1 portfolio.max_weight=0.05": "must be at most portfolio.max_weight=0.05",
    "portfolio.objective=hrp portfolio.min_weight=-1": "has no short positions",
    "portfolio.objective=risk_parity portfolio.turnover_cost_bps=5": "has no return to weigh a cost against",
    "portfolio.views.a.pair=BTC/USD portfolio.views.a.annual_return=0.1": "use portfolio.objective=black_litterman",
    "portfolio.objective=black_litterman portfolio.views.a.pair=BTC/US portfolio.views.a.annual_return=0.1": (
        "portfolio.views.a.pair=BTC/US: is none of the system's pairs"
    ),
    "portfolio.objective=black_litterman portfolio.market_weights={BTC/USD: 0}": "one of them must be above 0",
}


@SKFOLIO
@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [words] if "{" in words and " portfolio" not in words else words.replace(" portfolio", "\nportfolio")
    given = given.split("\n") if isinstance(given, str) else given
    code = main(["mode=backtest", "strategy=hold", "portfolio=optimised", "start=2021-01-01", "end=2021-01-05", *given])
    told = capsys.readouterr().err
    assert code == 2
    assert REFUSED[words] in told
    assert "Traceback" not in told


@pytest.mark.parametrize("words", [["mode=backtest", "portfolio=optimised"], ["mode=paper", "portfolio=optimised"]])
def test_without_the_library_it_says_what_to_install(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optimisation, "find_spec", lambda name: None)
    code = main([*words, "strategy=hold", "start=2021-01-01", "end=2021-01-05"])
    assert code == 2
    assert 'pip install --editable ".[optimise]"' in capsys.readouterr().err


def test_other_portfolios_have_no_weights():
    assert FixedFraction().allocation(["BTC/USD"], HOUR) is None

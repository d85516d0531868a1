"""The benchmarks compare equal results: small sizes, without numba or the other engines."""

import numpy as np
import pytest

from kraken_flow.core.orders import Reason
from tests.bench import graphs, loops, market, paper, plain, risk_check, terms
from tests.engines import ENGINES

BARS = 3000
LIMITS = ((0.01, 0.012, 0.005), (0.001, 0.002, 0.05), (0.9, 0.003, 0.0015))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plain_run_equals_the_loop(engine: str) -> None:
    run = plain.whole(graphs.plain(), market.single(BARS), engine)
    assert len(run.trips) > 20
    checks = plain.same("loop", run, plain.loop_plain(market.candles(BARS)))
    assert all(check.equal for check in checks), checks


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("limits", LIMITS)
def test_stops_equal_the_loop_of_our_rules(engine: str, limits: tuple[float, float, float]) -> None:
    run = plain.whole(graphs.protected(*limits), market.single(BARS), engine)
    checks = plain.same("loop", run, plain.loop_stops(market.candles(BARS), *limits))
    assert all(check.equal for check in checks), checks


def test_every_kind_of_exit_takes_part() -> None:
    reasons = set()
    for limits in LIMITS:
        result = plain.whole(graphs.protected(*limits), market.single(BARS), "python").result
        reasons |= {Reason(code) for code in result.orders["reason"][result.fills["order"]].tolist()}
    assert {Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP, Reason.EXIT_SIGNAL} <= reasons


def test_the_integers_of_a_book_s_risk_are_those_of_floats() -> None:
    assert all(check.equal for check in risk_check.section(50, 1).checks)


def test_limits_far_away_change_nothing() -> None:
    far = plain.whole(graphs.far_limits(), market.single(BARS), "python")
    assert far.final_equity == plain.whole(graphs.plain(), market.single(BARS), "python").final_equity


def test_weekly_weights_equal_a_direct_calculation() -> None:
    """Sells before buys, targets of equity at the close before the fills, fee on what is traded."""
    prices = market.closes(3, terms.FIRST_REBALANCE + 3 * terms.WEEK)
    run = plain.whole(graphs.inverse_vol(3), market.many(prices, terms.FIRST_REBALANCE), "python")
    cash, held = float(terms.CASH), np.zeros(3)
    for row in range(terms.FIRST_REBALANCE, prices.shape[1], terms.WEEK):
        returns = np.diff(np.log(prices[:, row - terms.WINDOW : row + 1]), axis=1)
        inverse = 1.0 / returns.std(axis=1)
        equity = cash + held @ prices[:, row]
        wanted = equity * (1.0 - terms.BUFFER) * inverse / inverse.sum() / prices[:, row]
        cash -= (wanted - held) @ prices[:, row] + np.abs(wanted - held) @ prices[:, row] * terms.FEE
        held = wanted
    assert len(run.result.orders["pair"]) == 9
    assert run.final_equity / 1e16 == pytest.approx(cash + held @ prices[:, -1], abs=0.005)


def test_the_market_is_the_same_every_time_and_lies_on_its_grid() -> None:
    first, second = market.candles(500), market.candles(500)
    for name, values in first.items():
        assert np.array_equal(values, second[name])
        assert np.array_equal(values, np.round(values, 4))
    assert (first["low"] <= np.minimum(first["open"], first["close"])).all()
    assert (first["high"] >= np.maximum(first["open"], first["close"])).all()


def test_the_loops_count_an_open_position_as_a_trade() -> None:
    rising = np.concatenate([np.linspace(20.0, 10.0, 60), np.linspace(10.0, 30.0, 60)])
    final, trades, _ = loops.plain_loop(rising, rising, 3, 5, 0.0, 100.0, 1.0)
    assert trades == 1
    assert final > 100.0


def test_a_paper_session_ends_alike_with_a_journal_without_one_and_after_a_restart() -> None:
    made = paper.section(1500, 1)
    assert all(check.equal for check in made.checks)
    assert made.checks[0].ours != 10_000.0

"""Stress tests against the worked numbers of the specification, and laws that any book obeys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis.stress import (
    Book,
    Isolated,
    correlated,
    correlation_shock,
    deviation,
    distance_to_liquidation,
    instantaneous,
    liquidation_moves,
    walk,
    worst_row,
)

G_BOOK = Book(np.array([0.5 * 60_000, 10 * 3_000.0]), 20_000.0)
SIGMA = np.array([0.6, 0.8, 1.0])
CORRELATION = np.array([[1.0, 0.8, 0.6], [0.8, 1.0, 0.7], [0.6, 0.7, 1.0]])
MOVES = st.floats(-0.99, 2.0)
BOOKS = st.builds(
    Book,
    st.lists(st.floats(0, 1e6), min_size=2, max_size=2).map(np.array),
    st.floats(1.0, 1e6),
)


@pytest.mark.parametrize(
    ("shocks", "loss", "share"),
    [
        ((-0.523, -0.55), -32_190, -0.402375),
        ((-0.30, -0.45), -22_500, -0.28125),
        ((-0.15, -0.21), -10_800, -0.135),
        ((-0.224, -0.244), -14_040, -0.1755),
    ],
)
def test_the_book_of_the_specification(shocks, loss, share):
    found = walk(G_BOOK, instantaneous(shocks), maintenance=0.01)
    assert found.final - G_BOOK.equity == pytest.approx(loss, rel=1e-12)
    assert found.change == pytest.approx(share, rel=1e-12)
    assert found.drawdown == found.change
    assert not found.liquidated


@pytest.mark.parametrize(("leverage", "move"), [(2, -0.494949), (3, -0.326599), (5, -0.191919), (10, -0.090909)])
def test_the_move_that_liquidates(leverage, move):
    distance = distance_to_liquidation(leverage, 0.01)
    assert distance == pytest.approx(move, abs=5e-7)
    book = Book(np.array([leverage * 100.0]), 100.0 - leverage * 100.0)
    assert not walk(book, instantaneous([distance + 1e-6]), maintenance=0.01).liquidated
    assert walk(book, instantaneous([distance - 1e-6]), maintenance=0.01).liquidated


def test_a_long_without_debt_is_never_liquidated():
    assert distance_to_liquidation(1.0, 0.01) is None
    assert not walk(Book(np.array([100.0]), 0.0), instantaneous([-0.999]), maintenance=0.05).liquidated


def test_correlations_that_move_toward_one():
    weights = np.full(3, 1 / 3)
    assert deviation(weights, SIGMA, CORRELATION) == pytest.approx(0.71554175, rel=1e-7)
    assert deviation(weights, SIGMA, correlation_shock(CORRELATION, 0.5)) == pytest.approx(0.75894664, rel=1e-7)


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.floats(0, 1))
def test_a_shocked_correlation_stays_one(numbers, toward):
    columns = np.array(numbers).reshape(3, 3) + np.eye(3) * 1e-3
    columns /= np.linalg.norm(columns, axis=0) + 1e-12
    correlation = columns.T @ columns
    shocked = correlation_shock(correlation, toward)
    assert np.linalg.eigvalsh(shocked).min() > -1e-9
    weights = np.array([1.0, 2.0, 0.5])
    assert deviation(weights, SIGMA, shocked) >= deviation(weights, SIGMA, correlation) - 1e-9


@given(BOOKS, MOVES, MOVES)
def test_the_end_of_an_unlevered_book_is_its_worth(book, a, b):
    found = walk(book, instantaneous([a, b]))
    assert found.final == pytest.approx(book.cash + book.values @ (1 + np.array([a, b])), rel=1e-9)
    assert -1 <= found.drawdown <= 0
    assert found.change >= found.drawdown - 1e-12


@given(BOOKS, st.lists(st.tuples(MOVES, MOVES), min_size=1, max_size=6), st.floats(0.1, 10))
def test_shares_do_not_depend_on_the_size_of_the_account(book, path, factor):
    closes = np.array(path)
    one, more = walk(book, closes), walk(Book(book.values * factor, book.cash * factor), closes)
    assert more.change == pytest.approx(one.change, rel=1e-6, abs=1e-9)
    assert more.drawdown == pytest.approx(one.drawdown, rel=1e-6, abs=1e-9)


@given(BOOKS, st.lists(st.tuples(MOVES, MOVES), min_size=1, max_size=6), st.floats(0, 0.3), st.floats(-1, 0))
def test_costs_and_depegs_only_hurt(book, path, exit_cost, quote):
    closes = np.array(path)
    plain = walk(book, closes)
    assert walk(book, closes, exit_cost=exit_cost).final <= plain.final + 1e-9
    assert walk(book, closes, quote=quote).final <= plain.final + 1e-9
    assert walk(book, closes, closes - 0.01).drawdown <= plain.drawdown + 1e-12


def test_a_path_falls_from_its_height():
    found = walk(Book(np.array([100.0]), 0.0), np.array([[0.5], [-0.25], [0.2]]))
    assert found.final == pytest.approx(120)
    assert found.drawdown == pytest.approx(75 / 150 - 1)


def test_liquidation_ends_the_path():
    book = Book(np.array([300.0]), -200.0)
    found = walk(book, np.array([[-0.4], [5.0]]), maintenance=0.01)
    assert found.liquidated
    assert found.final == pytest.approx(-20)


def test_a_short_suffers_from_a_rise():
    book = Book(np.array([-100.0]), 200.0)
    assert walk(book, instantaneous([0.5])).change == pytest.approx(-0.5)
    assert walk(book, instantaneous([1.0]), maintenance=0.01).liquidated


def test_the_worst_row_is_that_of_the_largest_share():
    values = np.array([[100.0, 50.0, -80.0], [0.0, 0.0, 0.0]])
    equity = np.array([400.0, 100.0, 1000.0])
    assert worst_row(values, equity, np.array([-0.5, 0.0]), np.array([0.5, 0.0])) == 1
    assert worst_row(values, np.array([400.0, -1.0, 50.0]), np.array([-0.5, 0.0]), np.array([0.5, 0.0])) == 2


def test_a_book_of_one_asset_has_no_correlation_to_shock():
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.01, (2, 500))
    single = Book(np.array([100.0, 0.0]), 0.0)
    calm, shocked = (correlated(single, returns, toward, 1.0).change for toward in (0.0, 1.0))
    assert calm == pytest.approx(shocked)
    both = Book(np.array([50.0, 50.0]), 0.0)
    assert correlated(both, returns, 1.0, 1.0).change < correlated(both, returns, 0.0, 1.0).change


def test_a_book_without_equity_has_nothing_to_lose():
    with pytest.raises(ValueError, match="nothing to lose"):
        walk(Book(np.array([100.0]), -100.0), instantaneous([0.1]))


ISOLATED = [(2, -0.494949), (3, -0.326599), (5, -0.191919), (10, -0.090909)]


def alone(values, backing, at_bankruptcy=True, cash=1000.0, inverse=None):
    values = np.array(values, float)
    isolated = Isolated(np.array(backing, float), 0.01, at_bankruptcy)
    return Book(values, cash - float(values.sum()), isolated, inverse)


@pytest.mark.parametrize(("leverage", "move"), ISOLATED)
def test_an_isolated_position_is_liquidated_where_the_specification_says_and_costs_its_margin(leverage, move):
    book = alone([100.0 * leverage, 50.0], [100.0, 50.0])
    assert liquidation_moves(book, book.isolated)[0] == pytest.approx(move, abs=5e-7)
    held = walk(book, instantaneous([move + 1e-6, 0.1]))
    assert (held.liquidated, held.positions) == (False, ())
    assert held.final == pytest.approx(1000.0 + 100.0 * leverage * move + 5.0, abs=1e-2)
    for further in (move - 1e-6, -0.9):
        gone = walk(book, instantaneous([further, 0.1]))
        assert (gone.liquidated, gone.positions) == (True, (0,))
        assert gone.final == pytest.approx(1000.0 - 100.0 + 5.0)
    at_mark = walk(alone([100.0 * leverage, 50.0], [100.0, 50.0], at_bankruptcy=False), instantaneous([-0.9, 0.1]))
    assert at_mark.final == pytest.approx(1000.0 + 100.0 * leverage * distance_to_liquidation(leverage, 0.01) + 5.0)


def test_an_isolated_position_that_is_gone_does_not_come_back_with_its_price():
    book = alone([300.0, -200.0], [100.0, 100.0])
    closes = np.array([[-0.2, -0.2], [0.1, 0.1], [0.0, 0.0]])
    lows_and_highs = np.array([[-0.4, 0.0], [0.1, 0.1], [0.0, 0.0]])
    found = walk(book, closes, lows_and_highs, exit_cost=0.1)
    assert found.positions == (0,)
    assert found.final == pytest.approx(1000.0 - 100.0 - 20.0)
    assert found.drawdown == pytest.approx((1000.0 - 100.0 - 20.0) / 1000.0 - 1)


def test_the_short_and_the_inverse_contracts_of_the_specification():
    # S22: one at 50,000, ten times: a long goes at 45,454.545455, a short at 54,455.445545.
    moves = liquidation_moves(book := alone([50_000.0, -50_000.0, 0.0], [5_000.0, 5_000.0, 0.0]), book.isolated)
    assert moves[:2] == pytest.approx([45_454.545455 / 50_000 - 1, 54_455.445545 / 50_000 - 1], abs=1e-9)
    assert np.isinf(moves[2])
    inverse = alone([2.0, -2.0, 2.0], [0.5, 0.5, 2.0], inverse=np.array([True, True, True]), cash=10.0)
    for p, move in enumerate(liquidation_moves(inverse, inverse.isolated).tolist()):
        size = 2.0 / (1 + move)
        left = inverse.isolated.backing[p] + inverse.values[p] * move / (1 + move)
        assert left == pytest.approx(0.01 * size)


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0.0, 1e4)), min_size=1, max_size=4),
    st.lists(st.lists(MOVES, min_size=4, max_size=4), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_isolated_book_loses_more_than_its_margins(positions, path, at_bankruptcy):
    values, backing = (np.array(column) for column in zip(*positions, strict=True))
    book = alone(values, backing, at_bankruptcy, cash=float(backing.sum()) + 1.0)
    moves = np.array(path)[:, : len(values)]
    found = walk(book, moves)
    # Between two moments a price may pass the liquidation by less than the maintenance leaves.
    assert found.final >= 1.0 - 1e-6
    assert found.drawdown >= -1.0
    alone_row = worst_row(values[:, None], np.array([book.equity]), moves[0], moves[0], backing=backing[:, None])
    assert alone_row == 0

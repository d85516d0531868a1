import pytest

from kraken_flow.analysis.excursion import excursions
from tests.hand_made import BARS_A, fill, finished, market, pair_columns

SPEC = [(100, 101, 99, 100), (100, 104, 96.5, 103), (103, 106.5, 102, 105), (105, 105, 105, 105), (105, 120, 80, 105)]


def run_of(bars, *fills):
    run = finished(market(pair_columns("BTC/USD", bars)), fills)
    mae, mfe = excursions(run.trades, run.result.fills, run.market)
    return mae.tolist(), mfe.tolist()


def test_lows_and_highs_while_open():
    mae, mfe = run_of(SPEC, fill(1, 1, "1", "100"), fill(3, -1, "1", "105"))
    assert mae == [pytest.approx(-0.035)]
    assert mfe == [pytest.approx(0.065)]


def test_a_short_turns_them_round():
    mae, mfe = run_of(SPEC, fill(1, -1, "1", "100"), fill(3, 1, "1", "105"))
    assert mae == [pytest.approx(-0.065)]
    assert mfe == [pytest.approx(0.035)]


def test_an_entry_inside_the_bar_has_seen_its_close_only():
    mae, mfe = run_of(SPEC, fill(1, 1, "1", "100", open_phase=0), fill(2, -1, "1", "103"))
    assert mae == [0.0]
    assert mfe == [pytest.approx(0.03)]


def test_an_exit_inside_the_bar_has_seen_its_open_and_its_price():
    mae, mfe = run_of(SPEC, fill(3, 1, "1", "105"), fill(4, -1, "1", "101.85", open_phase=0))
    assert mae == [pytest.approx(-0.03)]
    assert mfe == [0.0]


def test_in_and_out_of_one_bar():
    mae, mfe = run_of(SPEC, fill(1, 1, "1", "100"), fill(1, -1, "1", "97", open_phase=0))
    assert mae == [pytest.approx(-0.03)]
    assert mfe == [0.0]


def test_the_last_row_ends_a_trip():
    mae, mfe = run_of(BARS_A, fill(0, 1, "1", "100"), fill(4, -1, "1", "103.4"))
    assert (mae, mfe) == ([pytest.approx(-0.01)], [pytest.approx(0.04)])

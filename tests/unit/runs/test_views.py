"""A run as frames, returns and a loaded run: equal to its exact tables, to its metrics, and to plain sums."""

import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import quantstats

from kraken_flow import LoadedRun, backtest, load_run
from kraken_flow.core.errors import UserError
from kraken_flow.runs.views import RunView

WORDS = ["strategy=combined", "timeframe=4h", "risk=research", "start=2021-02-01", "end=2021-07-01"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "one"


@pytest.fixture(scope="module")
def made(folder):
    return backtest(WORDS, run_dir=folder)


@pytest.fixture(scope="module")
def loaded(made, folder):
    return load_run(folder)


@pytest.fixture(params=["made", "loaded"])
def view(request):
    found: RunView = request.getfixturevalue(request.param)
    return found


def test_frames_are_floats_by_utc_time(view):
    frames = view.to_pandas()
    for name, frame in frames._asdict().items():
        assert isinstance(frame.index, pd.DatetimeIndex), name
        assert str(frame.index.tz) == "UTC", name
        assert not [column for column in frame if frame[column].map(type).eq(Decimal).any()]
    assert frames.equity.index.is_monotonic_increasing
    assert (frames.equity.index == frames.positions.index).all()
    assert list(frames.positions) == list(view.pairs)


def test_frames_say_what_the_exact_tables_say(view):
    frames = view.to_pandas()
    for name in ("orders", "fills", "trades", "equity"):
        exact, floats = getattr(view, name), getattr(frames, name)
        assert len(exact) == len(floats) > 0
        for column in floats:
            values = exact[column]
            if floats[column].dtype == float:
                np.testing.assert_array_equal(floats[column].to_numpy(), values.astype(float).to_numpy())
            else:
                assert (floats[column].to_numpy() == values.to_numpy()).all()
    assert (frames.trades.index == view.trades["exit_time"]).all()


def test_positions_are_the_running_sum_of_fills(view):
    positions = view.to_pandas().positions
    last = {pair: float(view.metrics["final_positions"].get(pair, 0)) for pair in view.pairs}
    assert positions.iloc[-1].to_dict() == last
    signed = view.fills["qty"].astype(float) * view.fills["side"].map({"buy": 1, "sell": -1})
    for at in positions.index[:: len(positions) // 17]:
        before = view.fills["bar"] < at
        held = signed[before].groupby(view.fills["pair"][before]).sum()
        for pair in view.pairs:
            assert positions.loc[at, pair] == pytest.approx(held.get(pair, 0.0), abs=1e-9)
    gross = (positions.abs() > 0).any(axis=1)
    assert (view.to_pandas().equity["exposure"][~gross] == 0).all()


def test_a_fee_in_the_coin_is_taken_off_the_position():
    run = backtest([*WORDS, "exchange.fees.currency=base"])
    held = run.to_pandas().positions.iloc[-1]
    assert held.to_dict() == {pair: float(run.metrics["final_positions"].get(pair, 0)) for pair in run.pairs}


def test_returns_give_the_ratios_of_the_metrics(view):
    returns = view.returns()
    assert returns.index.tz is None
    assert (returns.index == returns.index.normalize()).all()
    assert returns.index.is_unique
    assert returns.mean() / returns.std() * math.sqrt(365) == pytest.approx(view.metrics["sharpe"], rel=1e-12)
    downside = math.sqrt((returns.clip(upper=0) ** 2).mean())
    assert returns.mean() / downside * math.sqrt(365) == pytest.approx(view.metrics["sortino"], rel=1e-12)
    assert (1 + returns).prod() - 1 == pytest.approx(view.metrics["total_return"], rel=1e-9)
    days = view.equity.assign(day=(view.equity["time"] - pd.Timedelta(1, "ns")).dt.date).groupby("day")["equity"].last()
    np.testing.assert_allclose((1 + returns).cumprod() * view.start_equity, days, rtol=1e-12)
    assert list(returns.index.date) == list(days.index)


def test_returns_of_weekly_bars_are_one_a_bar():
    run = backtest(["strategy=hold", "pairs=[BTC/USD]", "timeframe=1w", "risk=research"])
    assert len(run.returns()) == len(run.equity)


def test_quantstats_takes_the_returns(made):
    returns = made.returns()
    for name, value in (("sharpe", "sharpe"), ("sortino", "sortino")):
        assert getattr(quantstats.stats, name)(returns, periods=365) == pytest.approx(made.metrics[value], rel=1e-9)
    assert quantstats.stats.comp(returns) == pytest.approx(made.metrics["total_return"], rel=1e-9)


def test_a_loaded_run_is_the_run_that_was_made(made, loaded):
    assert isinstance(loaded, LoadedRun)
    assert repr(loaded).startswith("<backtest of combined in ")
    assert loaded.metrics == made.metrics
    assert (loaded.pairs, loaded.start_equity, loaded.run_dir) == (
        made.pairs,
        made.start_equity,
        made.run_dir.absolute(),
    )
    assert loaded.manifest["status"] == "finished"
    for one, other in zip(made.to_pandas(), loaded.to_pandas(), strict=True):
        pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_series_equal(made.returns(), loaded.returns())
    assert (loaded.market.times == made.market.times).all()


def test_candles_that_are_others_today_are_refused(made, tmp_path):
    again = backtest(WORDS, run_dir=tmp_path / "run")
    path = again.run_dir / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data_sha256": "0" * 64}))
    loaded = load_run(again.run_dir)
    assert len(loaded.trades) == len(made.trades)
    with pytest.raises(UserError, match="its candles are others today; mode=verify names what changed"):
        _ = loaded.market


@pytest.mark.parametrize(("name", "told"), [("nowhere", "there is no such folder"), (".", "the folder holds no run")])
def test_what_is_no_run_is_refused(tmp_path, name, told):
    with pytest.raises(UserError, match=f"load_run=.*{told}"):
        load_run(tmp_path / name)


def test_a_table_that_is_lost_is_named(made, tmp_path):
    again = backtest(WORDS, run_dir=tmp_path / "run")
    loaded = load_run(again.run_dir)
    (again.run_dir / "trades.parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"trades\.parquet cannot be read"):
        _ = loaded.trades

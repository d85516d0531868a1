"""Metrics of a real run against empyrical, quantstats and backtesting.py, where their definitions are ours."""

import backtesting._stats
import empyrical
import numpy as np
import pandas as pd
import pytest
import quantstats.stats

from kraken_flow import backtest
from kraken_flow.analysis import returns, underwater
from kraken_flow.core.times import DAY


@pytest.fixture(scope="module")
def run(shared):
    path = shared / "data/ohlcv/kraken_xbtusd_1h.parquet"
    words = ["data=files", f"data.path={path}", "pairs=[BTC/USD]", "timeframe=1h", "risk=research"]
    return backtest([*words, "start=2017-01-01", "end=2020-01-01", "strategy=donchian_breakout", "exchange=kraken"])


@pytest.fixture(scope="module")
def daily(run):
    """Own and held returns between UTC-day closes, by pandas alone."""
    equity = run.equity.set_index("time")["equity"]
    closes = equity.groupby((equity.index - pd.Timedelta(1, "ns")).date).last()
    start = float(run.tables.run.start_equity)
    own = pd.Series(np.diff(np.concatenate(([start], closes))) / np.concatenate(([start], closes[:-1])))
    columns, first = run.market.pairs[0], run.market.first_row
    price = pd.Series(columns.close[first:] / 1e8, index=equity.index)
    held = price.groupby((price.index - pd.Timedelta(1, "ns")).date).last()
    before = np.concatenate(([price.iloc[0]], held[:-1]))
    days = pd.to_datetime(closes.index)
    return own.set_axis(days), pd.Series(held.to_numpy() / before - 1.0, index=days)


def same(value):
    return pytest.approx(value, rel=1e-9)


def test_the_curve_equals_empyrical(run, daily):
    own, held = daily
    found = run.metrics
    assert found["sharpe"] == same(empyrical.sharpe_ratio(own, annualization=365))
    assert found["sortino"] == same(empyrical.sortino_ratio(own, annualization=365))
    assert found["volatility"] == same(empyrical.annual_volatility(own, annualization=365))
    assert found["cagr"] == same(empyrical.cagr(own, annualization=365))
    assert found["omega"] == same(empyrical.omega_ratio(own))
    assert found["tail_ratio"] == same(empyrical.tail_ratio(own))
    against = found["benchmark"]
    assert against["beta"] == same(empyrical.beta(own, held))
    # Theirs compounds the mean daily alpha over the year, ours adds it up.
    compounded = (1 + against["alpha"] / 365) ** 365 - 1
    assert compounded == pytest.approx(empyrical.alpha(own, held, annualization=365), rel=1e-9)
    assert against["information_ratio"] == same(empyrical.excess_sharpe(own, held) * np.sqrt(365))
    bars = run.equity["equity"].pct_change().fillna(run.equity["equity"].iloc[0] / 10_000 - 1)
    assert found["max_drawdown"] == same(empyrical.max_drawdown(bars))
    assert found["sharpe_bar"] == same(empyrical.sharpe_ratio(bars, annualization=365 * 24))


def test_the_curve_equals_quantstats(run, daily):
    own, held = daily
    found, theirs = run.metrics, quantstats.stats
    assert found["sharpe"] == same(theirs.sharpe(own, periods=365))
    assert found["sortino"] == same(theirs.sortino(own, periods=365))
    assert found["volatility"] == same(theirs.volatility(own, periods=365))
    assert found["cagr"] == same(theirs.cagr(own, periods=365))
    assert found["gain_to_pain"] == same(theirs.gain_to_pain_ratio(own))
    assert found["tail_ratio"] == same(theirs.tail_ratio(own))
    assert found["skew_adjusted"] == same(theirs.skew(own))
    assert found["excess_kurtosis"] == same(theirs.kurtosis(own))
    # Theirs divides by n - 1, ours counts the start as one of n + 1.
    n = len(own)
    assert found["ulcer"] * np.sqrt((n + 1) / (n - 1)) == same(theirs.ulcer_index(own))
    greeks = theirs.greeks(own, held, periods=365)
    assert (found["benchmark"]["beta"], found["benchmark"]["alpha"]) == (same(greeks["beta"]), same(greeks["alpha"]))


def test_episodes_equal_quantstats_on_day_closes(run, daily):
    own, _ = daily
    worth = np.cumprod(1 + own.to_numpy())
    depths = returns.drawdowns(worth, 1.0)
    table = quantstats.stats.drawdown_details(quantstats.stats.to_drawdown_series(own))
    theirs = sorted(table["max drawdown"] / 100)[:5]
    assert [e.depth for e in underwater.episodes(depths)[:5]] == [same(depth) for depth in theirs]


@pytest.mark.filterwarnings("ignore:DatetimeIndex.dayofweek")  # their code asks pandas by an old name
def test_trades_and_curve_equal_backtesting_py(run):
    """Its statistics are made of a finished equity curve and a table of trades."""
    equity, trades, market = run.equity, run.trades, run.market
    index = equity["time"].dt.tz_localize(None)
    columns, rows = market.pairs[0], slice(market.first_row, None)
    names = ("Open", "High", "Low", "Close", "Volume")
    parts = (columns.open, columns.high, columns.low, columns.close, columns.volume)
    data = pd.DataFrame({n: p[rows] / 1e8 for n, p in zip(names, parts, strict=True)}).set_axis(index)
    place = pd.Series(np.arange(len(index)), index=index)
    entry, exit_ = (trades[f"{kind}_time"].dt.tz_localize(None) for kind in ("entry", "exit"))
    pnl, price = trades["pnl"].astype(float), trades["entry_price"].astype(float)
    size = trades["qty"].astype(float)
    table = pd.DataFrame(
        {
            "Size": size,
            "EntryBar": place.reindex(entry, method="bfill").to_numpy(),
            "ExitBar": place.reindex(exit_, method="bfill").to_numpy(),
            "EntryPrice": price,
            "ExitPrice": trades["exit_price"].astype(float),
            "PnL": pnl,
            "ReturnPct": pnl / (price * size),
            "EntryTime": entry,
            "ExitTime": exit_,
            "Duration": exit_ - entry,
            "Tag": "",
            "Commission": trades["fees"].astype(float),
        }
    )
    theirs = backtesting._stats.compute_stats(table, equity["equity"].to_numpy(), data, None)
    found = run.metrics
    assert found["trades"] == theirs["# Trades"]
    assert 100 * found["win_rate"] == same(theirs["Win Rate [%]"])
    assert 100 * found["max_drawdown"] == same(theirs["Max. Drawdown [%]"])
    assert 100 * found["best_trade"] == same(theirs["Best Trade [%]"])
    assert 100 * found["worst_trade"] == same(theirs["Worst Trade [%]"])
    # Theirs is the root of n without Tharp's bound of 100 trades.
    assert found["sqn"] * np.sqrt(max(len(trades), 100) / 100) == same(theirs["SQN"])
    longest = theirs["Max. Drawdown Duration"]
    assert abs(longest - pd.Timedelta(found["longest_underwater_days"] * DAY, "ns")) <= pd.Timedelta(hours=2)

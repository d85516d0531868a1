"""What vectorbt does with the same data: its Rust engine, next-open fills, one pool of cash."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from numpy.typing import NDArray

from tests.bench import graphs

Floats = NDArray[np.float64]
FEE = graphs.FEE_BPS / 10_000


def prepare(freq: str) -> None:
    """Choose the Rust engine, which refuses what it cannot do, and the bar length."""
    vbt.settings["engine"] = "rust"
    vbt.settings.array_wrapper["freq"] = freq


def frame(bars: Mapping[str, Floats], freq: str) -> pd.DataFrame:
    """Bars as vectorbt takes them."""
    return pd.DataFrame(dict(bars), index=pd.date_range("2022-01-01", periods=len(bars["close"]), freq=freq))


def crossing(bars: pd.DataFrame, **stops: Any) -> dict[str, float]:
    """Averages, crossings, orders one bar later at the open; final value, trades and drawdown."""
    fast = vbt.MA.run(bars["close"], window=graphs.FAST)
    slow = vbt.MA.run(bars["close"], window=graphs.SLOW)
    enter = fast.ma_crossed_above(slow).shift(1, fill_value=False)
    leave = fast.ma_crossed_below(slow).shift(1, fill_value=False)
    portfolio = vbt.Portfolio.from_signals(
        bars["close"],
        enter,
        leave,
        price=bars["open"],
        size=1.0,
        init_cash=float(graphs.CASH),
        fees=FEE,
        direction="longonly",
        **stops,
    )
    return {
        "final": float(portfolio.final_value()),
        "trades": int(portfolio.trades.count()),
        "max_drawdown": float(portfolio.max_drawdown()),
    }


def trailing(bars: pd.DataFrame, target: float, trail: float) -> dict[str, float]:
    """Its one stop slot with the trail, which stands nearer than the stop from the entry on, and the target."""
    return crossing(
        bars, open=bars["open"], high=bars["high"], low=bars["low"], sl_stop=trail, sl_trail=True, tp_stop=target
    )


def inverse_vol_weights(close: Floats, share: float) -> Floats:
    """Weights at each rebalance, NaN elsewhere: inverse deviation of the log returns of the window, summing to share.

    `close` float64 of shape (n, n_pairs).
    """
    returns = np.diff(np.log(close), axis=0)
    weights = np.full(close.shape, np.nan)
    for row in range(graphs.FIRST_REBALANCE, len(close), graphs.WEEK):
        inverse = 1.0 / returns[row - graphs.WINDOW : row].std(axis=0)
        weights[row] = inverse / inverse.sum() * share
    return weights


def rebalanced(close: pd.DataFrame, share: float) -> dict[str, float]:
    """Weights and simulation; final value and number of orders."""
    weights = pd.DataFrame(inverse_vol_weights(close.to_numpy(), share), close.index, close.columns)
    portfolio = vbt.Portfolio.from_orders(
        close,
        size=weights,
        size_type="targetpercent",
        group_by=True,
        cash_sharing=True,
        call_seq="auto",
        init_cash=float(graphs.CASH),
        fees=FEE,
    )
    return {"final": float(portfolio.final_value()), "orders": int(portfolio.orders.count())}

"""What vectorbt does with the same data: its Rust engine, next-open fills, one pool of cash."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from numpy.typing import NDArray

from tests.bench import terms

Floats = NDArray[np.float64]


def prepare(freq: str) -> None:
    """Choose the Rust engine, which refuses what it cannot do, and the bar length."""
    vbt.settings["engine"] = "rust"
    vbt.settings.array_wrapper["freq"] = freq


def frame(bars: Mapping[str, Floats], freq: str) -> pd.DataFrame:
    """Bars as vectorbt takes them."""
    return pd.DataFrame(dict(bars), index=pd.date_range("2022-01-01", periods=len(bars["close"]), freq=freq))


def crossing(bars: pd.DataFrame, **stops: Any) -> dict[str, float]:
    """Averages, crossings, orders one bar later at the open; final value, trades and drawdown."""
    portfolio = simulated(bars, terms.FAST, terms.SLOW, **stops)
    return {
        "final": float(portfolio.final_value()),
        "trades": int(portfolio.trades.count()),
        "max_drawdown": float(portfolio.max_drawdown()),
    }


def simulated(bars: pd.DataFrame, fast: int | list[int], slow: int | list[int], **stops: Any) -> vbt.Portfolio:
    """The simulation alone; with lists of windows, one column per combination of them."""
    quick = vbt.MA.run(bars["close"], window=fast)
    slower = vbt.MA.run(bars["close"], window=slow)
    enter = quick.ma_crossed_above(slower).shift(1, fill_value=False)
    leave = quick.ma_crossed_below(slower).shift(1, fill_value=False)
    return vbt.Portfolio.from_signals(
        bars["close"],
        enter,
        leave,
        price=bars["open"],
        size=1.0,
        init_cash=float(terms.CASH),
        fees=terms.FEE,
        direction="longonly",
        **stops,
    )


def swept(bars: pd.DataFrame, windows: Sequence[tuple[int, int]], chunk: int) -> list[tuple[float, int]]:
    """Final values and trades of every (fast, slow), broadcast over the columns of matrices, `chunk` at a time."""
    found = []
    for at in range(0, len(windows), chunk):
        fast, slow = zip(*windows[at : at + chunk], strict=True)
        portfolio = simulated(bars, list(fast), list(slow))
        found += list(zip(portfolio.final_value().tolist(), portfolio.trades.count().tolist(), strict=True))
    return found


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
    for row in range(terms.FIRST_REBALANCE, len(close), terms.WEEK):
        inverse = 1.0 / returns[row - terms.WINDOW : row].std(axis=0)
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
        init_cash=float(terms.CASH),
        fees=terms.FEE,
    )
    return {"final": float(portfolio.final_value()), "orders": int(portfolio.orders.count())}

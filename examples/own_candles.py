"""Candles of your own: a pandas frame in, tables out. Yours may come from a file, a database or another library."""

import numpy as np
import pandas as pd

from kraken_flow import backtest

n = 24 * 365
rng = np.random.default_rng(5)
close = 100 * np.exp(np.cumsum(rng.normal(0.0001, 0.006, n)))
opened = np.r_[100.0, close[:-1]]
candles = pd.DataFrame(
    {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + rng.uniform(0, 0.003, n)),
        "low": np.minimum(opened, close) * (1 - rng.uniform(0, 0.003, n)),
        "close": close,
        "volume": rng.uniform(50, 150, n),
    },
    index=pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", name="time"),
).round(4)

run = backtest(["strategy=donchian_breakout", "timeframe=4h", "exchange=bare"], bars={"ABC/USD": candles})
print(run)
for note in run.notes:
    print(f"note: {note}")

by_reason = run.trades.assign(pnl=run.trades["pnl"].astype(float)).groupby("exit_reason")["pnl"]
print(by_reason.agg(["count", "sum", "mean"]).round(2).to_string())

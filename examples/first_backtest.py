"""A first backtest: a shipped strategy on the synthetic sample market, and what there is to read of it."""

from kraken_flow import backtest

run = backtest(
    ["strategy=sma_cross", "strategy.fast=10", "strategy.slow=40", "pairs=[BTC/USD,ETH/USD]", "timeframe=4h"]
)

print(run)
for name in ("total_return", "sharpe", "max_drawdown", "win_rate", "fees", "final_equity"):
    print(f"{name:>14}: {run.metrics[name]}")

print("\nthe last trades")
print(run.trades[["pair", "side", "entry_time", "exit_time", "pnl", "exit_reason"]].tail().to_string(index=False))

equity = run.equity.set_index("time")["equity"]
for word, value, day in (("lowest", equity.min(), equity.idxmin()), ("highest", equity.max(), equity.idxmax())):
    print(f"{word} equity {value:,.2f} on {day:%Y-%m-%d}")

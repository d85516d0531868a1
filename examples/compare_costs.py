"""What costs do: the same orders at three exchanges' fees, and with none."""

from kraken_flow import backtest

SYSTEM = [
    "strategy=sma_cross",
    "pairs=[BTC/USD]",
    "timeframe=1h",
    "portfolio=fixed_quantity",
    "portfolio.quantity=0.05",
]
SAME = [
    "risk=none",
    "account.cash=100000",
    "exchange.tick=0.01",
    "exchange.lot=0.00001",
    "exchange.slippage.model=none",
]

print(f"{'exchange':>9} {'orders':>7} {'fees':>10} {'profit':>10}")
logs = set()
for exchange in ("bare", "binance", "kraken", "coinbase"):
    run = backtest([*SYSTEM, *SAME, f"exchange={exchange}"])
    profit = float(run.metrics["final_equity"]) - 100_000
    print(f"{exchange:>9} {len(run.orders):>7} {float(run.metrics['fees']):>10,.2f} {profit:>10,.2f}")
    logs.add(run.metrics["order_log_sha256"])

print("the orders were the same" if len(logs) == 1 else "the orders were not the same")

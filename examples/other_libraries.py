"""A run as other libraries want it: frames by time, daily returns, and the run again from its folder."""

import tempfile
from pathlib import Path

from kraken_flow import backtest, load_run

with tempfile.TemporaryDirectory() as folder:
    backtest(["strategy=momentum", "timeframe=4h", "risk=research"], run_dir=Path(folder, "run"))
    run = load_run(Path(folder, "run"))
    frames = run.to_pandas()
    returns = run.returns()

print("equity at the end of each half-year:")
for day, value in frames.equity["equity"].resample("182D").last().items():
    print(f"  {day:%Y-%m-%d} {value:10,.2f}")
print("profit by exit:")
for reason, profit in frames.trades.groupby("exit_reason")["pnl"].sum().items():
    print(f"  {reason:<12} {profit:10,.2f}")
print(f"share of bars in the market: {(frames.positions != 0).any(axis=1).mean():.1%}")
print(f"worst day: {returns.min():+.2%} on {returns.idxmin():%Y-%m-%d}")

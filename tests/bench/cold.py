"""One backtest from nothing: what a script of a few lines does in a fresh process, by each engine.

Each is a process of its own, which imports what it needs and nothing else: `python -m tests.bench.cold SIDE CSV`.
"""

import sys


def ours(path: str) -> float:
    """Read the candles, run, return the final equity."""
    from kraken_flow import backtest
    from tests.bench.graphs import words

    overrides = [*words(), "data=files", f"data.path={path}"]
    return float(backtest(overrides).metrics["final_equity"])


def vectorbt(path: str) -> float:
    """The same in vectorbt."""
    import pandas as pd

    from tests.bench import rivals

    rivals.prepare("1min")
    return rivals.crossing(pd.read_csv(path, index_col="time", parse_dates=True))["final"]


def backtesting(path: str) -> float:
    """The same in backtesting.py."""
    import pandas as pd

    from tests.bench import rivals_backtesting

    bars = pd.read_csv(path, index_col="time", parse_dates=True)
    return rivals_backtesting.crossing(bars.rename(columns=str.capitalize))["final"]


SIDES = {"ours": ours, "vectorbt": vectorbt, "backtesting.py": backtesting}

if __name__ == "__main__":
    print(repr(SIDES[sys.argv[1]](sys.argv[2])))

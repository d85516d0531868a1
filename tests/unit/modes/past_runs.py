"""A small project of a user's: candles of two pairs, a strategy of his own, and the program in a fresh process."""

import math
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[3]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
STRATEGY = '''\
"""Mine."""

from kraken_flow.core import Strategy, Window, nan, node, where
from kraken_flow.features import Sma


@node
class Mine(Strategy):
    """Hold while a fast average is above a slow one."""

    fast: Window = 4
    slow: Window = 12

    def features(self):
        """Return what is read."""
        return {"fast": Sma("close", self.fast), "slow": Sma("close", self.slow)}

    def forecast(self, f):
        """Return what to hold."""
        return where(f.fast > f.slow, 1.0, where(f.fast <= f.slow, 0.0, nan))
'''
IMPORT = ("mode=import", "mode.source=candles")
SYSTEM = ("pairs=[BTC/USD,ETH/USD]", "exchange=bare", "strategy=sma_cross", "strategy.fast=4", "strategy.slow=12")
DATA = ["data=files", "data.path=candles", "pairs=[BTC/USD,ETH/USD]", "exchange=bare"]
SHIPPED = [*DATA, "strategy=sma_cross", "strategy.fast=4", "strategy.slow=12"]


def candles(scale, rows=300):
    lines = ["time,open,high,low,close,volume"]
    before = scale
    for row in range(rows):
        noise = (row * row * 7919 % 101 - 50) / 1000
        close = round(scale * (1 + 0.1 * math.sin(row / 7) + noise), 2)
        opened = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=row)
        high, low = max(before, close), min(before, close)
        lines.append(f"{opened:%Y-%m-%dT%H:%M:%SZ},{before},{high},{low},{close},{1000 + row}")
        before = close
    return "\n".join(lines) + "\n"


def project(folder):
    """Write the project's files."""
    for name, text in (
        ("candles/btcusd_1h.csv", candles(100.0)),
        ("candles/ethusd_1h.csv", candles(20.0)),
        ("strategies/mine.py", STRATEGY),
        ("conf/strategy/mine.yaml", "# Mine.\n_target_: strategies.mine.Mine\nfast: 5\n"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def edit(path, before, after):
    text = path.read_text("utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), "utf-8")


def fresh(folder, *words, code=0):
    """Run the program in a process and a working directory of its own; return what it said on stdout and stderr."""
    command = [sys.executable, "-m", "kraken_flow", *words]
    done = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


@contextmanager
def started(folder, *words):
    """Start the program; what is left of it at the end is killed."""
    command = [sys.executable, "-m", "kraken_flow", *words]
    out = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=ENV, stdout=out, stderr=out) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            process.kill()


def wait_for(happened, seconds=60):
    """Wait until something has happened; a file that is not there yet is no answer."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if happened():
                return
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    raise AssertionError("it did not happen")

"""Kraken Flow: one trading system, declared in YAML, run as one graph in every mode."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kraken_flow.api import BacktestResult, LoadedRun, backtest, load_run

__version__ = "0.1.0"
__all__ = ["BacktestResult", "LoadedRun", "__version__", "backtest", "load_run"]

_LIBRARY = frozenset({"BacktestResult", "LoadedRun", "backtest", "load_run"})


def __getattr__(name: str) -> object:
    """Load the library when it is first asked for: `import kraken_flow` alone costs nothing."""
    if name in _LIBRARY:
        return getattr(import_module("kraken_flow.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Kraken Flow: one trading system, declared in YAML, run as one graph in every mode."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kraken_flow.api import BacktestResult, backtest, load_run
    from kraken_flow.modes.loaded import LoadedRun

__version__ = "0.1.0"
__all__ = ["BacktestResult", "LoadedRun", "__version__", "backtest", "load_run"]

_LIBRARY = {
    **dict.fromkeys(("BacktestResult", "backtest", "load_run"), "kraken_flow.api"),
    "LoadedRun": "kraken_flow.modes.loaded",
}


def __getattr__(name: str) -> object:
    """Load the library when it is first asked for: `import kraken_flow` alone costs nothing."""
    if name in _LIBRARY:
        return getattr(import_module(_LIBRARY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

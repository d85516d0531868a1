"""The rivals live in an environment of their own (`make bench`); where they are missing, their modules are left out."""

from importlib.util import find_spec

MODULES = {"rivals.py": "vectorbt", "rivals_backtesting.py": "backtesting", "talib_calls.py": "talib"}

collect_ignore = [module for module, library in MODULES.items() if not find_spec(library)]

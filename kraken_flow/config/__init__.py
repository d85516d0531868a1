"""From arguments and YAML to one validated graph.

Names are resolved when first used, so that `--help` pays for none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kraken_flow.config.build import Checked, build, check
    from kraken_flow.config.compose import Composition, compose

__all__ = ["Checked", "Composition", "build", "check", "compose"]

_HOMES = {"Checked": "build", "build": "build", "check": "build", "Composition": "compose", "compose": "compose"}


def __getattr__(name: str) -> object:
    """Import the module that defines `name`."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

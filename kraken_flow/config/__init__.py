"""From arguments and YAML to one validated graph.

Names are resolved when first used, so that `--help` pays for none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kraken_flow.config.composition import Composition, compose
    from kraken_flow.config.validation import Checked, build, check

__all__ = ["Checked", "Composition", "build", "check", "compose"]

_HOMES = {
    "Checked": "validation",
    "build": "validation",
    "check": "validation",
    "Composition": "composition",
    "compose": "composition",
}


def __getattr__(name: str) -> object:
    """Import the module that defines `name`."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""The one door to the Rust extension: the extension itself, or the reason why it is not used.

Everything else asks here, so there is one place that decides, and one sentence that explains. The environment variable
``KRAKEN_FLOW_NATIVE=off`` switches the extension off; the Python reference then does the work, slower and with equal
results.
"""

import os
from importlib import import_module
from types import ModuleType

from kraken_flow import __version__

MODULE = "kraken_flow_native"
SWITCH = "KRAKEN_FLOW_NATIVE"


def load(expected: str = __version__) -> tuple[ModuleType | None, str]:
    """Import the extension if it is wanted, installed and of the expected version.

    Parameters
    ----------
    expected
        Version that the extension has to report.

    Returns
    -------
    tuple of (module or None, str)
        The extension and an empty string, or None and the reason, one sentence that says what to do.
    """
    switch = os.environ.get(SWITCH, "auto").strip().lower()
    if switch in {"off", "0", "false", "no"}:
        return None, f"the Rust extension is switched off by {SWITCH}={switch}"
    try:
        module = import_module(MODULE)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == MODULE
        why = "is not installed" if missing else f"cannot be loaded ({error})"
        return None, f"the Rust extension {why}; `make build` or `pip install ./rust` in a checkout builds it"
    found = str(module.version())
    if found != expected:
        return None, (
            f"the Rust extension is version {found} but kraken-flow is {expected}; "
            "`make build` or `pip install ./rust` in a checkout builds the right one"
        )
    return module, ""


native: ModuleType | None
REASON: str
native, REASON = load()

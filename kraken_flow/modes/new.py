"""Mode `new`: scaffolds a strategy of the user's own, which runs as it is made."""

import keyword
import re
import sys
from pathlib import Path

from rich.console import Console

from kraken_flow.config.paths import options
from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.modes import Call, Mode

_STRATEGY = '''\
"""{title}."""

from collections.abc import Mapping
from typing import Any

from kraken_flow.core import Forecast, Source, Strategy, Window, nan, node, where
from kraken_flow.features import Ema, Sma


@node
class {cls}(Strategy):
    """Hold while a fast exponential average is above a slow simple one: replace this with your idea."""

    fast: Window = 12
    """Bars in the fast average."""
    slow: Window = 48
    """Bars in the slow average."""

    def features(self) -> Mapping[str, Source]:
        """Return what `forecast` reads, by name; each row knows the bars up to its own close and no later one."""
        return {{"fast": Ema("close", self.fast), "slow": Sma("close", self.slow)}}

    def forecast(self, f: Any) -> Forecast:
        """Return the wanted position per row, from -1 (short) to 1 (long); NaN keeps what was there before."""
        return where(f.fast > f.slow, 1.0, where(f.fast <= f.slow, 0.0, nan))
'''

_YAML = """\
# {title}.
_target_: strategies.{name}.{cls}
fast: 12
slow: 48
"""

_TEST = '''\
"""{title}: what it has to do whatever the market does."""

from types import SimpleNamespace

import numpy as np

from kraken_flow.config import build, compose
from kraken_flow.testing import check_strategy


def test_it_is_long_above_and_flat_below_and_keeps_what_it_had_while_it_warms_up():
    strategy = build(compose(["strategy={name}"])).strategy
    columns = SimpleNamespace(fast=np.array([np.nan, 2.0, 1.0]), slow=np.array([1.0, 1.0, 2.0]))
    np.testing.assert_array_equal(strategy.forecast(columns), [np.nan, 1.0, 0.0])


def test_it_knows_no_future_and_trades_alike_in_all_modes():
    check_strategy("{name}", ["pairs=[BTC/USD]", "timeframe=4h"])
'''


@node
class New(Mode):
    """Scaffold a strategy, its YAML and its test in the working directory."""

    needs_graph = False
    name: str
    """Name of the strategy: lower case letters, digits and underscores, as in my_idea."""

    def drive(self, call: Call) -> int:
        """Write the three files; refuse a bad or taken name before any of them is touched."""
        name = self.name
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in sys.stdlib_module_names:
            raise UserError(
                f"mode.name={name}: must be lower case letters, digits and underscores, begin with a letter, "
                "and be no word or module of Python's own; as in mode.name=my_idea"
            )
        files = {
            Path("strategies") / f"{name}.py": _STRATEGY,
            Path("conf/strategy") / f"{name}.yaml": _YAML,
            Path("tests") / f"test_{name}.py": _TEST,
        }
        taken = [str(path) for path in files if path.exists()]
        if taken:
            raise UserError(f"mode.name={name}: {', '.join(taken)} exists; choose another name, or remove it first")
        if name in options("strategy"):
            raise UserError(f"mode.name={name}: there is a strategy of that name already; choose another name")
        words = {
            "name": name,
            "cls": "".join(map(str.title, name.split("_"))),
            "title": name.replace("_", " ").capitalize(),
        }
        console = Console(highlight=False, soft_wrap=True)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(**words), "utf-8")
            console.print(f"made {path}", markup=False)
        console.print(f"run it:  python -m kraken_flow strategy={name}", markup=False)
        console.print(f"audit it: python -m kraken_flow mode=audit strategy={name}", markup=False)
        console.print(
            f"test it: python -m pytest tests/test_{name}.py (once before: python -m pip install pytest)", markup=False
        )
        return 0

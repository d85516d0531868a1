"""A run read from its folder, as a library gives it to programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.config.nodes import build_node
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import Market
from kraken_flow.modes.driver import READ, configuration_from, load
from kraken_flow.modes.rerun import graph_of, pin_from
from kraken_flow.runs.logs import data_hash
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.views import RunView


@dataclass(frozen=True, repr=False)
class LoadedRun(RunView):
    """A run that is read from its folder, with the tables of a `BacktestResult`.

    Parameters: `past` the run as it lies there. Its candles are read anew where they are asked for.
    """

    past: PastRun

    def __repr__(self) -> str:
        """Name the run."""
        return f"<{self.past.mode} of {self.past.strategy} in {self.past.folder}>"

    @property
    def run_dir(self) -> Path:
        """Its folder."""
        return self.past.folder

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What `manifest.json` says."""
        return self.past.manifest

    @property
    def metrics(self) -> dict[str, Any]:
        """The numbers of `metrics.json`."""
        return self.past.metrics

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs, in the order of their names."""
        return tuple(sorted(map(str, self.past.manifest.get("pairs") or ())))

    @cached_property
    def start_equity(self) -> float:
        """Starting cash, from the account of its `config.yaml`."""
        problems: list[str] = []
        cfg = configuration_from(self.past.config, self.past.name)
        account = build_node(cfg.get("account"), "account", "account", problems)
        if problems:
            raise UserError("\n".join(f"{self.past.name}: its config.yaml: {text}" for text in problems))
        cash: float = account.cash
        return cash

    def table(self, name: str) -> pa.Table:
        """Return one of the run's tables as Arrow: orders, fills, trades, equity, risk."""
        path = self.past.folder / f"{name}.parquet"
        try:
            return pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{self.past.name}: {path} cannot be read ({str(error).splitlines()[0]})") from None

    @cached_property
    def market(self) -> Market:
        """The candles the run was made on, read anew. Raises `UserError` where they are not those any more."""
        with self.past.at_home():
            market = load(graph_of(self.past), pin_from(self.past.manifest.get(READ)))
        if data_hash(market) != self.past.metrics.get("data_sha256"):
            raise UserError(f"{self.past.name}: its candles are others today; mode=verify names what changed")
        return market

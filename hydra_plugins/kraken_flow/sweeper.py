"""Hydra's own sweeper, which composes once what its members have in common.

A member of a sweep takes Hydra about as long to compose as a short backtest takes to run. Members mostly differ in
values, not in the files picked, and a value is set on a copy.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext


class SharedComposition(ConfigLoaderImpl):
    """A loader that keeps each composition of files, and sets the values of a member on a copy of it."""

    def __init__(self, loader: Any) -> None:
        self.__dict__.update(loader.__dict__)
        self._composed: dict[tuple[str, ...], Any] = {}

    def load_sweep_config(self, master_config: Any, sweep_overrides: list[str]) -> Any:
        """Return what Hydra's loader returns for these overrides."""
        values = [word for word in sweep_overrides if word.startswith("++")]
        files = tuple(word for word in sweep_overrides if not word.startswith("++"))
        if files not in self._composed:
            self._composed[files] = super().load_sweep_config(master_config, list(files))
        config = deepcopy(self._composed[files])
        self._apply_overrides_to_config(OverridesParser.create().parse_overrides(values), config)
        config.hydra.overrides.task = list(sweep_overrides)
        return config


class KrakenFlowSweeper(BasicSweeper):
    """Runs every combination, as Hydra's sweeper does, through any launcher."""

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: Any) -> None:
        """Give the launcher the loader that shares."""
        shared = HydraContext(
            config_loader=SharedComposition(hydra_context.config_loader), callbacks=hydra_context.callbacks
        )
        super().setup(hydra_context=shared, task_function=task_function, config=config)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose each choice of files once, so that one that cannot be composed is found before anything runs."""
        files = {tuple(word for word in member if not word.startswith("++")) for member in batch}
        super().validate_batch_is_legal(sorted(files))


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="kraken_flow",
    node={
        "_target_": "hydra_plugins.kraken_flow.sweeper.KrakenFlowSweeper",
        "max_batch_size": None,
        "params": None,
    },
    provider="kraken_flow",
)

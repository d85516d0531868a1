"""Hydra's own sweeper, which composes once what its members have in common.

A member of a sweep takes Hydra about as long to compose as a short backtest takes to run. Members mostly differ in
values, not in the files picked, and `shared` sets a value on a copy.
"""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext

from hydra_plugins.kraken_flow.shared import SharedComposition


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

"""The graph: one declared trading system, its nodes by name, the same in every mode."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kraken_flow.core.account import Account, Exchange, Execution, Portfolio, Risk
    from kraken_flow.core.feature import Feature
    from kraken_flow.core.source import Source
    from kraken_flow.core.strategy import Strategy


@dataclass(frozen=True)
class Graph:
    """Everything that decides what a run trades; built from the configuration by `config.build`.

    `pairs` are sorted by name: the order in which a user names them changes nothing. `start` and `end` are ns UTC.
    """

    pairs: tuple[str, ...]
    timeframe: str
    source: "Source"
    exchange: "Exchange"
    account: "Account"
    strategy: "Strategy"
    portfolio: "Portfolio"
    risk: "Risk"
    execution: "Execution"
    features: "Mapping[str, Feature]" = field(default_factory=dict)
    start: int | None = None
    end: int | None = None
    seed: int = 0

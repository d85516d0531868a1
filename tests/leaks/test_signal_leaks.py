"""No feature and no strategy that ships reads what was not knowable yet; nor does a system of the configuration."""

import pytest

from kraken_flow.analysis.answers import System
from kraken_flow.analysis.futures import window
from kraken_flow.analysis.leaks import audit, leaks
from kraken_flow.config import build, compose
from kraken_flow.config.paths import options
from kraken_flow.core import Feature
from kraken_flow.core.signal import compute
from kraken_flow.core.strategy import Scripted, Strategy
from kraken_flow.modes.driver import load
from tests.signal_cases import ENGINES, FEATURES, graph, random_market, reads

ROWS = (0, 1, 5, 23, 57, 59, 90, 141, 188)
REQUIRED = {"scripted": ["strategy.path=orders.csv"]}


def shipped_strategies() -> dict[str, Strategy]:
    """Every forecasting strategy of the configuration."""
    built = {name: build(compose([f"strategy={name}", *REQUIRED.get(name, [])])) for name in options("strategy")}
    return {name: made.strategy for name, made in built.items() if not isinstance(made.strategy, Scripted)}


STRATEGIES = shipped_strategies()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_no_feature_reads_ahead(feature: Feature, engine):
    market = random_market(190, 7, n_pairs=3, gaps=0.15)
    assert leaks(lambda part: compute(reads(feature), part, engine).columns(feature), market, ROWS) == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_reads_ahead(name):
    market = random_market(190, 8, n_pairs=3, gaps=0.05)

    def answer(part):
        return compute(graph(STRATEGIES[name]), part, "auto").forecast

    assert (answer(market) != 0).any()
    assert leaks(answer, market, ROWS) == []


SYSTEMS = [
    *(f"strategy={name}" for name in sorted(STRATEGIES)),
    *(f"{group}={name}" for group in ("portfolio", "risk", "execution", "exchange") for name in options(group)),
    "exchange.slippage.model=sqrt_impact",
    "exchange.fill.path=detail",
]
SPOT, PERPETUALS = "pairs=[BTC/USD,ETH/USD,SOL/USD]", "pairs=[BTC/USD:USD,ETH/USD:USD,SOL/USD:USD]"
NEEDS = {
    "portfolio=fixed_quantity": ["portfolio.quantity=0.01"],
    "exchange.fill.path=detail": ["timeframe=4h", "exchange.fill.detail=1h"],
    "exchange=binance_perp": ["account.leverage=5"],
    "exchange=kraken_futures": ["account.leverage=5", "portfolio.fraction=4"],
}


@pytest.mark.parametrize("choice", SYSTEMS)
def test_no_system_of_the_configuration_knows_the_future(choice):
    traded = PERPETUALS if choice in ("exchange=binance_perp", "exchange=kraken_futures") else SPOT
    words = [traded, "end=2021-04-01", choice, *NEEDS.get(choice, [])]
    system = System(build(compose(words)))
    market = window(load(system.graph), 150 + system.lookback)
    finding = audit(system, market, 3, 0)
    assert {verdict.subject.name: verdict.word for verdict in finding.verdicts} == dict.fromkeys(system.subjects, "ok")
    assert finding.skipped == 0

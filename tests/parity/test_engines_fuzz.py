"""Whole engines against each other, and each against the rules, on runs drawn from the whole registry.

`KRAKEN_FLOW_FUZZ=20000` sets the number of runs; without it there are enough to see every rule in every shard.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from omegaconf import OmegaConf

from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.run import execute
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.perpetual import PerpetualExchange
from kraken_flow.exchange.spot import SpotExchange
from strategies.scripted import ScriptedOrders
from tests.engine_checks import check_all
from tests.engines import RUST, WITHOUT_RUST, run_engine
from tests.parity.draw import EXECUTORS, LIMITERS, SIZERS, Case, cases
from tests.parity.draw_graphs import STRATEGIES, graphs
from tests.parity.rules import REASONS, RULES, exercised
from tests.parity.same import assert_same

SHARDS = 4
RUNS = int(os.environ.get("KRAKEN_FLOW_FUZZ", "2400")) // SHARDS
SEEN_AT_LEAST = 20
OTHERS = ("rust", "rust-steps") if RUST else ()
CONF = Path(__file__).parents[2] / "conf"

many = settings(
    max_examples=RUNS,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def without_twin(node: Any) -> Any:
    """The same node as a user might have written it: no Rust twin, so that the Rust engine asks the Python."""
    kind = type(node)
    plain = type(f"Plain{kind.__name__}", (kind,), {"kernel": None})
    return plain(**{name: getattr(node, name) for name in kind.__pydantic_fields__})


def run_everywhere(case: Case, others: tuple[str, ...] = OTHERS) -> Counter[str]:
    """Run the reference, compare the other engines with it, check its result; return what it exercised."""
    result = run_engine("python", case.spec, case.market, case.forecast, case.aux)
    for engine in others:
        assert_same(result, run_engine(engine, case.spec, case.market, case.forecast, case.aux))
    check_all(case.spec, case.market, result, case.forecast)
    return exercised(case.spec, case.market, result)


def assert_all_seen(seen: Counter[str]) -> None:
    """Every rule and every reason code occurred often enough to mean something.

    Each shard has to see its share: what is drawn varies with the modules that happen to be imported.
    """
    missed = {n: seen[n] for n in (*RULES, *(r.name for r in REASONS)) if seen[n] * SHARDS < SEEN_AT_LEAST}
    assert not missed, f"too rarely in {RUNS} runs: {missed}"


@pytest.mark.parametrize("shard", range(SHARDS))
def test_any_run_keeps_the_rules_and_gives_the_same_on_every_engine(shard: int) -> None:
    seen: Counter[str] = Counter()

    @seed(shard)
    @many
    @given(cases())
    def play(case: Case) -> None:
        seen.update(run_everywhere(case))

    play()
    assert_all_seen(seen)


@pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)
def test_a_node_without_a_twin_gives_the_same_inside_the_rust_engine() -> None:
    """Each twin's Python version, run as a callback, equals the twin and the reference."""

    @seed(SHARDS)
    @settings(many, max_examples=max(100, RUNS // 4))
    @given(cases(wrap=without_twin, scripted=False))
    def play(case: Case) -> None:
        run_everywhere(case, ("rust",))

    play()


@pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)
def test_the_engines_agree_over_many_blocks_of_rows() -> None:
    """Runs longer than any block in which an engine takes its rows."""

    @seed(SHARDS + 2)
    @settings(many, max_examples=max(8, RUNS // 100), phases=[Phase.generate])
    @given(cases(rows=(4100, 6000)))
    def play(case: Case) -> None:
        run_everywhere(case)

    play()


@pytest.mark.skipif(not RUST, reason=WITHOUT_RUST)
def test_whole_graphs_trade_the_same_from_features_to_fills() -> None:
    traded: Counter[type] = Counter()

    @seed(SHARDS + 1)
    @settings(many, max_examples=max(400, RUNS))
    @given(graphs())
    def play(drawn: tuple[Graph, Market]) -> None:
        graph, market = drawn
        ours, theirs = (execute(graph, market, engine) for engine in ("python", "rust"))
        assert ours.signals.forecast.tobytes() == theirs.signals.forecast.tobytes()
        assert_same(ours.result, theirs.result)
        check_all(ours.spec, market, ours.result, ours.signals.forecast_fix)
        traded[type(graph.strategy)] += bool(len(ours.result.fills["row"]))

    play()
    assert min(traded[kind] for kind in STRATEGIES) >= 5, traded


@pytest.mark.parametrize(
    ("group", "drawn"),
    [
        ("strategy", {*STRATEGIES, ScriptedOrders}),
        ("portfolio", set(SIZERS)),
        ("risk", set(LIMITERS)),
        ("execution", set(EXECUTORS)),
        ("exchange", {SpotExchange, PerpetualExchange}),
        ("account", {Account}),
    ],
)
def test_every_node_of_the_registry_is_drawn(group: str, drawn: set[type]) -> None:
    registered = {str(OmegaConf.load(file)["_target_"]) for file in (CONF / group).glob("*.yaml")}
    assert registered == {f"{kind.__module__}.{kind.__qualname__}" for kind in drawn}

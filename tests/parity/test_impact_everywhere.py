"""What impact took, and the capacity that follows, are the same from whole columns and from a session's instants."""

import pytest

from kraken_flow.analysis.capacity import capacity
from kraken_flow.analysis.statement import cost_block
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.modes.driver import concluded, load
from tests.engines import RUST

WORDS = [
    "strategy=sma_cross",
    "timeframe=4h",
    "risk=none",
    "end=2021-07-01",
    "exchange.fees.taker_bps=0",
    "exchange.fees.maker_bps=0",
]


@pytest.mark.skipif(not RUST, reason="compares the engines")
@pytest.mark.parametrize("execution", ["market", "twap"])
@pytest.mark.parametrize("model", ["sqrt_impact", "volume_share"])
def test_backtest_and_session_agree(model, execution):
    words = [*WORDS, f"exchange.slippage.model={model}", "exchange.slippage.factor=2", f"execution={execution}"]
    graph = build(compose(words))
    market = load(graph)
    found = []
    for engine in ("python", "rust"):
        session = Session(graph, tape_of(market), engine)
        for instant in instants(market):
            session.take(instant)
        for ran, seen in ((execute(graph, market, engine), market), (session.outcome(), session.market())):
            run = concluded(graph, ran, seen, 0.0).finished
            found.append((cost_block(run), capacity(run)))
    assert float(found[0][0][0]["impact"]) > 0.0
    assert isinstance(found[0][1], dict)
    assert all(one == found[0] for one in found)

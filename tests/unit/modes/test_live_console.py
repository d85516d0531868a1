"""What a running session shows of accounts that are not in dollars."""

from io import StringIO

import pytest
from rich.console import Console

from kraken_flow.analysis.money import money
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.limits import Safety
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.modes.driver import load
from kraken_flow.modes.live_console import Watch, drawn
from tests.engines import ENGINES


def shown(*overrides: str, engine: str, risk: str = "none") -> tuple[Session, list[str]]:
    graph = build(compose([f"risk={risk}", "start=2021-01-01", "end=2021-01-18", *overrides]))
    market = load(graph)
    session = Session(graph, tape_of(market), engine)
    for instant in instants(market):
        session.take(instant)
    console = Console(width=160, record=True, file=StringIO())
    console.print(drawn(session, "paper", 1, 1))
    return session, console.export_text().splitlines()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("strategy", "side"), [("hold", 1), ("momentum strategy.threshold=0.01", -1)])
def test_an_inverse_position_is_worth_its_coins(engine: str, strategy: str, side: int) -> None:
    session, lines = shown(
        "exchange=kraken_futures", "pairs=[BTC/USD:BTC]", "account.cash=1", *f"strategy={strategy}".split(),
        "portfolio.fraction=0.5", engine=engine,
    )  # fmt: skip
    now = session.account.standing()
    (held,), (close,) = now.position, session.closes
    assert held * side > 0
    assert f"equity {now.equity:.8f} " in lines[0]
    assert f"cash {now.cash / 1e16:.8f} " in lines[0]
    assert abs(now.cash / 1e16 - 1) < 0.1
    (row,) = [line for line in lines if line.startswith("BTC/USD:BTC")]
    assert f" {held / close:.8f}" in row
    assert abs(held / close) == pytest.approx(0.5, abs=0.15)
    assert "Value BTC" in lines[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_dollars_keep_two_decimals(engine: str) -> None:
    session, lines = shown("strategy=hold", "pairs=[BTC/USD]", engine=engine)
    (held,), (close,) = session.account.standing().position, session.closes
    (row,) = [line for line in lines if line.startswith("BTC/USD")]
    assert f" {held * close / 1e16:,.2f}" in row


def test_nothing_is_not_below_nothing() -> None:
    assert [money(value, "USD") for value in (-0.001, 0.0, -1234.5)] == ["0.00", "0.00", "-1,234.50"]
    assert money(-0.000000001, "BTC") == "0.00000000"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("risk", "says"), [("default", "KILLED by"), ("research", "would have been killed by")])
def test_a_limit_that_only_records_kills_nothing(risk: str, says: str, engine: str) -> None:
    words = (
        "strategy=hold",
        "pairs=[BTC/USD]",
        "risk.position.stop_loss=0.004",
        "risk.day.max_loss=null",
        "risk.system.max_drawdown=0.01",
    )
    session, lines = shown(*words, engine=engine, risk=risk)
    assert f"  {says} max_drawdown  equity" in lines[0]
    assert session.account.standing().safety is Safety.KILLED
    with Watch(session, None, quiet=True) as watch:
        assert watch._line().endswith(f"  {says} max_drawdown")

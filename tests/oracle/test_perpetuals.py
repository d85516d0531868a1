"""Real perpetuals with funding, 2020 to 2022: the cash flow from the raw files, in decimals, by other means."""

from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.metrics import measure
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.run import execute
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import UNIT
from kraken_flow.modes.driver import load
from kraken_flow.runs.logs import ledger_log, order_log
from kraken_flow.runs.tables import Tables
from tests.engines import RUST
from tests.parity.same import assert_same

HOUR_MS = 3_600_000
PAIRS = {"BTC/USDT:USDT": "btcusdt", "ETH/USDT:USDT": "ethusdt"}
YEARS = ("2020-01-01", "2023-01-01")


def graph_over(data: Path, start: str, end: str, strategy: str):
    overrides = [
        f"strategy={strategy}", "data=files", f"data.path={data}/ohlcv/binance_perp_1h", "exchange=binance_perp",
        f"data.funding={data}/funding", f"data.mark={data}/ohlcv/binance_perp_mark_1h",
        "pairs=[BTC/USDT:USDT,ETH/USDT:USDT]", f"start={start}", f"end={end}", "account.leverage=3", "risk=research",
    ]  # fmt: skip
    return build(compose(overrides))


def funding_by_hand(data: Path, finished: FinishedRun) -> tuple[dict[str, Decimal], int]:
    """From the raw rates and marks and the positions that the fills make: -position x mark x rate at each payment."""
    fills = finished.result.fills
    first, last = int(finished.market.times[finished.market.first_row]), int(finished.closes[-1])
    total, paid = {}, 0
    for p, (pair, name) in enumerate(PAIRS.items()):
        rates = pq.read_table(data / "funding" / f"binance_{name}.parquet").to_pydict()
        candles = pq.read_table(data / "ohlcv" / "binance_perp_mark_1h" / f"{name}.parquet").to_pydict()
        marks = dict(zip(candles["ts_ms"], candles["open"], strict=True))
        mine = [i for i in range(len(fills["pair"])) if fills["pair"][i] == p]
        bars = finished.market.times
        trades = [(int(bars[fills["row"][i]]), int(fills["side"][i]) * int(fills["qty"][i])) for i in mine]
        total[pair] = Decimal(0)
        for stamp, rate in zip(rates["ts_ms"], rates["funding_rate"], strict=True):
            hour = stamp // HOUR_MS * HOUR_MS
            due = hour * 1_000_000
            if not first <= due < last:
                continue
            position = Decimal(sum(qty for time, qty in trades if time < due)) / UNIT
            flow = position * Decimal(repr(marks[hour])) * Decimal(repr(rate))
            total[pair] -= flow
            paid += position != 0
    return total, paid


def test_the_funding_of_three_years_equals_the_raw_files_to_the_cent(shared):
    data = shared / "data"
    graph = graph_over(data, *YEARS, "sma_cross")
    market = load(graph)
    ran = execute(graph, market)
    finished = FinishedRun(ran.result, market, ran.instruments, ran.spec.cash)
    by_hand, events = funding_by_hand(data, finished)
    assert events > 1_000
    lines = [line.split() for line in ledger_log(Tables(finished, "x")).splitlines() if " funding " in line]
    assert len(lines) == events
    told = {pair: sum(Decimal(line[-2]) for line in lines if line[2] == pair) for pair in PAIRS}
    cent = Decimal("0.01")
    for pair, amount in by_hand.items():
        assert abs(told[pair] - amount) < cent / 100, pair
        assert told[pair].quantize(cent) == amount.quantize(cent), pair
    assert Decimal(measure(finished)["funding"]) == -sum(told.values())


@pytest.mark.skipif(not RUST, reason="compares the engines")
def test_backtest_replay_and_paper_agree_with_funding_and_marks(shared):
    graph = graph_over(shared / "data", "2020-03-01", "2020-04-01", "donchian_breakout")
    market = load(graph)
    whole = execute(graph, market, "python")
    assert len(whole.result.flows["row"]) > 20
    texts = set()
    for engine in ("python", "rust"):
        session = Session(graph, tape_of(market), engine)
        for instant in instants(market):
            session.take(instant)
        for ran in (execute(graph, market, engine), session.outcome()):
            assert_same(whole.result, ran.result)
            tables = Tables(FinishedRun(ran.result, market, ran.instruments, ran.spec.cash), "x")
            texts.add((order_log(tables), ledger_log(tables)))
    assert len(texts) == 1

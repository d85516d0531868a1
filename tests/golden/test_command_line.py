"""The fill scenarios as a user runs them: bars and orders in CSV files, arguments in, run directory out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kraken_flow.app import DONE, main
from kraken_flow.core.times import iso, parse_time
from tests.engines import RUST
from tests.golden.bars import BARS, HOUR, PAIR, T0, VOLUMES, rows_of
from tests.golden.scenarios import SCENARIOS, Scenario

NAMED = {scenario.name: scenario for scenario in SCENARIOS}
FAST = "rust" if RUST else "python"
ROOT = Path(__file__).parents[2]
SHORT = {"buy": "B", "sell": "S", "maker": "M", "taker": "T"}


def write_bars(path: Path, bars: str, volumes: tuple[int, ...], step: int) -> None:
    """Write a candle file with the usual names."""
    lines = ["time,open,high,low,close,volume"]
    for i, (row, volume) in enumerate(zip(rows_of(bars), volumes, strict=True)):
        lines.append(",".join([iso(T0 + i * step), *row, str(volume)]))
    path.write_text("\n".join(lines) + "\n")


def arguments(scenario: Scenario, folder: Path, engine: str) -> list[str]:
    """Write a scenario's files; return the words of its command."""
    data = folder / "candles"
    data.mkdir()
    count = len(rows_of(BARS[scenario.bars]))
    write_bars(data / "BTC_USD-1h.csv", BARS[scenario.bars], VOLUMES.get(scenario.bars, (1000,) * count), HOUR)
    if scenario.finer:
        write_bars(data / "BTC_USD-15m.csv", scenario.finer, (250,) * (4 * count), HOUR // 4)
    (folder / "orders.csv").write_text(scenario.csv(PAIR))
    return [
        *("mode=backtest", "strategy=scripted", f"strategy.path={folder / 'orders.csv'}"),
        *("data=files", f"data.path={data}", f"pairs=[{PAIR}]", "timeframe=1h", "exchange=bare"),
        *(f"{key}={value}" for key, value in scenario.terms.items()),
        *(f"engine={engine}", f"run_dir={folder / 'run'}", "report=none"),
    ]


def fills_as_text(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Write the rows of fills.parquet the way the scenarios do; also assert what follows from bar and phase."""
    written = []
    for fill in rows:
        opened = parse_time(str(fill["bar"]))
        assert parse_time(str(fill["time"])) in (opened, opened + HOUR)
        assert (fill["pair"], fill["fee_currency"]) == (PAIR, "USD")
        amounts = f"{fill['qty'].normalize():f}@{fill['price'].normalize():f} fee {fill['fee'].normalize():f}"
        bar = (opened - T0) // HOUR
        written.append(f"b{bar} {SHORT[fill['side']]} {amounts} {SHORT[fill['liquidity']]}")
    return tuple(written)


def check(scenario: Scenario, run: Path, engine: str) -> None:
    """Compare a run directory with its scenario."""
    metrics = json.loads((run / "metrics.json").read_text())
    held = {} if scenario.qty == "0" else {PAIR: scenario.qty}
    assert (metrics["final_cash"], metrics["final_equity"]) == (scenario.cash, scenario.equity)
    assert {pair: qty for pair, qty in metrics["final_positions"].items() if qty != "0"} == held
    assert metrics["engine"] == engine
    assert fills_as_text(pq.read_table(run / "fills.parquet").to_pylist()) == scenario.fills
    equity = pq.read_table(run / "equity.parquet")["equity"].to_pylist()
    assert len(equity) == len(rows_of(BARS[scenario.bars]))
    assert equity[-1] == pytest.approx(float(scenario.equity), abs=1e-9)


@pytest.mark.parametrize("name", NAMED)
def test_scenario_by_its_command(name: str, tmp_path: Path) -> None:
    scenario = NAMED[name]
    assert main(arguments(scenario, tmp_path, FAST)) == DONE
    check(scenario, tmp_path / "run", FAST)


@pytest.mark.parametrize(
    ("name", "engine"), [("S01", "python"), ("S07", FAST), ("S17", "python"), ("S18", FAST), ("S11", "auto")]
)
def test_scenario_in_a_process_of_its_own(name: str, engine: str, tmp_path: Path) -> None:
    scenario = NAMED[name]
    command = [sys.executable, "-W", "error", "-m", "kraken_flow", *arguments(scenario, tmp_path, engine)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - our own program
    assert (done.returncode, done.stderr) == (DONE, ""), done.stdout + done.stderr
    check(scenario, tmp_path / "run", FAST if engine == "auto" else engine)


def test_s29_statistics_of_an_open_position(tmp_path: Path) -> None:
    assert main(arguments(NAMED["S18"], tmp_path, FAST)) == DONE
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["trades"] == 0
    assert metrics["win_rate"] is None
    assert "win_rate" in metrics["null_reasons"]


def test_s27_one_closed_trade(tmp_path: Path) -> None:
    assert main(arguments(NAMED["S27"], tmp_path, FAST)) == DONE
    (trade,) = pq.read_table(tmp_path / "run" / "trades.parquet").to_pylist()
    assert trade["pnl"] + trade["fees"] == 10
    assert (trade["side"], trade["qty"]) == ("long", 10)


@pytest.mark.parametrize(
    ("name", "worst", "best"),
    [
        ("S05", "9968.03", "9968.03"),
        ("S07", "9968.03", "10058.03"),
        ("S07-ohlc", "9968.47", "10058.47"),
        ("S14", "9958.555", "9958.555"),
        ("S37", "9958", "10003"),
    ],
)
def test_the_band_of_a_bar_reaches_what_the_other_path_makes(tmp_path: Path, name: str, worst: str, best: str) -> None:
    """The other path's result, but for the fee: 0.97 of a taker where a maker's would be 0.53, and the reverse.

    S14 enters by a limit, so that its stop was certain; S37 by a stop, and its bar closes at 102.5 above the exit.
    """
    assert main(arguments(NAMED[name], tmp_path, FAST)) == DONE
    found = json.loads((tmp_path / "run/metrics.json").read_text())["ambiguity"]
    assert (found["worst_equity"], found["best_equity"]) == (worst, best)

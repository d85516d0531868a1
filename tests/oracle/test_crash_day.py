"""March 2020 on real bars: the kill at 5 % acts on open profit and loss, in every mode alike."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kraken_flow.app import main
from kraken_flow.core.times import iso, parse_time

LIMITS = ("risk.position.stop_loss=null", "risk.position.take_profit=null", "risk.day.max_loss=null")
TABLES = ("orders.log", "ledger.log", "fills.parquet", "equity.parquet", "risk.parquet")


@pytest.fixture(scope="module")
def bars(shared: Path) -> Path:
    folder = shared / "data" / "ohlcv" / "binance_spot_1h"
    if not (folder / "btcusdt.parquet").is_file():
        pytest.skip(f"no hourly Binance bars at {folder}")
    return folder


def words(mode: str, strategy: str, bars: Path, *more: str) -> list[str]:
    return [
        f"mode={mode}", f"strategy={strategy}", "data=files", f"data.path={bars}", "pairs=[BTC/USDT,ETH/USDT]",
        "exchange=binance", "start=2020-03-09", "end=2020-03-20", *LIMITS, *more,
    ]  # fmt: skip


def first_line(out: str) -> str:
    return out.splitlines()[0]


@pytest.mark.parametrize("strategy", ["hold", "combined"])
def test_the_crash_kills_in_every_mode(strategy, bars, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words("backtest", strategy, bars, "run_dir=whole")) == 0
    said = capsys.readouterr().out
    metrics = json.loads(Path("whole/metrics.json").read_text())
    assert first_line(said).startswith(f"Killed at {metrics['killed_at']} by max_drawdown (loss ")
    assert first_line(said).endswith(f"{metrics['halted_share']:.1%} of the span went untraded")
    (event,) = pq.read_table("whole/risk.parquet").to_pylist()
    _check(event, bars, strategy)
    sent = Path("whole/orders.log").read_text().splitlines()
    after = [line for line in sent if line[:20] >= metrics["killed_at"]]
    assert after
    assert all(" submit " not in line or line.endswith("reduce_only max_drawdown") for line in after)
    fills = pq.read_table("whole/fills.parquet").to_pylist()
    assert {fill["reason"] for fill in fills if fill["time"] >= event["time"]} == {"max_drawdown"}
    for mode in ("paper", "replay"):
        more = ["mode.speed=max"] if mode == "paper" else ["mode.run=paper"]
        call = words(mode, strategy, bars, *more) if mode == "paper" else ["mode=replay", *more]
        assert main([*call, f"run_dir={mode}"]) == 0
        assert first_line(capsys.readouterr().out) == first_line(said)
        for name in TABLES:
            assert Path(mode, name).read_bytes() == Path("whole", name).read_bytes(), (mode, name)


def _check(event, bars, strategy):
    """The numbers stored with the kill are those of the equity curve: the first instant at 5 % below its peak."""
    curve = pq.read_table("whole/equity.parquet")
    equity = np.append(10_000.0, curve["equity"].to_numpy())
    high = np.maximum.accumulate(equity)
    first = int(np.flatnonzero(high - equity >= 0.05 * high)[0])
    assert event["time"] == curve["time"][first - 1].as_py()
    assert (event["equity"], event["reference"], event["limit"]) == (equity[first], high[first], 0.05)
    assert event["value"] == (high[first] - equity[first]) / high[first] >= 0.05
    if strategy == "hold":
        # Nothing was sold before: the whole loss is open.
        fills = pq.read_table("whole/fills.parquet").to_pylist()
        assert all(fill["side"] == "buy" for fill in fills if fill["time"] < event["time"])


@pytest.mark.parametrize("strategy", ["hold", "combined"])
def test_research_says_what_would_have_happened(strategy, bars, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words("backtest", strategy, bars, "run_dir=whole")) == 0
    killed = json.loads(Path("whole/metrics.json").read_text())
    capsys.readouterr()
    assert main(words("backtest", strategy, bars, "risk=research", "run_dir=shadow")) == 0
    said = capsys.readouterr().out
    assert first_line(said).startswith(f"Would have been killed at {killed['killed_at']} by max_drawdown (loss ")
    assert "RISK EVENTS (not acted upon)" in said
    metrics = json.loads(Path("shadow/metrics.json").read_text())
    assert (metrics["killed_at"], metrics["halted_share"]) == (None, 0.0)
    assert main(words("backtest", strategy, bars, "risk=none", "run_dir=free")) == 0
    assert metrics["final_equity"] == json.loads(Path("free/metrics.json").read_text())["final_equity"]
    time = pq.read_table("shadow/risk.parquet")["time"][0].as_py()
    assert iso(parse_time(time.isoformat())) == killed["killed_at"]

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kraken_flow import backtest
from kraken_flow.app import main
from kraken_flow.core.errors import UserError
from kraken_flow.core.hashes import file_hash

ROOT = Path(__file__).parents[3]
CANDLES = """time,open,high,low,close,volume
2024-01-01T00:00:00Z,100,101,99,100,1000
2024-01-01T01:00:00Z,100.5,102,100,101.5,1000
2024-01-01T02:00:00Z,101.5,103,101,102,1000
2024-01-01T03:00:00Z,102.2,104,102,103.5,1000
2024-01-01T04:00:00Z,103.4,104,102,102.5,1000
"""
ORDERS = """time,pair,side,qty,type
2024-01-01T01:00:00Z,BTC/USD,buy,10,market
2024-01-01T03:00:00Z,BTC/USD,sell,10,market
"""
S01 = [
    "mode=backtest",
    "strategy=scripted",
    "strategy.path=orders.csv",
    "data=files",
    "data.path=candles.csv",
    "pairs=[BTC/USD]",
    "exchange=bare",
    "exchange.fees.taker_bps=10",
    "exchange.fees.maker_bps=5",
    "exchange.tick=0.01",
    "risk=none",
    "engine=python",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "candles.csv").write_text(CANDLES)
    (tmp_path / "orders.csv").write_text(ORDERS)
    return tmp_path


def test_s01_through_the_command_line(folder, capsys):
    assert main([*S01, "run_dir=out"]) == 0
    metrics = json.loads((folder / "out" / "metrics.json").read_text())
    assert (metrics["final_cash"], metrics["final_equity"], metrics["fees"]) == ("10014.973", "10014.973", "2.027")
    assert metrics["order_log_sha256"] == file_hash(folder / "out" / "orders.log")
    assert metrics["ledger_sha256"] == file_hash(folder / "out" / "ledger.log")
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert {Path(f["path"]).name: f["sha256"] for f in manifest["data"]} == {
        "candles.csv": file_hash(folder / "candles.csv"),
        "orders.csv": file_hash(folder / "orders.csv"),
    }
    assert (manifest["status"], manifest["engine"]) == ("finished", "python")
    said = capsys.readouterr().out
    assert "SUMMARY METRICS" in said
    assert "risk limits are off" in said
    assert "run: out" in said


def test_report_json_prints_the_metrics_alone(folder, capsys):
    assert main([*S01, "run_dir=out", "report=json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((folder / "out" / "metrics.json").read_text())


def test_a_run_without_a_folder_is_the_latest(folder):
    assert main([*S01, "report=json"]) == 0
    assert json.loads((folder / "runs" / "latest" / "manifest.json").read_text())["status"] == "finished"
    (made,) = (folder / "runs" / "backtest" / "scripted").iterdir()
    assert made.samefile(folder / "runs" / "latest")
    assert main([*S01, "report=json", "run_dir=elsewhere"]) == 0
    assert made.samefile(folder / "runs" / "latest")
    assert main([*S01, "report=json", "run_dir=runs/mine"]) == 0
    assert (folder / "runs" / "latest").resolve() == folder.resolve() / "runs" / "mine"


def test_a_folder_of_somebody_else_is_refused(folder, capsys):
    assert main([*S01, "run_dir=."]) == 2
    assert "not empty and holds no earlier run of ours" in capsys.readouterr().err
    assert (folder / "orders.csv").read_text() == ORDERS


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
@pytest.mark.parametrize("words", [["data.path=nowhere.csv"], ["data.path=bad.csv"], ["account.cash=1e15"]])
def test_refused_input_leaves_no_folder_and_the_latest_run_where_it_was(folder, capsys, mode, words):
    (folder / "bad.csv").write_text(CANDLES.replace("102,100,101.5", "102,101,101.5"))
    assert main([*S01, "report=json"]) == 0
    made = (folder / "runs/latest").resolve()
    asked = [word for word in S01 if word.partition("=")[0] not in {words[0].partition("=")[0], "mode"}]
    for place in ([], ["run_dir=out"]):
        assert main([*asked, *words, *place, f"mode={mode}"]) == 2
    assert "error: " in capsys.readouterr().err
    assert (folder / "runs/latest").resolve() == made
    assert [path.parent for path in folder.rglob("manifest.json")] == [folder / made.relative_to(folder.resolve())]
    assert not (folder / "out").exists()
    assert [path.name for path in (folder / "runs").iterdir() if path.name != "latest"] == ["backtest"]


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
def test_an_engine_that_is_not_there_leaves_no_folder(folder, capsys, monkeypatch, mode):
    monkeypatch.setattr("kraken_flow.native.native", None)
    asked = [word for word in S01 if not word.startswith(("mode=", "engine="))]
    assert main([*asked, f"mode={mode}", "engine=rust"]) == 2
    assert "error: engine=rust: " in capsys.readouterr().err
    assert not (folder / "runs").exists()


WRONG = {
    "a key": ["strategy.pahts=orders.csv"],
    "a candle": ["data.path=bad.csv"],
    "a file": ["data.path=nowhere.csv"],
    "a pair": ["pairs=[BTC-USD]"],
    "an order": ["strategy.path=bad_orders.csv"],
    "the cash": ["account.cash=1e15"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_input_leaves_an_earlier_run_as_it_was(folder, words):
    (folder / "bad.csv").write_text(CANDLES.replace("102,100,101.5", "102,101,101.5"))
    (folder / "bad_orders.csv").write_text(ORDERS.replace("sell", "sel"))
    assert main([*S01, "run_dir=out", "report=json"]) == 0
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    keys = {word.partition("=")[0] for word in words}
    asked = [*(word for word in S01 if word.partition("=")[0] not in keys), *words]
    assert main([*asked, "run_dir=out"]) == 2
    with pytest.raises(UserError):
        backtest(asked, run_dir="out")
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_the_same_candles_in_another_format_have_the_same_hash(folder, monkeypatch):
    import pandas as pd

    assert main([*S01, "run_dir=csv", "report=json"]) == 0
    frame = pd.read_csv("candles.csv")
    frame["time"] = pd.to_datetime(frame["time"])
    frame.to_parquet("candles.parquet")
    words = [word.replace("candles.csv", "candles.parquet") for word in S01]
    assert main([*words, "run_dir=parquet", "report=json"]) == 0
    first, second = (json.loads((folder / name / "metrics.json").read_text()) for name in ("csv", "parquet"))
    assert first["data_sha256"] == second["data_sha256"]
    assert first["ledger_sha256"] == second["ledger_sha256"]


def test_an_interrupted_run_ends_with_130_and_says_so(folder):
    command = [
        sys.executable,
        "-m",
        "kraken_flow",
        "mode=backtest",
        "strategy=combined",
        "engine=python",
        "run_dir=out",
    ]
    started = subprocess.Popen(  # noqa: S603 - our own interpreter and words
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    manifest = folder / "out" / "manifest.json"
    deadline = time.monotonic() + 60
    while not (folder / "out" / "run.log").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert (started.returncode, said) == (130, b"interrupted\n")
    assert json.loads(manifest.read_text())["status"] == "interrupted"
    assert main([*S01, "run_dir=out", "report=json"]) == 0
    assert json.loads(manifest.read_text())["status"] == "finished"


def test_a_cost_that_is_set_and_not_charged_is_named(folder, capsys):
    assert main([*S01, "exchange.slippage.bps=5", "exchange.fill.detail=15m"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "note: exchange.slippage.bps has no effect: exchange.slippage.model is none, not bps" in said
    assert "note: exchange.fill.detail has no effect: exchange.fill.path is pessimistic, not detail" in said
    assert main([*S01, "exchange.slippage.model=bps", "exchange.slippage.bps=5"]) == 0
    assert "no effect" not in capsys.readouterr().out


@pytest.mark.parametrize("strategy", [["strategy=momentum", "strategy.ranked=true"], ["strategy=hold"]])
@pytest.mark.parametrize("pairs", ["pairs=[BTC/USD]", "pairs=[BTC/USD,ETH/USD]"])
def test_a_ranking_of_one_pair_is_told(strategy, pairs):
    told = backtest([*strategy, pairs, "timeframe=1d"]).notes
    expected = "ranked" in strategy[-1] and "ETH" not in pairs
    assert ("Rank compares pairs and has no value on a single one: it takes two pairs or more" in told) == expected


def test_orders_after_the_last_decision_are_told(folder, capsys):
    (folder / "orders.csv").write_text(ORDERS.replace("2024-01-01T03", "2025-01-01T03"))
    assert main(S01) == 0
    assert "scripted orders never sent: 1 of 2" in capsys.readouterr().out


def test_a_position_in_a_pair_whose_bars_ended_is_told():
    def candles(count):
        time = [1_700_000_000 // 3600 * 3600 + 3600 * k for k in range(count)]
        return {"time": time, "volume": [1000.0] * count} | dict.fromkeys(
            ("open", "high", "low", "close"), [5.0] * count
        )

    words = ["strategy=hold", "exchange=bare", "risk=none"]
    told = backtest(words, {"AAA/USD": candles(60), "BBB/USD": candles(30)}).notes
    assert [note for note in told if "still held" in note] == [
        "BBB/USD: its bars end at 2023-11-16T03:00:00Z; the position still held counts at the close of then"
    ]
    assert not any("still held" in note for note in backtest(words, {"AAA/USD": candles(60)}).notes)


def test_a_file_of_a_run_s_folder_names_the_folder(folder, capsys):
    assert main([*S01, "run_dir=out", "report=json"]) == 0
    assert main(["mode=report", "mode.run=out/metrics.json"]) == 2
    assert "mode.run=out/metrics.json: this is a file; name its folder, as in mode.run=out" in capsys.readouterr().err


def test_a_target_beyond_the_price_is_noted(folder, capsys):
    assert main(["risk.position.take_profit=5", "pairs=[BTC/USD]", "end=2021-02-01", "run_dir=out"]) == 0
    assert "a gain of 500 % of its entry price; 5 % is 0.05" in " ".join(capsys.readouterr().out.split())

"""The user's own commands: the mode and the engine change nothing that is traded, the mode no key but its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from kraken_flow.app import main
from kraken_flow.config.composition import flat, read_yaml
from tests.engines import RUST

MODES = ("backtest", "replay", "paper")
TRADED = ("strategy=combined", "end=2021-03-01", "report=json")


def run(name: str, *words: str) -> dict[str, Any]:
    """Run one command; return the hashes of what it traded."""
    assert main([*TRADED, *words, f"run_dir={name}"]) == 0
    metrics = json.loads((Path(name) / "metrics.json").read_bytes())
    return {log: metrics[log] for log in ("order_log_sha256", "ledger_sha256", "data_sha256")} | {
        "n": metrics["trades"]
    }


@pytest.mark.parametrize("risk", ["default", "none"])
def test_every_mode_and_engine_trades_the_same(tmp_path, monkeypatch, risk):
    monkeypatch.chdir(tmp_path)
    word = [] if risk == "default" else ["risk=none"]
    made = {
        (mode, engine): run(f"{mode}-{engine}", f"mode={mode}", f"engine={engine}", *word)
        for mode in MODES
        for engine in (("rust", "python") if RUST else ("python",))
    }
    one = next(iter(made.values()))
    assert made == dict.fromkeys(made, one)
    logs = {(Path(f"{mode}-{engine}") / "orders.log").read_bytes() for mode, engine in made}
    assert len(logs) == 1
    assert len(logs.pop().splitlines()) > 20
    # The hash tells apart what is not the same.
    assert run("fee", "mode=paper", "exchange.fees.taker_bps=41", *word)["ledger_sha256"] != one["ledger_sha256"]
    assert run("window", "mode=paper", "start=2021-01-10", *word)["order_log_sha256"] != one["order_log_sha256"]


@pytest.mark.parametrize("strategy", ["sma_cross", "combined"])
def test_the_composed_configuration_differs_in_the_mode_alone(strategy, capsys):
    """A strategy is configured once: what it is in a backtest it is on paper, key by key."""
    composed = {}
    for mode in MODES:
        assert main([f"mode={mode}", f"strategy={strategy}", "--cfg", "job"]) == 0
        composed[mode] = flat(read_yaml(capsys.readouterr().out))
    for mode in MODES[1:]:
        keys = composed["backtest"].keys() | composed[mode].keys()
        differ = {key for key in keys if composed["backtest"].get(key) != composed[mode].get(key)}
        assert differ
        assert {key.split(".")[0] for key in differ} == {"mode"}

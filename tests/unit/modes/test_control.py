"""Telling a running session something from outside."""

import json
import signal
import time
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from kraken_flow.app import main
from kraken_flow.core.orders import Control
from kraken_flow.runs.control import FOLDER, ask, requests

# A bar of an hour lasts 20 ms: the session would go on for 45 seconds.
SESSION = ("mode=paper", "mode.speed=180000x", "strategy=hold", "risk=none", "pairs=btc", "end=2021-04-05")


def test_a_session_obeys_and_its_journal_replays(session, capsys):
    assert main(["mode=status", "mode.run=out"]) == 0
    assert "running" in capsys.readouterr().out
    assert main(["mode=flatten", "mode.run=out"]) == 0
    assert main(["mode=pause", "mode.run=out"]) == 0
    time.sleep(0.2)
    assert main(["mode=status", "mode.run=out"]) == 0
    told = capsys.readouterr().out
    assert "paused" in told
    assert "flat" in told
    assert main(["mode=reset", "mode.run=out"]) == 0
    assert main(["mode=resume", "mode.run=out"]) == 0
    session.send_signal(signal.SIGINT)
    assert session.wait(30) == 130
    assert json.loads(Path("out/manifest.json").read_text())["status"] == "interrupted"
    log = Path("out/orders.log").read_text().splitlines()
    assert sum(line.endswith(" flatten") for line in log) == 1
    assert main(["mode=replay", "mode.run=out", "run_dir=again"]) == 0
    assert "equal to out" in capsys.readouterr().out
    assert Path("again/ledger.log").read_bytes() == Path("out/ledger.log").read_bytes()
    assert Path("again/risk.parquet").read_bytes() == Path("out/risk.parquet").read_bytes()
    assert [event["trigger"] for event in read_table("again/risk.parquet").to_pylist()] == ["reset"]
    assert main(["mode=pause", "mode.run=out"]) == 2
    assert "is not running" in capsys.readouterr().err
    assert main(["mode=status", "mode.run=out"]) == 2


def test_a_second_session_on_the_folder_is_refused_and_the_first_goes_on(session, capsys):
    def files():
        kept = [path for path in Path("out").iterdir() if path.is_file() and path.name not in {"journal", "run.log"}]
        return {path.name: path.read_bytes() for path in kept}

    before, size = files(), Path("out/journal").stat().st_size
    for words in ([*SESSION, "run_dir=out"], ["mode=backtest", "strategy=hold", "run_dir=out"]):
        assert main(words) == 2
        assert "run_dir=out: another run is writing there; choose another folder" in capsys.readouterr().err
    assert files() == before
    session.send_signal(signal.SIGINT)
    assert session.wait(30) == 130
    assert Path("out/journal").stat().st_size > size
    assert main(["mode=replay", "mode.run=out", "run_dir=again"]) == 0
    assert "equal to out" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["pause", "resume", "flatten", "reset", "status"])
def test_there_has_to_be_a_session(mode, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([f"mode={mode}"]) == 2
    assert "mode.run=runs/latest: there is no run of ours" in capsys.readouterr().err
    assert main(["mode=backtest", "strategy=hold", "pairs=btc", "end=2021-02-01", "run_dir=out", "report=json"]) == 0
    capsys.readouterr()
    assert main([f"mode={mode}", "mode.run=out"]) == 2
    assert "this is a backtest, no session" in capsys.readouterr().err


def test_requests_come_in_the_order_in_which_they_were_made(tmp_path):
    asked = [ask(tmp_path, what) for what in (Control.FLATTEN, Control.PAUSE, Control.RESUME)]
    (tmp_path / FOLDER / "notes.txt").touch()
    (tmp_path / FOLDER / "12-3.buy").touch()
    assert [(path, what) for path, what in requests(tmp_path)] == list(
        zip(asked, (Control.FLATTEN, Control.PAUSE, Control.RESUME), strict=True)
    )

"""The whole console report of one run, to the letter: `console.txt` is what a user of 80 columns sees."""

import re
from pathlib import Path

import pytest

from kraken_flow.app import main

GOLDEN = Path(__file__).with_name("console.txt")
WORDS = (
    *("pairs=[BTC/USD,ETH/USD]", "risk=research", "start=2021-03-01", "end=2021-08-01", "strategy=donchian_breakout"),
    *("risk.position.stop_loss=0.01", "risk.position.take_profit=0.02", "report.breakdown=[month,weekday]"),
    "run_dir=out",
)


def told(capsys, *words):
    assert main([*WORDS, *words]) == 0
    text = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()) + "\n"
    return re.sub(r"engine \w+: .* bars/s", "engine E: T s, N bars/s", text)


@pytest.fixture(autouse=True)
def narrow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_the_report_of_one_run(capsys):
    """Where a change is meant: write what `told` returns to console.txt, and read the difference."""
    assert told(capsys) == GOLDEN.read_text("utf-8")


def test_no_line_is_cut_or_coloured(capsys):
    text = told(capsys)
    assert "…" not in text
    assert "\x1b" not in text
    # The kill, which is said in one line for log files, is the only one that is longer.
    assert [len(line) > 80 for line in text.splitlines()] == [True, *[False] * (text.count("\n") - 1)]


def test_json_is_the_file_and_nothing_else(tmp_path, capsys):
    assert main([*WORDS, "report=json"]) == 0
    out, err = capsys.readouterr()
    assert out == (tmp_path / "out/metrics.json").read_text("utf-8")
    assert err == ""

"""The commands of docs/optimisation.md do what the page says: they run."""

import re
import shlex
from pathlib import Path

import pytest

from kraken_flow.app import main

pytest.importorskip("skfolio")

PAGE = Path(__file__).parents[2] / "docs" / "optimisation.md"
COMMANDS = re.findall(r"^    python -m kraken_flow (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    mode = [] if any(word.startswith("mode=") for word in words) else ["mode=backtest"]
    assert main([*mode, *words, "run_dir=out"]) == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_the_page_has_commands():
    assert len(COMMANDS) >= 5

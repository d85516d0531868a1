"""The commands of docs/runs.md, in their order, do what the page says."""

import re
import shlex
from pathlib import Path

from kraken_flow.app import main

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text("utf-8")
COMMANDS = re.findall(r"^    python -m kraken_flow (.+)$", PAGE, re.MULTILINE)


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert len(COMMANDS) >= 10
    shown = {}
    for command in COMMANDS:
        assert main(shlex.split(command)) == 0, (command, capsys.readouterr().err)
        shown[command] = capsys.readouterr().out
    example = re.search(
        r"^    (Strategy +Mode .+)\n    (momentum.+)\n {6}(finished \w{8}) .+\n {6}(trading .+)$", PAGE, re.M
    )
    assert example is not None
    for text in example.groups():
        assert text in shown["mode=runs"]
    assert (tmp_path / "runs" / "index.html").is_file()
    assert (tmp_path / "finished.html").is_file()
    compared = next(text for command, text in shown.items() if "crosscheck" in command)
    for name in re.findall(r"^    ([a-z ,]+?)  +[\d,+]", PAGE, re.MULTILINE):
        assert f"\n{name} " in compared
    for key in re.findall(r"^\| (`mode\.\w+`(?:, `mode\.\w+`)*) \|", PAGE, re.MULTILINE):
        for name in re.findall(r"mode\.(\w+)", key):
            assert f"mode.{name}" in _keys(capsys)


def _keys(capsys) -> str:
    assert main(["mode=list", "mode.group=mode"]) == 0
    return capsys.readouterr().out

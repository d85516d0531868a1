"""Every command that the pages show is one that the program takes, and the errors they show are the ones it gives."""

import re
import shlex
from pathlib import Path

import pytest

from kraken_flow import app

ROOT = Path(__file__).parents[3]
WALKED = {"first-run.md", "tutorial.md", "extending.md"}
"""Run as they stand, one command after another, by tests/golden/test_walked_pages.py."""
PAGES = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in WALKED)]
PAGES_TEXT = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES}
COMMAND = re.compile(r"^ +(?:\.venv/bin/)?python -m kraken_flow (?!\[)(.+)$", re.M)


def shown() -> list[str]:
    """The arguments of every command of the pages, continued lines joined, and of those that `make demo` proposes."""
    proposed = re.findall(r'@echo "next, .+?\$\(RUN\) -m kraken_flow (.+?)"', (ROOT / "Makefile").read_text("utf-8"))
    assert len(proposed) == 2
    return proposed + [words for text in PAGES_TEXT.values() for words in COMMAND.findall(text.replace("\\\n", " "))]


def test_the_pages_show_commands():
    assert len(shown()) >= 7


@pytest.mark.parametrize("command", shown())
def test_a_shown_command_is_taken(program, monkeypatch, command):
    """Composed and validated as a whole; what a mode does with it is tested elsewhere."""
    taken = []
    if not {"mode=new", "mode=list"} & set(shlex.split(command)):
        monkeypatch.setattr(app, "_call", lambda _, checked, *rest: taken.append(checked) or 0)
    program.write("my.yaml", re.findall(r"```yaml\n# my.yaml\n(.+?)```", PAGES_TEXT["docs/configuration.md"], re.S)[0])
    words = [re.sub(r"^(strategy\.\w+=\d+)(,\d+)+$", r"\1", word) for word in shlex.split(command) if word != "-m"]
    assert program(*words) == 0, program.err
    assert program.err == ""
    assert all((checked.graph is not None) == checked.mode.needs_graph for checked in taken)
    assert taken or {"mode=new", "mode=list"} & set(words)


def from_freqtrade() -> list[str]:
    """What the tables of the page say is written here: in the second column all, in the third what sets keys."""
    page = PAGES_TEXT["docs/from-freqtrade.md"]
    columns = [row.split("|")[2:4] for row in page.splitlines() if row.startswith("| ")]
    return [words for row in columns for cell in row for words in re.findall(r"`((?:-m )?[a-z][\w.]*=[^`]+)`", cell)]


def test_every_setting_that_a_user_of_freqtrade_is_told_exists(program, monkeypatch):
    monkeypatch.setattr(app, "_call", lambda *_: 0)
    (program.folder / "orders.csv").write_text("time,pair,side,qty\n")
    assert len(from_freqtrade()) > 38
    for told in from_freqtrade():
        words = [re.sub(r"(=[\d.]+)(,[\d.]+)+$", r"\1", word) for word in shlex.split(told) if word != "-m"]
        if words == ["mode=new", "mode.name=my_idea"]:
            continue
        assert program(*words, *(["strategy=sma_cross"] if told.startswith("-m strategy.") else [])) == 0, program.err


def test_the_errors_of_the_example_are_those_that_it_gives(program):
    example = re.compile(r"^    \$ python -m kraken_flow (.+)\n((?:    error: .+\n)+)", re.M)
    ((command, told),) = example.findall(PAGES_TEXT["docs/cli.md"])
    assert program(*shlex.split(command)) == 2
    assert program.err.splitlines() == [line.strip() for line in told.splitlines()]

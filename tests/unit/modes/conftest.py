import sys

import pytest

from kraken_flow.app import main
from kraken_flow.config.paths import CONF, CONFIG_DIR
from tests.unit.modes.past_runs import project


class Program:
    """Runs the program in this process, in a user's project."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words):
        self._capsys.readouterr()
        self.code = main(words)
        self.out, self.err = self._capsys.readouterr()
        return self.code


@pytest.fixture
def mine(tmp_path, monkeypatch, capsys):
    folder = project(tmp_path / "home")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in (CONF, CONFIG_DIR, "LOG_LEVEL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return Program(folder, capsys)

import sys
from pathlib import Path

import pytest

from kraken_flow.app import main
from kraken_flow.config.paths import CONF, CONFIG_DIR
from tests.unit.modes.past_runs import ROOT, project


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
    for name, module in list(sys.modules.items()):
        # A strategy of another test's project would count among the sources of a run of this one.
        if name.startswith("strategies.") and not Path(module.__file__).is_relative_to(ROOT):
            monkeypatch.delitem(sys.modules, name)
    for name in (CONF, CONFIG_DIR, "LOG_LEVEL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return Program(folder, capsys)

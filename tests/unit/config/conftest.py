import sys

import pytest

from kraken_flow.app import main
from kraken_flow.config.paths import CONF, CONFIG_DIR


class Program:
    """Runs the program in this process, in an empty working directory."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words):
        self._capsys.readouterr()
        self.code = main(words)
        self.out, self.err = self._capsys.readouterr()
        return self.code

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path


@pytest.fixture
def program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in (CONF, CONFIG_DIR, "LOG_LEVEL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return Program(tmp_path, capsys)

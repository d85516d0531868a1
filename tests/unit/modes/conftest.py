import subprocess
import sys
import time
from pathlib import Path

import pytest

from kraken_flow.app import main
from kraken_flow.config.paths import CONF, CONFIG_DIR
from tests.unit.modes.past_runs import ENV, IMPORT, ROOT, project


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


@pytest.fixture
def filled(mine):
    """The program in a project whose candles are in its data store."""
    assert mine(*IMPORT) == 0, mine.err
    assert mine.out == "store: files read 2, imported before 0; bars added 600, there already 0\n"
    return mine


@pytest.fixture
def session(request, tmp_path, monkeypatch):
    """The paper session of the module's `SESSION` in another process, in `out`, once it has taken some instants."""
    monkeypatch.chdir(tmp_path)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "kraken_flow", *request.module.SESSION, "run_dir=out"],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    journal = tmp_path / "out" / "journal"
    until = time.monotonic() + 60
    while not journal.is_file() or journal.stat().st_size < 8_000:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()

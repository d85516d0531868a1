"""Every script of `examples/` runs by itself, from any folder, and stays short."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def test_there_are_examples():
    assert len(SCRIPTS) >= 4
    assert all(len(script.read_text("utf-8").splitlines()) <= 40 for script in SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_from_anywhere_and_leaves_nothing(script, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) >= 3
    assert "not the same" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_pages_name_every_example():
    page = (ROOT / "docs" / "python-api.md").read_text("utf-8")
    assert [script.name for script in SCRIPTS if f"../examples/{script.name}" not in page] == []

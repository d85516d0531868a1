import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_python_without_the_packages_is_told_in_one_line():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "kraken_flow", "mode=list"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "is not installed for" in line
    assert ".venv/bin/python" in line

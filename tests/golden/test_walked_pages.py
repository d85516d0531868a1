"""The pages that lead somewhere are walked as they stand: files written, commands run, one after another."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STEP = re.compile(
    r"```(?:python|yaml)\n# (?P<path>\S+\.(?:py|yaml))\n(?P<text>(?:.*\n)*?)```|^    python -m (?P<command>.+)$", re.M
)


def steps(page: str) -> Iterator[re.Match[str]]:
    """The files and commands of a page, in its order."""
    return STEP.finditer((ROOT / "docs" / page).read_text("utf-8"))


@pytest.mark.parametrize(("page", "commands"), [("first-run.md", 7), ("tutorial.md", 10), ("extending.md", 2)])
def test_every_step_of_the_page_works(page: str, commands: int, tmp_path: Path):
    ran = 0
    for step in steps(page):
        if step["path"]:
            path = tmp_path / step["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step["text"], "utf-8")
            continue
        words = shlex.split(step["command"])
        done = subprocess.run(  # noqa: S603 the commands are those of our own pages
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"NO_COLOR": "1"},
        )
        assert done.returncode == 0, f"{step['command']}\n{done.stdout[-2000:]}\n{done.stderr}"
        assert "error" not in done.stderr, done.stderr
        ran += 1
    assert ran == commands

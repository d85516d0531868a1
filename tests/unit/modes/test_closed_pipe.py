"""A reader that goes away early is no failure of the run it read from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("mode", ["paper", "backtest"])
def test_a_finished_run_is_finished_though_nobody_reads_its_report(mode, tmp_path):
    words = [f"mode={mode}", "strategy=hold", "pairs=[BTC/USD]", "start=2021-02-01", "end=2021-02-03", "run_dir=out"]
    told = tmp_path / "told"
    with (
        told.open("wb") as errors,
        subprocess.Popen(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-m", "kraken_flow", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=errors
        ) as running,
    ):
        assert running.stdout is not None
        running.stdout.close()
        code = running.wait(60)
    assert code == 0
    assert json.loads(Path(tmp_path, "out/manifest.json").read_text())["status"] == "finished"
    assert "Traceback" not in Path(tmp_path, "out/run.log").read_text()
    assert "BrokenPipe" not in told.read_text()

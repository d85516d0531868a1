"""An import of a Kraken dump, killed again and again, ends with the catalogue of one that nobody disturbed."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.dumps import rows, text, tree, zipped

ROOT = Path(__file__).parents[2]
FILES = 1000
KILLS = 10
FRAMES = {15: "15m", 60: "1h", 240: "4h", 1440: "1d"}
MINUTES = tuple(FRAMES)


def start(folder: Path) -> subprocess.Popen[str]:
    """Begin or repeat the import."""
    words = ["mode=import", "mode.source=dump.zip", "mode.exchange=kraken", f"data.path={folder.name}", "report=json"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "kraken_flow", *words],
        cwd=folder.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def series(folder: Path, number: int) -> Path:
    """The manifest of the file that an import takes as the `number`th: they come in the order of their names."""
    names = sorted(f"K{pair:03d}USD_{minutes}" for pair in range(FILES // len(MINUTES)) for minutes in MINUTES)
    pair, minutes = names[number].split("_")
    return folder / "kraken" / f"{pair[:-3]}-USD" / FRAMES[int(minutes)] / "manifest.json"


def test_a_dump_of_a_thousand_files_killed_ten_times_gives_the_catalogue_of_an_undisturbed_import(tmp_path):
    files = {
        f"dump/K{number:03d}USD_{minutes}.csv": text(rows(number * 4 + i, minutes * 60, 40, 1_609_372_800))
        for number in range(FILES // len(MINUTES))
        for i, minutes in enumerate(MINUTES)
    }
    zipped(tmp_path / "dump.zip", files)
    whole = start(tmp_path / "undisturbed")
    out, err = whole.communicate(timeout=120)
    assert whole.returncode == 0, err
    assert f'"read": {FILES}' in out
    undisturbed = tree(tmp_path / "undisturbed")
    assert sum(path.endswith("manifest.json") for path in undisturbed) == FILES

    dice, killed, folder = random.Random(4), 0, tmp_path / "killed"  # noqa: S311 - a test's own dice
    targets = sorted(dice.sample(range(1, FILES - 20), KILLS))
    for target in targets:
        session = start(folder)
        # Once a random number of files is in, and then at a random moment of what is done for one.
        reached = series(folder, target)
        while session.poll() is None and not reached.exists():
            time.sleep(0.002)
        time.sleep(dice.random() * 0.01)
        killed += session.poll() is None
        session.kill()
        session.communicate()
        assert not series(folder, FILES - 1).exists()
    assert killed == KILLS
    last = start(folder)
    out, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    assert '"refused": 0' in out
    assert tree(folder) == undisturbed

"""A paper session killed from outside, again and again, ends as the one that nobody disturbed.

`KRAKEN_FLOW_KILLS=50` sets the number of kills; the default keeps the suite short.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KRAKEN_FLOW_KILLS", "4"))
SESSION = ("mode=paper", "strategy=combined", "pairs=[BTC/USD,ETH/USD]", "end=2021-02-15", "report=json")
TABLES = ("fills", "orders", "trades", "equity", "risk")
MADE = ("journal", "orders.log", "ledger.log", *(f"{table}.parquet" for table in TABLES))


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Begin or continue the session in a folder."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "kraken_flow", *SESSION, f"run_dir={folder.name}"],
        cwd=folder.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def written(folder: Path) -> int:
    """Bytes of the journal so far."""
    path = folder / "journal"
    return path.stat().st_size if path.is_file() else 0


def kill_somewhere(session: subprocess.Popen[bytes], folder: Path, whole: int, dice: random.Random) -> bool:
    """Kill a session once its journal has grown by a random part, or at a random moment of its start and recovery.

    Returns whether it was still running.
    """
    before, began = written(folder), time.monotonic()
    target = before + dice.random() * (whole - before) if dice.random() < 0.6 else float("inf")
    patience = 60.0 if target < float("inf") else dice.uniform(0.0, 2.0)
    while session.poll() is None and written(folder) <= target and time.monotonic() - began < patience:
        time.sleep(0.001)
    running = session.poll() is None
    session.kill()
    session.communicate()
    return running


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the session makes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed") / "session"
    session = start(folder)
    assert session.communicate()[1] == b""
    assert session.returncode == 0
    # A limit of the account kills it on the way: what a restart finds has to stay so.
    assert json.loads((folder / "metrics.json").read_text())["killed_at"] is not None
    return {name: (folder / name).read_bytes() for name in MADE}


def test_a_session_that_is_killed_ends_as_the_undisturbed_one(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    dice = random.Random(7)  # noqa: S311 - where to kill is no secret
    whole = len(undisturbed["journal"])
    kills = finished = 0
    while kills < KILLS or not finished:
        folder = tmp_path / f"session{finished}"
        if kills < KILLS and kill_somewhere(start(folder), folder, whole, dice):
            kills += 1
            continue
        session = start(folder)
        told = session.communicate()[1]
        assert (session.returncode, told) == (0, b"")
        finished += 1
        for name in MADE:
            assert (folder / name).read_bytes() == undisturbed[name], name
    assert kills == KILLS


def test_a_journal_holds_the_instants_that_were_taken(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Killed in mid tape, the journal is the beginning of the undisturbed one, whole frames and perhaps a torn one."""
    folder = tmp_path / "session"
    session = start(folder)
    whole = undisturbed["journal"]
    while written(folder) < len(whole) // 3:
        assert session.poll() is None
        time.sleep(0.001)
    session.kill()
    session.communicate()
    assert whole.startswith((folder / "journal").read_bytes())

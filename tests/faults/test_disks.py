"""A paper session on a disk that fills up, fails, or takes less than it is given: nothing that was written is lost."""

import errno
import os
import random
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from kraken_flow.app import main
from kraken_flow.runs import journal

SESSION = (
    "mode=paper",
    "strategy=sma_cross",
    "pairs=[BTC/USD,ETH/USD]",
    "end=2021-01-20",
    "report=json",
    "run_dir=out",
)
MADE = ("journal", "orders.log", "ledger.log", "fills.parquet", "orders.parquet", "trades.parquet", "equity.parquet")
FAILURES = 4
"""How often the disk fails in one session."""
FULL, BROKEN = "the disk is full", "the disk fails"


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in MADE}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(SESSION) == 0
    finally:
        os.chdir(before)
    return files(folder / "out")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


class Disk:
    """What a journal is written to: `writes` and `syncs` are how many of them succeed before one fails with `code`.

    A write that fails has taken `part` of what it was given, as a disk does that fills up.
    """

    def __init__(self, code: int = 0, writes: float = float("inf"), syncs: float = float("inf"), part: float = 0.0):
        self.code, self.writes, self.syncs, self.part = code, writes, syncs, part

    def fail(self) -> None:
        raise OSError(self.code, os.strerror(self.code))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Disk]]:
    """The disk in use, the only one of the list."""
    place = [Disk()]

    class File(FileIO):
        begun = False

        def write(self, data) -> int:
            if self.begun:
                place[0].fail()
            place[0].writes -= 1
            if place[0].writes < 0:
                self.begun = True
                return super().write(bytes(data)[: int(len(data) * place[0].part)])
            return super().write(data)

        def truncate(self, size=None) -> int:
            self.begun = False
            return super().truncate(size)

    sync = os.fsync

    def synced(handle: int) -> None:
        file = Path("out", journal.JOURNAL)
        if file.exists() and os.path.samestat(os.fstat(handle), file.stat()):
            place[0].syncs -= 1
            if place[0].syncs < 0:
                place[0].fail()
        sync(handle)

    monkeypatch.setattr(journal, "opened", lambda path: File(path, "r+" if path.exists() else "x+"))
    monkeypatch.setattr(journal.os, "fsync", synced)
    return place


@pytest.mark.parametrize(
    ("what", "code", "told"),
    [
        ("writes", errno.ENOSPC, FULL),
        ("writes", errno.EIO, BROKEN),
        ("syncs", errno.EIO, BROKEN),
        ("syncs", errno.ENOSPC, FULL),
    ],
)
def test_a_disk_that_fails_at_any_moment_costs_nothing_that_was_written(
    here, disk, undisturbed, capsys, what, code, told
):
    """Again and again at seeded random moments, until the session has come to its end."""
    (here.parent / "whole").write_bytes(undisturbed["journal"])
    dice = random.Random(f"{what} {code}")  # noqa: S311 - where to fail is no secret
    whole, held, failed = undisturbed["journal"], b"", 0
    frames = [frame.content for frame in journal.Reader(here.parent / "whole")]
    most = len(frames) if what == "writes" else sum("log" in content for content in frames)
    while True:
        disk[0] = Disk(
            code, part=dice.random(), **({what: dice.randrange(most // FAILURES)} if failed < FAILURES else {})
        )
        capsys.readouterr()
        ended = main(SESSION)
        if ended == 0:
            break
        failed += 1
        said = capsys.readouterr().err
        assert ended == 1
        assert said.startswith(f"error: out/journal: {told}")
        assert "othing before is lost" in said
        assert "the same command with run_dir=out goes on" in said
        assert "Traceback" not in said
        now = (here / "journal").read_bytes()
        assert whole.startswith(now)
        assert now.startswith(held)
        held = now
    assert failed == FAILURES
    assert files(here) == undisturbed


def test_a_disk_that_takes_less_than_it_is_given_is_given_the_rest(here, monkeypatch, undisturbed):
    dice = random.Random(3)  # noqa: S311 - how much it takes is no secret

    class Short(FileIO):
        def write(self, data) -> int:
            return super().write(bytes(data)[: dice.randint(1, len(data))])

    monkeypatch.setattr(journal, "opened", lambda path: Short(path, "r+" if path.exists() else "x+"))
    assert main(SESSION) == 0
    assert files(here) == undisturbed


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_wrong_input_and_what_is_there_stays(
    here, disk, undisturbed, monkeypatch, capsys, code
):
    disk[0] = Disk(errno.ENOSPC, writes=100)
    assert main(SESSION) == 1
    before = {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()}

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patched:
        for name in ("write_bytes", "write_text", "touch"):
            patched.setattr(Path, name, refuse)
        capsys.readouterr()
        assert main(SESSION) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: out/")
        assert f"cannot be written ({os.strerror(code)}); choose another run_dir" in said
    assert {path.name: path.read_bytes() for path in here.iterdir() if path.is_file()} == before
    disk[0] = Disk()
    assert main(SESSION) == 0
    assert files(here) == undisturbed

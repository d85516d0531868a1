"""Files that the system cuts off at a size, as a full disk does: told in a sentence, and none left half."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kraken_flow.app import main
from tests.unit.modes.past_runs import SHIPPED, project

Say = Callable[..., tuple[int, str]]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    monkeypatch.chdir(project(tmp_path / "home"))
    monkeypatch.delenv("LOG_LEVEL", raising=False)

    def run(*words: str, room: int | None = None) -> tuple[int, str]:
        capsys.readouterr()
        if room is None:
            return main(words), capsys.readouterr().err
        with room_for(room):
            return main(words), capsys.readouterr().err

    return run


def whole(folder: Path) -> set[str]:
    """Return the names of a run's files, each of which has to be all there."""
    for path in folder.iterdir():
        assert not path.name.startswith(".") or path.name == ".lock", path
        if path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".html":
            assert path.read_text().endswith("</html>\n")
        elif path.suffix == ".log" and path.name != "run.log":
            assert path.read_bytes().endswith(b"\n")
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
def test_a_run_without_room_says_so_and_leaves_no_half_file(say: Say, mode: str) -> None:
    words = [f"mode={mode}", *SHIPPED, "run_dir=out"]
    assert say(*words[:-1], "run_dir=undisturbed")[0] == 0
    names = whole(Path("undisturbed"))
    sizes = {Path("undisturbed", name).stat().st_size for name in names}
    for size in sorted(size * 9 // 10 for size in sizes if size > 2000):
        code, told = say(*words, room=size)
        line = told.removesuffix("\n").splitlines()[-1]
        assert code == 1, told
        assert "Traceback" not in told
        assert line.startswith("error: out/")
        assert ": the disk is full; " in line
        assert "make room" in line
        left, status = whole(Path("out")), json.loads(Path("out/manifest.json").read_bytes())["status"]
        if "report.html" in line:
            assert (left, status) == (names - {"report.html"}, "finished")
            assert "the results of the run are whole, only the page is missing" in line
            assert "mode=report mode.run=out makes it" in line
            assert say("mode=verify", "mode.run=out") == (0, "")
        else:
            assert status == "failed"
            assert "same command with run_dir=out goes on" in line if mode == "paper" else "repeat the command" in line
    assert "report.html" in line  # the largest of them
    assert say("mode=report", "mode.run=out")[0] == 0
    assert whole(Path("out")) == names
    for log in ("orders.log", "ledger.log"):
        assert Path("out", log).read_bytes() == Path("undisturbed", log).read_bytes()


def test_a_page_without_room_leaves_the_one_before(say: Say) -> None:
    assert say(*SHIPPED, "run_dir=runs/a")[0] == 0
    page, index = Path("runs/a/report.html"), Path("runs/index.html")
    before = page.read_bytes()
    code, told = say("mode=report", "mode.run=runs/a", room=100_000)
    assert (code, page.read_bytes()) == (1, before)
    assert "report.html: the disk is full; the page is not written: make room there and repeat the command" in told
    assert say("mode=report", "mode.run=runs/a", "mode.out=b.html", room=100_000)[0] == 1
    assert not Path("b.html").exists()
    assert say("mode=runs", "mode.page=true")[0] == 0
    before = index.read_bytes()
    code, told = say("mode=runs", "mode.page=true", room=5000)
    assert (code, index.read_bytes()) == (1, before)
    assert told.startswith("error: runs/index.html: the disk is full; the page is not written: ")
    assert told.count("\n") == 1


def test_a_sweep_without_room_has_no_half_leaderboard(say: Say) -> None:
    words = ["-m", *SHIPPED[:-1], "strategy.slow=12,16", "run_dir=s"]
    code, told = say(*words, room=200)
    assert (code, told.count("\n")) == (1, 1)
    assert told.endswith(": the disk is full; make room there and repeat the command\n")
    code, told = say(*words, room=600)
    assert code == 1
    assert "the disk is full" in told
    assert "Traceback" not in told
    assert not Path("s/leaderboard.csv").exists()
    code, told = say(*words, "report=html", room=1_000_000)
    assert code == 0
    assert told.count("warning: s/0/report.html: the disk is full; the results of the run are whole, only the") == 1
    assert whole(Path("s/0")) >= {"metrics.json", "orders.parquet"}

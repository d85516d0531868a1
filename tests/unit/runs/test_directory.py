import errno
import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.runs import directory
from kraken_flow.runs.directory import (
    MADE_BY,
    MANIFEST,
    check_no_latest,
    claim,
    discard,
    explained,
    new_folder,
    point_latest,
    read_manifest,
    write_json,
)


def ours(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MANIFEST, {"made_by": MADE_BY, "status": "finished"})
    return folder


def test_a_new_folder_is_made(tmp_path):
    claim(tmp_path / "a" / "b").release()
    assert (tmp_path / "a" / "b").is_dir()


def test_an_earlier_run_is_replaced_and_other_files_stay(tmp_path):
    folder = ours(tmp_path / "run")
    for name in ("metrics.json", "run.log", "run.log.1", "equity.parquet", "mine.txt"):
        (folder / name).write_text("old")
    ours(folder / "0")
    (folder / "1").mkdir()
    claim(folder).release()
    assert sorted(p.name for p in folder.iterdir()) == ["1", MANIFEST, "mine.txt"]


def test_a_finished_session_on_live_data_is_not_replaced(tmp_path):
    """It cannot be had again; one on history can, and so can a backtest."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "journal").write_text("what was seen")
    manifest = {"made_by": MADE_BY, "status": "finished", "mode": "paper"}
    write_json(folder / MANIFEST, manifest | {"stream": {}})
    for resume in (None, lambda _: None):
        with pytest.raises(UserError, match=r"run: a finished session on live data is there.*choose another run_dir"):
            claim(folder, resume)
    assert (folder / "journal").read_text() == "what was seen"
    write_json(folder / MANIFEST, manifest)
    claim(folder).release()
    assert not (folder / "journal").exists()


def test_a_session_inside_a_sweep_s_folder_is_no_member_of_it(tmp_path):
    folder = ours(tmp_path / "run")
    (folder / "0").mkdir()
    write_json(folder / "0" / MANIFEST, {"made_by": MADE_BY, "status": "running", "mode": "paper"})
    claim(folder).release()
    assert (folder / "0" / MANIFEST).is_file()


@pytest.mark.parametrize("content", [None, "{}", "not json", '{"made_by": "somebody"}', "[]"])
def test_any_other_folder_with_content_is_refused(tmp_path, content):
    (tmp_path / "important.txt").write_text("keep")
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(UserError, match="not empty and holds no earlier run"):
        claim(tmp_path)
    assert (tmp_path / "important.txt").read_text() == "keep"


def test_a_folder_above_runs_of_ours_is_told_apart_and_another_name_proposed(tmp_path):
    run = ours(tmp_path / "paper" / "combined" / "20260102T030405.000006Z-0a1b2c3d")
    (tmp_path / "paper_1").mkdir()
    with pytest.raises(UserError) as told:
        claim(tmp_path / "paper")
    assert str(told.value) == (
        f"run_dir={tmp_path}/paper: runs of ours lie in folders below it (combined/{run.name}), so that it cannot be a "
        f"run's own; choose another folder, for example run_dir={tmp_path}/paper_2"
    )
    assert read_manifest(run) is not None


def test_a_folder_that_another_run_holds_is_refused(tmp_path):
    held = claim(tmp_path / "run")
    with pytest.raises(UserError, match="another run is writing"):
        claim(tmp_path / "run")
    held.release()
    claim(tmp_path / "run").release()


def test_a_file_in_the_way_is_the_user_s_to_solve(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        claim(tmp_path / "file")


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, CheckFailed), (errno.EROFS, UserError), (errno.EACCES, UserError)]
)
def test_what_a_disk_refuses_is_one_sentence(tmp_path, code, kind):
    with pytest.raises(kind) as caught, explained(tmp_path):
        raise OSError(code, os.strerror(code), str(tmp_path / "metrics.json"))
    assert str(caught.value).startswith(str(tmp_path / "metrics.json"))


def test_another_error_of_the_system_is_not_hidden(tmp_path):
    with pytest.raises(OSError, match="odd"), explained(tmp_path):
        raise OSError(errno.EIO, "odd")


def make(root: Path) -> str:
    return str(new_folder(root, "backtest", "sma_cross", "0123456789"))


def test_runs_that_start_at_the_same_time_get_their_own_folders(tmp_path):
    with get_context("spawn").Pool(2) as pool:
        made = pool.map(make, [tmp_path] * 20)
    assert len(set(made)) == 20
    assert all(Path(path).parent == tmp_path / "backtest" / "sma_cross" for path in made)
    assert all(path.endswith("-01234567") for path in made)


def test_two_runs_in_one_microsecond_get_their_own_folders(tmp_path, monkeypatch):
    class Clock:
        ticks = iter([5, 5, 6])

        @classmethod
        def now(cls, zone):
            from datetime import datetime

            return datetime(2026, 1, 1, 0, 0, 0, next(cls.ticks), tzinfo=zone)

    monkeypatch.setattr(directory, "datetime", Clock)
    first, second = make(tmp_path), make(tmp_path)
    assert first.endswith("20260101T000000.000005Z-01234567")
    assert second.endswith("20260101T000000.000006Z-01234567")


def test_latest_names_the_newest(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        point_latest(tmp_path, tmp_path / name)
    assert str((tmp_path / "latest").readlink()) == "b"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "latest"]


def test_latest_names_what_lies_below_it_and_a_sweep_as_a_whole(tmp_path):
    root, sweep = tmp_path / "runs", tmp_path / "runs/s"
    for folder in (root / "a", sweep / "0", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
    (sweep / MANIFEST).write_text('{"made_by": "kraken-flow", "kind": "sweep"}')
    for folder in (sweep, sweep / "0", tmp_path / "elsewhere", root, tmp_path):
        point_latest(root, folder)
        assert (root / "latest").readlink() == Path("s")
    point_latest(root, root / "a")
    point_latest(root, root / "latest")  # a session that goes on by that name
    assert (root / "latest").readlink() == Path("a")


def test_a_run_takes_no_place_of_the_link(tmp_path):
    with pytest.raises(UserError, match="that is the link to the newest run, and there is none; choose another name"):
        check_no_latest(tmp_path, tmp_path / "latest")
    (tmp_path / "a").mkdir()
    point_latest(tmp_path, tmp_path / "a")
    check_no_latest(tmp_path, tmp_path / "latest")
    check_no_latest(tmp_path, tmp_path / "other/latest")


def test_a_file_system_without_links_goes_without(tmp_path, monkeypatch):
    def refuse(*_args, **_more):
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    point_latest(tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_is_read_back(tmp_path):
    assert read_manifest(ours(tmp_path))["status"] == "finished"
    assert read_manifest(tmp_path / "none") is None


def test_what_a_killed_writer_left_over_is_cleared(tmp_path):
    (tmp_path / "manifest.json").write_text('{"made_by": "kraken-flow"}')
    (tmp_path / ".metrics.json.123").write_text("{")
    (tmp_path / ".hidden.json.123").write_text("keep")
    claim(tmp_path).release()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden.json.123", "manifest.json"]


def test_nothing_of_the_user_is_cleared_with_a_run(tmp_path):
    folder = ours(tmp_path / "run")
    ours(folder / "0")
    for name in ("run.logbook.md", ".metrics.json.5.keep", "0/notes.txt", "run.log.1"):
        (folder / name).write_text("x")
    (folder / "run.log").mkdir()
    (folder / "1").symlink_to(ours(tmp_path / "elsewhere"))
    claim(folder).release()
    kept = {"run.logbook.md", ".metrics.json.5.keep", "0", "0/notes.txt", "1", "run.log", MANIFEST}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} - {f"1/{MANIFEST}"} == kept
    assert read_manifest(tmp_path / "elsewhere") is not None


def test_a_run_is_discarded_and_a_folder_of_others_is_not(tmp_path):
    for folder in (ours(tmp_path / "run"), tmp_path / "empty", tmp_path / "theirs"):
        folder.mkdir(exist_ok=True)
    (tmp_path / "theirs" / "thesis.txt").write_text("keep")
    for name in ("run", "empty", "theirs", "absent"):
        discard(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "keep"

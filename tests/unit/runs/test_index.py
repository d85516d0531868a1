"""The run index says what the manifests say, whatever happened to it or to the folders since."""

import json
import multiprocessing
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from kraken_flow.core.errors import UserError
from kraken_flow.runs import index, lock
from kraken_flow.runs.index import FILE, entries
from kraken_flow.runs.index_list import lines

NUMBERS = {
    "total_return": 0.25,
    "sharpe": 1.5,
    "max_drawdown": -0.1,
    "trades": 12,
    "fees": "3.25",
    "final_equity": "12",
}


def run(root, path, metrics=NUMBERS, **manifest):
    """Write the folder of a run."""
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    content = {"made_by": "kraken-flow", "status": "finished", "mode": "backtest", "strategy": "sma_cross"}
    content |= {"started": "2026-01-02T03:04:05.000006+00:00", "pairs": ["BTC/USD"], "timeframe": "1h"} | manifest
    (folder / "manifest.json").write_text(json.dumps(content))
    if metrics is not None:
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def sweep(root, path, returns):
    folder = root / path
    for number, value in enumerate(returns):
        run(root, f"{path}/{number}", NUMBERS | {"total_return": value})
    board = "".join(f"{k + 1},{k},1.5,{value},-0.1,12,3,12,,\n" for k, value in enumerate(returns))
    (folder / "leaderboard.csv").write_text(
        f"rank,member,sharpe,total_return,max_drawdown,trades,fees,final_equity,market,error\n{board}"
    )
    content = {"made_by": "kraken-flow", "kind": "sweep", "status": "finished", "members": len(returns)}
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def paths(root, **asked):
    return [row["path"] for row in entries(root, **asked)[0]]


def by_path(root):
    return {row["path"]: row for row in entries(root)[0]}


def test_an_entry_is_what_the_folder_says(tmp_path):
    run(
        tmp_path, "one", span=["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"], config_sha256="ab", audit={"audited": 1}
    )
    row = by_path(tmp_path)["one"]
    expected = {"kind": "run", "status": "finished", "strategy": "sma_cross", "pairs": "BTC/USD", "timeframe": "1h"}
    expected |= {
        "first": "2024-01-01T00:00:00Z",
        "last": "2024-02-01T00:00:00Z",
        "config_sha256": "ab",
        "audited": True,
    }
    expected |= NUMBERS | {"fees": 3.25, "final_equity": 12.0}
    assert {name: row[name] for name in expected} == expected


def test_an_entry_tells_the_verdict_of_an_audit_and_a_kill_that_was_only_recorded(tmp_path):
    run(tmp_path, "asked", None, mode="audit", verdict="failed")
    run(tmp_path, "free", would_have_been_killed_at="2024-01-05T00:00:00Z")
    found = by_path(tmp_path)
    assert (found["asked"]["verdict"], found["asked"]["would_have_been_killed_at"]) == ("failed", None)
    assert (found["free"]["verdict"], found["free"]["would_have_been_killed_at"]) == (None, "2024-01-05T00:00:00Z")
    said = ["".join(line.plain for line in lines(tmp_path, [row], 1, 80)) for row in (found["asked"], found["free"])]
    assert "audit failed" in said[0]
    assert "finished" not in said[0]
    assert "would have been killed at 2024-01-05" in said[1]


def test_what_changed_is_read_anew_and_nothing_else(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        run(tmp_path, name)
    assert entries(tmp_path)[1] == 3
    read = []
    monkeypatch.setattr(
        index, "_row", lambda root, path, mark, row=index._row: read.append(path) or row(root, path, mark)
    )
    assert entries(tmp_path)[1] == 3
    assert read == []
    run(tmp_path, "b", NUMBERS | {"sharpe": 9.0})
    shutil.rmtree(tmp_path / "c")
    run(tmp_path, "d")
    found = by_path(tmp_path)
    assert sorted(read) == ["b", "d"]
    assert sorted(found) == ["a", "b", "d"]
    assert found["b"]["sharpe"] == 9.0


def test_the_index_is_what_a_fresh_one_would_be(tmp_path):
    run(tmp_path, "a")
    sweep(tmp_path, "deep/er/s", [0.1, 0.2])
    entries(tmp_path)
    run(tmp_path, "a", status="failed", error={"type": "X", "message": "no"}, metrics=None)
    (tmp_path / "a/metrics.json").unlink()
    again = by_path(tmp_path)
    (tmp_path / FILE).unlink()
    assert by_path(tmp_path) == again
    assert again["a"]["error"] == "no"


def test_a_sweep_stands_with_the_numbers_of_its_best_member(tmp_path):
    sweep(tmp_path, "backtest/sma_cross/s", [0.5, 0.3])
    found = by_path(tmp_path)
    whole = found["backtest/sma_cross/s"]
    assert (whole["kind"], whole["members"], whole["total_return"]) == ("sweep", 2, 0.5)
    assert (whole["strategy"], whole["mode"], whole["pairs"]) == ("sma_cross", "backtest", "BTC/USD")
    member = found["backtest/sma_cross/s/1"]
    assert (member["kind"], member["parent"], member["total_return"]) == ("member", "backtest/sma_cross/s", 0.3)


def test_links_hidden_folders_and_what_is_not_ours_are_left_out(tmp_path):
    folder = run(tmp_path, "one")
    (tmp_path / "latest").symlink_to(folder, target_is_directory=True)
    run(tmp_path, ".trash/two")
    run(tmp_path, "one/export/three")
    assert paths(tmp_path) == ["one"]


def test_a_damaged_manifest_is_listed_with_what_is_wrong(tmp_path):
    folder = run(tmp_path, "one")
    (folder / "manifest.json").write_text('{"made_by": "kraken')
    row = by_path(tmp_path)["one"]
    assert row["status"] == "damaged"
    assert "manifest.json is damaged" in row["error"]


def test_metrics_of_another_kind_are_no_numbers(tmp_path):
    run(tmp_path, "one", {"sharpe": "high", "trades": [1], "total_return": None, "order_log_sha256": 5})
    row = by_path(tmp_path)["one"]
    assert (row["sharpe"], row["trades"], row["total_return"], row["order_log_sha256"]) == (None, None, None, "5")


def test_a_run_whose_process_went_was_killed(tmp_path):
    folder = run(tmp_path, "one", metrics=None, status="running")
    handle = lock.hold(folder)
    assert by_path(tmp_path)["one"]["status"] == "running"
    os.close(handle)
    assert by_path(tmp_path)["one"]["status"] == "killed"
    run(tmp_path, "one", status="finished")
    assert by_path(tmp_path)["one"]["status"] == "finished"


@pytest.mark.parametrize("harm", ["text", "torn", "old", "columns", "folder", "empty"])
def test_a_spoilt_index_is_made_anew(tmp_path, harm):
    for number in range(40):
        run(tmp_path, f"r{number}", NUMBERS | {"order_log_sha256": "f" * 64})
    good = entries(tmp_path)
    path = tmp_path / FILE
    if harm == "text":
        path.write_text("no database at all, but long enough to be read as one\n" * 100)
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 9000)
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "folder":
        path.unlink()
        path.mkdir()
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 0" if harm == "old" else "ALTER TABLE entry DROP COLUMN sharpe")
            connection.commit()
    assert entries(tmp_path) == good
    assert entries(tmp_path) == good


def test_a_folder_that_cannot_be_written_is_listed_all_the_same(tmp_path, monkeypatch):
    run(tmp_path, "one")
    # Root may write everywhere: a path that cannot be opened stands for a folder that cannot be written.
    monkeypatch.setattr(index, "FILE", "no/such/folder/index.sqlite")
    assert paths(tmp_path) == ["one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]


def _list(root, number, result):
    for round_ in range(5):
        run(root, f"p{number}-{round_}")
        entries(root)
    result.put(entries(root)[1])


def test_several_processes_may_list_at_once(tmp_path):
    for number in range(50):
        run(tmp_path, f"r{number}")
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    workers = [context.Process(target=_list, args=(tmp_path, number, result)) for number in range(3)]
    for worker in workers:
        worker.start()
    counts = [result.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert max(counts) == entries(tmp_path)[1] == 65


def test_what_has_no_value_comes_last_either_way(tmp_path):
    for name, value in (("low", -1.0), ("none", None), ("high", 2.0)):
        run(tmp_path, name, NUMBERS | {"sharpe": value})
    assert paths(tmp_path, sort="sharpe") == ["low", "high", "none"]
    assert paths(tmp_path, sort="-sharpe") == ["high", "low", "none"]
    rows, total = entries(tmp_path, sort="-sharpe", limit=1)
    assert ([row["path"] for row in rows], total) == (["high"], 3)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(index, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install --editable "\.\[index\]"'):
        index.require()

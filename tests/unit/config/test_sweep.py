import csv
import json
from itertools import takewhile
from pathlib import Path

import pytest

from kraken_flow.core import blame
from kraken_flow.modes import Backtest
from kraken_flow.modes.sweep import METRICS

FAST = ("pairs=[BTC/USD]", "timeframe=1d", "end=2021-06-01", "run_dir=out")


@pytest.fixture
def quick(monkeypatch):
    """Members write metrics without a market: what is tested here is the sweep."""
    from kraken_flow.runs.directory import claim, write_json

    def drive(self, call):
        strategy = call.graph.strategy
        if strategy.fast == 13:
            raise RuntimeError("unlucky")
        call.begin()
        folder = Path(call.cfg["run_dir"])
        held = claim(folder)
        write_json(folder / "manifest.json", {"made_by": "kraken-flow", "synthetic_sample": True})
        (folder / "run.log").touch()
        metrics = dict.fromkeys(METRICS, strategy.fast) | {"sharpe": None if strategy.fast == 12 else strategy.fast}
        metrics["killed_at"] = "2021-03-27T14:00:00Z" if strategy.fast in {6, 29} else None
        metrics["trades"] = strategy.fast + 2
        if strategy.fast == 4:
            metrics["sharpe"] = 50
        if strategy.fast == 15:
            metrics |= {"sharpe": -0.0001, "total_return": -0.00001, "final_equity": -0.001}
        write_json(folder / "metrics.json", metrics)
        held.release()
        if strategy.fast == 14:
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(Backtest, "drive", drive)
    monkeypatch.setattr(blame, "_OURS", Path(__file__).parent)  # what this file raises stands for an error of ours


def board(program):
    with (program.folder / "out/leaderboard.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def status(program, *parts):
    return json.loads(program.folder.joinpath("out", *parts, "manifest.json").read_text())["status"]


def test_members_are_ranked_and_one_that_fails_loses_nothing(program, quick):
    assert program("-m", "strategy.fast=5,7,12,13,40,6", *FAST) == 1
    rows = board(program)
    assert [row["strategy.fast"] for row in rows] == ["7", "6", "5", "12", "13", "40"]
    assert [row["member"] for row in rows] == ["1", "5", "0", "2", "3", "4"]
    assert rows[3]["sharpe"] == ""
    assert {row["market"] for row in rows[:4]} == {"synthetic sample market"}
    assert rows[4]["error"] == "unexpected RuntimeError: unlucky"
    assert rows[5]["error"] == "strategy: fast (40) must be below slow (30)"
    assert status(program) == "failed"
    assert status(program, "4") == "failed"
    assert "6 runs (synthetic sample market)" in program.out
    assert "[2/6] strategy.fast=7: sharpe 7.000" in program.out
    assert program.err == ""
    assert not list(program.folder.rglob("multirun.yaml"))
    assert not list(program.folder.rglob(".hydra"))


def test_every_combination_is_run(program, quick):
    assert (
        program("-m", "strategy.fast=5,6", "strategy.slow=20,30", "pairs=[BTC/USD],[ETH/USD,BTC/USD]", *FAST[1:]) == 0
    )
    rows = board(program)
    assert len(rows) == 8
    assert {row["pairs"] for row in rows} == {"[BTC/USD]", "[ETH/USD,BTC/USD]"}
    assert sorted(path.name for path in (program.folder / "out").iterdir() if path.is_dir()) == list("01234567")
    assert status(program) == "finished"


def test_what_is_wrong_for_all_members_is_said_once_and_leaves_no_folder(program, quick):
    assert program("-m", "strategy.fast=5,6", "strategy.solw=3", *FAST) == 2
    assert program.err == (
        "error: strategy.solw=3: no such key; SmaCross has fast, slow, side; did you mean strategy.slow?\n"
    )
    assert not list(program.folder.iterdir())
    assert program("-m", "strategy=sma_cross,sma_cros", *FAST) == 2
    assert "did you mean strategy=sma_cross?" in program.err
    assert not list(program.folder.iterdir())


WRONG = {
    "a key": ["strategy.solw=3"],
    "values": ["strategy.fast=40,50"],
    "an option": ["strategy=sma_cros"],
    "a file": ["data=files", "data.path=nowhere.csv"],
    "a candle": ["data=files", "data.path=bad.csv"],
    "the mode": ["mode=describe"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_a_sweep_with_wrong_input_leaves_the_earlier_one_as_it_was(program, words):
    assert program("-m", "strategy.fast=5,6", *FAST) == 0
    program.write("bad.csv", "time,open,high,low,close,volume\n2024-01-01,1,1,2,1,1\n2024-01-02,1,1,1,1,1\n")
    before = {path: path.read_bytes() for path in (program.folder / "out").rglob("*") if path.is_file()}
    swept = [] if "strategy.fast=40,50" in words else ["strategy.fast=5,6"]
    assert program("-m", *swept, *words, *FAST) == 2
    assert program.err.startswith("error: ")
    assert {path: path.read_bytes() for path in (program.folder / "out").rglob("*") if path.is_file()} == before
    assert {path.name for path in (program.folder / "out").iterdir() if path.is_dir()} == {"0", "1"}
    assert program("-m", *swept, *words, *FAST[:-1]) == 2
    assert sorted(path.name for path in program.folder.iterdir()) == ["bad.csv", "out"]


def test_members_that_fail_before_the_first_that_runs_are_failed_rows(program, quick):
    assert program("-m", "strategy.fast=40,5,50", *FAST) == 1
    assert [row["member"] for row in board(program)] == ["1", "0", "2"]
    assert [status(program, str(member)) for member in (0, 2)] == ["failed", "failed"]
    assert status(program) == "failed"


def test_a_sweep_that_breaks_before_any_run_begins_says_so(program, monkeypatch):
    def fail(self, call):
        raise RuntimeError("broken")

    monkeypatch.setattr(Backtest, "drive", fail)
    monkeypatch.setattr(blame, "_OURS", Path(__file__).parent)
    assert program("-m", "strategy.fast=5,6", *FAST) == 1
    assert [row["error"] for row in board(program)] == ["unexpected RuntimeError: broken"] * 2
    assert status(program) == "failed"


@pytest.mark.parametrize("named", ["file", "experiment"])
def test_a_sweep_goes_where_the_user_s_own_configuration_says(program, quick, named):
    program.write("my.yaml", "timeframe: 4h\nrun_dir: mine\n")
    program.write("conf/experiment/mine.yaml", "# @package _global_\n# Mine.\nrun_dir: mine\n")
    words = ["--config-dir=.", "--config-name=my"] if named == "file" else ["experiment=mine"]
    assert program("-m", "strategy.fast=5,6", *words) == 0
    assert sorted(path.name for path in (program.folder / "mine").iterdir())[:3] == ["0", "1", "leaderboard.csv"]
    assert not (program.folder / "runs").exists()
    assert program("-m", "strategy.fast=5,6", *words, "run_dir=other") == 0
    assert (program.folder / "other/leaderboard.csv").is_file()
    assert program("-m", "strategy.fast=5,6", *words, "run_dir=null") == 0
    assert (program.folder / "runs/latest/leaderboard.csv").is_file()


def test_members_that_name_different_folders_are_told(program, quick):
    for name in "ab":
        program.write(f"conf/experiment/{name}.yaml", f"# @package _global_\n# {name}.\nrun_dir: in_{name}\n")
    assert program("-m", "experiment=a,b") == 1
    assert "run_dir=in_b: the members of a sweep share one folder, and others have in_a" in program.out
    assert not (program.folder / "in_b").exists()


def test_an_interrupted_sweep_keeps_what_it_has(program, quick):
    assert program("-m", "strategy.fast=5,14,6", *FAST) == 130
    assert [row["error"] for row in board(program)] == ["", "interrupted"]
    assert status(program) == "interrupted"
    assert program.err == (
        "interrupted: 1 of 3 runs is done, which out/leaderboard.csv holds; the same command begins all of them anew, "
        "so give it the values that are left, and another run_dir where it names one\n"
    )
    assert "interrupted" in program.out
    assert "failed" not in program.out


def test_an_earlier_sweep_is_replaced_and_other_files_are_not(program, quick):
    assert program("-m", "strategy.fast=5,6,7", *FAST) == 0
    assert program("-m", "strategy.fast=5,6", *FAST) == 0
    assert len(board(program)) == 2
    assert not (program.folder / "out/2").exists()
    program.write("mine/notes.txt", "do not touch")
    assert program("-m", "strategy.fast=5,6", *FAST[:-1], "run_dir=mine") == 2
    assert "holds no earlier run of ours" in program.err
    assert [path.name for path in (program.folder / "mine").iterdir()] == ["notes.txt"]


def test_without_a_folder_of_its_own_a_sweep_goes_to_runs(program, quick):
    assert program("-m", "strategy.fast=range(5,8)", *FAST[:-1]) == 0
    (folder,) = (program.folder / "runs/backtest/sma_cross").iterdir()
    assert (program.folder / "runs/latest").resolve() == folder
    assert (folder / "leaderboard.csv").is_file()
    assert (folder / "2/metrics.json").is_file()


def test_a_sweep_of_real_runs(program):
    assert program("-m", "strategy.fast=5,10", *FAST) == 0
    assert [float(row["sharpe"]) for row in board(program)] == sorted(
        (float(row["sharpe"]) for row in board(program)), reverse=True
    )
    for member in "01":
        metrics = json.loads((program.folder / "out" / member / "metrics.json").read_text())
        assert metrics["final_equity"] in {row["final_equity"] for row in board(program)}


def test_sharing_a_composition_changes_nothing(program, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Backtest, "drive", lambda self, call: seen.append((call.cfg, call.choices, call.overrides)) or 1
    )
    words = (
        "-m",
        "strategy=sma_cross,hold",
        "portfolio.fraction=0.3,0.6",
        "pairs=[ETH/USD,BTC/USD]",
        "run_dir=out",
    )
    program(*words)
    program(*words, "hydra/sweeper=basic")
    assert len(seen) == 8
    assert seen[:4] == seen[4:]
    assert seen[1][2] == ["strategy=sma_cross", "portfolio.fraction=0.6", "pairs=[ETH/USD,BTC/USD]"]


def test_a_full_disk_loses_neither_the_leaderboard_on_the_screen_nor_the_members_after_it(program, quick, monkeypatch):
    import errno
    from pathlib import Path

    write_bytes = Path.write_bytes

    def full(path, data):
        if b'"failed"' in data:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert program("-m", "strategy.fast=5,13,6", *FAST) == 1
    assert "[3/3] strategy.fast=6: sharpe 6.000" in program.out
    assert "3 runs" in program.out
    assert [row["strategy.fast"] for row in board(program)] == ["6", "5", "13"]
    assert "the disk is full; the run is not complete" in program.err


@pytest.mark.parametrize(("engine", "warnings"), [("auto", 1), ("python", 0)])
def test_a_sweep_says_once_that_the_extension_is_missing(program, quick, monkeypatch, engine, warnings):
    from kraken_flow import native

    monkeypatch.setattr(native, "native", None)
    assert program("-m", "strategy.fast=5,6", f"engine={engine}", *FAST) == 0
    assert program.err.count("warning: ") == warnings


def test_a_sweep_of_one_says_so(program, quick):
    assert program("-m", "strategy.fast=5", *FAST) == 0
    assert "[1/1] sharpe 5.000" in program.out
    assert "1 run (synthetic sample market)" in program.out


@pytest.mark.parametrize("fast", ["5,6", "40,50"])
def test_a_folder_of_the_user_in_a_member_s_place_is_left_alone(program, quick, fast):
    assert program("-m", "strategy.fast=5", *FAST) == 0
    program.write("out/1/thesis.txt", "keep")
    assert program("-m", f"strategy.fast={fast}", *FAST) in {1, 2}
    assert [path.name for path in (program.folder / "out/1").iterdir()] == ["thesis.txt"]


def test_no_file_of_a_sweep_holds_a_secret(program, quick, monkeypatch):
    monkeypatch.setenv("KF_API_KEY", "abcdef123456")
    assert program("-m", "strategy.fast=5,40", "data.feed_delay=abcdef123456", *FAST) in {1, 2}
    assert program("-m", "strategy.fast=5,13", "risk.rearm=next_bar,abcdef123456", *FAST) == 1
    assert "abcdef" not in program.out + program.err
    files = [path for path in (program.folder / "out").rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"abcdef" in path.read_bytes()] == []


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_leaderboard_cuts_no_number_in_a_narrow_terminal(program, quick, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    keys = ["strategy.fast=5,6", "risk.position.take_profit=0.0612345678901,0.07", "seed=1234567890,2"]
    assert program("-m", *keys, *FAST) == 0
    table = program.out[program.out.index("8 runs") :].splitlines()
    board_lines = list(takewhile(lambda line: not line.startswith(("left out", "leaderboard")), table))
    assert len(board_lines) > 8
    assert max(map(len, board_lines)) <= width
    assert "…" not in program.out
    assert "6.000" in program.out
    left_out = [line for line in table if line.startswith("left out for want of room: ")]
    assert len(left_out) == (width < 100)
    assert len(board(program)[0]) == 2 + 3 + len(METRICS) + 3


def test_members_that_were_killed_or_hardly_traded_are_marked(program, quick):
    assert program("-m", "strategy.fast=5,6,28,29", *FAST) == 0
    assert [row["note"] for row in board(program)] == ["killed", "", "killed, few trades", "few trades"]
    lines = [line.split()[:3] for line in program.out[program.out.index("4 runs") :].splitlines()]
    for marked in (["3", "!", "29"], ["2", "28", "28.000"], ["1", "!*", "6"], ["0", "*", "5"]):
        assert marked in lines
    assert "\n! a limit ended its trading\n* fewer than 30 trades, of which luck can make any ratio" in program.out


def test_a_member_of_few_trades_is_ranked_after_those_with_more_whatever_its_ratio(program, quick):
    assert program("-m", "strategy.fast=4,28,13,29", *FAST) == 1
    rows = board(program)
    assert [row["strategy.fast"] for row in rows] == ["29", "28", "4", "13"]
    assert [float(row["sharpe"]) for row in rows[:3]] == [29, 28, 50]
    assert [row["note"] for row in rows] == ["killed", "", "few trades", ""]
    assert "ranked after those with more\n" in " ".join(program.out.split(" "))


def test_a_member_that_failed_says_why_where_a_run_is_asked_for(program):
    assert program("-m", "strategy=sma_cross", "strategy.fast=5,40", "timeframe=4h", "run_dir=out", "report=none") == 1
    assert program("mode=report", "mode.run=out/1") == 2
    assert "the run is not finished, its manifest says failed (strategy: fast (40) must be below" in program.err


def test_what_is_wrong_for_all_members_is_not_told_twice(program, quick):
    assert program("-m", "strategy.fast=40,50", *FAST) == 2
    assert program.out == ""
    assert len(program.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("range(1,x)", "its stop is text, which it cannot be; write range(START,STOP,STEP) in numbers, as in range(5,"),
        ("range()", "missing a required argument: 'start'; write range(START,STOP,STEP) in numbers"),
        ("range(1,9,0)", "its step is 0; write range(START,STOP,STEP)"),
        ("rnge(1,3)", "rnge is no function; there are range, interval, choice, glob; did you mean range(...)?"),
    ],
)
def test_values_that_cannot_be_swept_are_told(program, value, told):
    assert program("-m", f"strategy.fast={value}", *FAST) == 2
    assert program.err.startswith(f"error: strategy.fast={value}: {told}")
    assert program.err.count("\n") == 1


def test_what_rounds_to_zero_has_no_sign(program, quick):
    assert program("-m", "strategy.fast=15,16", *FAST) == 0
    assert "-0.00" not in program.out
    assert program.out.count(" 0.000") == 2
    assert "+0.00%" in program.out

"""The page of a run: at its end, made again, and several runs on one."""

import gzip
import json
import re
import shutil
from base64 import b64decode

import pytest

from kraken_flow.modes import report
from kraken_flow.runs.report import page
from tests.unit.modes.past_runs import SHIPPED, edit, fresh

EVIL = "</script><img src=x onerror=alert(1)>"


def facts_of(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="facts">([^<]*)<', text)[1])


def candles_of(path, number=0):
    blob = re.search(rf'id="blob-candles{number}">([^<]*)<', path.read_text("utf-8"))[1]
    return gzip.decompress(b64decode(blob))


def test_a_run_leaves_its_page_and_mode_report_makes_the_same_again(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert mine.out.splitlines()[-1] == "report: a/report.html"
    there = mine.folder / "a/report.html"
    before = there.read_bytes()
    facts = facts_of(there)
    metrics = json.loads((mine.folder / "a/metrics.json").read_text())
    assert facts["metrics"] == metrics
    assert facts["start_equity"] == 10000.0
    assert [pair["pair"] for pair in facts["candles"]["pairs"]] == ["BTC/USD", "ETH/USD"]
    assert [line["name"] for line in facts["candles"]["lines"]] == ["cross", "Sma 4", "Sma 12"]
    assert [line["over"] for line in facts["candles"]["lines"]] == [False, True, True]
    assert facts["trades"]["columns"]["pnl"]["n"] == metrics["trades"]
    there.unlink()
    assert mine("mode=report", "mode.run=a") == 0, mine.err
    assert there.read_bytes() == before
    assert mine.err == ""


@pytest.mark.parametrize("choice", ["none", "json"])
def test_other_reports_leave_no_page(mine, choice):
    assert mine(*SHIPPED, "run_dir=a", f"report={choice}") == 0
    assert not (mine.folder / "a/report.html").exists()


@pytest.mark.parametrize("mode", ["replay", "paper"])
def test_a_session_has_a_page_with_the_candles_of_the_backtest(mine, mode):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert mine(f"mode={mode}", *SHIPPED, "run_dir=b") == 0, mine.err
    assert candles_of(mine.folder / "b/report.html") == candles_of(mine.folder / "a/report.html")
    assert mine("mode=report", "mode.run=b", "mode.out=again.html") == 0
    assert candles_of(mine.folder / "again.html") == candles_of(mine.folder / "a/report.html")
    if mode == "paper":
        assert mine("mode=replay", "mode.run=b", "run_dir=c") == 0, mine.err
        assert candles_of(mine.folder / "c/report.html") == candles_of(mine.folder / "a/report.html")


def test_runs_of_a_sweep_have_a_page_only_where_it_was_asked_for(mine):
    assert mine("-m", *SHIPPED[:-1], "strategy.slow=12,16", "run_dir=s") == 0, mine.err
    assert list((mine.folder / "s").rglob("*.html")) == []
    assert mine("-m", *SHIPPED[:-1], "strategy.slow=12,16", "run_dir=t", "report=html") == 0, mine.err
    assert sorted(path.parent.name for path in (mine.folder / "t").rglob("report.html")) == ["0", "1"]


def test_the_report_of_a_sweep_lays_its_best_runs_side_by_side(mine, monkeypatch):
    assert mine("-m", *SHIPPED[:-1], "strategy.slow=12,16,20,2") == 1  # the last is no crossing of averages
    board = (mine.folder / "runs/latest/leaderboard.csv").read_text().splitlines()
    ranks = [line.split(",")[1] for line in board[1:4]]
    assert mine("mode=report") == 0, mine.err
    real = (mine.folder / "runs/latest").resolve().relative_to(mine.folder.resolve())
    assert mine.out == f"report: {real}/comparison.html\n"
    assert mine.err == ""
    shown = facts_of(mine.folder / "runs/latest/comparison.html")["runs"]
    assert [run["folder"].rpartition("/")[2] for run in shown] == ranks
    monkeypatch.setattr(report, "MOST", 2)
    assert mine("mode=report", "mode.run=runs/latest", "mode.out=two.html") == 0, mine.err
    assert mine.err == "runs/latest has 3 finished runs: the best 2 of its leaderboard are compared\n"
    shown = facts_of(mine.folder / "two.html")["runs"]
    assert [run["folder"].rpartition("/")[2] for run in shown] == ranks[:2]
    assert not (mine.folder / "runs/comparison.html").exists()
    (mine.folder / "runs/latest/leaderboard.csv").unlink()
    assert mine("mode=report", "mode.out=two.html") == 0
    shown = facts_of(mine.folder / "two.html")["runs"]
    assert [run["folder"].rpartition("/")[2] for run in shown] == ["0", "1"]
    for number in range(3):
        shutil.rmtree(mine.folder / f"runs/latest/{number}")
    assert mine("mode=report") == 2
    assert mine.err.startswith("error: mode.run=runs/latest: no run of this sweep is finished")
    assert mine("mode=verify") == 2
    assert "this is a sweep of runs; none of them is finished" in mine.err


def test_a_fault_in_the_page_costs_no_run(mine, monkeypatch):
    def broken(name):
        raise RuntimeError("no such style")

    monkeypatch.setattr(page, "_text", broken)
    page._script.cache_clear()
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert "report.html was not written (RuntimeError: no such style); mode=report mode.run=a tries again" in mine.err
    assert json.loads((mine.folder / "a/manifest.json").read_text())["status"] == "finished"
    assert not (mine.folder / "a/report.html").exists()


@pytest.mark.parametrize("how", ["gone", "other", "strategy"])
def test_without_its_data_a_run_has_a_page_that_says_so(mine, how):
    assert mine(*SHIPPED[:-3], "strategy=mine", "run_dir=a") == 0, mine.err
    if how == "gone":
        (mine.folder / "candles/btcusd_1h.csv").unlink()
    elif how == "other":
        edit(mine.folder / "candles/btcusd_1h.csv", ",1040\n", ",1041\n")
    else:
        edit(mine.folder / "a/config.yaml", "strategies.mine.Mine", "strategies.gone.Mine")
    assert mine("mode=report", "mode.run=a") == 0, mine.err
    assert "warning: the page has no candles: " in mine.err
    facts = facts_of(mine.folder / "a/report.html")
    assert facts["candles"]["pairs"] == []
    assert facts["candles"]["why"]
    assert any("no candles" in row["text"] for row in facts["warnings"])
    assert facts["trades"]["columns"]["pnl"]["n"] > 0


def test_words_of_a_user_stand_in_the_page_as_data_alone(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    edit(mine.folder / "a/config.yaml", "seed: 0", f"seed: 0 # {EVIL}")
    edit(mine.folder / "a/manifest.json", '"strategy": "sma_cross"', f'"strategy": "{EVIL}"')
    assert mine("mode=report", "mode.run=a") == 0, mine.err
    text = (mine.folder / "a/report.html").read_text("utf-8")
    assert EVIL not in text
    assert "<img" not in text
    facts = facts_of(mine.folder / "a/report.html")
    assert facts["strategy"] == EVIL
    assert EVIL in facts["config"]


def test_several_runs_stand_side_by_side_with_the_keys_in_which_they_differ(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert mine(*SHIPPED[:-1], "strategy.slow=16", "run_dir=b") == 0
    assert mine(*SHIPPED[:-3], "strategy=hold", "exchange.fees.maker_bps=9", "run_dir=c") == 0
    assert mine("mode=report", "mode.run=[a,b,c]") == 0, mine.err
    assert mine.out == "report: runs/comparison.html\n"
    facts = facts_of(mine.folder / "runs/comparison.html")
    assert [run["name"] for run in facts["runs"]] == ["sma_cross (a)", "sma_cross (b)", "hold"]
    rows = {row["key"]: row for row in facts["rows"]}
    for number, run in enumerate("abc"):
        metrics = json.loads((mine.folder / run / "metrics.json").read_text())
        assert rows["total_return"]["numbers"][number] == metrics["total_return"]
    keys = {row["key"]: row["values"] for row in facts["keys"]}
    assert keys["strategy.slow"] == ["12", "16", "not set"]
    assert keys["exchange.fees.maker_bps"] == ["null (0 by tier)", "null (0 by tier)", "9"]
    assert "run_dir" not in keys
    marks = [run["marks"] for run in facts["runs"]]
    few = [json.loads((mine.folder / run / "metrics.json").read_text())["trades"] < 30 for run in "abc"]
    assert ["*" in mark for mark in marks] == few
    assert [run["differs"] for run in facts["runs"]] == ["slow 12", "slow 16", ""]
    assert rows["fees"]["best"] == -1


def test_a_comparison_says_when_recorded_limits_would_have_ended_trading(mine):
    limits = (
        "risk=research",
        "risk.day.max_loss=null",
        "risk.position.stop_loss=null",
        "risk.system.max_drawdown=0.001",
    )
    assert mine(*SHIPPED, *limits, "run_dir=a") == 0, mine.err
    assert mine(*SHIPPED, "risk=none", "run_dir=b") == 0, mine.err
    assert mine("mode=report", "mode.run=[a,b]") == 0, mine.err
    facts = facts_of(mine.folder / "runs/comparison.html")
    row = next(row for row in facts["rows"] if row["key"] == "killed_at")
    assert row["values"][0].startswith("would have been stopped at 20")
    assert row["values"][1] == "\N{EN DASH}"
    assert "!" in facts["runs"][0]["marks"]
    assert facts["warnings"][0]["level"] == "bad"
    assert "sma_cross (a) on 20" in facts["warnings"][0]["text"]


def test_a_page_of_a_short_run_says_why_it_has_no_rolling_ratio(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    told = facts_of(mine.folder / "a/report.html")["curves"]["no_rolling_sharpe"]
    assert told.startswith("There is none: the run has 1")


def refused(mine, *words):
    assert mine("mode=report", *words) == 2
    assert "Traceback" not in mine.err
    return mine.err


def test_bad_input_is_an_error_that_names_it(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert "mode.run=nowhere: there is no such folder" in refused(mine, "mode.run=nowhere")
    assert "mode.run=candles: the folder holds no run of ours" in refused(mine, "mode.run=candles")
    assert "the same run stands there twice" in refused(mine, "mode.run=[a,./a]")
    assert "name a run" in refused(mine, "mode.run=[]")
    assert "mode.run=b: there is no such folder" in refused(mine, "mode.run=[a,b]")
    assert "name a file that ends in .html" in refused(mine, "mode.run=a", "mode.out=candles")
    assert "there is no folder nowhere" in refused(mine, "mode.run=a", "mode.out=nowhere/x.html")
    assert "timeframe=4h: leave that out" in refused(mine, "mode.run=a", "timeframe=4h")
    assert "mode.rum" in refused(mine, "mode.rum=a")
    (mine.folder / "a/trades.parquet").write_bytes(b"PAR1 nothing")
    assert "its trades.parquet cannot be read" in refused(mine, "mode.run=a")
    (mine.folder / "a/trades.parquet").unlink()
    assert "it has no trades.parquet" in refused(mine, "mode.run=a")


def test_code_that_came_with_a_run_is_not_loaded_and_changed_code_is_told(mine, tmp_path):
    assert mine(*SHIPPED[:-3], "strategy=mine", "run_dir=a") == 0
    edit(
        mine.folder / "strategies/mine.py",
        '"""Mine."""',
        '"""Mine."""\n\nfrom pathlib import Path\n\nPath("opened").touch()',
    )
    fresh(tmp_path, "mode=report", "mode.run=home/a", f"mode.out={tmp_path}/there.html")
    assert not list(tmp_path.rglob("opened"))
    assert "is not the strategies.mine that ran" in facts_of(tmp_path / "there.html")["candles"]["why"]
    fresh(mine.folder, "mode=report", "mode.run=a")
    assert (mine.folder / "opened").exists()
    told = [row["text"] for row in facts_of(mine.folder / "a/report.html")["warnings"]]
    assert any(text.startswith("The code of strategies.mine is not what ran") for text in told)

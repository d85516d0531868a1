import json
import re
import shlex
import shutil
import signal

import pytest

from kraken_flow.core.orders import Control
from kraken_flow.native import native
from kraken_flow.runs.control import ask
from kraken_flow.runs.directory import write_json
from tests.unit.modes.past_runs import DATA, ROOT, SHIPPED, edit, fresh, started, wait_for

ENGINES = ["python"] if native is None else ["python", "rust"]
HASHES = {"order log": "order_log_sha256", "ledger": "ledger_sha256", "data": "data_sha256"}


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("mode", ["backtest", "replay", "paper"])
def test_a_run_of_each_mode_comes_out_again_with_a_line_per_hash(mine, mode):
    assert mine(f"mode={mode}", *SHIPPED, "run_dir=out") == 0
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    known = metrics(mine.folder / "out")
    lines = [line.split() for line in mine.out.splitlines()]
    assert [line[-1] for line in lines if "equal" in line] == [known[of] for of in HASHES.values()]
    assert ("journal   folded, every command came out again" in mine.out) == (mode == "paper")
    assert mine.out.splitlines()[-1] == f"verified: out, made again with engine {known['engine']}"


@pytest.mark.parametrize("made_by", ENGINES)
@pytest.mark.parametrize("again", ENGINES)
def test_one_engine_verifies_the_other(mine, made_by, again):
    assert mine(*SHIPPED, f"engine={made_by}", "run_dir=out") == 0
    assert mine("mode=verify", "mode.run=out", f"engine={again}") == 0, mine.err


def test_the_latest_run_is_meant_where_none_is_named_and_members_of_a_sweep_are_runs(mine):
    assert mine("-m", *SHIPPED[:-1], "strategy.slow=12,16") == 0
    assert mine("mode=verify") == 2
    best = (mine.folder / "runs/latest/leaderboard.csv").read_text().splitlines()[1].split(",")[1]
    assert mine.err == (
        f"error: mode.run=runs/latest: this is a sweep of runs; name one, as in mode.run=runs/latest/{best}, its best\n"
    )
    assert mine("mode=verify", "mode.run=runs/latest/1") == 0
    assert mine(*SHIPPED) == 0
    assert mine("mode=verify") == 0
    assert "verified: runs/latest" in mine.out


def test_the_replay_of_a_session_comes_out_again(mine):
    assert mine("mode=paper", *SHIPPED, "run_dir=session") == 0
    assert mine("mode=replay", "mode.run=session", "run_dir=out") == 0
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    shutil.rmtree(mine.folder / "session")
    assert mine("mode=verify", "mode.run=out") == 2
    assert "it replayed the session session; there is no journal" in mine.err


def test_a_moved_run_comes_out_again_in_another_working_directory(mine, tmp_path):
    fresh(mine.folder, *DATA, "strategy=mine", "run_dir=out")
    away, elsewhere = tmp_path / "away" / "moved", tmp_path / "elsewhere"
    elsewhere.mkdir()
    away.parent.mkdir()
    (mine.folder / "out").rename(away)
    out, err = fresh(elsewhere, "mode=verify", f"mode.run={away}")
    assert out.splitlines()[-1].startswith(f"verified: {away}")
    assert (err, list(elsewhere.iterdir())) == ("", [])


def test_a_project_that_moved_as_a_whole_comes_out_again(mine, tmp_path):
    fresh(mine.folder, *DATA, "strategy=mine", "run_dir=out")
    moved = mine.folder.rename(tmp_path / "new home")
    assert "verified: out" in fresh(moved, "mode=verify", "mode.run=out")[0]


def test_an_edited_candle_is_named_with_the_first_order_that_differs(mine):
    assert mine(*SHIPPED, "risk=research", "run_dir=out") == 0  # it trades on to the candle
    path = mine.folder / "candles/ethusd_1h.csv"
    line = path.read_text().splitlines()[150]
    edit(path, line, line.replace(line.split(",")[-1], "7"))
    assert mine("mode=verify", "mode.run=out") == 1
    assert f"error: data: {path} (ETH/USD) was " in mine.err
    assert "error: data: was " in mine.err
    assert "orders.log" not in mine.err  # a volume moves no order here
    line = path.read_text().splitlines()[150]
    time, opened, *_ = line.split(",")
    edit(path, line, f"{time},{opened},{float(opened) + 9},1,{float(opened) + 8},7")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "error: orders.log: the first order that differs is line " in mine.err
    assert "error: ledger.log: the first line of the ledger that differs is line " in mine.err
    assert "error:   was 2024-01-07T" in mine.err
    assert "error:   is  2024-01-07T" in mine.err


def test_a_candle_that_cannot_be_read_any_more_is_named_too(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    edit(mine.folder / "candles/btcusd_1h.csv", "2024-01-05T00:00:00Z", "2024-01-05 what")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "btcusd_1h.csv (BTC/USD) was " in mine.err
    assert "error: it cannot be made again: " in mine.err


def test_an_edited_value_of_the_configuration_is_named(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    config = mine.folder / "out/config.yaml"
    before = config.read_text()
    edit(config, "fast: 4\n", "fast: 5\n")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "error: config.yaml: strategy.fast was 4, is 5" in mine.err
    assert "error: orders.log: the first order that differs is line " in mine.err
    config.write_text(f"# a note of mine\n{before}")
    assert mine("mode=verify", "mode.run=out") == 0
    assert "note: config.yaml: was rewritten; every value is what it was" in mine.out
    config.write_text(before.replace("fast: 4\n", "fast: four\n"))
    assert mine("mode=verify", "mode.run=out") == 1
    assert "config.yaml: strategy.fast was 4, is four" in mine.err
    assert "it cannot be made again: strategy.fast=four: must be a whole number" in mine.err
    config.write_text(before)
    content = manifest(mine.folder / "out")
    write_json(mine.folder / "out/manifest.json", {k: v for k, v in content.items() if k != "config"})
    edit(config, "fast: 4\n", "fast: 5\n")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "the manifest does not tell which key" in mine.err


def test_an_edited_line_of_a_strategy_is_named_and_all_edits_in_one_go(mine):
    fresh(mine.folder, *DATA, "strategy=mine", "run_dir=out")
    source = mine.folder / "strategies/mine.py"
    edit(source, '"""Mine."""', '"""Mine, with a word more."""')
    _, err = fresh(mine.folder, "mode=verify", "mode.run=out", code=1)
    assert err.splitlines() == [
        "error: mode.run=out: not what it was",
        f"error: source: strategies.mine changed: {source}",
    ]
    edit(source, "f.fast <= f.slow, 0.0", "f.fast <= f.slow, 0.5")
    edit(mine.folder / "out/config.yaml", "fast: 5\n", "fast: 6\n")
    edit(mine.folder / "candles/btcusd_1h.csv", ",1040\n", ",1041\n")
    edit(mine.folder / "conf/strategy/mine.yaml", "fast: 5\n", "fast: 7\n")
    out, err = fresh(mine.folder, "mode=verify", "mode.run=out", code=1)
    for told in (
        "config.yaml: strategy.fast was 5, is 6",
        f"data: {mine.folder / 'candles/btcusd_1h.csv'} (BTC/USD) was ",
        f"source: strategies.mine changed: {source}",
        "orders.log: the first order that differs is line ",
    ):
        assert f"error: {told}" in err
    assert "note: command: it would be another configuration today: strategy.fast was 5, is 7" in out
    source.unlink()
    _, err = fresh(mine.folder, "mode=verify", "mode.run=out", code=1)
    assert "error: source: strategies.mine is gone" in err
    assert "error: it cannot be made again: " in err


def test_a_source_that_the_run_itself_does_not_read_is_a_note(mine):
    fresh(mine.folder, "-m", *DATA, "strategy=mine,sma_cross", "run_dir=sweep")
    edit(mine.folder / "strategies/mine.py", '"""Mine."""', '"""Mine, with a word more."""')
    out, _ = fresh(mine.folder, "mode=verify", "mode.run=sweep/1")
    assert "note: source: strategies.mine changed: " in out
    fresh(mine.folder, "mode=verify", "mode.run=sweep/0", code=1)


def test_results_that_were_edited_are_named(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    out = mine.folder / "out"
    edit(out / "metrics.json", f'\n  "trades": {metrics(out)["trades"]}', '\n  "trades": 1000')
    shutil.copy(out / "fills.parquet", out / "trades.parquet")
    (out / "equity.parquet").write_bytes(b"no table")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "metrics.json: trades was 1000, is " in mine.err
    assert "trades.parquet: is not the table that the run makes" in mine.err
    assert "equity.parquet: cannot be read" in mine.err
    edit(out / "ledger.log", "balance USD", "balance  USD")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "ledger.log: was edited; its hash is not the one in metrics.json" in mine.err
    assert "ledger.log: the first line of the ledger that differs is line " in mine.err


def test_a_result_that_another_version_measured_is_told_from_an_edited_one(mine):
    assert mine(*SHIPPED, "exchange.slippage.model=sqrt_impact", "run_dir=out") == 0
    out = mine.folder / "out"
    known, content = manifest(out), metrics(out)
    write_json(out / "metrics.json", content | {"costs": content["costs"] | {"slippage": "1.25"}})
    measured = f"error: metrics.json: costs.slippage was 1.25, is {content['costs']['slippage']}"
    assert mine("mode=verify", "mode.run=out") == 1
    assert mine.err.splitlines()[1:] == [measured]
    # Another commit that changed no file of the program is the same program.
    write_json(out / "manifest.json", known | {"git_commit": "0" * 40})
    assert mine("mode=verify", "mode.run=out") == 1
    assert mine.err.splitlines()[1:] == [measured]
    older = {
        "versions": known["versions"] | {"kraken-flow": "0.0.9"},
        "sources": known["sources"] | {"kraken_flow.analysis.statement": "0" * 64},
        "git_commit": "0" * 40,
    }
    write_json(out / "manifest.json", known | older)
    assert mine("mode=verify", "mode.run=out") == 1
    told, why = mine.err.splitlines()[1:]
    assert told == measured
    assert why.startswith("error: program: another version of Kraken Flow made this run (version was 0.0.9, is ")
    assert "; commit was 000000000000, is " in why
    assert why.endswith(
        "; 1 of its files changed); orders, ledger and data are what they were, so that it may only have measured "
        "otherwise"
    )
    write_json(out / "metrics.json", content)
    assert mine("mode=verify", "mode.run=out") == 0
    assert "another version" not in mine.out + mine.err


def test_a_sessions_journal_is_checked_and_names_the_candle(mine):
    assert mine("mode=paper", *SHIPPED, "run_dir=out") == 0
    path, journal = mine.folder / "candles/btcusd_1h.csv", mine.folder / "out/journal"
    before, whole = path.read_text(), journal.read_bytes()
    edit(path, ",1040\n", ",1041\n")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "the bar of BTC/USD that opens at 2024-01-02T16:00:00Z volume was 1040, is 1041" in mine.err
    path.write_text(before)
    for damaged, told in ((whole[:-9], "a torn tail of "), (whole[:4000] + b"what" + whole[4004:], "is damaged")):
        journal.write_bytes(damaged)
        assert mine("mode=verify", "mode.run=out") == 1
        (line,) = mine.err.splitlines()[1:]
        assert line.startswith(f"error: journal: {journal}: ")
        assert told in line
    journal.unlink()
    assert mine("mode=verify", "mode.run=out") == 1
    assert "journal: the journal is missing" in mine.err


def test_a_session_that_was_told_to_pause_and_then_stopped_comes_out_as_far_as_it_went(mine):
    words = ["mode=paper", *SHIPPED, "mode.speed=36000x", "run_dir=out"]
    with started(mine.folder, *words) as process:
        for what in (Control.PAUSE, Control.FLATTEN):
            wait_for(lambda: (mine.folder / "out/journal").stat().st_size > 3000)
            request = ask(mine.folder / "out", what)
            wait_for(lambda request=request: not request.exists())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert manifest(mine.folder / "out")["status"] == "interrupted"
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    assert mine("mode=export", "mode.run=out", "mode.format=json") == 0
    told = json.loads((mine.folder / "out/export/controls.json").read_text())
    assert [row["control"] for row in told] == ["pause", "flatten"]
    edit(mine.folder / "candles/btcusd_1h.csv", ",1001\n", ",1002\n")
    assert mine("mode=verify", "mode.run=out") == 1
    assert "opens at 2024-01-01T01:00:00Z volume was 1001, is 1002" in mine.err
    assert "orders.log" not in mine.err


def test_a_secret_in_the_configuration_is_put_back_or_asked_for(mine, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "candles-s3cret")
    (mine.folder / "candles").rename(mine.folder / "candles-s3cret")
    assert mine(*SHIPPED, "data.path=${oc.env:MY_TOKEN}", "run_dir=out") == 2  # data.path is given twice
    words = [word for word in SHIPPED if not word.startswith("data.path")]
    assert mine(*words, "data.path=${oc.env:MY_TOKEN}", "run_dir=out") == 0
    everything = "".join(path.read_text("utf-8") for path in (mine.folder / "out").glob("*.[yj][as]*"))
    assert "<MY_TOKEN>" in everything
    assert "s3cret" not in (mine.folder / "out/config.yaml").read_text()
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    path = mine.folder / "out/manifest.json"
    path.write_text(path.read_text().replace("candles-s3cret", "<MY_TOKEN>"))
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    monkeypatch.delenv("MY_TOKEN")
    assert mine("mode=verify", "mode.run=out") == 2
    assert mine.err.startswith("error: mode.run=out: ")
    assert "MY_TOKEN" in mine.err


def test_what_is_no_run_or_cannot_be_made_again_is_told_and_ends_with_2(mine):
    def refused(*words):
        assert mine("mode=verify", *words) == 2, mine.out
        return mine.err

    assert "mode.run=runs/latest: there is no such folder; no run has been made" in refused()
    assert mine(*SHIPPED, "run_dir=out") == 0
    assert "did you mean out?" in refused("mode.run=outt")
    assert "the folder holds no run of ours" in refused("mode.run=candles")
    assert "strategy.fast=5, run_dir=x: leave that out" in refused("mode.run=out", "strategy.fast=5", "run_dir=x")
    assert "engine=rusty: must be auto, rust, python; did you mean" in refused("mode.run=out", "engine=rusty")
    (mine.folder / "candles/ethusd_1h.csv").rename(mine.folder / "gone.csv")
    assert f"the file candles/ethusd_1h.csv (ETH/USD) is not there below {mine.folder}" in refused("mode.run=out")
    (mine.folder / "out/orders.log").unlink()
    assert "it has no orders.log" in refused("mode.run=out")
    content = manifest(mine.folder / "out")
    write_json(mine.folder / "out/manifest.json", content | {"status": "running"})
    assert "the run is not finished, its manifest says running" in refused("mode.run=out")
    write_json(mine.folder / "out/manifest.json", content | {"status": "failed", "error": {"message": "row 3"}})
    assert "says failed (row 3)" in refused("mode.run=out")


def test_json_holds_what_was_found(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    assert mine("mode=verify", "mode.run=out", "report=json") == 0
    found = json.loads(mine.out)
    assert found["equal"]
    assert {name: both["now"] for name, both in found["hashes"].items()} == {
        name: metrics(mine.folder / "out")[of] for name, of in HASHES.items()
    }
    edit(mine.folder / "out/config.yaml", "slow: 12\n", "slow: 13\n")
    assert mine("mode=verify", "mode.run=out", "report=json") == 1
    found = json.loads(mine.out)
    assert found["changed"][0] == "config.yaml: strategy.slow was 12, is 13"


def test_the_commands_of_the_page_run_one_after_the_other(mine):
    commands = re.findall(r"^    python -m kraken_flow (.+)$", (ROOT / "docs/verify.md").read_text("utf-8"), re.M)
    assert len(commands) == 5
    for command in commands:
        assert mine(*shlex.split(command), *["pairs=[BTC/USD]"] * ("timeframe" in command)) == 0, mine.err
    assert (mine.folder / "runs/one/export/trades.json").is_file()

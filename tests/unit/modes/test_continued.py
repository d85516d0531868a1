"""A session that was interrupted, continued and killed has no results of an earlier instant."""

import json
import re
import shlex
import shutil
import signal

import pytest

from kraken_flow.runs.past import TABLES
from kraken_flow.runs.session_journal import begin
from tests.unit.modes.past_runs import SHIPPED, edit, started, wait_for

RESULTS = {"metrics.json", "orders.log", "ledger.log", *(f"{name}.parquet" for name in TABLES)}
WORDS = ["mode=paper", *SHIPPED, "mode.speed=36000x", "run_dir=out"]


def results(folder):
    return {path.name for path in folder.iterdir()} & RESULTS


def instants_of(folder):
    return [frame.content for frame in begin(folder / "journal")[1] if "instant" in frame.content]


def check_export_of_a_journal(mine, out):
    """Of a session that was killed there are its instants, commands and controls, and a word about the rest."""
    assert mine("mode=export", "mode.run=out") == 0, mine.err
    assert [line.split("/")[-1] for line in mine.out.splitlines()] == ["instants.csv", "commands.csv", "controls.csv"]
    assert "mode.run=out: the session is not finished: its tables and the tags of its orders are missing" in mine.err
    assert "mode=replay mode.run=out" in mine.err
    lines = (out / "export/instants.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * len(instants_of(out))  # two pairs


def test_what_was_written_at_the_interrupt_goes_with_the_first_new_instant(mine):
    out = mine.folder / "out"
    with started(mine.folder, *WORDS) as process:
        wait_for(lambda: (out / "journal").stat().st_size > 5000)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert results(out) == RESULTS
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    size = (out / "journal").stat().st_size

    candles = mine.folder / "candles/btcusd_1h.csv"
    before = candles.read_text()
    edit(candles, ",1001\n", ",1002\n")
    assert mine(*WORDS) == 2
    assert "ran on other data" in mine.err
    assert "btcusd_1h.csv differs" in mine.err
    candles.write_text(before)
    other = ["strategy.fast=5" if word == "strategy.fast=4" else word for word in WORDS]
    assert mine(*other, "risk=none") == 2
    assert "run_dir=out: the unfinished session there has another configuration (" in mine.err
    assert "strategy.fast was 4, is 5" in mine.err
    assert "risk.position.stop_loss was the default, is null" in mine.err
    assert "repeat its own command to continue it, or choose another run_dir" in mine.err
    assert "strategy.slow" not in mine.err
    assert results(out) == RESULTS  # nothing was continued

    with started(mine.folder, *WORDS) as process:
        wait_for(lambda: (out / "journal").stat().st_size > size + 3000)
        process.kill()
    assert results(out) == set()
    assert mine("mode=replay", "mode.run=out", "run_dir=again") == 0, mine.err
    assert "out is not finished: nothing to compare with" in mine.out
    assert mine("mode=verify", "mode.run=out") == 2
    assert "its manifest says running; repeat its own command to go on with it, or mode=replay mode.run=out" in mine.err
    check_export_of_a_journal(mine, out)

    with (out / "journal").open("ab") as file:
        file.write(b"torn")
    taken = len(instants_of(out))
    assert mine(*[word for word in WORDS if not word.startswith("mode.speed")]) == 0, mine.err
    assert f"continues after {taken} instants\n" in mine.err
    assert re.search(r"^a torn tail of \d+ bytes was cut from the journal$", mine.err, re.MULTILINE)
    assert results(out) == RESULTS
    assert json.loads((out / "manifest.json").read_text())["status"] == "finished"
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    assert mine("mode=replay", "mode.run=out", "run_dir=again") == 0, mine.err
    assert "equal to out" in mine.out
    assert mine("mode=export", "mode.run=out") == 0, mine.err


def interrupted(mine, monkeypatch, *words, rows=40):
    """Run a session that somebody interrupts after so many instants."""

    async def stopping(session, stream, watch):
        async for instant in stream.instants(session.session.rows):
            if instant is None:
                continue  # a machine that is busy
            watch.show(session.take(instant, stream.counts()))
            if session.session.rows == rows:
                return False
        return True

    with monkeypatch.context() as patch:
        patch.setattr("kraken_flow.modes.paper.trade", stopping)
        assert mine("mode=paper", *words) == 130


def test_an_interrupted_session_says_how_it_goes_on(mine, monkeypatch):
    interrupted(mine, monkeypatch, *SHIPPED)
    folder = (mine.folder / "runs/latest").resolve().relative_to(mine.folder)
    assert mine.err.endswith(f"interrupted after 40 instants; the same command with run_dir={folder} goes on\n")
    assert mine("mode=paper", *SHIPPED, f"run_dir={folder}") == 0
    assert "continues after 40 instants\n" in mine.err
    interrupted(mine, monkeypatch, *SHIPPED, "report=json", "run_dir=quiet")
    assert mine.err == "interrupted\n"
    assert mine("mode=paper", *SHIPPED, "report=json", "run_dir=quiet") == 0
    assert mine.err == ""


@pytest.mark.parametrize("where", ["runs/of mine", "out"])
def test_a_session_that_is_interrupted_before_it_trades_on_says_how_it_goes_on(mine, monkeypatch, where):
    """The journal is read and the system stands, but no instant was taken yet: what stands in it is all there."""
    folder = mine.folder / where
    words = ["mode=paper", *SHIPPED, f"run_dir={where}"]

    def stop(*_):
        raise KeyboardInterrupt

    interrupted(mine, monkeypatch, *words[1:])
    journal, told = (folder / "journal").read_bytes(), shlex.quote(words[-1])
    for place in ("modes.paper.Finite", "runs.session_journal.fold", "modes.paper._tell_recovery"):
        with monkeypatch.context() as patch:
            patch.setattr(f"kraken_flow.{place}", stop)
            assert mine(*words) == 130
            assert mine.err == f"interrupted; the same command with {told} goes on\n"
            assert mine(*words, "report=json") == 130
            assert mine.err == "interrupted\n"
    assert (folder / "journal").read_bytes() == journal
    assert mine(*words) == 0, mine.err
    assert mine.err.splitlines()[0] == "continues after 40 instants"
    assert json.loads((folder / "manifest.json").read_text())["recovered_instants"] == 40
    assert mine("mode=verify", f"mode.run={where}") == 0, mine.err


def test_a_session_that_is_interrupted_before_it_began_does_not_go_on(mine, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kraken_flow.modes.paper.Finite", stop)
    assert mine("mode=paper", *SHIPPED, "run_dir=out") == 130
    assert mine.err == "interrupted\n"
    assert not (mine.folder / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b'{"made_by": "kraken-fl', b"\0" * 900])
@pytest.mark.parametrize("stopped", [True, False])
def test_a_session_without_its_manifest_goes_on_from_its_journal(mine, monkeypatch, content, stopped):
    assert mine("mode=paper", *SHIPPED, "run_dir=whole") == 0
    if stopped:
        interrupted(mine, monkeypatch, *SHIPPED, "run_dir=out")
    else:
        shutil.copytree("whole", "out")
    manifest = mine.folder / "out/manifest.json"
    manifest.unlink() if content is None else manifest.write_bytes(content)
    if content is not None:
        for mode in ("verify", "replay", "status", "export"):
            assert mine(f"mode={mode}", "mode.run=out") == 2
            assert "its manifest.json is damaged (" in mine.err
            assert "its journal is there, and its own command with run_dir=" in mine.err
    assert mine(*SHIPPED, "run_dir=out") == 2  # no backtest takes its place
    assert "a session there is not finished; continue it with its own command" in mine.err
    assert mine("mode=paper", *SHIPPED, "strategy.side=both", "run_dir=out") == 2
    assert "another configuration (strategy.side was" in mine.err
    assert mine("mode=paper", *SHIPPED, "run_dir=out") == 0, mine.err
    assert f"continues after {40 if stopped else 300} instants\n" in mine.err
    assert "the session's manifest.json was lost or damaged and is written anew; its journal is whole\n" in mine.err
    for log in ("orders.log", "ledger.log"):
        assert (mine.folder / "out" / log).read_bytes() == (mine.folder / "whole" / log).read_bytes()
    written = json.loads(manifest.read_text())
    assert (written["status"], written["manifest_lost"]) == ("finished", written["continued"][-1])
    assert mine("mode=verify", "mode.run=out") == 0, mine.err


def test_a_lost_manifest_is_told_once(mine, monkeypatch):
    interrupted(mine, monkeypatch, *SHIPPED, "run_dir=out")
    (mine.folder / "out/manifest.json").write_text("{")
    interrupted(mine, monkeypatch, *SHIPPED, "run_dir=out", rows=50)
    assert "is written anew" in mine.err
    assert mine("mode=paper", *SHIPPED, "run_dir=out") == 0
    assert "continues after 50 instants" in mine.err
    assert "is written anew" not in mine.err


@pytest.mark.parametrize("known", [True, False])
def test_another_option_is_named_before_the_keys_that_follow_from_it(mine, monkeypatch, known):
    words = [word for word in SHIPPED if not word.startswith("exchange")]
    interrupted(mine, monkeypatch, *words, "exchange=kraken", "run_dir=out")
    if not known:  # as older sessions have it
        path = mine.folder / "out/manifest.json"
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "choices"}))
    words = ["strategy.fast=5" if word == "strategy.fast=4" else word for word in words]
    assert mine("mode=paper", *words, "exchange=bare", "run_dir=out") == 2
    told = mine.err.partition("another configuration (")[2].partition("); repeat its own")[0].split("; ")
    assert told[:2] == ["exchange was kraken, is bare", "strategy.fast was 4, is 5"]
    assert len(told) == 7
    assert all(line.startswith("exchange.") for line in told[2:6])
    assert re.fullmatch(r"and \d+ more", told[6])


def test_what_is_said_of_the_data_of_an_interrupted_session_ends_where_it_did(mine, monkeypatch):
    """A gap after 20 bars; a jump and a second gap after 100, which a session of 40 cannot have seen."""
    bitcoin, ether = (mine.folder / f"candles/{name}usd_1h.csv" for name in ("btc", "eth"))
    lines = bitcoin.read_text().splitlines()
    bitcoin.write_text("\n".join([*lines[:20], *lines[22:100], *lines[105:]]))
    lines = ether.read_text().splitlines()
    time, opened, *_ = lines[150].split(",")
    lines[150] = f"{time},{opened},900,{opened},900,1"
    ether.write_text("\n".join(lines))

    def told(folder):
        return json.loads((mine.folder / folder / "manifest.json").read_text())["data_notes"]

    def jumps_and_gaps():
        table = mine.out.partition("\nDATA")[2].splitlines()
        rows = [line.split() for line in table if line.startswith(("BTC/USD", "ETH/USD"))]
        return [(row[3], row[4], row[-1]) for row in rows]

    first, whole = ["BTC/USD: missing bars: 2, longest gap 2"], "BTC/USD: missing bars: 7, longest gap 5"
    interrupted(mine, monkeypatch, *SHIPPED, "run_dir=out")
    assert told("out") == first
    assert jumps_and_gaps() == [("2", "2", "0"), ("0", "0", "0")]
    assert f"note: {first[0]}\n" in mine.out
    stopped = "The run was interrupted: it ends before its data does."
    assert stopped in (mine.folder / "out/report.html").read_text()
    assert "closes that moved" not in mine.out + (mine.folder / "out/report.html").read_text()
    assert mine("mode=replay", "mode.run=out", "run_dir=again") == 0, mine.err
    assert told("again") == first
    assert mine("mode=paper", *SHIPPED, "run_dir=out") == 0, mine.err
    assert jumps_and_gaps() == [("7", "5", "0"), ("0", "0", "2")]
    assert stopped not in (mine.folder / "out/report.html").read_text()
    assert mine(*SHIPPED, "run_dir=whole") == 0
    assert told("out") == told("whole")
    assert whole in told("whole")


def test_an_interrupted_replay_says_that_nothing_of_it_is_kept(mine, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kraken_flow.modes.replay.instants", stop)
    assert mine("mode=replay", *SHIPPED) == 130
    assert mine.err == "interrupted: of this replay nothing is kept; the same command makes it anew\n"
    assert not (mine.folder / "runs").exists()

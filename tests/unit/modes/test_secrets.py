"""Values of secret variables stand in no file of a run and in nothing that is said of it."""

import pytest

from tests.unit.modes.past_runs import ENV, started, wait_for

NAME, VALUE = "MY_API_TOKEN", "topsecretvalue9"
WORDS = [
    *("data=files", f"data.path=${{oc.env:{NAME}}}/c", "pairs=[BTC/USD,ETH/USD]", "exchange=bare", "risk=none"),
    *("strategy=scripted", f"strategy.path=${{oc.env:{NAME}}}/orders.csv"),
]


@pytest.fixture
def secret(mine, monkeypatch):
    """The project, its candles and orders below a folder whose name is secret."""
    folder = mine.folder / VALUE
    folder.mkdir()
    (mine.folder / "candles").rename(folder / "c")
    lines = [f"2024-01-{day:02}T00:00:00Z,BTC/USD,{side},1" for day, side in ((3, "buy"), (5, "sell"), (7, "buy"))]
    (folder / "orders.csv").write_text("\n".join(["time,pair,side,qty", *lines]) + "\n")
    monkeypatch.setenv(NAME, VALUE)
    monkeypatch.setitem(ENV, NAME, VALUE)
    return mine


def without(program, *folders):
    """Hold that nothing written below the folders and nothing said last has the secret."""
    assert VALUE not in program.out + program.err
    for path in (path for folder in folders for path in (program.folder / folder).rglob("*") if path.is_file()):
        assert VALUE.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("mode", ["backtest", "paper", "replay"])
def test_no_file_has_it_and_the_run_comes_out_again(secret, monkeypatch, mode):
    assert secret(f"mode={mode}", *WORDS, "run_dir=out") == 0, secret.err
    without(secret, "out")
    for words in (["mode=verify"], ["mode=verify", "report=json"], ["mode=export"]):
        assert secret(*words, "mode.run=out") == 0, secret.err
        without(secret, "out")
    (secret.folder / VALUE / "c/btcusd_1h.csv").write_text("time\n")
    assert secret("mode=verify", "mode.run=out", "report=json") == 1
    assert f"<{NAME}>/c/btcusd_1h.csv" in secret.out
    without(secret)
    monkeypatch.delenv(NAME)
    assert secret("mode=verify", "mode.run=out") == 2
    assert f"data.path holds the place of a secret; set {NAME} to what it was in the run" in secret.err


def test_the_replay_of_a_session_comes_out_equal(secret, monkeypatch):
    folder = f"{VALUE}/session"
    assert secret("mode=paper", *WORDS, f"run_dir={folder}") == 0, secret.err
    assert secret("mode=replay", f"mode.run={folder}", "run_dir=again") == 0, secret.err
    assert "equal to <MY_API_TOKEN>/session: order log " in secret.out
    without(secret, folder, "again")
    assert secret("mode=verify", "mode.run=again") == 0, secret.err
    assert secret("mode=compare", f"mode.a={folder}", "mode.b=again") == 0, secret.err
    (secret.folder / folder).rename(secret.folder / "session")
    monkeypatch.delenv(NAME)
    assert secret("mode=replay", "mode.run=session", "run_dir=again") == 2
    assert f"mode.run=session: data.path holds the place of a secret; set {NAME}" in secret.err


def test_a_session_shows_how_it_stands_and_is_continued(secret):
    journal = secret.folder / "out/journal"
    with started(secret.folder, "mode=paper", *WORDS, "mode.speed=36000x", "run_dir=out"):
        wait_for(lambda: journal.stat().st_size > 3000)
        assert secret("mode=status", "mode.run=out") == 0, secret.err
        without(secret)
    assert secret("mode=paper", *WORDS, "run_dir=out") == 0, secret.err
    without(secret, "out")
    assert secret("mode=verify", "mode.run=out") == 0, secret.err


def test_other_orders_are_named_without_it(secret):
    journal = secret.folder / "out/journal"
    with started(secret.folder, "mode=paper", *WORDS, "mode.speed=36000x", "run_dir=out"):
        wait_for(lambda: journal.stat().st_size > 3000)
    with (secret.folder / VALUE / "orders.csv").open("a") as file:
        file.write("2024-01-09T00:00:00Z,BTC/USD,sell,1\n")
    assert secret("mode=paper", *WORDS, "run_dir=out") == 2
    assert f"read other files (<{NAME}>/orders.csv differs)" in secret.err
    without(secret, "out")

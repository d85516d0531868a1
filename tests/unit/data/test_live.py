"""What a user is told about data=live before anything streams."""

import sys

import pytest

from kraken_flow.app import main
from kraken_flow.data.ccxt_venue import INSTALL, moved

PAPER = ("mode=paper", "data=live", "pairs=[BTC/USD]")


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        assert main(list(words)) == 2
        # A session that cannot be is not begun.
        assert words[0] != "mode=paper" or not (tmp_path / "runs").exists()
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize("mode", ["backtest", "replay"])
def test_what_goes_over_history_is_refused(told, mode):
    assert "it streams what happens from now on and has no history; use mode=paper" in told(f"mode={mode}", "data=live")


def test_without_ccxt_the_command_that_installs_it_is_told(told, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "ccxt"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ccxt", None)
    assert f"needs the library ccxt, which is not installed: {INSTALL}" in told(*PAPER)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["start=2024-01-01"], "start=2024-01-01T00:00:00Z: with data=live a session starts now"),
        (["timeframe=1w"], "timeframe=1w: venues open weeks on different days"),
        (["mode.speed=max"], "the time of an exchange is real time"),
        (["mode.speed=60x"], "the time of an exchange is real time"),
        (["data.options={apiKey: x}"], "market data needs no key"),
        (["data.url=ftp://x"], "must begin with http:// or https://"),
        (["data.stale=0"], "would take every connection for dead"),
        (["exchange.fill.path=detail", "exchange.fill.detail=5m"], "data=live has no finer bars"),
        (["data.bars=ticks"], "data.bars"),
    ],
)
def test_what_cannot_be_is_refused(told, words, said):
    assert said in told(*PAPER, *words)


def test_a_server_takes_the_place_of_every_address():
    urls = {"public": "https://api.kraken.com", "ws": {"v2": "wss://ws.kraken.com/v2"}, "none": None}
    assert moved(urls, "http://127.0.0.1:9") == {
        "public": "http://127.0.0.1:9",
        "ws": {"v2": "ws://127.0.0.1:9/v2"},
        "none": None,
    }

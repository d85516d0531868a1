"""Paper sessions on what a venue streams: through ccxt, over sockets, from a server on this machine that misbehaves."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ccxt.pro", reason="the extra live is not installed")

from kraken_flow.app import main
from kraken_flow.core.errors import UserError
from kraken_flow.core.times import SECOND, iso
from kraken_flow.data.ccxt_venue import CcxtVenue
from kraken_flow.runs.journal import JOURNAL, Reader
from tests.faults.venue import MINUTE, Faults, Recording, Venue, made_up, recorded, serving

ROOT = Path(__file__).parents[2]
SPEED = 120
"""A minute takes half a second."""
BARS = {"strategy.fast": 2, "strategy.slow": 4}
LOOKBACK = 4


def words(url: str, end: float, pairs: str, **more: Any) -> list[str]:
    given = {
        **{"mode": "paper", "mode.speed": f"{SPEED}x", "data": "live", "data.url": url, "data.feed_delay": "20s"},
        **{"exchange": "kraken", "pairs": f"[{pairs}]"},
        **{"timeframe": "1m", "strategy": "sma_cross", "end": iso(int(end) * SECOND), "run_dir": "session"},
        **BARS,
        **more,
    }
    return [f"{name}={value}" for name, value in given.items()]


def started(command: list[str], instants: int) -> "subprocess.Popen[bytes]":
    """Begin a session in a process of its own; return when it has taken some instants."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "kraken_flow", *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    until = time.monotonic() + 60
    while not Path("session", JOURNAL).exists() or len(journalled()) < instants:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


@pytest.fixture
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def journalled() -> list[dict[str, Any]]:
    frames = [frame.content for frame in Reader(Path("session") / JOURNAL)]
    return [content for content in frames if "instant" in content]


def counts() -> dict[str, Counter[str]]:
    """The counts in the journal, by pair."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for frame in Reader(Path("session") / JOURNAL):
        for pair, counted in frame.content.get("counts", {}).items():
            found[pair].update(counted)
    return found


def begun_at() -> int:
    """The open of the first row that was decided on."""
    tape = next(iter(Reader(Path("session") / JOURNAL))).content["tape"]
    return tape["first"] + tape["first_row"] * tape["timeframe_ns"]


def facts() -> dict[str, Any]:
    return json.loads(Path("session/manifest.json").read_bytes())["stream"]


def bars_of(recording: Recording, pair: str) -> dict[int, list[int] | None]:
    """The bars of a recording in units of 10^-8, by open in ns; None where nothing traded."""
    return {
        row[0] * SECOND: [round(float(row[k]) * 10**8) for k in (1, 2, 3, 4, 6)] if float(row[6]) else None
        for row in recording.candles[pair]
    }


def assert_bars_of(recording: Recording, instants: list[dict[str, Any]]) -> None:
    truth = [bars_of(recording, pair) for pair in recording.candles]
    for content in instants:
        assert content["bars"] == [bars[content["instant"]] for bars in truth]


def replays() -> None:
    assert main(["mode=replay", "mode.run=session", "run_dir=again"]) == 0
    assert (Path("again") / "orders.log").read_bytes() == (Path("session") / "orders.log").read_bytes()


def test_a_session_on_recorded_messages_with_all_that_goes_wrong_replays_to_its_own_hash(here, shared, capsys):
    """Candles that Kraken sent, sent again with a dropped connection, every message twice, and one bar late."""
    recording = recorded(shared, 20, 60)
    candles = recording.candles["BTC/USDT"]
    start = candles[25][0]
    late = next(row[0] for row in candles[31:] if float(row[6]))
    faults = Faults(drops=(start + 2.1 * MINUTE,), twice=True, late={("BTC/USDT", late): 90})
    end = late + 3 * MINUTE
    with serving(Venue(recording, start + 5, SPEED, faults)) as url:
        assert main(words(url, end, "BTC/USDT")) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "bars that came, whole or in part, after they were due; not used: BTC/USDT 1" in told
    assert "instruments from the venue's own list of markets: BTC/USDT" in told
    counted = facts()["pairs"]["BTC/USDT"]
    assert (counted["late"], counted["connections_lost"]) == (1, 1)
    assert counted["bars"] >= 1
    used = {content["instant"]: content["bars"][0] for content in journalled()}
    truth = bars_of(recording, "BTC/USDT")
    assert used.pop(late * SECOND) is None
    assert used == {time: truth[time] for time in used}
    assert sum(bar is not None for time, bar in used.items() if time < begun_at()) == LOOKBACK
    replays()


@pytest.mark.parametrize(
    ("more", "faults", "transport"),
    [
        ({"data.stale": "300ms"}, Faults(swapped=True, silent=2.2), "websocket"),
        ({"data.bars": "trades"}, Faults(twice=True, drops=(2.3,)), "websocket"),
        ({"data.transport": "rest"}, Faults(outages=((2.1, 2.2),)), "rest"),
    ],
    ids=["candles, then silence", "trades", "rest"],
)
def test_a_session_uses_the_venues_bars_whatever_happens(here, more, faults, transport):
    recording = made_up(60)
    start = recording.candles["BTC/USD"][30][0]
    faults.drops = tuple(start + at * MINUTE for at in faults.drops)
    faults.outages = tuple((start + begin * MINUTE, start + end * MINUTE) for begin, end in faults.outages)
    faults.silent = None if faults.silent is None else start + faults.silent * MINUTE
    with serving(Venue(recording, start + 5, SPEED, faults)) as url:
        assert main(words(url, start + 5 * MINUTE, "BTC/USD,ETH/USD", **more)) == 0
    assert facts()["transport"] == transport
    assert_bars_of(recording, journalled())
    assert len(journalled()) >= LOOKBACK + 4
    if transport == "websocket":
        assert max(counted["connections_lost"] for counted in facts()["pairs"].values()) > 0
    replays()


def test_no_bar_is_lost_to_answers_that_are_empty(here):
    """Nothing traded for 150 bars; an answer is about a hundred, lacks such bars, and every other one slips."""
    recording = made_up(200)
    for rows in recording.candles.values():
        for row in rows[20:170]:
            row[6] = "0.0"
    start = recording.candles["BTC/USD"][172][0]
    faults = Faults(slips=True, reach=100, outages=((start + 1.5 * MINUTE, start + 3.2 * MINUTE),))
    with serving(Venue(recording, start + 5, SPEED, faults)) as url:
        assert main(words(url, start + 6 * MINUTE, "BTC/USD,ETH/USD")) == 0
    assert_bars_of(recording, journalled())
    warm = [content for content in journalled() if content["instant"] < begun_at() and content["bars"] != [None, None]]
    assert len(warm) == LOOKBACK
    replays()


def test_a_question_without_an_answer_holds_up_nothing_but_its_bar(here):
    """The first bar of trades can be had by REST alone, which is away; meanwhile Ctrl-C ends the session in order."""
    recording = made_up(60)
    start = recording.candles["BTC/USD"][30][0]
    faults = Faults(deaf=(start + 0.5 * MINUTE, start + 10 * MINUTE))
    with serving(Venue(recording, start + 5, SPEED, faults)) as url:
        command = words(url, start + 14 * MINUTE, "BTC/USD,ETH/USD", **{"data.bars": "trades"})
        process = started(command, LOOKBACK)
        time.sleep(1.5)
        assert len(journalled()) <= LOOKBACK + 1
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert main(command) == 0
    assert_bars_of(recording, journalled())
    replays()


def test_a_session_waits_for_an_answer_and_goes_on(here):
    recording = made_up(60)
    start = recording.candles["BTC/USD"][30][0]
    faults = Faults(deaf=(start + 0.5 * MINUTE, start + 3 * MINUTE))
    with serving(Venue(recording, start + 5, SPEED, faults)) as url:
        assert main(words(url, start + 8 * MINUTE, "BTC/USD,ETH/USD", **{"data.bars": "trades"})) == 0
    assert_bars_of(recording, journalled())
    assert 1 <= facts()["missed_instants"] <= 5
    assert {counted["connections_lost"] for counted in facts()["pairs"].values()} == {0}
    replays()


def test_a_killed_session_goes_on_and_what_it_missed_is_not_decided_on(here, capsys):
    recording = made_up(60)
    start = recording.candles["BTC/USD"][30][0]
    faults = Faults(drops=(start + 1.3 * MINUTE,))
    with serving(Venue(recording, start + 5, SPEED, faults)) as url:
        command = words(url, start + 11 * MINUTE, "BTC/USD,ETH/USD")
        process = started(command, LOOKBACK + 3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before, counted = journalled(), counts()
        time.sleep(1.2)
        assert main(command) == 0
    after = journalled()
    assert after[: len(before)] == before
    assert [content["instant"] for content in after] == [
        after[0]["instant"] + i * MINUTE * SECOND for i in range(len(after))
    ]
    assert_bars_of(recording, after)
    missed = [i for i, content in enumerate(after) if content.get("missed")]
    assert len(before) in missed
    assert len(missed) < len(after) - 2
    assert facts()["missed_instants"] == len(missed)
    # What the killed process counted is not forgotten.
    assert [of_pair["connections_lost"] for of_pair in counted.values()] == [1, 1]
    decided = sum(content["instant"] >= begun_at() for content in after)
    for pair, of_pair in facts()["pairs"].items():
        assert (of_pair.pop("bars"), of_pair.pop("missing")) == (decided, 0)
        assert {name: number for name, number in of_pair.items() if number} == dict(counts()[pair])
    replays()
    for again in (command, ["mode=backtest", "strategy=hold", "run_dir=session"]):
        capsys.readouterr()
        assert main(again) == 2
        assert "run_dir=session: a finished session on live data is there" in capsys.readouterr().err
    assert journalled() == after


@pytest.mark.parametrize(
    ("venue", "trades", "websocket", "streams"),
    [
        ("kraken", False, True, True),
        ("kraken", True, True, True),
        ("kraken", False, False, False),
        ("krakenfutures", False, True, False),
        ("krakenfutures", True, True, True),
    ],
)
def test_what_has_no_websocket_is_asked_for(venue, trades, websocket, streams):
    assert CcxtVenue(venue, trades, websocket).streams == streams


def test_a_venue_that_nobody_knows_is_refused():
    with pytest.raises(UserError, match=r"no venue krakn; did you mean kraken\?"):
        CcxtVenue("krakn", trades=False, websocket=True)


@pytest.mark.parametrize(
    ("venue", "pair", "terms"),
    [
        ("kraken", "BTC/USDT", {"tick": 10**7, "lot": 1, "cost_min": 5 * 10**7}),
        ("binance", "BTC/USDT", {"tick": 10**6, "lot": 1000}),
    ],
)
def test_ticks_lots_and_minima_are_the_venues(shared, venue, pair, terms):
    markets = json.loads(gzip.decompress((shared / f"data/fixtures/ccxt/markets/{venue}.json.gz").read_bytes()))
    found = CcxtVenue(venue, trades=False, websocket=True)._terms(markets[pair])
    assert found.items() >= terms.items()
    assert found["qty_min"] > 0

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from kraken_flow.runs.session_journal import begin
from tests.unit.modes.past_runs import SHIPPED

TABLES = ("orders", "fills", "trades", "equity", "risk")
JOURNAL = ("instants", "commands", "controls")


def rows(folder, name, form):
    path = folder / f"{name}.{form}"
    if form == "json":
        return json.loads(path.read_text("utf-8"))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_written(value, form):
    if value is None or value != value:
        return "" if form == "csv" else None
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, bool):
        return value if form == "json" else str(value).lower()
    return value if form == "json" else str(value)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_every_value_of_a_table_is_written_exactly(mine, form):
    assert mine(*SHIPPED, "run_dir=out") == 0
    assert mine("mode=export", "mode.run=out", f"mode.format={form}") == 0
    assert [line.split("/")[-1] for line in mine.out.splitlines()] == [f"{name}.{form}" for name in TABLES]
    for name in TABLES:
        expected = pq.read_table(mine.folder / f"out/{name}.parquet").to_pylist()
        found = rows(mine.folder / "out/export", name, form)
        assert len(found) == len(expected) > 0
        assert found == [{key: as_written(value, form) for key, value in row.items()} for row in expected]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_sessions_journal_is_written_whole(mine, form):
    assert mine("mode=paper", *SHIPPED, "run_dir=out") == 0
    assert mine("mode=export", "mode.run=out", f"mode.format={form}", "mode.out=to/here") == 0
    folder = mine.folder / "to/here"
    assert {path.name for path in folder.iterdir()} == {f"{n}.{form}" for n in TABLES + JOURNAL} | {"export.json"}
    assert not (mine.folder / "out/export").exists()
    tape, frames, _ = begin(mine.folder / "out/journal")
    bars = [bar for frame in frames if "instant" in frame.content for bar in frame.content["bars"]]
    found = rows(folder, "instants", form)
    assert [
        [Decimal(row[name]) * 10**8 for name in ("open", "high", "low", "close", "volume")] for row in found
    ] == bars
    assert {row["pair"] for row in found} == set(tape.pairs)
    log = [line.split() for line in (mine.folder / "out/orders.log").read_text().splitlines()]
    commands = rows(folder, "commands", form)
    words = [[row[name] for name in ("time", "kind", "pair", "side", "type", "qty")] for row in commands]
    assert words == [line[:6] for line in log]
    assert [row["reason"] for row in commands] == [line[-1] for line in log]
    assert rows(folder, "controls", form) == []


def test_it_replaces_what_an_export_wrote_and_nothing_else(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    for words in ([], [], ["mode.format=json"], []):
        assert mine("mode=export", "mode.run=out", *words) == 0
    edited = mine.folder / "out/export/trades.csv"
    edited.write_text("mine")
    before = {path.name: path.stat().st_mtime_ns for path in edited.parent.iterdir()}
    assert mine("mode=export", "mode.run=out") == 2
    assert "trades.csv is there, and not as an export left it; move that away, or choose another" in mine.err
    assert {path.name: path.stat().st_mtime_ns for path in edited.parent.iterdir()} == before
    assert mine("mode=export", "mode.run=out", "mode.format=json") == 0
    assert edited.read_text() == "mine"
    own = mine.folder / "own"
    own.mkdir()
    (own / "notes.txt").write_text("mine")
    (own / "fills.csv").mkdir()
    assert mine("mode=export", "mode.run=out", "mode.out=own") == 2
    assert sorted(path.name for path in own.iterdir()) == ["fills.csv", "notes.txt"]
    (own / "fills.csv").rmdir()
    (own / "export.json").write_text("{}")
    assert mine("mode=export", "mode.run=out", "mode.out=own") == 2
    assert "no export wrote it" in mine.err
    (own / "export.json").unlink()
    assert mine("mode=export", "mode.run=out", "mode.out=own") == 0
    assert (own / "notes.txt").read_text() == "mine"


def test_a_verified_run_stays_verified_after_an_export(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    assert mine("mode=export", "mode.run=out") == 0
    assert mine("mode=verify", "mode.run=out") == 0
    assert mine(*SHIPPED, "run_dir=out") == 0
    assert mine("mode=export", "mode.run=out") == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mode.run=out", "mode.format=cvs"], "mode.format=cvs: must be csv, json; did you mean mode.format=csv?"),
        (["mode.run=elsewhere"], "mode.run=elsewhere: there is no such folder"),
        (["mode.run=out", "mode.out=candles/btcusd_1h.csv"], "cannot be written ("),
        (["mode.run=out", "timeframe=4h"], "timeframe=4h: leave that out"),
    ],
)
def test_what_cannot_be_exported_is_told(mine, words, told):
    assert mine(*SHIPPED, "run_dir=out") == 0
    assert mine("mode=export", *words) == 2
    assert told in mine.err


def test_a_table_that_cannot_be_read_is_told(mine):
    assert mine(*SHIPPED, "run_dir=out") == 0
    (mine.folder / "out/fills.parquet").write_bytes(b"no table")
    assert mine("mode=export", "mode.run=out") == 2
    assert "fills.parquet cannot be read" in mine.err
    assert not (mine.folder / "out/export").exists()


def test_orders_that_were_refused_at_once_stand_in_the_journal_too(mine):
    """Their numbers are those of the run: what comes after them is named rightly."""
    poor = ["strategy=combined", "portfolio=confidence", "account.cash=3", "risk=none", "pairs=[BTC/USD,ETH/USD]"]
    assert mine("mode=paper", *poor, "start=2021-01-01", "end=2021-03-01", "run_dir=out") == 0
    orders = pq.read_table(mine.folder / "out/orders.parquet").to_pylist()
    log = [line.split() for line in (mine.folder / "out/orders.log").read_text().splitlines()]
    assert any(order["status"] == "rejected" for order in orders)
    assert mine("mode=export", "mode.run=out", "mode.format=json") == 0, mine.err
    commands = rows(mine.folder / "out/export", "commands", "json")
    assert [[row["time"], row["pair"]] for row in commands] == [[line[0], line[2]] for line in log]
    assert mine("mode=replay", "mode.run=out") == 0, mine.err

"""The data store holds the bars of its sources, and a span read from it is that of the files, without the rest."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.core.catalogue import Wanted
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import FIELDS
from kraken_flow.core.times import DAY, iso, parse_time
from kraken_flow.data import intake, shelf
from kraken_flow.data import store as store_module
from kraken_flow.data.files import Files
from kraken_flow.data.shelf import opened, series_in
from kraken_flow.data.span import Span, read_span
from kraken_flow.data.store import Store
from tests.dumps import DAY_S, SINCE, rows, text, tree, zipped

HOUR = DAY // 24


def store_of(folder, **files):
    """Import files by name; return the store."""
    for name, lines in files.items():
        (folder / "in").mkdir(exist_ok=True)
        (folder / "in" / f"{name}.csv").write_text(text(lines))
    store = Store(path=str(folder / "store"))
    assert [taken.problem for taken in store.fill(Wanted(folder / "in", "kraken"))] == [""] * len(files)
    return store


def market_or_error(source, *args):
    """What a source loads, or what it says instead."""
    try:
        return source.load(*args)
    except UserError as error:
        return str(error)


def same_market(store, files):
    """Whether two markets are one, apart from the files that they were read from."""
    for one, other in ((store, files), (store.detail, files.detail)):
        assert (one is None) == (other is None)
        if one is not None:
            for mine, theirs in zip(one.pairs, other.pairs, strict=True):
                for name in ("state", *FIELDS):
                    np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)
    np.testing.assert_array_equal(store.times, files.times)
    assert (store.first_row, store.decimals, store.names) == (files.first_row, files.decimals, files.names)
    return True


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Three years of bars of twelve hours of two pairs, of which one begins later, as a store and as files."""
    folder = tmp_path_factory.mktemp("both")
    patch = pytest.MonkeyPatch()
    patch.setattr(shelf, "GROUP_ROWS", 16)
    lines = rows(1, 43_200, 2_200)
    holed = [*lines[:700], *lines[760:1200], *lines[1203:]]
    store = store_of(folder, XBTUSD_720=holed, ETHUSD_720=rows(2, 43_200, 1_500, SINCE + 300 * DAY_S))
    patch.undo()
    return store, Files(path=str(folder / "in"))


MOMENTS = st.none() | st.integers(-60 * 24, 1200 * 24).map(lambda hours: SINCE * 10**9 + hours * HOUR)


@settings(max_examples=150)
@given(
    pairs=st.sampled_from([("BTC/USD",), ("ETH/USD",), ("BTC/USD", "ETH/USD")]),
    timeframe=st.sampled_from(["12h", "1d", "36h", "1w"]),
    start=MOMENTS,
    end=MOMENTS,
    lookback=st.integers(0, 300),
    detail=st.booleans(),
)
def test_a_span_of_the_store_is_the_market_of_the_files(both, pairs, timeframe, start, end, lookback, detail):
    finer = "12h" if detail and timeframe != "12h" else None
    store, files = (market_or_error(source, pairs, timeframe, start, end, lookback, finer) for source in both)
    assert store == files if isinstance(files, str) else same_market(store, files)


def read_bytes():
    """How much this process has read, by the kernel's account."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not count what a process reads")
def test_a_month_of_six_years_touches_few_bytes(tmp_path):
    store = store_of(tmp_path, XBTUSD_15=rows(3, 900, 96 * 365 * 6, missing=0.0))
    (folder,) = series_in(store.folder)
    series = opened(folder)
    whole = sum(part.size_bytes for part in series.parts)
    span = Span(HOUR, parse_time("2024-05-01"), parse_time("2024-06-01"), 100)
    read_span(series, span)
    before = read_bytes()
    found = read_span(series, span)
    touched = read_bytes() - before
    assert len(found.parts) == 1
    assert found.bars.times[0] <= span.start - 100 * HOUR
    assert found.size_bytes < touched < whole / 8
    assert found.size_bytes < whole / 16
    assert len(found.bars.times) <= 31 * 96 + 102 * 4 + 2 * shelf.GROUP_ROWS


def test_what_is_stored_is_what_the_file_says_to_the_last_digit(tmp_path):
    lines = [f"{SINCE + i * 60},0.0000001{i},0.0000005,0.00000001,0.00000012,{i}.12345678,1" for i in range(9)]
    series = opened(series_in(store_of(tmp_path, DOGEXBT_1=lines).folder)[0])
    table = pq.read_table(series.folder / series.parts[0].name)
    assert series.pair == "DOGE/BTC"
    assert series.price_decimals == 8
    assert table.column("open_e8").to_pylist() == [10 + i for i in range(9)]
    assert table.column("volume_e8").to_pylist() == [i * 10**8 + 12_345_678 for i in range(9)]
    assert table.column("ts_ns").to_pylist() == [(SINCE + i * 60) * 10**9 for i in range(9)]


@pytest.mark.parametrize("form", ["zip", "csv", "gz", "parquet"])
def test_a_file_read_in_pieces_is_the_file_read_whole(tmp_path, monkeypatch, form):
    lines = rows(5, 900, 6_000, SINCE + 200 * DAY_S)
    plain = store_of(tmp_path, XBTUSD_15=lines)
    source = tmp_path / f"XBTUSD_15.{form}"
    if form == "zip":
        zipped(source, {"a/XBTUSD_15.csv": text(lines)})
    elif form == "parquet":
        frame = pq.read_table(next(plain.folder.rglob("*.parquet")))
        monkeypatch.setattr(intake, "PIECE_BYTES", 64 * 100)
        import pyarrow as pa

        parts = [pq.read_table(path) for path in sorted(plain.folder.rglob("*.parquet"))]
        frame = pa.concat_tables(parts)
        floats = {name: frame.column(f"{name}_e8").to_numpy() / 1e8 for name in FIELDS}
        pq.write_table(pa.table({"ts_ns": frame.column("ts_ns"), **floats}), source)
    else:
        import gzip

        source = tmp_path / ("XBTUSD_15.csv.gz" if form == "gz" else "XBTUSD_15.csv")
        source.write_bytes(gzip.compress(text(lines).encode()) if form == "gz" else text(lines).encode())
    sizes = []
    original = intake.check
    monkeypatch.setattr(intake, "check", lambda table, *rest: sizes.append(len(table.times)) or original(table, *rest))
    monkeypatch.setattr(intake, "PIECE_BYTES", 64 * 100)
    pieced = Store(path=str(tmp_path / "pieced"))
    (taken,) = pieced.fill(Wanted(source, "kraken"))
    assert taken.problem == ""
    assert max(sizes) < 250
    assert len(sizes) > 20
    assert {k: v for k, v in tree(plain.folder).items() if k.endswith("parquet")} == {
        k: v for k, v in tree(pieced.folder).items() if k.endswith("parquet")
    }


@pytest.mark.parametrize("place", [0, 1, 150, 2_500, 2_999])
def test_a_bad_row_is_named_by_its_place_in_the_file_whatever_piece_it_is_in(tmp_path, monkeypatch, place):
    lines = rows(6, 900, 3_000, missing=0.0)
    cells = lines[place].split(",")
    lines[place] = ",".join([cells[0], cells[1], "0.5", *cells[3:]])
    zipped(tmp_path / "dump.zip", {"XBTUSD_15.csv": text(lines), "ETHUSD_15.csv": text(rows(7, 900, 10))})
    monkeypatch.setattr(intake, "PIECE_BYTES", 64 * 100)
    store = Store(path=str(tmp_path / "store"))
    good, bad = store.fill(Wanted(tmp_path / "dump.zip", "kraken"))
    assert (good.problem, good.added) == ("", len(rows(7, 900, 10)))
    assert f"dump.zip:XBTUSD_15.csv, row {place + 1} (line {place + 1}): " in bad.problem
    assert "mode.on_bad=drop" in bad.problem
    assert [opened(folder).pair for folder in series_in(store.folder)] == ["ETH/USD"]
    assert not (store.folder / "kraken/BTC-USD").exists()
    taken = [*store.fill(Wanted(tmp_path / "dump.zip", "kraken", on_bad="drop"))]
    assert [(one.added, one.dropped, one.already) for one in taken] == [(0, 0, True), (2_999, 1, False)]


def test_a_row_out_of_order_across_pieces_is_named(tmp_path, monkeypatch):
    lines = rows(8, 900, 400, missing=0.0)
    (tmp_path / "XBTUSD_15.csv").write_text(text([*lines[:200], *lines[50:60], *lines[200:]]))
    monkeypatch.setattr(intake, "PIECE_BYTES", len(text(lines[:200])))
    (taken,) = Store(path=str(tmp_path / "store")).fill(Wanted(tmp_path / "XBTUSD_15.csv", "kraken"))
    assert "row 201 (line 201): time" in taken.problem
    assert "is before" in taken.problem


def test_quarterly_files_join_and_the_same_rows_twice_are_one(tmp_path):
    lines = rows(9, 3_600, 9_000)
    whole = store_of(tmp_path, XBTUSD_60=lines)
    store = Store(path=str(tmp_path / "quarters"))
    added = 0
    for number, (low, high) in enumerate([(0, 4_000), (3_500, 6_000), (5_000, 9_000)]):
        (tmp_path / f"q{number}").mkdir()
        path = tmp_path / f"q{number}/XBTUSD_60.csv"
        path.write_text(text(lines[low:high]))
        (taken,) = store.fill(Wanted(path.parent, "kraken"))
        assert taken.problem == ""
        assert taken.same == (0, 500, 1_000)[number]
        added += taken.added
    assert added == len(lines)
    args = (("BTC/USD",), "1h", None, None, 0)
    assert same_market(store.load(*args), whole.load(*args))
    series = opened(series_in(store.folder)[0])
    times = np.array([int(line.split(",")[0]) for line in lines])
    ahead = np.diff(times) // 3_600 - 1
    assert (series.coverage.bars, series.coverage.missing, series.coverage.gaps) == (
        len(times),
        ahead.sum(),
        (ahead > 0).sum(),
    )
    assert max(bars for _, bars in series.coverage.longest_gaps) == ahead.max()
    assert [came.bars for came in series.sources] == [4_000, 2_000, len(lines) - 6_000]
    before = tree(store.folder)
    again = [*store.fill(Wanted(tmp_path / "q1", "kraken"))]
    assert [one.already for one in again] == [True]
    assert tree(store.folder) == before


@pytest.mark.parametrize("choice", ["error", "keep", "replace"])
def test_other_values_of_a_bar_are_refused_kept_or_replaced(tmp_path, choice):
    lines = rows(10, 3_600, 100, missing=0.0)
    store = store_of(tmp_path, XBTUSD_60=lines)
    cells = lines[40].split(",")
    other = [*lines[30:40], ",".join([*cells[:5], "777.5", cells[6]]), *lines[41:50]]
    more = rows(11, 3_600, 3, SINCE + 100 * 3_600, missing=0.0)
    corrected = tmp_path / "corrected_xbtusd_60.csv"
    corrected.write_text(text([*other, *more]))
    before = tree(store.folder)
    wanted = Wanted(corrected, "kraken", on_conflict=choice)
    (taken,) = store.fill(wanted)
    volume = store.load(("BTC/USD",), "1h", None, None, 0).pairs[0].volume[40]
    if choice == "error":
        moment = iso((SINCE + 40 * 3_600) * 10**9)
        for said in (
            str(corrected),
            str(tmp_path / "in/XBTUSD_60.csv"),
            moment,
            "volume is",
            "777.5 here",
            "on_conflict",
        ):
            assert said in taken.problem
        assert tree(store.folder) == before
        return
    assert (taken.added, taken.same, taken.kept, taken.replaced) == (
        3,
        19,
        int(choice == "keep"),
        int(choice == "replace"),
    )
    assert (volume == 77_750_000_000) == (choice == "replace")
    after = tree(store.folder)
    (again,) = store.fill(wanted)
    assert (again.added, again.replaced) == (0, 0)
    assert tree(store.folder) == after
    # The first source no longer stands there as it was: it is read again, and not taken for known.
    (old,) = store.fill(Wanted(tmp_path / "in", "kraken", on_conflict="replace"))
    assert old.already == (choice == "keep")
    assert store.load(("BTC/USD",), "1h", None, None, 0).pairs[0].volume[40] != 77_750_000_000


@pytest.mark.parametrize(
    ("have", "want", "read"), [((1, 60), "1h", "1h"), ((1, 60), "4h", "1m"), ((60, 1440), "1d", "1d")]
)
def test_a_timeframe_is_read_where_it_is_there_else_from_the_finest_that_divides_it(tmp_path, have, want, read):
    names = {f"XBTUSD_{minutes}": rows(12, minutes * 60, 2 * 1_440 // minutes + 10) for minutes in have}
    market = store_of(tmp_path, **names).load(("BTC/USD",), want, None, None, 0)
    assert {record["timeframe"] for record in market.files} == {read}


def test_a_full_disk_loses_nothing_and_the_import_goes_on_where_it_stopped(tmp_path, monkeypatch):
    files = {f"A{i}USD_60.csv": text(rows(i, 3_600, 50)) for i in range(25)}
    source = zipped(tmp_path / "dump.zip", files)
    undisturbed, store = (Store(path=str(tmp_path / name)) for name in ("undisturbed", "store"))
    assert len([*undisturbed.fill(Wanted(source, "kraken"))]) == 25
    original, left = os.fsync, [0]

    def full(handle):
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(handle)

    monkeypatch.setattr(os, "fsync", full)
    for stop in range(2, 12):
        left[0] = stop
        done = tree(store.folder) if store.folder.exists() else {}
        with pytest.raises(OSError, match="No space"):
            list(store.fill(Wanted(source, "kraken")))
        assert all(tree(store.folder)[name] == content for name, content in done.items())
        assert not list(store.folder.rglob(".*"))
        for folder in series_in(store.folder):
            assert opened(folder).damage() == ()
    monkeypatch.setattr(os, "fsync", original)
    assert [taken.problem for taken in store.fill(Wanted(source, "kraken"))] == [""] * 25
    assert tree(store.folder) == tree(undisturbed.folder)


def test_a_store_says_what_it_lacks(tmp_path):
    store = store_of(tmp_path, XBTUSD_240=rows(13, 14_400, 30))
    other = tmp_path / "other"
    other.mkdir()
    (other / "XBTUSD_240.csv").write_text(text(rows(14, 14_400, 30)))
    args = ("4h", None, None, 0)
    with pytest.raises(UserError, match=r"has no BTC/EUR; nearest: BTC/USD"):
        store.load(("BTC/EUR",), *args)
    with pytest.raises(UserError, match=r"timeframe=1h: .* in 4h, of which none divides 1h; use timeframe=4h"):
        store.load(("BTC/USD",), "1h", None, None, 0)
    with pytest.raises(UserError, match=r"data.exchange=binance: the store has BTC/USD of kraken alone"):
        Store(path=store.path, exchange="binance").load(("BTC/USD",), *args)
    assert [taken.problem for taken in store.fill(Wanted(other, "bitstamp"))] == [""]
    with pytest.raises(UserError, match=r"BTC/USD of bitstamp and kraken; say which, as in data.exchange=bitstamp"):
        store.load(("BTC/USD",), *args)
    assert Store(path=store.path, exchange="kraken").load(("BTC/USD",), *args).n_rows == 30
    with pytest.raises(UserError, match=r"the store .*nowhere does not exist; fill it with mode=import"):
        Store(path=str(tmp_path / "nowhere")).load(("BTC/USD",), *args)


@pytest.mark.parametrize("what", ["flipped", "shorter", "missing", "manifest"])
def test_damage_is_named_where_it_is_met(tmp_path, what):
    store = store_of(tmp_path, XBTUSD_60=rows(15, 3_600, 500))
    (data,) = store.folder.rglob("*.parquet")
    (manifest,) = store.folder.rglob("manifest.json")
    content = bytearray(data.read_bytes())
    if what == "flipped":
        content[len(content) // 4] ^= 255
        data.write_bytes(content)
    elif what == "shorter":
        data.write_bytes(content[:-1])
    elif what == "missing":
        data.unlink()
    else:
        known = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(known | {"price_decimals": 3}))
    named = manifest if what == "manifest" else data
    with pytest.raises(UserError, match=named.name):
        store.load(("BTC/USD",), "1h", None, None, 0)
    (entry,) = store.entries(check=True)
    assert entry.damage is not None
    assert str(named) in entry.damage[0]


def test_what_cannot_be_imported_is_told_and_costs_nothing_else(tmp_path):
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    (folder / "XBTUSD_60.csv").write_text(text(rows(16, 3_600, 20)))
    (folder / "deeper/ETHUSD_60.csv").write_text(text(rows(17, 3_600, 20)))
    (folder / "prices.csv").write_text(text(rows(18, 3_600, 20)))
    (folder / "LTCUSD_60.csv").write_text("")
    (folder / "SOLUSD.csv").write_text(text(rows(19, 3_600, 1)))
    (folder / "torn.zip").write_bytes(b"PK\3\4 torn")
    (folder / "notes.txt").write_text("not candles")
    broken = zipped(folder / "broken.zip", {"ADAUSD_60.csv": text(rows(20, 3_600, 300))})
    content = bytearray(broken.read_bytes())
    content[120] ^= 255
    broken.write_bytes(content)
    store = Store(path=str(tmp_path / "store"))
    problems = [taken.problem for taken in store.fill(Wanted(folder, "kraken")) if taken.problem]
    assert sorted(opened(path).pair for path in series_in(store.folder)) == ["BTC/USD", "ETH/USD"]
    for said in (
        "broken.zip:ADAUSD_60.csv",
        "its name says no pair",
        "LTCUSD_60.csv is empty",
        "torn.zip cannot",
        "mode.timeframe",
    ):
        assert sum(said in problem for problem in problems) == 1, said
    assert len(problems) == 5
    with pytest.raises(UserError, match=r"mode.source=.*: does not exist; nearest: XBTUSD_60.csv"):
        store.expect(Wanted(folder / "XBTUSD_61.csv", "kraken"))
    with pytest.raises(
        UserError, match=r"mode.exchange=Kraken!: must be.*\n.*mode.pair=btc: must be.*\n.*mode.timeframe"
    ):
        store.expect(Wanted(folder, "Kraken!", "btc", "1x"))
    with pytest.raises(UserError, match="holds 7 files, whose names say their pairs"):
        store.expect(Wanted(folder, "kraken", "BTC/USD"))


def test_a_file_whose_name_says_nothing_is_told_what_it_is(tmp_path):
    (tmp_path / "prices.csv").write_text(text(rows(21, 3_600, 50)))
    store = Store(path=str(tmp_path / "store"))
    (taken,) = store.fill(Wanted(tmp_path / "prices.csv", "kraken", "BTC/USD", "1h"))
    assert (taken.series, taken.problem) == ("kraken BTC/USD 1h", "")


class Killed(BaseException):
    """The process is gone: nothing that it would do next happens."""


def test_a_kill_at_any_step_of_an_import_that_adds_to_a_series_leaves_the_old_or_the_new_one(tmp_path, monkeypatch):
    lines = rows(22, 3_600, 9_300)
    store = store_of(tmp_path, XBTUSD_60=lines[:7_700])
    cells = lines[10].split(",")
    (tmp_path / "XBTUSD_60.csv").write_text(text([",".join([*cells[:5], "5", cells[6]]), *lines[7_600:]]))
    wanted = Wanted(tmp_path / "XBTUSD_60.csv", "kraken", on_conflict="replace")
    before, source = tree(store.folder), Store(path=str(tmp_path / "again"))
    shutil.copytree(store.folder, source.folder)
    assert [taken.added for taken in source.fill(wanted)] == [len(lines) - 7_700]
    after = tree(source.folder)
    args = (("BTC/USD",), "1h", None, None, 0)
    states = [Store(path=str(folder)).load(*args) for folder in (store.folder, source.folder)]
    steps = 0
    while True:
        shutil.rmtree(source.folder)
        shutil.copytree(store.folder, source.folder)
        left = [steps + 1]

        def dies(original, left=left):
            def step(*words, **named):
                left[0] -= 1
                if left[0] <= 0:
                    raise Killed
                return original(*words, **named)

            return step

        with monkeypatch.context() as patch:
            for name in ("fsync", "replace", "unlink", "rmdir"):
                patch.setattr(os, name, dies(getattr(os, name)))
            try:
                list(source.fill(wanted))
                break
            except Killed:
                steps += 1
        market = source.load(*args)
        assert any(np.array_equal(market.pairs[0].volume, state.pairs[0].volume) for state in states)
        (taken,) = source.fill(wanted)
        assert taken.problem == ""
        assert tree(source.folder) == after
    assert steps > 8
    assert tree(store.folder) == before


def test_who_reads_while_an_import_puts_other_files_in_place_reads_the_new_ones(tmp_path):
    lines = rows(23, 3_600, 300, missing=0.0)
    store = store_of(tmp_path, XBTUSD_60=lines[:200])
    old = opened(series_in(store.folder)[0])
    (tmp_path / "in/XBTUSD_60.csv").write_text(text(lines))
    assert [taken.added for taken in store.fill(Wanted(tmp_path / "in", "kraken"))] == [100]
    found = store_module._read(old, Span(HOUR, None, None, 0), "bars")
    assert len(found.checked.bars.times) == 300

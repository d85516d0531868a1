"""Funding files: what is read, when it is known, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kraken_flow.analysis.data_summary import data_notes
from kraken_flow.core.errors import UserError
from kraken_flow.core.times import parse_time
from kraken_flow.data.files import Files
from kraken_flow.data.funding import read_funding
from kraken_flow.data.sample import Sample

PAIR = "BTC/USDT:USDT"
T0 = parse_time("2021-01-01")
HOUR = 3600 * 10**9
MS = 10**6


def written(folder: Path, name: str = "binance_btcusdt.csv", **columns: list[object]) -> Path:
    path = folder / name
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def stamps(*hours: float) -> list[int]:
    return [int(T0 + hour * HOUR) // MS for hour in hours]


def test_a_stamp_just_after_the_minute_is_due_at_it_and_known_when_it_says(tmp_path):
    late = [stamp + off for stamp, off in zip(stamps(0, 8, 16), (0, 7, 1500), strict=True)]
    columns = read_funding(written(tmp_path, ts_ms=late, funding_rate=[0.0001, -0.00005, 1e-12]), PAIR).columns
    assert (columns.time - T0).tolist() == [0, 8 * HOUR, 16 * HOUR + 1500 * MS]
    assert (columns.known - T0).tolist() == [0, 8 * HOUR + 7 * MS, 16 * HOUR + 1500 * MS]
    assert columns.rate.tolist() == [10**8, -5 * 10**7, 1]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_feather_holds_what_csv_holds(tmp_path, unit):
    """Read by itself, and from the folder that `data.funding` names."""
    rates = [0.0001, -0.00005, 1e-12]
    dates = pd.to_datetime(stamps(0, 8, 16), unit="ms", utc=True).as_unit(unit)
    path = tmp_path / "funding" / "BTC_USDT_USDT.feather"
    path.parent.mkdir()
    pd.DataFrame({"date": dates, "funding_rate": rates}).to_feather(path)
    found, other = (
        read_funding(path, PAIR),
        read_funding(written(tmp_path, ts_ms=stamps(0, 8, 16), funding_rate=rates), PAIR),
    )
    for column in ("time", "known", "rate"):
        assert getattr(found.columns, column).tolist() == getattr(other.columns, column).tolist()
    assert {**found.record, "path": "", "sha256": ""} == {**other.record, "path": "", "sha256": ""}
    assert found.record["path"] == str(path)
    bars = candles(tmp_path / "bars", list(range(24)))
    market = Files(path=str(bars), funding=str(path.parent)).load((PAIR,), "1h", None, None, 0)
    assert market.funding[0].rate.tolist() == [10**8, -5 * 10**7, 1]


def test_a_torn_feather_is_refused(tmp_path):
    path = tmp_path / "btcusdt.feather"
    pd.DataFrame({"ts_ms": stamps(0, 8), "funding_rate": [0.0, 0.0]}).to_feather(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"data.funding: .*btcusdt.feather cannot be read: "):
        read_funding(path, PAIR)
    path.write_text("ts_ms,funding_rate\n1,0\n")
    with pytest.raises(UserError, match=r"data.funding: .*btcusdt.feather cannot be read: "):
        read_funding(path, PAIR)


def test_of_krakens_two_rates_the_relative_one_is_taken(tmp_path):
    path = written(tmp_path, timestamp=["2021-01-01T01:00:00Z"], fundingRate=[3.5], relativeFundingRate=[0.00001])
    assert read_funding(path, PAIR).columns.rate.tolist() == [10**7]


def test_a_column_may_say_when_an_event_was_known(tmp_path):
    path = written(tmp_path, ts_ms=stamps(0, 8), known_ms=stamps(20, 8), funding_rate=[0.001, 0.002])
    columns = read_funding(path, PAIR).columns
    assert (columns.time - T0).tolist() == [8 * HOUR, 0]
    assert columns.rate.tolist() == [2 * 10**9, 10**9]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"ts_ms": stamps(0)}, "funding needs a time and a rate; the columns are ts_ms"),
        ({"ts_ms": stamps(0, 8), "funding_rate": [0.1, 7.5]}, "row 2: funding_rate is not a rate between -1 and 1"),
        ({"ts_ms": stamps(8, 0), "funding_rate": [0.1, 0.1]}, "row 2: its time does not come after"),
        ({"ts_ms": stamps(8), "known_ms": stamps(0), "funding_rate": [0.1]}, "row 1: it was known before it was due"),
        ({"ts_ms": stamps(8), "funding_rate": ["much"]}, "column 'funding_rate' holds string, not numbers"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, columns, says):
    with pytest.raises(UserError, match=says):
        read_funding(written(tmp_path, **columns), PAIR)


def candles(folder: Path, hours: list[int], price: float = 100.0) -> Path:
    folder.mkdir()
    made = {name: [price] * len(hours) for name in ("open", "high", "low", "close", "volume")}
    written(folder, "btcusdt_1h.csv", ts_ms=stamps(*hours), **made)
    return folder


def test_files_bring_marks_and_funding_on_the_grid(tmp_path):
    bars, marks = (
        candles(tmp_path / "bars", list(range(24))),
        candles(tmp_path / "marks", [*range(3), *range(5, 30)], 99),
    )
    (tmp_path / "funding").mkdir()
    written(tmp_path / "funding", ts_ms=stamps(-8, 0, 8, 16, 24, 32), funding_rate=[0.0001] * 6)
    source = Files(path=str(bars), funding=str(tmp_path / "funding"), mark=str(marks))
    market = source.load((PAIR,), "1h", None, None, 0)
    assert [int(time - T0) // HOUR for time in market.funding[0].time] == [0, 8, 16, 24]
    close = market.marks[0].close // 10**8
    assert close.tolist() == [99, 99, 99, 100, 100, *[99] * 19]
    assert [record["role"] for record in market.files] == ["bars", "mark", "funding"]
    assert "bars without a mark price, judged at their own: 2" in " ".join(market.notes)
    assert "funding events: 4, every 8 h" in " ".join(data_notes(market))


@pytest.mark.parametrize(
    ("key", "says"), [("funding", "data.funding: .* no file for"), ("mark", "data.mark: .* no file")]
)
def test_a_pair_without_a_file_is_named_with_the_key(tmp_path, key, says):
    bars = candles(tmp_path / "bars", [0, 1])
    (tmp_path / "empty").mkdir()
    written(tmp_path / "empty", "ethusdt.csv", ts_ms=stamps(0), funding_rate=[0.0])
    with pytest.raises(UserError, match=says):
        Files(path=str(bars), **{key: str(tmp_path / "empty")}).load((PAIR,), "1h", None, None, 0)


def test_the_sample_markets_perpetuals_pay_every_eight_hours():
    start, end = parse_time("2022-03-01"), parse_time("2022-03-08")
    market = Sample().load(("BTC/USD:BTC", "ETH/USD:ETH"), "1h", start, end, 0)
    assert len(market.funding) == 2
    for events in market.funding:
        assert (np.diff(events.time) == 8 * HOUR).all()
        assert (np.abs(events.rate) <= 3 * 10**9).all()
        assert len(set(events.rate.tolist())) > 10
    assert Sample().load(("BTC/USD",), "1h", start, end, 0).funding == ()

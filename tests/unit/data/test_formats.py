"""Formats, column names and times."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from kraken_flow.core.catalogue import Wanted
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import Market
from kraken_flow.data.files import Files
from kraken_flow.data.intake import candidates, take
from kraken_flow.data.memory import from_bars

START = 1704067200
COLUMNS = {
    "open": [10.0, 11.0, 12.5],
    "high": [12.0, 13.0, 14.0],
    "low": [9.0, 10.0, 11.0],
    "close": [11.0, 12.5, 13.25],
    "volume": [5.0, 0.125, 7.00000001],
}
SECONDS = [START + 3600 * i for i in range(3)]
ISO = [f"2024-01-01T0{i}:00:00Z" for i in range(3)]


def load(path: Path) -> Market:
    return Files(path=str(path)).load(("BTC/USD",), "1h", None, None, 0)


def check(market: Market) -> None:
    assert list(market.times // 10**9) == SECONDS
    for name, values in COLUMNS.items():
        assert list(getattr(market.pairs[0], name)) == [round(v * 10**8) for v in values]
    assert market.decimals == {"BTC/USD": 2}


@pytest.mark.parametrize("name", ["time", "date", "datetime", "timestamp", "ts", "open_time", "Date", " TIME "])
@pytest.mark.parametrize(
    ("values", "note"),
    [
        (SECONDS, "times are Unix seconds"),
        ([s * 10**3 for s in SECONDS], "times are Unix milliseconds"),
        ([s * 10**6 for s in SECONDS], "times are Unix microseconds"),
        ([s * 10**9 for s in SECONDS], "times are Unix nanoseconds"),
        (ISO, None),
        ([t.replace("T", " ").replace("Z", "+00:00") for t in ISO], None),
        ([f"2024-01-01T0{i + 1}:00:00+01:00" for i in range(3)], None),
        ([t[:-1] for t in ISO], "times carry no zone: read as UTC"),
    ],
)
def test_every_time_column_in_every_unit(tmp_path: Path, name: str, values: list[object], note: str | None) -> None:
    frame = pd.DataFrame({name: values} | COLUMNS)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for file in ("a.csv", "a.parquet"):
        market = load(tmp_path / file)
        check(market)
        told = [n for n in market.notes if "times" in n]
        assert told == ([] if note is None else [f"BTC/USD: {note}"])


def test_a_name_that_states_the_unit_wins_over_the_size(tmp_path: Path) -> None:
    for name, factor in (("ts_ms", 10**3), ("ts_ns", 10**9)):
        pd.DataFrame({name: [3600 * i * factor for i in range(3)]} | COLUMNS).to_csv(tmp_path / "a.csv", index=False)
        assert list(load(tmp_path / "a.csv").times) == [0, 3600 * 10**9, 7200 * 10**9]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_any_resolution(tmp_path: Path, unit: str) -> None:
    times = pa.array(np.array(SECONDS, "datetime64[s]").astype(f"datetime64[{unit}]"), pa.timestamp(unit, "UTC"))
    pq.write_table(pa.table({"date": times} | COLUMNS), tmp_path / "a.parquet")
    check(load(tmp_path / "a.parquet"))


def test_a_frames_index_of_times_is_its_time_column(tmp_path: Path) -> None:
    frame = pd.DataFrame(COLUMNS, index=pd.to_datetime(SECONDS, unit="s", utc=True))
    frame.to_parquet(tmp_path / "a.parquet")
    check(load(tmp_path / "a.parquet"))
    check(from_bars({"BTC/USD": frame}).load(("BTC/USD",), "1h", None, None, 0))


def test_days_as_dates(tmp_path: Path) -> None:
    pd.DataFrame({"date": ["2024-01-01", "2024-01-02", "2024-01-03"]} | COLUMNS).to_csv(tmp_path / "a.csv", index=False)
    market = Files(path=str(tmp_path / "a.csv")).load(("BTC/USD",), "1d", None, None, 0)
    assert list(market.times // 10**9) == [START, START + 86400, START + 2 * 86400]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_delimiters_case_order_extra_columns_and_byte_order_mark(tmp_path: Path, delimiter: str, start: str) -> None:
    frame = pd.DataFrame({"Volume": COLUMNS["volume"], "note": ["a", "b", "c"], "Date": ISO})
    for name in ("close", "low", "high", "open"):
        frame[name.upper()] = COLUMNS[name]
    (tmp_path / "a.csv").write_text(start + frame.to_csv(index=False, sep=delimiter), "utf-8")
    check(load(tmp_path / "a.csv"))


def test_krakens_headerless_dump(tmp_path: Path) -> None:
    rows = zip(SECONDS, *COLUMNS.values(), [1, 2, 3], strict=True)
    text = "\n".join(",".join(str(cell) for cell in row) for row in rows)
    (tmp_path / "XBTUSD_60.csv").write_text(text, "utf-8")
    market = load(tmp_path / "XBTUSD_60.csv")
    check(market)
    assert "BTC/USD: read as a Kraken dump without header" in market.notes
    (tmp_path / "XBTUSD_60.csv").write_text(text.replace("13.25", "oops"), "utf-8")
    with pytest.raises(UserError, match=r"row 3 \(line 3\): close is not a number"):
        load(tmp_path / "XBTUSD_60.csv")


def test_a_compressed_csv(tmp_path: Path) -> None:
    pd.DataFrame({"date": ISO} | COLUMNS).to_csv(tmp_path / "a.csv.gz", index=False)
    check(load(tmp_path / "a.csv.gz"))


def test_decimals_come_from_the_data_in_other_number_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": ISO} | COLUMNS).astype(dict.fromkeys(("open", "high", "low", "close"), "float32"))
    frame["close"] = np.array([10.1, 11.1, 12.1], np.float32)
    frame.to_parquet(tmp_path / "a.parquet")
    market = load(tmp_path / "a.parquet")
    assert market.decimals == {"BTC/USD": 1}
    assert list(market.pairs[0].close) == [1010000000, 1110000000, 1210000000]


def test_text_in_place_of_numbers_in_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"date": ISO} | COLUMNS | {"close": ["a", "b", "c"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"column 'close' holds .*string, not numbers"):
        load(tmp_path / "a.parquet")


def test_candles_from_memory() -> None:
    check(from_bars({"BTC/USD": {"time": np.array(SECONDS)} | COLUMNS}).load(("BTC/USD",), "1h", None, None, 0))
    check(from_bars({"BTC/USD": pd.DataFrame({"Time": ISO} | COLUMNS)}).load(("BTC/USD",), "1h", None, None, 0))
    times = np.array(SECONDS, "datetime64[s]")
    check(from_bars({"BTC/USD": {"time": times} | COLUMNS}).load(("BTC/USD",), "1h", None, None, 0))


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ({"ETH/USD": {}}, "no candles for BTC/USD; there are ETH/USD"),
        ({"BTC/USD": 3}, "int is no candle table"),
        ({"BTC/USD": {"time": [1], "open": [1, 2]}}, "columns differ in length"),
        ({"BTC/USD": {"time": SECONDS, "open": [1.0] * 3}}, "no column high, low"),
        ({"BTC/USD": {"time": SECONDS} | COLUMNS | {"low": [9.0, 99.0, 9.0]}}, "row 2: low 99 is above open 11"),
    ],
)
def test_candles_from_memory_that_are_wrong(bars: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_bars(bars).load(("BTC/USD",), "1h", None, None, 0)


@pytest.mark.parametrize("unit", ["ms", "ns"])
def test_freqtrade_s_feather_is_read_from_its_folder(tmp_path: Path, unit: str) -> None:
    dates = pa.array([s * 10**3 * (10**6 if unit == "ns" else 1) for s in SECONDS], pa.timestamp(unit, "UTC"))
    feather.write_feather(pa.table({"date": dates} | COLUMNS), str(tmp_path / "BTC_USD-1h.feather"))
    check(load(tmp_path))
    (made,) = candidates(tmp_path, ExitStack())
    taken = take(tmp_path / "store", Wanted(tmp_path, "kraken", None, None, "error", "error"), made)
    assert (taken.series, taken.added) == ("kraken BTC/USD 1h", 3)


def test_a_torn_feather_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USD-1h.feather"
    path.write_bytes(b"ARROW1 and no more")
    with pytest.raises(UserError, match="cannot be read as feather"):
        load(path)
    path.write_bytes(b"time,open")
    with pytest.raises(UserError, match="is not a feather file"):
        load(path)


@pytest.mark.parametrize("name", ["BTC_USD-1h.json", "BTC_USD-1h.h5", "BTC_USD-1h.json.gz"])
def test_a_folder_of_a_format_that_is_not_read_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    told = f"{name}: JSON and HDF5 are not read, save them as parquet.*freqtrade convert-data"
    with pytest.raises(UserError, match=told):
        load(tmp_path)
    with pytest.raises(UserError, match=told), ExitStack() as stack:
        candidates(tmp_path, stack)

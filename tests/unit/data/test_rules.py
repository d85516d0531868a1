"""Every rule on a candle row, with the message a user reads."""

from pathlib import Path

import numpy as np
import pytest

from kraken_flow.analysis.data_summary import data_notes, data_summary
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import Market
from kraken_flow.data.files import Files

HEADER = "date,open,high,low,close,volume\n"
GOOD = [
    "2024-01-01T00:00:00Z,10,12,9,11,5",
    "2024-01-01T01:00:00Z,11,13,10,12,5",
    "2024-01-01T02:00:00Z,12,14,11,13,5",
    "2024-01-01T03:00:00Z,13,15,12,14,5",
]


def load(path: Path, text: str, on_bad: str = "error", timeframe: str = "1h") -> Market:
    file = path / "btcusd.csv"
    file.write_text(text, "utf-8")
    return Files(path=str(file), on_bad=on_bad).load(("BTC/USD",), timeframe, None, None, 0)


def with_row(row: int, text: str) -> str:
    lines = list(GOOD)
    lines[row] = text
    return HEADER + "\n".join(lines) + "\n"


BAD = [
    ("2024-01-01T02:00:00Z,12,14,12.5,13,5", "low 12.5 is above open 12"),
    ("2024-01-01T02:00:00Z,13,14,12.5,12,5", "low 12.5 is above close 12"),
    ("2024-01-01T02:00:00Z,12,11.5,11,11.2,5", "high 11.5 is below open 12"),
    ("2024-01-01T02:00:00Z,11,11.5,11,12,5", "high 11.5 is below close 12"),
    ("2024-01-01T02:00:00Z,0,14,0,13,5", "open 0 is not above 0"),
    ("2024-01-01T02:00:00Z,12,14,-1,13,5", "low -1 is not above 0"),
    ("2024-01-01T02:00:00Z,12,14,11,13,-5", "volume -5 is below 0"),
    ("2024-01-01T02:00:00Z,12,14,11,,5", "close is not a number"),
    ("2024-01-01T02:00:00Z,12,14,11,NaN,5", "close is not a number"),
    ("2024-01-01T02:00:00Z,12,14,11,oops,5", "close is not a number"),
    ("2024-01-01T02:00:00Z,12,inf,11,13,5", "high is not a number"),
    (
        "2024-01-01T02:00:00Z,12,1e11,11,13,5",
        "high 100000000000 is out of range: prices are held between 1e-8 and 9e+10",
    ),
    ("2024-01-01T02:00:00Z,12,14,1e-9,13,5", "low 1e-09 is out of range"),
    ("yesterday,12,14,11,13,5", "the time cannot be read"),
    (
        "2024-01-01T00:00:00Z,12,14,11,13,5",
        "time 2024-01-01T00:00:00Z is before 2024-01-01T01:00:00Z of a row above it",
    ),
    ("2024-01-01T01:00:00Z,12,14,11,13,5", "time 2024-01-01T01:00:00Z stands in the row above with other values"),
    ("2024-01-01T02:00:00Z,12,14,11,13", "5 columns instead of 6"),
]


@pytest.mark.parametrize(("row", "message"), BAD, ids=[m for _, m in BAD])
def test_a_bad_row_is_an_error_with_file_row_and_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, with_row(2, row))
    text = str(caught.value)
    assert message in text
    assert "btcusd.csv" in text
    assert "line 4" in text
    assert "data.on_bad=drop" in text
    if "columns instead" not in message:
        assert "row 3 (line 4)" in text


@pytest.mark.parametrize(("row", "message"), BAD, ids=[m for _, m in BAD])
def test_a_bad_row_is_dropped_and_counted_on_request(tmp_path: Path, row: str, message: str) -> None:
    market = load(tmp_path, with_row(2, row), "drop")
    [row] = data_summary(market)
    assert (row["dropped"], row["missing"]) == (1, 1)
    assert list(market.pairs[0].state) == [1, 1, 2, 1]
    assert "BTC/USD: bad rows left out (data.on_bad=drop): 1" in market.notes


def test_a_row_between_the_files_steps_is_bad(tmp_path: Path) -> None:
    lines = [f"2024-01-01T{h:02d}:00:00Z,10,12,9,11,5" for h in range(24)]
    lines.insert(8, "2024-01-01T07:20:00Z,10,12,9,11,5")
    text = HEADER + "\n".join(lines)
    with pytest.raises(
        UserError, match=r"row 9 \(line 10\): time 2024-01-01T07:20:00Z is not on the file's grid of 1h"
    ):
        load(tmp_path, text)
    assert load(tmp_path, text, "drop").counts["BTC/USD"]["dropped"] == 1


def test_a_row_left_out_does_not_make_the_timeframe_coarser(tmp_path: Path) -> None:
    market = load(tmp_path, HEADER + "\n".join([GOOD[0], GOOD[1].replace("11,13", "0,13"), GOOD[2]]), "drop")
    assert list(market.pairs[0].state) == [1, 2, 1]


def test_several_bad_rows_are_named_together(tmp_path: Path) -> None:
    text = HEADER + "\n".join([*(f"2024-01-01T{h:02d}:00:00Z,0,12,9,11,5" for h in range(5)), *GOOD[:0]])
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert str(caught.value).count("open 0 is not above 0") == 3
    assert "and 2 more bad rows" in str(caught.value)


def test_dropping_does_not_hide_a_file_that_is_wrong_as_a_whole(tmp_path: Path) -> None:
    text = HEADER + "\n".join(reversed(GOOD))
    with pytest.raises(UserError, match=r"3 of 4 rows are bad, so this is not a matter of single rows"):
        load(tmp_path, text, "drop")


def test_identical_duplicates_and_missing_bars_are_counted_not_errors(tmp_path: Path) -> None:
    later = "2024-01-01T06:00:00Z,13,15,12,14,0"
    market = load(tmp_path, HEADER + "\n".join([GOOD[0], GOOD[1], GOOD[1], GOOD[2], GOOD[3], later]))
    [row] = data_summary(market)
    assert (
        row.items()
        >= {
            "bars": 5,
            "missing": 2,
            "longest_gap": 2,
            "duplicates": 1,
            "dropped": 0,
            "zero_volume": 1,
            "outliers": 0,
        }.items()
    )
    pair = market.pairs[0]
    assert list(pair.state) == [1, 1, 1, 1, 2, 2, 1]
    for column in (pair.open, pair.high, pair.low, pair.close):
        assert column[4] == column[5] == 14 * 10**8
    assert list(pair.volume[4:6]) == [0, 0]
    assert "BTC/USD: missing bars: 2, longest gap 2" in data_notes(market)
    assert "BTC/USD: rows that repeat the row above, read once: 1" in market.notes


def test_a_great_move_is_flagged_and_kept(tmp_path: Path) -> None:
    closes = [100 + i * i % 13 for i in range(40)]
    closes[30] = 10
    lines = [f"{1704067200 + 3600 * i},{c},{c},{c},{c},1" for i, c in enumerate(closes)]
    market = load(tmp_path, HEADER + "\n".join(lines))
    assert data_summary(market)[0]["outliers"] == 2
    assert market.n_rows == 40
    told = "BTC/USD: closes that moved by more than 20 median deviations, kept: 2, the largest by"
    assert any(note.startswith(told) and note.endswith("at 2024-01-02T07:00:00Z") for note in data_notes(market))


def test_blank_lines_do_not_shift_the_line_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 1 \(line 4\)"):
        load(tmp_path, "\n\n" + with_row(0, "2024-01-01T00:00:00Z,0,1,1,1,1"))
    with pytest.raises(UserError, match=r"row 3 \(line 5\)"):
        load(tmp_path, HEADER + "\n".join([GOOD[0], "", GOOD[1], "2024-01-01T02:00:00Z,0,1,1,1,1"]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty; give a file with candles"),
        (b"\n\n", "is empty"),
        (HEADER.encode(), "holds no rows"),
        (b"date,open,high,lowest,close,volume\n1,1,1,1,1,1\n", r"no column low \(nearest: 'lowest'\)"),
        (b"a,b\nx,y\n", "no column time, open, high, low, close, volume; the columns are a, b"),
        (b"\xff\xfe\x00d\n1", "neither parquet nor UTF-8 text"),
        (b"PK\x03\x04" + bytes(100), "neither parquet nor UTF-8 text"),
        (b"PAR1 and then nothing", "cannot be read as parquet"),
        (b"1704067200,1,1,1,1\n", "5 numbers and no header. Without one, a file must be a Kraken dump"),
    ],
)
def test_a_file_that_is_no_candle_table_says_why(tmp_path: Path, body: bytes, message: str) -> None:
    (tmp_path / "btcusd.csv").write_bytes(body)
    with pytest.raises(UserError, match=message):
        Files(path=str(tmp_path / "btcusd.csv")).load(("BTC/USD",), "1h", None, None, 0)


def test_a_torn_parquet_file_says_so(tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "btcusd.parquet"
    pd.DataFrame({n: np.ones(9) for n in ("ts_ms", "open", "high", "low", "close", "volume")}).to_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"cannot be read as parquet"):
        Files(path=str(file)).load(("BTC/USD",), "1h", None, None, 0)
    file.write_bytes(b"not parquet")
    with pytest.raises(UserError, match=r"is not a parquet file"):
        Files(path=str(file)).load(("BTC/USD",), "1h", None, None, 0)


def test_prices_beyond_eight_decimals_are_rounded_and_told(tmp_path: Path) -> None:
    market = load(tmp_path, HEADER + "1704067200,1.123456789,1.123456789,1.123456789,1.123456789,1\n")
    assert market.pairs[0].close[0] == 112345679
    assert "BTC/USD: rows with prices of more than 8 decimals, rounded half to even: 1" in market.notes


def test_a_volume_beyond_the_range_is_held_at_the_largest(tmp_path: Path) -> None:
    market = load(tmp_path, HEADER + "1704067200,1,1,1,1,1e12\n")
    assert market.pairs[0].volume[0] > 9 * 10**18
    assert any("volume above" in note for note in market.notes)

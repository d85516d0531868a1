"""Candle tables survive the way through files; resampling equals pandas and the exchange's own bars."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.analysis.data_summary import data_summary
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Market
from kraken_flow.core.resample import Bars, resample
from kraken_flow.core.times import SECOND, parse_timeframe
from kraken_flow.core.units import text
from kraken_flow.data.files import Files
from kraken_flow.data.memory import from_bars
from kraken_flow.data.stamps import NAMES

FIELDS = ("open", "high", "low", "close", "volume")
MINUTE = 60 * SECOND


@st.composite
def bars(draw: st.DrawFn, decimals: int = 8) -> Bars:
    """Bars of minutes with holes, consistent prices, any number of decimals."""
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 7]), min_size=1, max_size=40))
    gaps[1:2] = [1] * (len(gaps) > 1)
    n = len(gaps)
    unit = 10 ** (8 - draw(st.integers(0, decimals)))
    prices = draw(st.lists(st.tuples(*[st.integers(1, 10**15 // unit)] * 4).map(sorted), min_size=n, max_size=n))
    flip = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    volume = draw(st.lists(st.integers(0, 10**15), min_size=n, max_size=n))
    table = np.array(prices, np.int64) * unit
    low, one, two, high = table.T
    swap = np.array(flip)
    opened, close = np.where(swap, two, one), np.where(swap, one, two)
    first = draw(st.integers(0, 10**6)) * MINUTE
    times = first + np.cumsum([0, *gaps[1:]]).astype(np.int64) * MINUTE
    return Bars(times, opened, high.copy(), low.copy(), close, np.array(volume, np.int64))


def as_text(table: Bars, name: str, divisor: int) -> str:
    columns = [[text(int(v)) for v in getattr(table, field)] for field in FIELDS]
    times = [str(int(t) // divisor) for t in table.times]
    rows = zip(times, *columns, strict=True)
    return "\n".join([",".join((name, *FIELDS)), *(",".join(row) for row in rows)])


def assert_market_is(market: Market, table: Bars) -> None:
    pair = market.pairs[0]
    real = pair.real
    assert np.array_equal(market.times[real], table.times)
    for field in FIELDS:
        assert np.array_equal(getattr(pair, field)[real], getattr(table, field))


@given(bars(), st.sampled_from(NAMES), st.booleans())
def test_a_valid_table_survives_csv_parquet_and_memory(table: Bars, name: str, milliseconds: bool) -> None:
    factor = {"ts_ns": 1, "ts_ms": 10**6}.get(name, 10**6 if milliseconds else SECOND)
    # Plain numbers are told by their size: dates of this century, as all market data has.
    table = Bars(table.times + 1_500_000_000 * SECOND // MINUTE * MINUTE, *(getattr(table, f) for f in FIELDS))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "btcusd_1m.csv"
        file.write_text(as_text(table, name, factor), "utf-8")
        assert_market_is(Files(path=folder).load(("BTC/USD",), "1m", None, None, 0), table)
        file.unlink()
        arrays = {name: table.times // factor} | {f: getattr(table, f) / 1e8 for f in FIELDS}
        pq.write_table(pa.table(arrays), Path(folder) / "XBTUSD_1.parquet")
        assert_market_is(Files(path=folder).load(("BTC/USD",), "1m", None, None, 0), table)
        assert_market_is(from_bars({"BTC/USD": arrays}).load(("BTC/USD",), "1m", None, None, 0), table)


@given(bars(), st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"]))
def test_resampling_equals_pandas(table: Bars, timeframe: str) -> None:
    frame = pd.DataFrame({f: getattr(table, f) for f in FIELDS}, index=pd.to_datetime(table.times))
    rule = timeframe.replace("m", "min").replace("d", "D")
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    grouped = frame.resample(rule, label="left", closed="left", origin="epoch")
    oracle = grouped.agg(how)[grouped["open"].count() > 0].astype("int64")
    ours = resample(table, parse_timeframe(timeframe))
    assert np.array_equal(ours.times, pd.DatetimeIndex(oracle.index).as_unit("ns").asi8)
    for field in FIELDS:
        assert np.array_equal(getattr(ours, field), oracle[field].to_numpy())


@given(bars(), st.integers(0, 30), st.integers(0, 200), st.integers(1, 200))
def test_the_grid_holds_every_bar_of_the_span_once(table: Bars, lookback: int, skip: int, length: int) -> None:
    table = Bars(table.times, table.open, table.high, table.low, table.close, table.volume)
    start = int(table.times[0]) + skip * MINUTE
    end = start + length * MINUTE
    inside = (table.times >= start) & (table.times < end)
    if not inside.any():
        return
    arrays = {"ts_ns": table.times} | {f: getattr(table, f) / 1e8 for f in FIELDS}
    market = from_bars({"A/B": arrays}).load(("A/B",), "1m", start, end, lookback)
    pair = market.pairs[0]
    assert np.array_equal(np.diff(market.times), np.full(market.n_rows - 1, MINUTE))
    assert market.times[market.first_row] == start
    warm = pair.real[pair.real < market.first_row]
    assert len(warm) == min(lookback, int((table.times < start).sum()))
    assert np.array_equal(market.times[pair.real[len(warm) :]], table.times[inside])
    holes = np.flatnonzero(pair.state == SYNTHETIC)
    for column in (pair.open, pair.high, pair.low, pair.close):
        assert np.array_equal(column[holes], pair.close[holes - 1])
    assert not pair.volume[holes].any()
    first = int(pair.real[0])
    assert (pair.state[:first] == ABSENT).all()
    assert (pair.state[first:] != ABSENT).all()
    assert pair.state[first] == REAL


def test_minutes_resample_to_the_exchanges_own_five_minutes(shared: Path) -> None:
    folder = shared / "data" / "ohlcv"
    markets = [
        Files(path=str(folder / f"binance_xrpeth_{name}_201910.parquet")).load(("XRP/ETH",), "5m", None, None, 0)
        for name in ("1m", "5m")
    ]
    assert np.array_equal(markets[0].times, markets[1].times)
    for field in (*FIELDS, "state"):
        assert np.array_equal(getattr(markets[0].pairs[0], field), getattr(markets[1].pairs[0], field))
    assert markets[0].decimals == markets[1].decimals


@pytest.mark.parametrize(
    ("path", "pairs", "timeframe", "rows", "missing", "longest"),
    [
        ("kraken_xbtusd_1h.parquet", ("BTC/USD",), "1h", [70099], [10856], [56]),
        ("", ("BTC/USD", "ETH/USD"), "1h", [70099, 61408], [10856, 3474], [56, 51]),
        ("kraken_1d", ("LTC/USD", "SOL/USD"), "1d", [3169, 563], [187, 0], [15, 0]),
        ("binance_spot_1h", ("BTC/USDT", "DOGE/USDT"), "1h", [43703, 30569], [121, 43], [33, 8]),
        ("bitfinex_btcusd_1m.parquet", ("BTC/USD",), "1m", [2025630], [343169], [87839]),
    ],
)
def test_real_files_load_with_the_counts_their_list_gives(
    shared: Path,
    path: str,
    pairs: tuple[str, ...],
    timeframe: str,
    rows: list[int],
    missing: list[int],
    longest: list[int],
) -> None:
    market = Files(path=str(shared / "data" / "ohlcv" / path)).load(pairs, timeframe, None, None, 0)
    counts = data_summary(market)
    assert [c["pair"] for c in counts] == list(pairs)
    assert [c["bars"] for c in counts] == rows
    assert [c["missing"] for c in counts] == missing
    assert [c["longest_gap"] for c in counts] == longest


def test_real_prices_come_through_to_the_last_digit(shared: Path) -> None:
    file = shared / "data" / "ohlcv" / "kraken_xbtusd_1h.parquet"
    market = Files(path=str(file)).load(("BTC/USD",), "1h", None, None, 0)
    pair = market.pairs[0]
    frame = pd.read_parquet(file)
    for field in FIELDS:
        # A few of its volumes carry ten decimals.
        expected = frame[field].round(8).to_numpy()
        assert np.array_equal(pair.floats(field)[pair.real], expected)

"""How a pair's file is found in a folder."""

from pathlib import Path

import pytest

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import REAL
from kraken_flow.core.times import parse_timeframe
from kraken_flow.data.files import Files
from kraken_flow.data.find import find, names_pair, pair_of, stated_timeframe

HOUR = parse_timeframe("1h")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("btcusdt", "BTC/USDT"),
        ("BTC_USDT-1h", "BTC/USDT"),
        ("XBTUSD_60", "BTC/USD"),
        ("kraken_xbtusd_1h", "BTC/USD"),
        ("BTC-USD", "BTC/USD"),
        ("btc usd", "BTC/USD"),
        ("binance_xrpeth_1m_201910", "XRP/ETH"),
        ("XXBTZUSD", "BTC/USD"),
        ("XETHXXBT_1440", "ETH/BTC"),
        ("XDGUSD_60", "DOGE/USD"),
        ("BTC_USDT", "BTC/USDT:USDT"),
    ],
)
def test_the_usual_spellings_name_a_pair(name: str, pair: str) -> None:
    assert names_pair(name, pair)


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("btcusdt", "BTC/USD"),
        ("BTC_USDT", "BTC/USD"),
        ("wbtcusd", "BTC/USD"),
        ("usdbtc", "BTC/USD"),
        ("xrpusd", "RP/USD"),
    ],
)
def test_other_pairs_are_not_taken(name: str, pair: str) -> None:
    assert not names_pair(name, pair)


@pytest.mark.parametrize(
    ("name", "timeframe"),
    [
        ("BTC_USDT-1h", "1h"),
        ("XBTUSD_60", "1h"),
        ("XBTUSD_1440", "1d"),
        ("btcusd_15m", "15m"),
        ("BTCUSD_1D", "1d"),
        ("btcusd_5min", "5m"),
        ("binance_xrpeth_5m_201910", "5m"),
        ("btcusd", None),
        ("BTCUSD_1M", None),
        ("btcusd_2020", None),
    ],
)
def test_the_timeframe_a_name_states(name: str, timeframe: str | None) -> None:
    assert stated_timeframe(name) == (None if timeframe is None else parse_timeframe(timeframe))


def test_the_file_that_states_the_timeframe_goes_first(tmp_path: Path) -> None:
    touch(tmp_path, "btcusd.csv", "XBTUSD_60.csv", "BTC-USD-1d.parquet", "ethusd_1h.csv", "btcusd_1h.txt")
    assert find(tmp_path, "BTC/USD", HOUR).name == "XBTUSD_60.csv"


def test_two_files_left_are_an_error_that_names_both(tmp_path: Path) -> None:
    touch(tmp_path, "btcusd_1m.csv", "BTC-USD_5m.parquet")
    with pytest.raises(
        UserError, match=r"has 2 files for BTC/USD: BTC-USD_5m.parquet, btcusd_1m.csv; state the timeframe"
    ):
        find(tmp_path, "BTC/USD", HOUR)


def test_sub_folders_are_not_searched(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    touch(tmp_path / "more", "btcusd.csv")
    with pytest.raises(UserError, match=r"\(parquet, feather or CSV; sub-folders are not searched\)"):
        find(tmp_path, "BTC/USD", HOUR)


def test_a_missing_pair_names_the_nearest_files(tmp_path: Path) -> None:
    touch(tmp_path, "btcusdt.csv", "ethusdt.csv")
    with pytest.raises(
        UserError, match=r"no file for BTC/USD; call it for example btcusd.parquet .*Nearest: btcusdt.csv"
    ):
        find(tmp_path, "BTC/USD", HOUR)


def test_a_missing_path_names_the_nearest(tmp_path: Path) -> None:
    touch(tmp_path, "btcusd.csv")
    with pytest.raises(UserError, match=r"btcusd.cvs does not exist; nearest in .*: btcusd.csv"):
        Files(path=str(tmp_path / "btcusd.cvs")).load(("BTC/USD",), "1h", None, None, 0)
    with pytest.raises(UserError, match=r"the folder .* does not exist either"):
        Files(path=str(tmp_path / "no" / "btcusd.cvs")).load(("BTC/USD",), "1h", None, None, 0)


def write(path: Path, step_s: int, n: int, price: float = 10.0) -> None:
    rows = [f"{1704067200 + i * step_s},{price},{price},{price},{price},1" for i in range(n)]
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(rows), "utf-8")


def test_one_file_serves_one_pair_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path / "mine.csv", 3600, 5)
    market = Files(path=str(tmp_path / "mine.csv")).load(("BTC/USD",), "1h", None, None, 0)
    assert market.names == ("BTC/USD",)
    assert "BTC/USD: read from mine.csv, whose name does not say the pair" in market.notes
    with pytest.raises(UserError, match=r"is one file, but 2 pairs are wanted"):
        Files(path=str(tmp_path / "mine.csv")).load(("BTC/USD", "ETH/USD"), "1h", None, None, 0)


def test_detail_comes_from_the_finer_file_beside(tmp_path: Path) -> None:
    write(tmp_path / "btcusd_1h.csv", 3600, 4)
    write(tmp_path / "btcusd_15m.csv", 900, 8, 11.0)
    write(tmp_path / "btcusd_1d.csv", 86400, 8, 12.0)
    for path in (tmp_path, tmp_path / "btcusd_1h.csv"):
        market = Files(path=str(path)).load(("BTC/USD",), "1h", None, None, 0, "15m")
        assert market.detail is not None
        assert market.detail.per_bar == 4
        finer = market.detail.pairs[0]
        assert list(finer.state == REAL) == [True] * 8 + [False] * 8
        assert finer.close[0] == 11 * 10**8
        assert [record["role"] for record in market.files] == ["bars", "detail"]


def test_detail_without_a_file_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "btcusd.csv", 900, 16)
    market = Files(path=str(tmp_path)).load(("BTC/USD",), "1h", None, None, 0, "30m")
    assert market.detail is not None
    assert market.detail.pairs[0].all_real
    with pytest.raises(UserError, match=r"exchange.fill.detail=5m: no finer file for any pair"):
        Files(path=str(tmp_path)).load(("BTC/USD",), "1h", None, None, 0, "5m")
    with pytest.raises(UserError, match=r"must be shorter than timeframe=1h"):
        Files(path=str(tmp_path)).load(("BTC/USD",), "1h", None, None, 0, "1h")


def test_a_pair_without_detail_falls_back_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "btcusd_1h.csv", 3600, 4)
    write(tmp_path / "ethusd_1h.csv", 3600, 4)
    write(tmp_path / "btcusd_15m.csv", 900, 16)
    market = Files(path=str(tmp_path)).load(("BTC/USD", "ETH/USD"), "1h", None, None, 0, "15m")
    assert market.detail is not None
    assert not market.detail.pairs[1].state.any()
    assert "ETH/USD: no bars of 15m: the pessimistic path throughout" in market.notes


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("XBTUSD_1440", "BTC/USD"),
        ("XDGUSD_60", "DOGE/USD"),
        ("XXBTZUSD", "BTC/USD"),
        ("XETHXXBT", "ETH/BTC"),
        ("XTZUSD_5", "XTZ/USD"),
        ("USDTUSD_60", "USDT/USD"),
        ("USDCUSDT_60", "USDC/USDT"),
        ("BATUSD_60", "BAT/USD"),
        ("DOTUSD_60", "DOT/USD"),
        ("BNBUSD", "BNB/USD"),
        ("SHIBUSD", "SHIB/USD"),
        ("BTCTUSD", "BTC/TUSD"),
        ("ETHPYUSD", "ETH/PYUSD"),
        ("TUSD_60", "T/USD"),
        ("ETHWETH_60", "ETHW/ETH"),
        ("1INCHEUR_15", "1INCH/EUR"),
        ("bitfinex_btcusd_1m", "BTC/USD"),
        ("binance_xrpeth_1m_201910", "XRP/ETH"),
        ("BTC-USD", "BTC/USD"),
        ("SOL_USDT-1h", "SOL/USDT"),
        ("BTC_USDT_USDT-1h-futures", "BTC/USDT:USDT"),
    ],
)
def test_a_name_spells_its_pair(name, pair):
    assert pair_of(name, "here") == pair
    assert ":" in pair or names_pair(name, pair)


@pytest.mark.parametrize("name", ["prices", "candles_1h", "2019_60", "btcusd_ethusd"])
def test_a_name_that_spells_no_pair_or_two_is_refused(name):
    with pytest.raises(UserError, match=r"^here: its name (says no pair|may be of BTC/USD or ETH/USD); call it"):
        pair_of(name, "here")


def test_the_file_that_was_chosen_among_several_is_told(tmp_path: Path) -> None:
    text = "time,open,high,low,close,volume\n" + "".join(f"{1704067200 + 3600 * i},2,2,2,2,1\n" for i in range(3))
    for name in ("btcusd_1h.csv", "btcusd_4h.csv", "ethusd.csv"):
        (tmp_path / name).write_text(text)
    both = Files(path=str(tmp_path)).load(("BTC/USD", "ETH/USD"), "1h", None, None, 0)
    assert f"{tmp_path.name} has several files of a pair; read: BTC/USD from btcusd_1h.csv" in both.notes
    alone = Files(path=str(tmp_path)).load(("ETH/USD",), "1h", None, None, 0)
    assert not [note for note in alone.notes if "several" in note]

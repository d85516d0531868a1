"""The grid: span, warm-up, absent, missing and resampled bars."""

import numpy as np
import pytest

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Market
from kraken_flow.core.times import SECOND, iso, parse_time
from kraken_flow.data.check import step_of
from kraken_flow.data.memory import from_bars

T0 = 1704067200
HOUR = 3600 * SECOND


def candles(hours: list[float], price: float = 10.0) -> dict[str, list[float]]:
    n = len(hours)
    prices = [price + i for i in range(n)]
    return {"ts": [int(T0 + 3600 * h) for h in hours]} | {
        "open": prices,
        "high": [p + 1 for p in prices],
        "low": [p - 1 for p in prices],
        "close": prices,
        "volume": [1.0] * n,
    }


def load(
    bars: dict[str, object], start: str | None = None, end: str | None = None, lookback: int = 0, timeframe: str = "1h"
) -> Market:
    at = [None if t is None else parse_time(t) for t in (start, end)]
    return from_bars(bars).load(tuple(bars), timeframe, at[0], at[1], lookback)


def states(market: Market) -> list[list[int]]:
    return [[int(s) for s in pair.state] for pair in market.pairs]


def test_the_span_defaults_to_the_union_and_pairs_are_sorted() -> None:
    market = load({"B/USD": candles([2, 3, 5]), "A/USD": candles([0, 1, 2])})
    assert market.names == ("A/USD", "B/USD")
    assert states(market) == [
        [REAL, REAL, REAL, SYNTHETIC, SYNTHETIC, SYNTHETIC],
        [ABSENT, ABSENT, REAL, REAL, SYNTHETIC, REAL],
    ]
    assert list(market.pairs[1].close // 10**8) == [0, 0, 10, 11, 11, 12]
    assert list(market.pairs[1].open // 10**8) == [0, 0, 10, 11, 11, 12]
    assert list(market.pairs[0].volume // 10**8) == [1, 1, 1, 0, 0, 0]


def test_start_is_inclusive_and_end_exclusive_by_bar_open() -> None:
    market = load({"A/USD": candles(list(range(10)))}, "2024-01-01T02:00", "2024-01-01T05:00")
    assert [iso(int(t)) for t in market.times] == [f"2024-01-01T0{h}:00:00Z" for h in (2, 3, 4)]
    between = load({"A/USD": candles(list(range(10)))}, "2024-01-01T01:30", "2024-01-01T04:30")
    assert list(between.times) == list(market.times)


def test_each_pair_keeps_exactly_its_lookback_of_real_bars() -> None:
    gappy = candles([0, 1, 3, 6, 7, 8])
    market = load({"A/USD": candles(list(range(10))), "B/USD": gappy}, "2024-01-01T07:00", None, 3)
    assert iso(int(market.times[0])) == "2024-01-01T01:00:00Z"
    assert market.first_row == 6
    assert states(market) == [
        [ABSENT, ABSENT, ABSENT, REAL, REAL, REAL, REAL, REAL, REAL],
        [REAL, SYNTHETIC, REAL, SYNTHETIC, SYNTHETIC, REAL, REAL, REAL, SYNTHETIC],
    ]
    alone = load({"B/USD": gappy}, "2024-01-01T07:00", None, 3)
    assert states(alone)[0] == states(market)[1][:-1]


def test_lookback_beyond_the_data_takes_what_there_is() -> None:
    market = load({"A/USD": candles(list(range(10)))}, "2024-01-01T02:00", None, 50)
    assert (market.first_row, market.n_rows) == (2, 10)


def test_a_span_wider_than_the_data_is_cut_and_told() -> None:
    market = load({"A/USD": candles([0, 1, 2])}, "2023-01-01", "2025-01-01", 5)
    assert (market.n_rows, market.first_row) == (3, 0)
    assert "start is 2023-01-01T00:00:00Z, the data begins at 2024-01-01T00:00:00Z" in market.notes
    assert "end is 2025-01-01T00:00:00Z, the data ends at 2024-01-01T03:00:00Z" in market.notes


def test_a_pair_without_a_bar_in_the_span_is_an_error() -> None:
    bars = {"A/USD": candles([0, 1, 2, 9]), "B/USD": candles([0, 1])}
    with pytest.raises(UserError, match=r"^pairs: B/USD has no bar from start 2024-01-01T02:00:00Z on; the data runs"):
        load(bars, "2024-01-01T02:00")
    with pytest.raises(UserError, match=r"A/USD has no bar between .* the data runs from 2024-01-01T00:00:00Z to"):
        load({"A/USD": candles([0, 1])}, "2025-01-01", "2026-01-01")
    with pytest.raises(UserError, match=r"A/USD has no bar before end 2020-01-01T00:00:00Z; the data"):
        load({"A/USD": candles([0, 1])}, None, "2020-01-01")
    with pytest.raises(UserError, match=r"is not before end"):
        load(bars, "2024-01-01T02:00", "2024-01-01T02:00")


def test_pairs_whose_data_runs_alike_share_a_line() -> None:
    bars = {"A/USD": candles([0, 1]), "B/USD": candles([0, 1]), "C/USD": candles([0, 1, 2])}
    with pytest.raises(UserError) as caught:
        load(bars, "2025-01-01")
    lines = str(caught.value).splitlines()
    assert [line.partition(" no bar")[0] for line in lines] == ["pairs: A/USD, B/USD have", "pairs: C/USD has"]


def test_coarser_data_is_an_error_and_finer_is_resampled() -> None:
    bars = {"A/USD": candles([0, 1, 2, 3, 4, 5, 6, 7])}
    with pytest.raises(UserError, match=r"timeframe=15m: memory holds coarser bars of 1h; use timeframe=1h"):
        load(bars, timeframe="15m")
    with pytest.raises(UserError, match=r"timeframe=90m: memory holds bars of 1h, which do not divide 90m"):
        load(bars, timeframe="90m")
    market = load(bars, timeframe="4h")
    pair = market.pairs[0]
    assert [int(column[1]) // 10**8 for column in (pair.open, pair.high, pair.low, pair.close, pair.volume)] == [
        14,
        18,
        13,
        17,
        4,
    ]
    assert "A/USD: resampled from 1h to 4h" in market.notes


def test_a_last_bar_that_the_data_ends_inside_is_left_out() -> None:
    market = load({"A/USD": candles([1, 2, 3, 4, 5])}, timeframe="4h")
    assert [iso(int(t)) for t in market.times] == ["2024-01-01T00:00:00Z"]
    assert market.pairs[0].open[0] == 10 * 10**8
    assert any("the bar of 2024-01-01T04:00:00Z is left out, for the data ends inside it" in n for n in market.notes)
    with pytest.raises(UserError, match=r"has no complete bar of 1d"):
        load({"A/USD": candles([1, 2, 3])}, timeframe="1d")


def test_weeks_open_on_mondays() -> None:
    market = load({"A/USD": candles([24 * d for d in range(21)])}, timeframe="1w")
    assert [iso(int(t)) for t in market.times] == [f"2024-01-{d:02d}T00:00:00Z" for d in (1, 8, 15)]


def test_bars_off_the_clock_keep_their_phase_but_cannot_be_mixed() -> None:
    shifted = candles([0.5, 1.5, 2.5])
    assert load({"A/USD": shifted}).n_rows == 3
    with pytest.raises(UserError, match=r"do not open at the same times"):
        load({"A/USD": shifted, "B/USD": candles([0, 1, 2])})
    with pytest.raises(UserError, match=r"cannot be resampled"):
        load({"A/USD": shifted}, timeframe="2h")


@pytest.mark.parametrize(
    ("hours", "hints", "step"),
    [
        ([0], (1,), 1),
        ([0, 1, 2], (4,), 1),
        ([0, 1, 3, 4, 9], (1,), 1),
        ([0, 2, 4], (1,), 2),
        ([0, 2, 3], (1,), 1),
        ([0, 3, 6, 7], (1,), 1),
        ([0, 24, 48], (1,), 24),
        ([0, 24 * 31, 24 * 60], (24,), 24 * 29),
    ],
)
def test_the_timeframe_of_a_file_is_its_most_common_distance(
    hours: list[int], hints: tuple[int, ...], step: int
) -> None:
    assert step_of(np.array(hours, np.int64) * HOUR, tuple(h * HOUR for h in hints)) == step * HOUR


def test_the_divisor_is_taken_where_the_bars_do_not_lie_on_the_common_distance() -> None:
    times = np.cumsum(np.array([2, 2, 3, 2, 3, 2, 2, 3, 5] * 10, np.int64)) * HOUR
    assert step_of(times, (24 * HOUR,)) == HOUR


def test_the_feed_delay_is_read_when_the_node_is_made() -> None:
    from kraken_flow.data.files import Files

    assert Files(path="x", feed_delay="2s").feed_delay_ns == 2 * SECOND
    assert Files(path="x", feed_delay=0).feed_delay_ns == 0
    with pytest.raises(UserError, match=r"data.feed_delay: 'soon' is not a duration"):
        Files(path="x", feed_delay="soon")

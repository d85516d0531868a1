"""Reading and writing of times and durations."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow.core.errors import UserError
from kraken_flow.core.times import SECOND, iso, parse_duration, parse_time, parse_timeframe, timeframe_name


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_a_time_survives_writing_and_reading(moment: datetime) -> None:
    """ISO text gives back the same nanoseconds."""
    ns = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert parse_time(iso(ns)) == ns


@given(st.integers(1, 500), st.sampled_from("smhdw"))
def test_a_timeframe_survives_writing_and_reading(count: int, unit: str) -> None:
    """A length has one name, and the name gives back the length."""
    ns = parse_timeframe(f"{count}{unit}")
    assert parse_timeframe(timeframe_name(ns)) == ns


def test_a_time_without_zone_is_utc() -> None:
    """2020-01-01 means midnight UTC, wherever the program runs."""
    assert parse_time("2020-01-01") == parse_time("2020-01-01T01:00:00+01:00") == 1_577_836_800 * SECOND


@pytest.mark.parametrize("wrong", ["5", "1.5h", "h", "-1h", "1x", ""])
def test_a_length_without_a_unit_is_refused(wrong: str) -> None:
    """Only 0 may stand without a unit."""
    with pytest.raises(UserError, match=r"exchange\.latency"):
        parse_duration(wrong, "exchange.latency")
    assert parse_duration("0") == 0


@pytest.mark.parametrize("wrong", ["60", "0h", "1y", "hour"])
def test_a_wrong_timeframe_says_what_is_allowed(wrong: str) -> None:
    """The message shows the usual names."""
    with pytest.raises(UserError, match="1m, 5m, 15m, 1h"):
        parse_timeframe(wrong)


@pytest.mark.parametrize("wrong", ["yesterday", "2020-13-01", "01/02/2020"])
def test_a_wrong_time_says_how_to_write_it(wrong: str) -> None:
    """The message shows the two ways."""
    with pytest.raises(UserError, match="2020-01-31"):
        parse_time(wrong, "start")

"""Times are int64 nanoseconds UTC; this module reads and writes them."""

import re
from datetime import UTC, datetime

from kraken_flow.core.errors import UserError

SECOND = 10**9
DAY = 86_400 * SECOND
YEAR = 365 * DAY
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}


def parse_duration(value: str | int, what: str = "duration") -> int:
    """Return nanoseconds of `1h`, `500ms`, `0`; a bare number other than 0 has no unit and is an error.

    So is a duration beyond 292 years: 64 bits hold no more nanoseconds.
    """
    found = re.fullmatch(r"\s*(\d+)\s*(ns|us|ms|s|m|h|d|w)?\s*", str(value))
    if not found or (found[2] is None and int(found[1]) != 0):
        raise UserError(f"{what}: {value!r} is not a duration; write it as 500ms, 15m, 1h or 1d")
    ns = int(found[1]) * _UNITS[found[2] or "s"]
    if ns >= 2**63:
        raise UserError(f"{what}: {value!r} is longer than 292 years; write a shorter one, as 1h or 1d")
    return ns


def parse_length(value: str | int, what: str) -> int:
    """Return nanoseconds of a duration above 0."""
    ns = parse_duration(value, what)
    if not ns:
        raise UserError(f"{what}={value}: must be longer than 0; write it as 15m, 1h or 1d")
    return ns


def parse_timeframe(value: str, what: str = "timeframe") -> int:
    """Return the nanoseconds of a bar: a whole number of minutes, hours, days or weeks (`1m 5m 1h 1d`)."""
    if not re.fullmatch(r"[1-9]\d*(s|m|h|d|w)", str(value)):
        raise UserError(f"{what}: {value!r} is not a timeframe; use for example 1m, 5m, 15m, 1h, 4h, 1d")
    return parse_duration(value, what)


def timeframe_name(ns: int) -> str:
    """Write nanoseconds as the shortest timeframe name: 3600 s is `1h`."""
    for name in ("w", "d", "h", "m", "s", "ms", "us"):
        if ns and ns % _UNITS[name] == 0:
            return f"{ns // _UNITS[name]}{name}"
    return f"{ns}ns"


def parse_time(value: str, what: str = "time") -> int:
    """Return nanoseconds UTC of an ISO-8601 date or time; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
    except ValueError:
        raise UserError(f"{what}: {value!r} is not a time; write 2020-01-31 or 2020-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds * 1000


def iso(ns: int) -> str:
    """Write a time as ISO-8601 UTC, seconds unless a finer part is set: `2020-01-31T12:00:00Z`."""
    seconds, part = divmod(ns, SECOND)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = str(part).rjust(9, "0").rstrip("0")
    return f"{stamp}.{digits}Z" if digits else f"{stamp}Z"

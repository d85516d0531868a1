"""The markets of the benchmarks: seeded, made here, already in the engine's integer columns."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.core.times import parse_timeframe
from kraken_flow.core.units import to_units

Floats = NDArray[np.float64]

EPOCH = 1_640_995_200 * 10**9
"""2022-01-01, ns UTC."""
YEAR_MINUTES = 525_600
SPELL = 3000
"""Bars for which drift and volatility stand still."""


def _spells(rng: np.random.Generator, n: int, minutes: int) -> tuple[Floats, Floats]:
    """Mean and deviation of the log return per bar: each spell draws its own."""
    count = -(-n // SPELL)
    drift = np.repeat(rng.normal(0.0, 0.6, count), SPELL)[:n]
    volatility = np.repeat(np.exp(rng.uniform(np.log(0.3), np.log(1.3), count)), SPELL)[:n]
    years = minutes / YEAR_MINUTES
    return (drift - 0.5 * volatility**2) * years, volatility * np.sqrt(years)


def candles(n: int, seed: int = 20, minutes: int = 1, decimals: int = 4) -> dict[str, Floats]:
    """One pair's bars, float64: a random walk in log prices whose volatility changes from spell to spell.

    Prices are rounded to `decimals`. Returned as open, high, low, close, volume.
    """
    rng = np.random.default_rng(seed)
    mean, deviation = _spells(rng, n, minutes)
    level = 100.0 * np.exp(np.cumsum(mean + deviation * rng.standard_normal(n)))
    close = np.round(level, decimals)
    before = np.concatenate(([100.0], level[:-1]))
    open_ = np.round(before * np.exp(0.1 * deviation * rng.standard_normal(n)), decimals)
    reach = 0.5 * deviation
    high = np.round(np.maximum(open_, close) * np.exp(reach * np.abs(rng.standard_normal(n))), decimals)
    low = np.round(np.minimum(open_, close) * np.exp(-reach * np.abs(rng.standard_normal(n))), decimals)
    volume = np.round(np.exp(rng.standard_normal(n)) * 50.0 + 1.0, 4)
    return {
        "open": open_,
        "high": np.maximum(high, np.maximum(open_, close)),
        "low": np.minimum(low, np.minimum(open_, close)),
        "close": close,
        "volume": volume,
    }


def closes(n_pairs: int, n: int, seed: int = 21, decimals: int = 8) -> Floats:
    """Hourly closes of correlated pairs, float64 of shape (n_pairs, n), rounded to `decimals`."""
    rng = np.random.default_rng(seed)
    mean, deviation = _spells(rng, n, 60)
    common = mean + deviation * rng.standard_normal(n)
    rows = np.empty((n_pairs, n))
    for row in rows:
        own = rng.uniform(0.3, 1.2) * np.sqrt(60 / YEAR_MINUTES)
        steps = 0.5 * rng.uniform(0.4, 1.4) * common + own * rng.standard_normal(n)
        np.cumsum(steps - 0.5 * own**2, out=row)
    return np.round(100.0 * np.exp(rows), decimals)


def market_of(pairs: dict[str, dict[str, Floats]], timeframe: str, decimals: int, first_row: int = 0) -> Market:
    """Put bars into the engine's columns."""
    n = len(next(iter(pairs.values()))["close"])
    step = parse_timeframe(timeframe)
    columns = tuple(
        PairColumns(
            name,
            **{field: to_units(values, 4 if field == "volume" else decimals) for field, values in bars.items()},
            state=np.full(n, REAL, np.uint8),
        )
        for name, bars in sorted(pairs.items())
    )
    times = EPOCH + step * np.arange(n, dtype=np.int64)
    return Market(step, times, columns, first_row, decimals=dict.fromkeys(pairs, decimals))


def single(n: int) -> Market:
    """One pair of one-minute bars."""
    return market_of({"BTC/USD": candles(n)}, "1m", 4)


def many(prices: Floats, first_row: int) -> Market:
    """Hourly pairs whose bars open at the close before and have no range beyond."""
    pairs = {}
    for i, close in enumerate(prices):
        open_ = np.concatenate((close[:1], close[:-1]))
        pairs[f"A{i:02}/USD"] = {
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": np.full(len(close), 1e6),
        }
    return market_of(pairs, "1h", 8, first_row)


def untouched(market: Market) -> Market:
    """The same integer columns without anything that an earlier run kept beside them."""
    return replace(market, pairs=tuple(replace(pair) for pair in market.pairs))

"""How the sample market's prices are made: integers from a counter, then operations that IEEE 754 fixes to the bit.

A market factor and one factor of its own per coin, each with GARCH(1,1) variance; market-wide regimes that change the
factor's volatility and drift; jumps at the open; highs and lows drawn from the law of a Brownian bridge; volume with a
daily curve. Addition, multiplication, division and square root are exact on every platform; the exponential is computed
here from those, so that the same seed gives the same bytes everywhere.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.resample import Bars
from kraken_flow.core.times import SECOND, parse_time
from kraken_flow.core.units import PRICE_DECIMALS, UNIT, FloatArray

STEP_NS = 900 * SECOND
FIRST = parse_time("2021-01-01")
N_BARS = (parse_time("2023-01-01") - FIRST) // STEP_NS
PER_DAY = 96
PER_YEAR = 365 * PER_DAY


@dataclass(frozen=True)
class Coin:
    """What one coin is made of.

    `start` price in USD; `decimals` of its tick; `beta` to the market factor; `own_vol` yearly volatility of its own
    factor; `turnover` mean USD traded per bar.
    """

    start: float
    decimals: int
    beta: float
    own_vol: float
    turnover: float


COINS = {
    "ADA/USD": Coin(0.5, 6, 1.1, 0.6, 1e5),
    "BTC/USD": Coin(30_000.0, 1, 1.0, 0.2, 2e6),
    "DOGE/USD": Coin(0.1, 7, 1.0, 0.9, 1e5),
    "ETH/USD": Coin(1_000.0, 2, 1.2, 0.4, 1e6),
    "LINK/USD": Coin(10.0, 5, 1.2, 0.6, 5e4),
    "LTC/USD": Coin(100.0, 2, 1.1, 0.5, 1e5),
    "SOL/USD": Coin(20.0, 2, 1.3, 0.8, 2e5),
    "XRP/USD": Coin(0.5, 5, 0.9, 0.6, 2e5),
}
MARKET_VOL = 0.6
"""Yearly volatility of the market factor in a regime of multiplier 1."""
GARCH_NEWS, GARCH_MEMORY = 0.05, 0.94
REGIMES = ((0.7, 0.0), (1.0, 1.0), (1.2, -1.0), (1.8, 0.0))
"""Quiet, rising, falling, turbulent: multiplier of all volatility, yearly drift of the market factor's logarithm.

A regime ends at midnight with probability 1/32 and each other one is equally likely to follow: drift is 0 in the long
run.
"""
MARKET_JUMP_ODDS, MARKET_JUMP = 512, 0.015
COIN_JUMP_ODDS, COIN_JUMP = 1024, 0.03
VOLUME_BY_HOUR = (6, 5, 5, 4, 4, 4, 5, 6, 8, 9, 9, 9, 10, 12, 14, 14, 13, 12, 11, 10, 9, 8, 7, 6)
"""Relative volume of the hours of a UTC day."""
VOLUME_NOISE = 0.5

_GOLDEN = 0x9E3779B97F4A7C15
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalise 64-bit counters into well-mixed words (the output function of SplitMix64)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def words(seed: int, stream: str, n: int) -> NDArray[np.uint64]:
    """Return `n` 64-bit words of a named stream; word i depends on seed, name and i alone."""
    name = int.from_bytes(stream.encode().ljust(8, b"\0"), "little") % 2**64
    key = _mix(np.array([(seed * _GOLDEN + name) % 2**64], np.uint64))
    return _mix(_mix(np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_GOLDEN) + key))


def normals(seed: int, stream: str, n: int) -> FloatArray:
    """Return `n` almost normal numbers: sums of twelve 16-bit integers, mean 0 and variance 1, never beyond 6."""
    total = words(seed, stream, 3 * n).view(np.uint16).reshape(n, 12).sum(axis=1, dtype=np.int64)
    result: FloatArray = (total - 6 * 65535) / 65536.0
    return result


def exponential(x: FloatArray) -> FloatArray:
    """Return e^x within 2 units in the last place, by additions and multiplications alone; |x| < 700."""
    k = np.rint(x * 1.4426950408889634)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = np.full(x.shape, 1.0)
    for n in range(13, 0, -1):
        total = total * r / n + 1.0
    result: FloatArray = np.ldexp(total, k.astype(np.int32))
    return result


def variances(shocks: FloatArray) -> FloatArray:
    """Return GARCH(1,1) variances of mean 1: row t is known before shock t."""
    out = np.empty(len(shocks))
    level, floor = 1.0, 1.0 - GARCH_NEWS - GARCH_MEMORY
    values = []
    for z in shocks.tolist():
        values.append(level)
        level = floor + (GARCH_NEWS * z * z + GARCH_MEMORY) * level
    out[:] = values
    return out


def _jumps(seed: int, stream: str, odds: int, size: float) -> FloatArray:
    draws = words(seed, f"{stream}?", N_BARS)
    hit = draws % np.uint64(odds) == 0
    return np.where(hit, normals(seed, f"{stream}!", N_BARS) * size, 0.0)


@lru_cache(maxsize=2)
def _market(seed: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return per bar: the regimes' volatility multiplier, the factor's standard deviation, its move, its jump."""
    days = N_BARS // PER_DAY
    regime, path = 0, []
    for word in words(seed, "regime", days).tolist():
        path.append(regime)
        if word % 32 == 0:
            regime = (regime + 1 + (word >> 32) % 3) % 4
    table = np.array(REGIMES)[np.repeat(path, PER_DAY)]
    shocks = normals(seed, "market", N_BARS)
    scale = table[:, 0] * (MARKET_VOL / sqrt(PER_YEAR)) * np.sqrt(variances(shocks))
    move = shocks * scale + table[:, 1] / PER_YEAR
    return table[:, 0], scale, move, _jumps(seed, "jump", MARKET_JUMP_ODDS, MARKET_JUMP)


@lru_cache(maxsize=16)
def bars_of(pair: str, seed: int) -> Bars:
    """Make one pair's bars of 15 minutes, in units; they depend on the seed and the pair alone."""
    coin, name = COINS[pair], pair.partition("/")[0]
    multiplier, market_scale, market_move, market_jump = _market(seed)
    shocks = normals(seed, name, N_BARS)
    own_scale = multiplier * (coin.own_vol / sqrt(PER_YEAR)) * np.sqrt(variances(shocks))
    move = coin.beta * market_move + shocks * own_scale
    jump = coin.beta * market_jump + _jumps(seed, f"{name}j", COIN_JUMP_ODDS, COIN_JUMP)
    level = np.add.accumulate(move + jump)
    opened = level - move
    variance = (coin.beta * market_scale) ** 2 + own_scale**2
    up = normals(seed, f"{name}u", 2 * N_BARS).reshape(2, N_BARS)
    down = normals(seed, f"{name}d", 2 * N_BARS).reshape(2, N_BARS)
    top = (move + np.sqrt(move**2 + variance * (up[0] ** 2 + up[1] ** 2))) / 2
    bottom = (move - np.sqrt(move**2 + variance * (down[0] ** 2 + down[1] ** 2))) / 2
    ticks = coin.start * float(10**coin.decimals)
    o, h, low, c = (
        np.maximum(np.rint(ticks * exponential(x)), 1) for x in (opened, opened + top, opened + bottom, level)
    )
    o = np.where(jump == 0, np.concatenate((o[:1], c[:-1])), o)
    h, low = np.maximum(h, np.maximum(o, c)), np.minimum(low, np.minimum(o, c))
    usual = ((coin.beta * MARKET_VOL) ** 2 + coin.own_vol**2) / PER_YEAR
    curve = np.array(VOLUME_BY_HOUR) * (24 / sum(VOLUME_BY_HOUR))
    busy = np.resize(np.repeat(curve, PER_DAY // 24), N_BARS) * (0.5 + 0.5 * variance / usual)
    noise = exponential(VOLUME_NOISE * normals(seed, f"{name}v", N_BARS))
    volume = np.rint(coin.turnover * busy * noise / (c / float(10**coin.decimals)) * UNIT)
    tick = 10 ** (PRICE_DECIMALS - coin.decimals)
    o, h, low, c = (x.astype(np.int64) * tick for x in (o, h, low, c))
    times = FIRST + STEP_NS * np.arange(N_BARS, dtype=np.int64)
    return Bars(times, o, h, low, c, volume.astype(np.int64))

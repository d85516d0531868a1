"""The sample market: candles the project makes itself, so that everything runs offline on the first minute."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import is_inverse, settled_in
from kraken_flow.core.market import Market
from kraken_flow.core.node import NonNegative, node
from kraken_flow.core.resample import Bars
from kraken_flow.core.times import iso, parse_timeframe, timeframe_name
from kraken_flow.core.units import to_floats
from kraken_flow.data.candles import CandleSource
from kraken_flow.data.check import Checked
from kraken_flow.data.funding import within
from kraken_flow.data.grid import Series, assemble, columns_sha256
from kraken_flow.data.synthetic import COINS, STEP_NS, bars_of
from kraken_flow.data.synthetic_funding import funding_of
from kraken_flow.nearest import near_pairs


@node
class Sample(CandleSource):
    """The synthetic sample market: eight correlated pairs against USD, 15-minute bars of 2021 and 2022, from a seed.

    Nothing in it ever traded. What it is made of, its drift (none in the long run) and its correlations are in
    docs/data.md; all its parameters are round numbers, set before any strategy ran on it. BTC/USD:USD and BTC/USD:BTC
    are perpetuals with the prices of BTC/USD and funding every eight hours; the volume of the second is in dollars.
    """

    seed: NonNegative[int] = 7
    """Another seed is another market with the same statistics."""
    max_gap: NonNegative[int] = 24
    """Longest run of missing bars over which features carry their last output; the sample market misses none."""
    feed_delay: str | int = "0"
    """How long after its close a bar is known, for example 500ms or 2s."""

    def load(
        self,
        pairs: tuple[str, ...],
        timeframe: str,
        start: int | None,
        end: int | None,
        lookback: int,
        detail: str | None = None,
    ) -> Market:
        """Make the pairs' bars and put them onto one grid; see `core.source.Source`.

        A pair's bars depend on the seed and on its own name alone. Raises `UserError` for a pair that the sample market
        lacks and for a timeframe that 15 minutes do not divide.
        """
        timeframe_ns = _timeframe(timeframe, "timeframe")
        unknown = [pair for pair in pairs if _coin(pair) not in COINS]
        if unknown:
            near = next(iter(near_pairs(unknown[0], COINS)), None)
            raise UserError(
                f"pairs: the sample market has no {', '.join(unknown)}; it has {', '.join(COINS)}"
                + (f" (nearest: {near})" if near else "")
                + ". For other pairs give your own files: data=files data.path=..."
            )
        series = [_series(pair, self.seed) for pair in sorted(pairs)]
        finer = None
        if detail is not None:
            finer = _timeframe(detail, "exchange.fill.detail"), {one.pair: one for one in series}
        market = assemble(series, timeframe_ns, start, end, lookback, self.max_gap, finer, synthetic_sample=True)
        if not any(settled_in(pair) for pair in pairs):
            return market
        made = [funding_of(one.pair, one.checked.bars, STEP_NS) for one in series]
        return replace(market, funding=tuple(within(market, events) for events in made))


def _coin(pair: str) -> str:
    """Return the spot pair whose prices a perpetual of the sample market has."""
    return pair.partition(":")[0]


def _counted(pair: str, bars: Bars) -> Bars:
    """Return bars with the volume in the unit of the pair's quantities: that of an inverse contract is a quote unit."""
    if not is_inverse(pair):
        return bars
    return replace(bars, volume=np.rint(to_floats(bars.volume) * bars.close.astype(np.float64)).astype(np.int64))


@lru_cache(maxsize=16)
def _series(pair: str, seed: int) -> Series:
    """Make one pair's bars, once in a process, so that a sweep makes its market once."""
    bars = _counted(pair, bars_of(_coin(pair), seed))
    note = f"synthetic sample market, seed {seed}: made by the project, nothing in it ever traded"
    record = {
        "pair": pair,
        "path": f"sample:seed={seed}",
        "role": "bars",
        "timeframe": timeframe_name(STEP_NS),
        "sha256": columns_sha256(bars),
        "first": iso(int(bars.times[0])),
        "last": iso(int(bars.times[-1])),
        "rows": len(bars.times),
    }
    return Series(pair, Checked(bars, STEP_NS, COINS[_coin(pair)].decimals, 0, 0, (note,)), record)


def _timeframe(value: str, key: str) -> int:
    ns = parse_timeframe(value, key)
    if ns % STEP_NS:
        raise UserError(
            f"{key}={value}: the sample market is made of {timeframe_name(STEP_NS)} bars; "
            "use a multiple of that: 15m, 1h, 4h, 1d"
        )
    return ns

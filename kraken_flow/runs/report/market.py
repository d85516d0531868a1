"""The candles of a page: all of them where they are few, else coarser ones with the fine ones around trades."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.series import Candles, candles, windows
from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.runs.report.indicators import Indicator
from kraken_flow.runs.report.packing import MISSING, Pack

MOST_CELLS = 4_000_000
"""Numbers in the candles and indicators of a page over all its pairs: about 6 MB, or 9 MB of the wildest."""
CELLS = 5
"""Numbers in a candle without indicators."""
MOST_COARSE = 40_000
"""Coarse candles of a pair that has too many."""
MARGINS = (240, 120, 60, 30)
"""Candles that are kept on either side of a trade, as many as there is room for."""
_VOLUME_STEPS = 30_000
_FACTORS = (2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 240, 480, 1440)


@dataclass(frozen=True)
class Spans:
    """The trades of a pair as rows of the market: from `begins` to `ends`, `weight` how much one matters."""

    begins: Int64Array
    ends: Int64Array
    weight: FloatArray


@dataclass(frozen=True)
class PairCandles:
    """A pair as the page carries it: facts for the page's index, and a blob."""

    facts: dict[str, Any]
    blob: str


def kept_rows(spans: Spans, n: int, room: int) -> tuple[Int64Array, int]:
    """Return the stretches of rows around trades that fit into `room` rows, and how many trades they show.

    All trades with the widest margin that fits, else with the smallest margin as many trades as fit, those first that
    won or lost most.
    """

    def rows(chosen: NDArray[np.intp] | slice, margin: int) -> Int64Array:
        return windows(spans.begins[chosen], spans.ends[chosen], n, margin)

    def fits(kept: Int64Array) -> bool:
        return bool((kept[:, 1] - kept[:, 0]).sum() <= room)

    for margin in MARGINS:
        kept = rows(slice(None), margin)
        if fits(kept):
            return kept, len(spans.begins)
    order = np.argsort(-spans.weight, kind="stable")
    low, high = 0, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(rows(order[:middle], MARGINS[-1])) else (low, middle)
    return rows(order[:low], MARGINS[-1]), low


def coarse_factor(n: int, most: int) -> int:
    """Return of how many rows a coarse candle is made, so that there are at most `most`."""
    needed = -(-n // most)
    return next((factor for factor in _FACTORS if factor >= needed), -(-needed // _FACTORS[-1]) * _FACTORS[-1])


def pair_candles(
    market: Market, number: int, spans: Spans, lines: Sequence[Indicator], most: int = MOST_CELLS // CELLS
) -> PairCandles:
    """Return a pair's candles and indicators for the page.

    Parameters: `number` of the pair in the market; `spans` its trades; `most` candles that it may take.
    """
    pair = market.pairs[number]
    n = len(market.times)
    real = pair.state == REAL
    decimals = min(market.decimals.get(pair.pair, 8), 8)
    unit = _unit(pair, decimals)
    volume_unit = _volume_unit(pair.volume[real])
    pack = Pack()
    thin = int(real.sum()) > most
    shown, levels = len(spans.begins), [{"factor": 1, "spans": [[0, n]]}]
    made = [candles(_columns(pair), real, 1)]
    if thin:
        factor = coarse_factor(n, min(MOST_COARSE, most // 2))
        kept, shown = kept_rows(spans, n, most // 2)
        inside = np.zeros(n, np.bool_)
        for begin, end in kept.tolist():
            inside[begin:end] = True
        levels = [{"factor": 1, "spans": kept.tolist()}, {"factor": factor, "spans": [[0, n]]}]
        made = [candles(_columns(pair), real & inside, 1), candles(_columns(pair), real, factor)]
    for level, of_level in enumerate(made):
        _pack(pack, str(level), of_level, unit, volume_unit)
    for index, line in enumerate(lines):
        for level, of_level in enumerate(made):
            values = line.values[number][of_level.ends]
            if line.over:
                known = np.isfinite(values)
                scaled = np.where(known, np.rint(np.where(known, values, 0.0) * 1e8 / unit), MISSING)
                pack.whole(f"{level}.line{index}", scaled, unit / 1e8)
            else:
                pack.real(f"{level}.line{index}", values, digits=5)
    facts = {
        "pair": pair.pair,
        "decimals": decimals,
        "levels": levels,
        "bars": int(real.sum()),
        "trades_in_detail": shown,
        "columns": pack.index,
    }
    return PairCandles(facts, pack.text())


def _columns(pair: PairColumns) -> tuple[Int64Array, ...]:
    return pair.open, pair.high, pair.low, pair.close, pair.volume


def _unit(pair: PairColumns, decimals: int) -> int:
    """Return the smallest step of a price on the page, units of 10^-8: that of the data where 32 bits hold it."""
    unit = int(10 ** (8 - decimals))
    top = int(pair.high.max(initial=0))
    while top // unit >= 2**30:
        unit *= 10
    return unit


def _volume_unit(volume: Int64Array) -> int:
    usual = int(np.quantile(volume, 0.999)) if len(volume) else 0
    most = int(volume.max(initial=0))
    # Sums of coarse candles have to fit as well.
    return max(1, usual // _VOLUME_STEPS, most // 2**20)


def _pack(pack: Pack, level: str, made: Candles, unit: int, volume_unit: int) -> None:
    """Add candles: the close as it is, high and low as distances from it, the open as that from the close before."""
    price = unit / 1e8
    close = made.close // unit
    before = np.append(close[:1], close[:-1])
    pack.whole(f"{level}.row", made.rows)
    pack.whole(f"{level}.close", close, price)
    for name, values, near in (("open", made.open, before), ("high", made.high, close), ("low", made.low, close)):
        pack.whole(f"{level}.{name}", values // unit - near, price, walks=False)
    pack.whole(f"{level}.volume", made.volume // volume_unit, volume_unit / 1e8, walks=False)

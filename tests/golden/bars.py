"""The bar sets of the fill scenarios (open/high/low/close) and markets made of them."""

import numpy as np

from kraken_flow.core.market import REAL, Detail, Market, PairColumns
from kraken_flow.core.times import SECOND, parse_time
from kraken_flow.core.units import parse

HOUR = 3600 * SECOND
T0 = parse_time("2024-01-01")
PAIR = "BTC/USD"

BARS = {
    "A": "100/101/99/100 | 100.5/102/100/101.5 | 101.5/103/101/102 | 102.2/104/102/103.5 | 103.4/104/102/102.5",
    "B5": "100/101/99/100 | 100/101/99/100.5 | 100.5/101/96.5/98 | 98/99/97/98.5 | 98.5/99/98/98.6",
    "B6": "100/101/99/100 | 100/101/99/99.5 | 95/96/94/95.5 | 95.5/97/95/96 | 96/97/95/96.5",
    "B7": "100/101/99/100 | 100/101/99/100.5 | 101/107/96/105 | 105/106/104/105 | 105/106/104/105",
    "B9": "100/101/99/100 | 100/101/96.9/98 | 98/107/97.5/106 | 106/107/105/106 | 106/106.5/105/106",
    "B10": "100/101/99.5/100 | 100/101/99/99.8 | 99.8/100.5/99.2/100.2 | 100.2/100.6/98.9/99.5 | 99.5/102/99.4/101.5",
    "B12": "100/101/99.5/100 | 98.5/99.6/98/99 | 99/100/98.7/99.8 | 99.8/100.5/99.5/100.2 | 100.2/101/100/100.5",
    "B14": "100/101/99.5/100 | 100/100.5/94.5/96 | 96/97/95/96.5 | 96.5/98/96/97 | 97/98/96/97.5",
    "B15": "100/101/99/100 | 100/103/99/102.5 | 102.5/110/97.9/108 | 108/109/104/105 | 105/106/104/105",
    "B18": "100/101/99/100 | 100/101/99/100.5 | 101/102/100/101.5 | 102/103/101/102.5 | 103/104/102/103.5",
    "B30": "100/101/99/100 | 100/100/100/100 | 103/104/102/103 | 103/104/102/103.5 | 103.5/104/103/103.5",
    "B36": "100/101/99/100 | 100/101/99/99.5 | 99.5/104.2/93.5/95 | 95/96/94/95 | 95/96/94/95",
    "B37": "100/101/99/100 | 100/103/97/102.5 | 102.5/108.5/102/108 | 108/109/107/108 | 108/109/107/108",
    "B39": "100/101/99/100 | 100/101/99/100.5 | 101/106/100.5/105 | 105/106.01/104.5/105.5 | 105.5/106/105/105.5",
}
VOLUMES = {"B18": (100, 120, 80, 150, 100), "B30": (1000, 0, 1000, 1000, 1000)}
"""Where the volume is not 1000 in every bar."""

FINER_B7 = (
    "100/101/99/100 | 100/101/99/100 | 100/101/99/100 | 100/101/99/100"
    " | 100/101/99/100.5 | 100.5/101/99/100.5 | 100.5/101/99/100.5 | 100.5/101/99/100.5"
    " | 101/104/100.5/103.5 | 103.5/107/103/106.2 | 106.2/106.4/99/100 | 100/105.5/96/105"
    " | 105/106/104/105 | 105/106/104/105 | 105/106/104/105 | 105/106/104/105"
    " | 105/106/104/105 | 105/106/104/105 | 105/106/104/105 | 105/106/104/105"
)
"""Quarter-hour bars of B7: in b2 the target is reached before the stop."""


def rows_of(bars: str) -> list[list[str]]:
    """Split `o/h/l/c | o/h/l/c` into rows of decimal texts."""
    return [bar.split("/") for bar in bars.split(" | ")]


def columns_of(bars: str, volumes: tuple[int, ...] | None = None, pair: str = PAIR) -> PairColumns:
    """Columns of a pair from text; 1000 traded in every bar unless told."""
    table = np.array([[parse(price) for price in row] for row in rows_of(bars)], np.int64)
    traded = np.array(volumes or (1000,) * len(table), np.int64) * 10**8
    prices = [np.ascontiguousarray(table[:, i]) for i in range(4)]
    return PairColumns(pair, *prices, traded, np.full(len(table), REAL, np.uint8))


def market_of(*pairs: PairColumns, finer: PairColumns | None = None) -> Market:
    """An hourly market from 2024-01-01, with quarter-hour bars inside where given."""
    detail = None if finer is None else Detail(HOUR // 4, 4, (finer,))
    return Market(HOUR, T0 + HOUR * np.arange(len(pairs[0].close)), pairs, detail=detail)


def market_named(name: str, finer: str | None = None) -> Market:
    """The market of one bar set."""
    detail = None if finer is None else columns_of(finer, (250,) * len(rows_of(finer)))
    return market_of(columns_of(BARS[name], VOLUMES.get(name)), finer=detail)

"""Markets and nodes for the tests of the signal half: the spec's fixture, random markets, one example per feature."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

import kraken_flow.features as shipped
from kraken_flow.core import Feature, Source, Strategy, Window, WindowFeature, node
from kraken_flow.core.account import Portfolio
from kraken_flow.core.frame import Frame
from kraken_flow.core.market import ABSENT, REAL, SYNTHETIC, Market, PairColumns
from kraken_flow.core.units import FloatArray
from kraken_flow.features import Covariance, Cross, Ema, Htf, Product, Rank, Returns, Roc, RollingStd, Rsi, Sma
from kraken_flow.native import native
from tests.hand_made import HOUR, T0

ENGINES = ("python", "rust") if native is not None else ("python",)


@node
class Span(WindowFeature):
    """A user's own feature: highest value of the window less its mean."""

    source: Source = "close"
    length: Window = 7

    def window(self, *windows: FloatArray) -> FloatArray:
        (w,) = windows
        result: FloatArray = w.max(axis=-1) - w.mean(axis=-1)
        return result


SPECIAL: dict[str, Feature] = {
    "Covariance": Covariance(9),
    "Product": Product(Returns("close")),
    "Cross": Cross(Sma("close", 3), Sma("close", 8)),
    "Htf": Htf("4h", Rsi(3)),
    "Rank": Rank(Roc("close", 3)),
}
FEATURES: list[Feature] = [
    *(SPECIAL[name] if name in SPECIAL else getattr(shipped, name)() for name in shipped.__all__),
    Span(),
    Sma("close", 1),
    Cross(Ema("close", 5), "close"),
    Htf("3h", Cross(Sma("close", 2), Sma("close", 4))),
    Sma(Rsi(3), 4),
    RollingStd(Returns("close"), 5),
    Span(Returns("close", 2), 3),
    Sma(Rank(Rsi(4), centred=True), 3),
    Returns("close", 3, "simple"),
]
"""One example of every shipped feature, and combinations."""


def lcg_bars(seed: int, n: int) -> dict[str, FloatArray]:
    """The spec's fixture: bars from a linear congruential generator, integers only until the last division."""
    state, close = seed, 10_000
    rows = []

    def draw() -> int:
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        return (state >> 12) % 1000

    for _ in range(n):
        d1, d2, d3, d4, d5, d6, d7 = (draw() for _ in range(7))
        open_ = close + (d1 % 11) - 5
        k = d2 + d3 + d4 - 1500
        close = open_ * (100_000 + k) // 100_000
        high = max(open_, close) + max(open_, close) * d5 // 200_000
        low = min(open_, close) - min(open_, close) * d6 // 200_000
        rows.append((open_, high, low, close, 1000 + 9 * d7 + 2 * abs(k)))
    table = np.array(rows)
    names = ("open", "high", "low", "close", "volume")
    return {name: table[:, i] / 100 for i, name in enumerate(names)}


def frame(columns: dict[str, FloatArray], engine: str = "python", step_ns: int = HOUR) -> Frame:
    """A frame over columns without gaps."""
    times = T0 + np.arange(len(columns["close"])) * step_ns
    return Frame(columns.__getitem__, times, step_ns, 24, native if engine == "rust" else None, regular=True)


def values(feature: Feature, columns: dict[str, FloatArray], engine: str = "python") -> list[FloatArray]:
    """A feature's outputs over columns without gaps."""
    return list(frame(columns, engine).outputs(feature))


def random_pair(name: str, n_rows: int, seed: int, gaps: float = 0.0, late: int = 0, flat: float = 0.0) -> PairColumns:
    """A random pair: `late` absent rows, a share of missing bars and of bars that do not move, some without volume."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-150, 151, n_rows) * (rng.random(n_rows) >= flat)
    close = np.maximum(20_000 + np.cumsum(steps), 100)
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + rng.integers(0, 40, n_rows) * (flat == 0)
    low = np.minimum(open_, close) - rng.integers(0, 40, n_rows) * (flat == 0)
    volume = rng.integers(0, 50, n_rows)
    state = np.where(rng.random(n_rows) < gaps, SYNTHETIC, REAL).astype(np.uint8)
    if gaps and n_rows > 60:
        start = int(rng.integers(20, n_rows - 20))
        state[start : start + int(rng.integers(5, 40))] = SYNTHETIC
    if late < n_rows:
        state[late] = REAL
    state[:late] = ABSENT
    columns = [np.where(state == ABSENT, 0, column * 10**6).astype(np.int64) for column in (open_, high, low, close)]
    for row in np.flatnonzero(state == SYNTHETIC):
        for column in columns:
            column[row] = columns[3][row - 1]
    return PairColumns(name, *columns, np.where(state == REAL, volume * 10**8, 0).astype(np.int64), state)


def random_market(
    n_rows: int, seed: int, n_pairs: int = 2, gaps: float = 0.0, flat: float = 0.0, max_gap: int = 8
) -> Market:
    """A market of random pairs; with gaps the later ones begin late."""
    pairs = tuple(
        random_pair(f"{chr(65 + k)}/USD", n_rows, seed * 10 + k, gaps, k * 5 if gaps else 0, flat)
        for k in range(n_pairs)
    )
    return Market(HOUR, T0 + np.arange(n_rows) * HOUR, pairs, max_gap=max_gap)


@dataclass
class Named(Strategy):
    """A strategy that reads the given features and holds nothing."""

    sources: dict[str, Source]

    def features(self) -> dict[str, Source]:
        return self.sources

    def forecast(self, f: Any) -> FloatArray:
        return np.array(0.0)


def graph(strategy: Strategy, **features: Feature) -> Any:
    """The part of a graph that the signal half reads."""
    nobody, at_once = SimpleNamespace(), SimpleNamespace(plan=lambda timeframe_ns: None)
    return SimpleNamespace(
        strategy=strategy, features=features, portfolio=Portfolio(), exchange=nobody, risk=nobody, execution=at_once,
        timeframe="1h", pairs=(),
    )  # fmt: skip


def reads(*sources: Source) -> Any:
    """A graph whose strategy reads the sources."""
    return graph(Named({f"x{i}": source for i, source in enumerate(sources)}))


def bars_of(market: Market, row: int) -> list[tuple[float, ...] | None]:
    """One row of a market as a stream gets it."""
    names = ("open", "high", "low", "close", "volume")
    return [
        tuple(float(pair.floats(name)[row]) for name in names) if pair.state[row] == REAL else None
        for pair in market.pairs
    ]


def same(a: FloatArray, b: FloatArray) -> bool:
    """Whether two arrays are equal to the bit, NaN equal to NaN."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())

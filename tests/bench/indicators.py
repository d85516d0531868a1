"""Features over whole columns against TA-Lib, and one update at a time from Python."""

from collections.abc import Callable
from time import process_time

import numpy as np

from kraken_flow.core.feature import Feature
from kraken_flow.core.feature_stream import StepRunner
from kraken_flow.core.market import Market
from kraken_flow.core.signal import FeatureColumns
from kraken_flow.features import Atr, Bollinger, Donchian, Ema, Roc, RollingStd, Rsi, Sma, ZScore
from kraken_flow.native import native
from tests.bench import market
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Finding, Section, compare

Floats = market.Floats
Rival = Callable[[], tuple[Floats, ...]]


def features() -> dict[str, Feature]:
    """The features that are compared, by name."""
    return {
        "RSI 14": Rsi(window=14),
        "EMA 50": Ema(window=50),
        "ATR 14": Atr(window=14),
        "Bollinger 20": Bollinger(window=20),
        "rolling std 60": RollingStd(window=60, ddof=0),
        "z-score 60": ZScore(window=60),
        "SMA 50": Sma(window=50),
        "ROC 10": Roc(window=10),
        "Donchian 20": Donchian(window=20),
    }


def rivals(bars: dict[str, Floats]) -> dict[str, Rival]:
    """TA-Lib's calls for the same values."""
    import talib

    high, low, close = bars["high"], bars["low"], bars["close"]
    sample = float(np.sqrt(60 / 59))
    return {
        "RSI 14": lambda: (talib.RSI(close, 14),),
        "EMA 50": lambda: (talib.EMA(close, 50),),
        "ATR 14": lambda: (talib.ATR(high, low, close, 14),),
        "Bollinger 20": lambda: talib.BBANDS(close, 20, 2.0, 2.0),
        "rolling std 60": lambda: (talib.STDDEV(close, 60),),
        "z-score 60": lambda: ((close - talib.SMA(close, 60)) / talib.STDDEV(close, 60, sample),),
        "SMA 50": lambda: (talib.SMA(close, 50),),
        "ROC 10": lambda: (talib.ROC(close, 10),),
        "Donchian 20": lambda: (talib.MAX(high, 20), talib.MIN(low, 20)),
    }


def computed(feature: Feature, loaded: Market) -> tuple[Floats, ...]:
    """Compute one feature from float columns that are already there."""
    return FeatureColumns(loaded, native).outputs(feature, 0)


def with_floats(loaded: Market) -> Market:
    """A market that kept nothing but its float columns, as TA-Lib is given them."""
    fresh = market.untouched(loaded)
    for pair in fresh.pairs:
        for name in ("open", "high", "low", "close", "volume"):
            pair.floats(name)
    return fresh


def same_last(name: str, ours: tuple[Floats, ...], theirs: tuple[Floats, ...]) -> Check:
    """Compare the last values; TA-Lib's channel includes the bar itself, ours ends at the bar before."""
    if name == "Donchian 20":
        theirs = tuple(column[:-1] for column in theirs)
    mine = float(sum(column[-1] for column in ours))
    other = float(sum(column[-1] for column in theirs))
    return Check(f"last value, {name}", mine, other, 1e-6 * max(1.0, abs(other)))


def batch(n: int, rounds: int) -> Section:
    """Each feature over whole columns."""
    bars, loaded = market.candles(n), with_floats(market.single(n))
    checks, findings = [], []
    others = rivals(bars)
    for name, feature in features().items():
        times = take_turns(
            {
                "ours": Contestant(lambda _, feature=feature: computed(feature, loaded)),
                "TA-Lib": Contestant(lambda _, other=others[name]: other()),
            },
            rounds,
        )
        checks.append(same_last(name, times.results["ours"], times.results["TA-Lib"]))
        findings.append(compare(times, "ours", "TA-Lib", name, "at most", 1.2))
    return Section(f"indicators over {n:,} bars", checks, findings)


def streaming(updates: int, rounds: int) -> Section:
    """Nanoseconds of processor time of one update called from Python."""
    bars = market.candles(updates)
    findings = []
    for name, feature in features().items():
        runner = StepRunner(feature, native)
        if runner.kernel is None:
            continue
        columns = [bars[source].tolist() for source in feature.inputs() if isinstance(source, str)]
        rows = list(zip(*columns, strict=True))
        taken = [_updates(runner.kernel.update, rows) for _ in range(rounds)]
        nanoseconds = float(np.median(taken)) / updates * 1e9
        findings.append(Finding(name, nanoseconds, "ns/update", "at most", 150.0))
    return Section("one update at a time from Python", (), findings)


def _updates(update: Callable[..., object], rows: list[tuple[float, ...]]) -> float:
    """Processor seconds of a plain loop over bars, the loop itself included."""
    width = len(rows[0])
    values = [row[0] for row in rows]
    began = process_time()
    if width == 1:
        for a in values:
            update(a)
    elif width == 2:
        for a, b in rows:
            update(a, b)
    else:
        for a, b, c in rows:
            update(a, b, c)
    return process_time() - began

"""Features over whole columns against TA-Lib, and one update at a time from Python."""

from collections.abc import Callable
from time import process_time

import numpy as np
import numpy.typing as npt

from kraken_flow.core.feature import Feature
from kraken_flow.core.feature_stream import StepRunner
from kraken_flow.core.market import Market
from kraken_flow.core.signal import FeatureColumns
from kraken_flow.features import (
    Atr,
    Bollinger,
    Cross,
    Donchian,
    Ema,
    LogReturnStd,
    Returns,
    Rma,
    Roc,
    RollingStd,
    Rsi,
    Sma,
    VolumeZ,
    ZScore,
)
from kraken_flow.native import native
from tests.bench import market
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Difference, Finding, Section, against
from tests.bench.talib_calls import COMPOSED, LATER, SETTLED, calls

Floats = market.Floats
CROSS = "SMA cross 10/50"


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
        CROSS: Cross(Sma("close", 10), Sma("close", 50)),
        "RMA 14": Rma(window=14),
        "ROC 10": Roc(window=10),
        "return 1": Returns(bars=1, form="simple"),
        "log return 1": Returns(bars=1),
        "volatility 60": LogReturnStd(window=60),
        "volume z-score 20": VolumeZ(window=20),
        "Donchian 20": Donchian(window=20),
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


def same_columns(what: str, name: str, ours: tuple[Floats, ...], theirs: tuple[Floats, ...]) -> Check:
    """Compare whole columns: the furthest that two values of a row lie apart, relative to what is beyond 1.

    A row that only one side knows counts as infinitely far, but for rows before a seed that differs is forgotten.
    """
    first = SETTLED[name][0] if name in SETTLED else 0
    worst = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        a, b = (mine[first + 1 :], other[first:-1]) if name in LATER else (mine[first:], other[first:])
        known = ~np.isnan(b)
        if name != CROSS and not np.array_equal(~np.isnan(a), known):
            worst = np.inf
        known &= ~np.isnan(a)
        apart = np.abs(a - b)[known] / np.maximum(1.0, np.abs(b[known]))
        worst = max(worst, float(apart.max(initial=0.0)))
    return Check(f"furthest apart, {what}", worst, 0.0, 1e-6)


def undecided(close: Floats) -> npt.NDArray[np.bool_]:
    """Return the rows at which the averages of 10 and 50 closes are equal to the last digit, and the rows after them.

    Running sums of floats fall to either side of a tie, ours and TA-Lib's each to its own.
    """
    sums = np.concatenate(([0], np.cumsum(np.round(close * 1e4).astype(np.int64))))
    equal = np.zeros(len(close), bool)
    equal[49:] = 5 * (sums[50:] - sums[40:-10]) == sums[50:] - sums[:-50]
    equal[1:] |= equal[:-1].copy()
    return equal


def batch(n: int, rounds: int) -> Section:
    """Each feature over whole columns."""
    bars, loaded = market.candles(n), with_floats(market.single(n))
    checks, findings = [], []
    others = calls(bars)
    for name, feature in features().items():
        times = take_turns(
            {
                "ours": Contestant(lambda _, feature=feature: computed(feature, loaded)),
                "TA-Lib": Contestant(lambda _, other=others[name]: other()),
            },
            rounds,
        )
        theirs = times.results["TA-Lib"]
        if name == CROSS:
            theirs = (np.where(undecided(bars["close"]), np.nan, theirs[0]),)
        checks.append(same_columns(name, name, times.results["ours"], theirs))
        wanted = None if name in COMPOSED and name != "z-score 60" else 1.2
        label = "TA-Lib, several calls" if name in COMPOSED else "TA-Lib"
        findings.append(against(times, "TA-Lib", f"{name}, {n:,} bars", "at most", wanted, label=label))
    return Section(f"indicators over {n:,} bars", checks, findings, _differences(bars, loaded))


def _differences(bars: dict[str, Floats], loaded: Market) -> list[Difference]:
    """Where the same name means other values: the first row at which both sides have one and they differ."""
    reasons = LATER | {name: why for name, (_, why) in SETTLED.items()}
    found = []
    for name, why in reasons.items():
        ours, theirs = computed(features()[name], loaded)[0], calls(bars)[name]()[0]
        rows = np.flatnonzero(~np.isnan(ours) & ~np.isnan(theirs) & (ours != theirs))
        found += [Difference(f"{name}, row {row}", ours[row], theirs[row], why) for row in rows[:1].tolist()]
    return found


def streaming(updates: int, rounds: int) -> Section:
    """Nanoseconds of processor time of one update called from Python."""
    bars = market.candles(updates)
    findings = []
    for name, feature in features().items():
        runner = StepRunner(feature, native)
        if runner.kernel is None or not all(isinstance(source, str) for source in feature.inputs()):
            continue
        columns = [bars[str(source)].tolist() for source in feature.inputs()]
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

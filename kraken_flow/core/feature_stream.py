"""Features of one pair, one bar at a time: the streaming face."""

from collections import deque
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Protocol, TypeAlias

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Column, CrossSection, Derived, Feature, HigherTimeframe, Source, WindowFeature
from kraken_flow.core.frame import bin_of, bin_open, check_ratio, reduce_windows

Bar: TypeAlias = Sequence[float]
"""Open, high, low, close, volume."""
Outputs: TypeAlias = tuple[float, ...]

COLUMNS: tuple[Column, ...] = ("open", "high", "low", "close", "volume")
NAN = float("nan")


class Runner(Protocol):
    """A feature at work on one pair."""

    def step(self, time: int, bar: Bar, inputs: Outputs) -> Outputs:
        """Take a bar's open time, the bar and the feature's inputs; return its outputs."""

    def reset(self) -> None:
        """Start afresh after a long gap."""


class StepRunner:
    """A feature with a state: its Rust kernel, or its Python step."""

    def __init__(self, feature: Feature, native: ModuleType | None) -> None:
        self.feature = feature
        self.kernel = None
        if native is not None and feature.kernel is not None:
            self.kernel = native.FeatureStream(feature.kernel, feature.parameters())
        self.nothing = (NAN,) * len(feature.names)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        if self.kernel is not None:
            self.kernel.reset()
        else:
            self.state = self.feature.state()

    def step(self, time: int, bar: Bar, inputs: Outputs) -> Outputs:
        """Update the state; NaN in an input starts it afresh."""
        if any(x != x for x in inputs):
            self.reset()
            return self.nothing
        result = self.state.update(*inputs) if self.kernel is None else self.kernel.update(*inputs)
        return result if isinstance(result, tuple) else (result,)


class WindowRunner:
    """A user's window feature: the last bars, reduced."""

    def __init__(self, feature: WindowFeature) -> None:
        self.feature = feature
        self.rows: deque[Outputs] = deque(maxlen=feature.length)

    def reset(self) -> None:
        """Forget all bars."""
        self.rows.clear()

    def step(self, time: int, bar: Bar, inputs: Outputs) -> Outputs:
        """Reduce the window once it is full."""
        if any(x != x for x in inputs):
            self.rows.clear()
            return (NAN,)
        self.rows.append(inputs)
        if len(self.rows) < self.feature.length:
            return (NAN,)
        windows = [np.array([column]) for column in zip(*self.rows, strict=True)]
        return (float(reduce_windows(self.feature, windows)[0]),)


class HigherRunner:
    """A feature on a higher timeframe: a bar in the making, and the inner feature on the complete ones."""

    def __init__(self, feature: HigherTimeframe, timeframe_ns: int, max_gap: int, native: ModuleType | None) -> None:
        check_ratio(feature, timeframe_ns)
        self.feature = feature
        self.timeframe_ns = timeframe_ns
        self.max_gap = max_gap
        self.inner = PairStream([feature.inner], feature.timeframe_ns, max_gap, native)
        self.nothing = (NAN,) * len(feature.names)
        self.bar: list[float] = []
        self.index: int | None = None
        self.whole = False
        self.last: int | None = None

    def reset(self) -> None:
        """Keep the state: a gap counts in higher bars here, which the inner stream sees for itself."""

    def step(self, time: int, bar: Bar, inputs: Outputs) -> Outputs:
        """Add the bar to the higher one; return the inner outputs of the last higher bar that is complete."""
        length = self.feature.timeframe_ns
        index = bin_of(time, length)
        if index != self.index:
            self._complete()
            self.whole = self.index is not None or time == bin_open(index, length)
            self.index, self.bar = index, list(bar)
        else:
            self.bar[1] = max(self.bar[1], bar[1])
            self.bar[2] = min(self.bar[2], bar[2])
            self.bar[3] = bar[3]
            self.bar[4] += bar[4]
        complete = bin_of(time + self.timeframe_ns, length) - 1
        if complete >= index:
            self._complete()
        if self.last is None or complete - self.last > self.max_gap:
            return self.nothing
        return self.inner.now[self.feature.inner]

    def _complete(self) -> None:
        if self.index is not None and self.whole and self.last != self.index:
            self.inner.begin(bin_open(self.index, self.feature.timeframe_ns), self.bar)
            for feature in self.inner.order:
                self.inner.run(feature)
            self.last = self.index


class PairStream:
    """One pair's features in the order in which they can be computed, and their newest values.

    Parameters: `sources` what is wanted; inputs are added by themselves and equal features are computed once.
    """

    def __init__(self, sources: Sequence[Source], timeframe_ns: int, max_gap: int, native: ModuleType | None) -> None:
        self.timeframe_ns = timeframe_ns
        self.max_gap = max_gap
        self.native = native
        self.order: list[Feature] = []
        self.runners: dict[Feature, Runner] = {}
        self.now: dict[Source, Outputs] = dict.fromkeys(COLUMNS, (NAN,))
        self.time: int | None = None
        self.bar: Bar = ()
        for source in sources:
            self._add(source)

    def _add(self, source: Source) -> None:
        if not isinstance(source, Feature) or source in self.now:
            return
        if not isinstance(source, HigherTimeframe):
            for below in source.inputs():
                self._add(below)
        self.order.append(source)
        self.now[source] = (NAN,) * len(source.names)
        if isinstance(source, HigherTimeframe):
            self.runners[source] = HigherRunner(source, self.timeframe_ns, self.max_gap, self.native)
        elif isinstance(source, WindowFeature):
            self.runners[source] = WindowRunner(source)
        elif not isinstance(source, Derived | CrossSection):
            self.runners[source] = StepRunner(source, self.native)

    def begin(self, time: int, bar: Bar) -> None:
        """Take a real bar; after more than `max_gap` missing ones all states start afresh."""
        if self.time is not None and (time - self.time) // self.timeframe_ns - 1 > self.max_gap:
            for runner in self.runners.values():
                runner.reset()
        self.time, self.bar = time, bar
        for name, value in zip(COLUMNS, bar, strict=True):
            self.now[name] = (value,)

    def run(self, feature: Feature) -> None:
        """Compute one feature at the bar that was begun; its inputs have been computed."""
        if self.time is None:
            return
        if isinstance(feature, CrossSection):
            raise UserError(f"{feature} compares pairs and cannot stand inside a higher timeframe: swap the two")
        if isinstance(feature, Derived):
            self.now[feature] = self.now[feature.definition()]
            return
        inputs = () if isinstance(feature, HigherTimeframe) else tuple(self._inputs(feature))
        self.now[feature] = self.runners[feature].step(self.time, self.bar, inputs)

    def _inputs(self, feature: Feature) -> Iterator[float]:
        for source in feature.inputs():
            outputs = self.now[source]
            if len(outputs) != 1:
                raise UserError(f"{source} has several outputs: it cannot be read as one value")
            yield outputs[0]

    def at(self, source: Source, time: int) -> Outputs:
        """Return a feature's outputs at the bar of `time`: carried over missing bars, NaN after `max_gap` of them."""
        outputs = self.now[source]
        if self.time is None:
            return (NAN,) * len(outputs)
        missing = (time - self.time) // self.timeframe_ns
        stale = missing > (0 if isinstance(source, CrossSection) else self.max_gap)
        return (NAN,) * len(outputs) if stale else outputs

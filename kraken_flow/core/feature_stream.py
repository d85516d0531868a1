"""Features of one pair, one bar at a time: the streaming face."""

from collections import deque
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol, TypeAlias

import numpy as np

from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import (
    CONTRACT_COLUMNS,
    Column,
    CrossSection,
    Derived,
    Feature,
    HigherTimeframe,
    Source,
    WindowFeature,
)
from kraken_flow.core.frame import Frame, bin_of, bin_open, check_ratio, reduce_windows
from kraken_flow.core.units import FloatArray

Bar: TypeAlias = Sequence[float]
"""Open, high, low, close, volume; of a perpetual then the newest funding rate and the mark."""
Outputs: TypeAlias = tuple[float, ...]

COLUMNS: tuple[Column, ...] = ("open", "high", "low", "close", "volume", *CONTRACT_COLUMNS)
NAN = float("nan")


class Runner(Protocol):
    """A feature at work on one pair."""

    def step(self, time: int, bar: Bar, inputs: Outputs) -> Outputs:
        """Take a bar's open time, the bar and the feature's inputs; return its outputs."""

    def reset(self) -> None:
        """Start afresh after a long gap."""

    def catch_up(self, frame: Frame, inputs: Sequence[FloatArray]) -> None:
        """Take all bars of a frame, with the feature's inputs at them; the first thing that it takes."""


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
        for x in inputs:
            if x != x:
                self.reset()
                return self.nothing
        result = self.state.update(*inputs) if self.kernel is None else self.kernel.update(*inputs)
        return result if isinstance(result, tuple) else (result,)

    def catch_up(self, frame: Frame, inputs: Sequence[FloatArray]) -> None:
        """Update the state bar by bar, from the last one that starts it afresh where that costs time."""
        if self.kernel is not None:
            self.kernel.advance([np.ascontiguousarray(column) for column in inputs], frame.resets)
            return
        last = _since_the_last_break(frame, inputs)
        for values in zip(*(column[last:].tolist() for column in inputs), strict=True):
            self.state.update(*values)


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

    def catch_up(self, frame: Frame, inputs: Sequence[FloatArray]) -> None:
        """Keep the last bars."""
        last = max(_since_the_last_break(frame, inputs), len(frame.times) - self.feature.length)
        self.rows.extend(zip(*(column[last:].tolist() for column in inputs), strict=True))


class HigherRunner:
    """A feature on a higher timeframe: a bar in the making, and the inner feature on the complete ones."""

    def __init__(self, feature: HigherTimeframe, timeframe_ns: int, max_gap: int, native: ModuleType | None) -> None:
        check_ratio(feature, timeframe_ns)
        self.feature = feature
        self.timeframe_ns = timeframe_ns
        self.max_gap = max_gap
        self.inner = PairStream([feature.inner], feature.timeframe_ns, max_gap, native)
        self._slot = self.inner.slots[feature.inner]
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
            self.bar[5:] = bar[5:]
        complete = bin_of(time + self.timeframe_ns, length) - 1
        if complete >= index:
            self._complete()
        if self.last is None or complete - self.last > self.max_gap:
            return self.nothing
        return self.inner.values[self._slot]

    def catch_up(self, frame: Frame, inputs: Sequence[FloatArray]) -> None:
        """Take the bars one by one."""
        bars = zip(*(frame.column(name).tolist() for name in COLUMNS), strict=True)
        for time, bar in zip(frame.times.tolist(), bars, strict=True):
            self.step(time, bar, ())

    def _complete(self) -> None:
        if self.index is not None and self.whole and self.last != self.index:
            self.inner.begin(bin_open(self.index, self.feature.timeframe_ns), self.bar)
            for step in range(len(self.inner.order)):
                self.inner.run(step)
            self.last = self.index


def _since_the_last_break(frame: Frame, inputs: Sequence[FloatArray]) -> int:
    """Return the first bar that the state at the end knows: after the last NaN in an input, at the last reset."""
    broken = [int(np.flatnonzero(np.isnan(column))[-1]) + 1 for column in inputs if np.isnan(column).any()]
    return max([0, *broken, *(int(row) for row in frame.resets[-1:])])


class PairStream:
    """One pair's features in the order in which they can be computed, and their newest values.

    Every column and feature has a slot; which slots a feature reads is settled here, once, not at every bar.

    Parameters: `sources` what is wanted; inputs are added by themselves and equal features are computed once.
    """

    def __init__(self, sources: Sequence[Source], timeframe_ns: int, max_gap: int, native: ModuleType | None) -> None:
        self.timeframe_ns = timeframe_ns
        self.max_gap = max_gap
        self.native = native
        self.slots: dict[Source, int] = {name: slot for slot, name in enumerate(COLUMNS)}
        self.values: list[Outputs] = [(NAN,)] * len(COLUMNS)
        self.order: list[Feature] = []
        self._steps: list[tuple[int, Runner | None, tuple[int, ...]]] = []
        self.time: int | None = None
        self.bar: Bar = ()
        for source in sources:
            self._add(source)

    def _add(self, source: Source) -> None:
        if not isinstance(source, Feature) or source in self.slots:
            return
        inputs = () if isinstance(source, HigherTimeframe) else tuple(source.inputs())
        for below in inputs:
            self._add(below)
        self.slots[source] = len(self.values)
        self.values.append((NAN,) * len(source.names))
        self.order.append(source)
        reads = tuple(self.slots[below] for below in inputs)
        self._steps.append((self.slots[source], self._runner(source), reads))
        if isinstance(source, Derived):
            return
        for below in inputs:
            if isinstance(below, Feature) and len(below.names) != 1:
                raise UserError(f"{below} has several outputs: it cannot be read as one value")

    def _runner(self, feature: Feature) -> Runner | None:
        """Return what computes a feature; None for one that only names another, or that compares pairs."""
        if isinstance(feature, Derived | CrossSection):
            return None
        if isinstance(feature, HigherTimeframe):
            return HigherRunner(feature, self.timeframe_ns, self.max_gap, self.native)
        return WindowRunner(feature) if isinstance(feature, WindowFeature) else StepRunner(feature, self.native)

    def begin(self, time: int, bar: Bar) -> None:
        """Take a real bar; after more than `max_gap` missing ones all states start afresh."""
        if self.time is not None and (time - self.time) // self.timeframe_ns - 1 > self.max_gap:
            for _, runner, _ in self._steps:
                if runner is not None:
                    runner.reset()
        self.time, self.bar = time, bar
        self.values[: len(bar)] = [(value,) for value in bar]
        if len(bar) < len(COLUMNS):
            self.values[len(bar) : len(COLUMNS)] = [(NAN,), (bar[3],)]

    def catch_up(self, frame: Frame) -> None:
        """Take all bars of a frame at once, before any other: the state is that after as many calls of `run`."""
        if not len(frame.times):
            return
        for feature, (slot, runner, _) in zip(self.order, self._steps, strict=True):
            if isinstance(runner, HigherRunner):
                runner.catch_up(frame, ())
            elif runner is not None:
                runner.catch_up(frame, [frame.value(source) for source in feature.inputs()])
            self.values[slot] = tuple(float(output[-1]) for output in frame.outputs(feature))
        self.time, self.bar = int(frame.times[-1]), tuple(float(frame.column(name)[-1]) for name in COLUMNS)
        self.values[: len(COLUMNS)] = [(value,) for value in self.bar]

    def run(self, step: int) -> None:
        """Compute the feature `order[step]` at the bar that was begun; its inputs have been computed."""
        if self.time is None:
            return
        slot, runner, reads = self._steps[step]
        values = self.values
        if runner is not None:
            inputs = values[reads[0]] if len(reads) == 1 else tuple([values[read][0] for read in reads])
            values[slot] = runner.step(self.time, self.bar, inputs)
        elif isinstance(self.order[step], Derived):
            values[slot] = values[reads[0]]
        else:
            raise UserError(
                f"{self.order[step]} compares pairs and cannot stand inside a higher timeframe: swap the two"
            )

    def at(self, slot: int, carry: int, time: int) -> Outputs:
        """Return a slot's outputs at the bar of `time`, carried over at most `carry` missing bars; then NaN."""
        outputs = self.values[slot]
        if self.time is not None and time - self.time <= carry * self.timeframe_ns:
            return outputs
        return (NAN,) * len(outputs)

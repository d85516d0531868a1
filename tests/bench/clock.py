"""Timing side by side: the contestants take turns in one process, so that a busy spell of the machine meets all."""

import gc
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """One side of a comparison.

    `prepare` makes what a run consumes, outside the clock; `run` is timed and its last result kept. What is too short
    to be timed alone is called `calls` times with the clock read once; the seconds are those of one call.
    """

    run: Callable[[Any], Any]
    prepare: Callable[[], Any] = lambda: None
    calls: int = 1


@dataclass(frozen=True)
class Times:
    """Seconds of each round per contestant, by the wall and of the processors, and the last results."""

    seconds: Mapping[str, list[float]]
    busy: Mapping[str, list[float]]
    results: Mapping[str, Any]

    def median(self, name: str) -> float:
        """Median seconds of a contestant."""
        return median(self.seconds[name])

    def ratio(self, above: str, below: str) -> float:
        """Median over the rounds of one contestant's time over the other's in the same round."""
        return median(self.ratios(above, below))

    def ratios(self, above: str, below: str) -> list[float]:
        """One contestant's time over the other's, round by round."""
        return _over(self.seconds[above], self.seconds[below])

    def busy_ratio(self, above: str, below: str) -> float:
        """The same of processor time, which a busy machine disturbs less."""
        return median(_over(self.busy[above], self.busy[below]))


def _over(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def processor_s() -> float:
    """Seconds of processor time of this process and of those it started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


def take_turns(contestants: Mapping[str, Contestant], rounds: int, warm: int = 1) -> Times:
    """Run A B C, A B C ... after `warm` rounds that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    busy: dict[str, list[float]] = {name: [] for name in contestants}
    results: dict[str, Any] = {}
    for turn in range(warm + rounds):
        for name, side in contestants.items():
            results.pop(name, None)
            given = side.prepare()
            gc.collect()
            worked, began = processor_s(), perf_counter()
            for _ in range(side.calls):
                results[name] = side.run(given)
            took, worked = perf_counter() - began, processor_s() - worked
            if turn >= warm:
                seconds[name].append(took / side.calls)
                busy[name].append(worked / side.calls)
    return Times(seconds, busy, results)


def alone(run: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median seconds of repeated calls, by the wall and of this process's processors."""
    times = take_turns({"it": Contestant(lambda _: run())}, repeats, warm=0)
    return times.median("it"), median(times.busy["it"])


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

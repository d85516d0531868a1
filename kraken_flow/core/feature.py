"""Features: market columns in, float columns out; one definition with a batch face and a streaming face.

The scalar `State.update` is the reference: a batch is a loop over it, and the Rust kernel of the same name does the
same arithmetic in the same order, so all faces agree to the bit. A feature sees the real bars of its pair and nothing
else: row t reads rows up to t. NaN in an input re-seeds the state and gives NaN, so a window that holds it is poisoned
and nothing after it is.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Protocol, TypeAlias

import annotated_types

from kraken_flow.core.node import Node
from kraken_flow.core.units import FloatArray

Column: TypeAlias = Literal["open", "high", "low", "close", "volume", "funding", "mark"]
"""A column of the market, float64 in natural units: `funding` is the newest rate of a perpetual that was known when the
bar closed (NaN before the first), `mark` its mark price there (the close where the data has none)."""
CONTRACT_COLUMNS: tuple[Column, ...] = ("funding", "mark")
"""Columns that are no part of a bar."""

MOST_BARS = 10_000_000
"""Longest window: 19 years of minutes, for which a feature's memory is still small."""
FORGOTTEN = 1e-4
"""Weight of the unknown past below which a recursive filter counts as warmed up."""


class State(Protocol):
    """What a feature remembers between bars."""

    @property
    def update(self) -> Callable[..., float | tuple[float, ...]]:
        """Take one bar's inputs, none of them NaN, and return the outputs; NaN while warming up."""


class Feature(Node):
    """Base of all features: parameters, inputs, and a fresh `State`.

    A subclass gives `inputs` (by default its `source` field), `state` and `warmup`; `names` where it has several
    outputs; `kernel` and `parameters` where it has a Rust twin.
    """

    kind: ClassVar[str] = "feature"
    names: ClassVar[tuple[str, ...]] = ("value",)
    """Names of the outputs; a single output is read as `f.<feature>`, one of several as `f.<feature>.<output>`."""

    levels: ClassVar[tuple[float, float, float] | None] = None
    """All the values the output takes besides NaN, where they are few; a strategy that reads nothing else is then asked
    about each of them once."""

    reads_units: ClassVar[bool] = False
    """Whether the Rust kernel is faster on a market's integer columns than on floats made of them."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Give a class with a state of its own no Rust twin but its own: its parent's computes something else."""
        super().__init_subclass__(**kwargs)
        if "state" in vars(cls):
            cls.kernel = vars(cls).get("kernel")
            cls.levels = vars(cls).get("levels")

    def inputs(self) -> "tuple[Source, ...]":
        """Return the market columns and features that each update reads, in the order of its arguments."""
        return (getattr(self, "source"),)  # noqa: B009 - the field belongs to subclasses

    def state(self) -> State:
        """Return a fresh state."""
        raise TypeError(f"{type(self).__name__} defines no state()")

    def parameters(self) -> tuple[float, ...]:
        """Return the numbers the Rust kernel is made from."""
        return ()

    def fused(self) -> "Fused | None":
        """Return one Rust kernel that computes this feature and its inputs in a single pass, where there is one."""
        return None

    @property
    def warmup(self) -> int:
        """Bars of input this feature itself needs before the bar of its first warmed-up output."""
        return 0

    @property
    def lookback(self) -> int:
        """Bars needed before the first warmed-up output, those of its inputs included."""
        return self.lookback_at(0)

    def lookback_at(self, timeframe_ns: int) -> int:
        """Return `lookback` in bars of `timeframe_ns`, which matters to features on a higher timeframe."""
        below = (i.lookback_at(timeframe_ns) for i in self.inputs() if isinstance(i, Feature))
        return self.warmup + max(below, default=0)


Source: TypeAlias = Column | Feature
"""What a feature can read: a market column by name, or another feature with one output."""


Fused: TypeAlias = tuple[str, tuple[float, ...], tuple[Source, ...]]
"""A kernel's name, its parameters and what it reads."""


class Derived(Feature):
    """A feature that is a name for a combination of others."""

    @abstractmethod
    def definition(self) -> Feature:
        """Return the combination."""

    def inputs(self) -> tuple[Source, ...]:
        """Return the definition as the only input."""
        return (self.definition(),)


class WindowFeature(Feature):
    """Base of a user's own vectorised feature: reduce the last axis of a window of bars.

    A subclass has the fields `length` and `source` (or overrides `inputs`) and the method `window`. It gets arrays of
    shape (..., length), oldest bar first, one per input, and returns shape (...): many windows at once in a backtest,
    one in a stream, so nothing in it may depend on how many windows it is given.
    """

    length: int

    @abstractmethod
    def window(self, *windows: FloatArray) -> FloatArray:
        """Reduce windows of shape (..., length) to values of shape (...)."""

    @property
    def warmup(self) -> int:
        """Bars before the first full window."""
        return self.length - 1


class CrossSection(Feature):
    """Base of features that compare pairs with each other; evaluated over all pairs at once, row by row."""

    alone: ClassVar[bool] = False
    """Whether it has a value on a single pair."""

    @abstractmethod
    def across(self, values: FloatArray) -> FloatArray:
        """Return one value per pair for each row.

        `values` is float64 of shape (n_pairs, n_rows), NaN where a pair has no value or no real bar at that row; the
        result has the same shape and is NaN there too.
        """


class HigherTimeframe(Feature):
    """Base of features that are computed on bars of a higher timeframe and read at the decision bar."""

    @property
    @abstractmethod
    def timeframe_ns(self) -> int:
        """Length of the higher bar."""

    @property
    @abstractmethod
    def inner(self) -> Feature:
        """The feature to compute there, on the columns of the higher bars."""

    def inputs(self) -> tuple[Source, ...]:
        """Return the inner feature, which is evaluated on the higher bars."""
        return (self.inner,)

    def lookback_at(self, timeframe_ns: int) -> int:
        """Return the bars of `timeframe_ns` that hold the inner look-back, whatever the phase of the first bar."""
        if timeframe_ns == 0:
            return self.inner.lookback_at(0)
        ratio = -(-self.timeframe_ns // timeframe_ns)
        return (self.inner.lookback_at(self.timeframe_ns) + 2) * ratio - 1


def recursive_warmup(alpha: float, first_valid: int) -> int:
    """Return the bars until a filter y += alpha (x - y) has forgotten its seed, at least its first valid index.

    Examples
    --------
    >>> [recursive_warmup(2 / (n + 1), n - 1) for n in (12, 26, 50, 200)]
    [56, 120, 231, 922]
    >>> [recursive_warmup(1 / n, n - 1) for n in (7, 14, 20)]
    [60, 125, 180]
    """
    if alpha >= 1.0:
        return first_valid
    return max(first_valid, math.ceil(math.log(FORGOTTEN) / math.log(1.0 - alpha)))


Window = Annotated[int, annotated_types.Gt(0), annotated_types.Le(MOST_BARS)]
"""A number of bars."""

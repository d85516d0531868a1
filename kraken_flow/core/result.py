"""What an engine hands back: integer columns, the same from both engines. One Python function turns them into files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.limits import Safety, Trigger
from kraken_flow.core.units import FloatArray, Int64Array
from kraken_flow.core.watch import columns_of

Columns = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Standing:
    """An account at an instant.

    Parameters: `equity` at the last close, quote currency; `cash` exact, units of 10^-16; `position` per pair, units of
    10^-8; `working` the number of orders that can still fill; `disarmed` per pair whether a protective exit keeps it
    out of the market; `safety` where it stands with its limits, and `cause` what brought it there.
    """

    equity: float
    cash: int
    position: list[int]
    working: int
    disarmed: list[bool]
    safety: Safety = Safety.NORMAL
    cause: Trigger = Trigger.NONE


@dataclass
class Result:
    """The outcome of one run of an engine.

    Parameters
    ----------
    fills
        int64 columns in the order they happened: row (grid row of the fill's bar), open_phase (1 at that bar's open),
        pair, side, qty, price, fee_is_base, fee_hi and fee_lo (`split128` of the fee: cash, or 10^-8 of base where
        fee_is_base), slip_hi and slip_lo (cash given to slippage), liquidity, order (number), ambiguous.
    equity
        float64 of shape (n_decision_rows,): equity at each decision bar's close, quote currency.
    exposure
        Mean of gross over equity, over the rows with equity above 0, added up in row order; NaN where there is none.
    account
        Makes the columns `cash` and `gross` when one of them is first read.
    record
        Makes the columns `orders` and `log` when one of them is first read.
    final_cash
        Closing cash, exact, units of 10^-16.
    final_positions
        int64 of shape (n_pairs,), units of 10^-8.
    counts
        Plain counters: ambiguous_bars, detail_fallback_bars, funds_cuts, impact_without_estimate, ...
    risk
        What the account's limits recorded, a row per trigger: the fields of `core.watch`, int64 and then float64.
    parents, children
        int64 columns of parent orders (`core.parents.PARENT_FIELDS`), and which order is the child of which, with what
        that one had filled or working when it was sent (`core.parents.CHILD_FIELDS`).
    """

    engine: str
    fills: Columns
    equity: FloatArray
    exposure: float
    account: Callable[[], tuple[FloatArray, FloatArray]]
    record: Callable[[], tuple[Columns, Columns]]
    final_cash: int
    final_positions: Int64Array
    tags: tuple[str, ...] = ("",)
    counts: dict[str, int] = field(default_factory=dict)
    parents: Columns = field(default_factory=dict)
    children: Columns = field(default_factory=dict)
    flows: Columns = field(default_factory=dict)
    """int64 columns of cash that moved without a fill: row, kind (`FlowKind`), pair, time (ns), qty (the signed
    position), price (its mark, 0 where none counts), rate (10^-12), amount_hi and amount_lo (`split128` of the cash
    received, negative where paid); empty without perpetuals and borrowed coins."""
    basis: tuple[int, ...] = ()
    """What each pair's open perpetual was entered at, units of 10^-16: `final_cash` holds it, and its value replaces
    it in equity. Empty for spot."""
    risk: dict[str, NDArray[Any]] = field(default_factory=lambda: columns_of(()))

    @cached_property
    def _cash_and_gross(self) -> tuple[FloatArray, FloatArray]:
        return self.account()

    @cached_property
    def _orders_and_log(self) -> tuple[Columns, Columns]:
        return self.record()

    @property
    def orders(self) -> Columns:
        """int64 columns, one row per order in order-number sequence.

        pair (index into the market's pairs), side, type, tif, qty, filled, limit_price, stop_price, trail, trail_rate,
        expire_time, post_only, reduce_only, state, reason (why it was sent), end_reason (why it ended unfilled, 0 if
        none), time (its decision, ns), tag (index into `tags`).
        """
        return self._orders_and_log[0]

    @property
    def log(self) -> Columns:
        """int64 columns of the order log: kind, order, time, qty (the new open quantity of an amend), reason."""
        return self._orders_and_log[1]

    @property
    def cash(self) -> FloatArray:
        """Cash at each decision bar's close, quote currency, float64 of the shape of `equity`."""
        return self._cash_and_gross[0]

    @property
    def gross(self) -> FloatArray:
        """Sum of |position| x close at each decision bar's close, float64 of the shape of `equity`."""
        return self._cash_and_gross[1]


def split128(value: int) -> tuple[int, int]:
    """Split a cash integer into (hi, lo) with value = hi * 2^62 + lo and 0 <= lo < 2^62, so that it fits two int64."""
    return value >> 62, value & (2**62 - 1)


def join128(hi: int, lo: int) -> int:
    """Undo `split128`."""
    return (int(hi) << 62) + int(lo)

"""What takers gave to prices worse than those they met: to a spread, to their own impact, to the rest."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.wide import Wide
from kraken_flow.core.contract import values
from kraken_flow.core.terms import Slippage
from kraken_flow.core.units import CASH_UNIT, UNIT, FloatArray, Int64Array

_PARTS = 10**8
"""The model's part of a fill that was also rounded to a tick is told to 10^-8 of the currency."""
_ALL = 1.0 - 1e-9


@dataclass(frozen=True)
class Given:
    """What fills gave away against the prices that they met: the open, or the level of a stop.

    Parameters: `spread`, `impact` and `rest` sum to all of it, exact, units of 10^-16; `rest` is what the model of
    basis points took, latency, and the rounding to the tick where the model alone would have moved the price less.
    `impacts` is what the impact model took of each fill, float64 of shape (n_fills,), the account's currency.
    """

    spread: int
    impact: int
    rest: int
    impacts: FloatArray


def given(run: FinishedRun) -> Given:
    """Part what a run's takers gave away; worked out once per run."""
    known: dict[str, Given] = run.__dict__
    if "_given" not in known:
        known["_given"] = _given(run)
    return known["_given"]


def _given(run: FinishedRun) -> Given:
    fills, prices = run.result.fills, run.prices
    slipped = Wide.of_split(fills["slip_hi"], fills["slip_lo"])
    total, none = slipped.total(), np.zeros(len(fills["row"]))
    if not total or not (prices.grows or prices.model is Slippage.HALF_SPREAD):
        return Given(0, 0, total, none)
    money = slipped.floats(CASH_UNIT)
    taken, whole = _modelled(run, money)
    part = slipped.take(whole).total() + round(math.fsum(taken[~whole]) * _PARTS) * (CASH_UNIT // _PARTS)
    part = min(part, total)
    if prices.grows:
        return Given(0, part, total - part, taken)
    return Given(part, 0, total - part, none)


def _modelled(run: FinishedRun, money: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return what the model took of the money that each fill gave, and whether that is all of it.

    Whatever else moved a price is a tick at most, and latency at most; an order that was resized after its fill, and
    finer bars, whose volume is not at hand, are held to that.
    """
    fills = run.result.fills
    qty, side, inverse = fills["qty"] / UNIT, fills["side"], run.inverse[fills["pair"]]
    paid = fills["price"] / UNIT
    met = paid - side * money / qty
    if inverse.any():
        # A worse price is a smaller size for who buys, and a larger one for who sells.
        met = np.where(inverse, qty / (qty / paid + side * money), met)
    moved = np.where(inverse, np.abs(paid - met), money / qty)
    ticks = np.array([i.tick for i in run.instruments], np.int64)[fills["pair"]] / UNIT
    least = np.maximum(moved - ticks - met * run.prices.latency, 0.0)
    model = run.prices.offsets(met, order_quantities(run), bar_volumes(run), done_before(run))
    offsets = np.clip(model, least, moved)
    taken = np.abs(values(inverse, qty, met + side * offsets) - values(inverse, qty, met))
    whole = offsets >= moved * _ALL
    return np.where(whole, money, np.minimum(taken, money)), whole


def order_quantities(run: FinishedRun) -> Int64Array:
    """Return the quantity of each fill's whole order, 10^-8."""
    quantities: Int64Array = run.result.orders["qty"][run.result.fills["order"]]
    return quantities


def done_before(run: FinishedRun) -> Int64Array:
    """Return what the parent of each fill's order had filled or working when it was sent, 10^-8; 0 without parent."""
    known, children = np.zeros(len(run.result.orders["pair"]), np.int64), run.result.children
    if children:
        known[children["order"]] = children["before"]
    return known[run.result.fills["order"]]


def bar_volumes(run: FinishedRun) -> Int64Array:
    """Return the volume of the decision bar of each fill, 10^-8."""
    fills = run.result.fills
    volumes = np.zeros(len(fills["row"]), np.int64)
    for at, pair in enumerate(run.market.pairs):
        own = fills["pair"] == at
        volumes[own] = pair.volume[fills["row"][own]]
    return volumes

"""How much money a system carries: the size at which its own modelled impact takes half of its edge (spec 5)."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.given import bar_volumes, given, order_quantities
from kraken_flow.analysis.price_model import shares
from kraken_flow.core.terms import Slippage
from kraken_flow.core.units import CASH_UNIT, FloatArray, cash_text

_STEP = CASH_UNIT // 10**8
"""Amounts are given to eight decimals: an account may be in coins."""


def capacity(run: FinishedRun) -> dict[str, Any] | str:
    """Return the capacity as it stands in `metrics.json`, or the code of the reason why there is none.

    The trades are those of the run, all of them `multiple` times as large. What they make before impact, after every
    other cost, grows with their size; what impact takes of each unit traded grows by the venue's model: with the root
    of the size, or with its square as far as an order is no larger than its bar's volume. `multiple` is the size at
    which impact takes half of what was made before it. `fillable_multiple` is the size at which a fill takes on average
    the largest share of its bar's volume that the venue's terms let fill: beyond it such trades are not to be had.
    """
    if not run.prices.grows:
        return "no_impact_model"
    impacts = given(run).impacts
    taken = math.fsum(impacts)
    if not taken > 0.0:
        return "no_impact"
    edge = (run.final_equity - run.start_cash) / CASH_UNIT + taken
    if edge <= 0.0:
        return "no_edge"
    if run.prices.model is Slippage.SQRT_IMPACT:
        multiple = (edge / taken / 2.0) ** 2
    else:
        at_most_all = shares(order_quantities(run), bar_volumes(run))
        multiple = size_at_half(impacts, at_most_all, edge)
        if math.isinf(multiple):
            return "impact_stays_below_half"
    traded = float(run.notional.sum())
    share = _volume_share(run, traded)
    fillable = run.prices.largest_share / share if share > 0.0 else multiple
    return {
        "multiple": multiple,
        "equity": _start(run, multiple),
        "fillable_multiple": fillable,
        "fillable_equity": _start(run, fillable),
        "edge_bps": 1e4 * edge / traded,
        "impact_bps": 1e4 * taken / traded,
        "volume_share": multiple * share,
    }


def _start(run: FinishedRun, multiple: float) -> str:
    """Return the starting equity of a size."""
    return cash_text(round(run.start_cash * multiple / _STEP) * _STEP)


def size_at_half(impacts: FloatArray, shares: FloatArray, edge: float) -> float:
    """Return the multiple of the size at which the squared share of volume takes half the edge; infinity where none.

    Parameters: what impact took of each fill, and its order's share of the bar's volume, float64 of shape (n_fills,);
    at m times the size a fill pays min(m share, 1)^2 over share^2 times as much per unit.
    """
    some = impacts > 0.0
    full = np.divide(impacts, shares**2, out=np.zeros(len(impacts)), where=some & (shares > 0.0))

    def beyond(multiple: float) -> float:
        return math.fsum(full * np.minimum(multiple * shares, 1.0) ** 2) - edge / 2.0

    largest = 1.0 / float(shares[some].min())
    return math.inf if beyond(largest) < 0.0 else _root(beyond, 0.0, largest)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Bisect to neighbouring floats."""
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if rising(middle) < 0.0 else (low, middle)
    return high


def _volume_share(run: FinishedRun, traded: float) -> float:
    """Return the mean share of its bar's volume that a fill took, by value; inverse contracts count in contracts."""
    volume = bar_volumes(run).astype(np.float64)
    qty = run.result.fills["qty"].astype(np.float64)
    share = np.divide(qty, volume, out=np.zeros(len(qty)), where=volume > 0.0)
    return float((share * run.notional).sum()) / traded

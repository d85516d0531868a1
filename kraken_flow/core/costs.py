"""Fees and slippage in integers: each rounds once, against the trader."""

from collections import deque
from math import isqrt

from kraken_flow.core.orders import Liquidity, Side
from kraken_flow.core.spec import Spec
from kraken_flow.core.terms import Slippage
from kraken_flow.core.times import DAY
from kraken_flow.core.units import FIX, FIX_NAN, UNIT, ceil_div


class FeeSchedule:
    """The 30-day volume tier, computed from past fills only (spec F11).

    A fill at time t pays the tier of the volume traded in (t - 30 d, t), itself excluded.
    """

    def __init__(self, spec: Spec) -> None:
        self.tiers = spec.tiers
        self.volume = 0
        self.history: deque[tuple[int, int]] = deque()

    def rates(self, time: int) -> tuple[int, int]:
        """Return (maker, taker) rates in force at `time`."""
        while self.history and self.history[0][0] <= time - 30 * DAY:
            self.volume -= self.history.popleft()[1]
        chosen = self.tiers[0]
        for tier in self.tiers:
            if self.volume >= tier.volume:
                chosen = tier
        return chosen.maker, chosen.taker

    def add(self, time: int, notional: int) -> None:
        """Count a fill's size in the quote currency (10^-16), which the tiers are written in."""
        if len(self.tiers) > 1:
            self.history.append((time, notional))
            self.volume += notional


def fee_of(amount: int, rate: int) -> int:
    """Return the fee on a notional or a quantity, rounded up; a rebate (rate < 0) is rounded toward zero."""
    return ceil_div(amount * rate, UNIT)


def slipped(
    spec: Spec,
    price: int,
    side: Side,
    qty: int,
    volume: int,
    late: bool,
    sigma: int,
    mean_volume: int,
    tick: int,
    before: int = 0,
) -> int:
    """Return the price a taker pays: moved adversely by the slippage model and by latency, then rounded to the tick.

    Parameters: `price` 10^-8; `qty` the whole order's quantity, for the impact models; `volume` the bar's volume;
    `late` whether the order met the open with latency; `sigma` and `mean_volume` the volatility (10^-9) and mean volume
    (10^-9 of base) of the same span known at the decision, `FIX_NAN` without estimate; `before` what the order's
    parent had filled or working when it was sent, 0 without one. A price that nothing moves fills as printed.
    Formulas: sqrt impact Y * sigma * sqrt(Q / V), of a child what its parent pays more for it, over its
    quantity; volume share k * (q / V)^2.
    """
    offset = price * spec.latency_rate if late else 0
    size = spec.slippage_size
    if spec.slippage is Slippage.BPS:
        offset += price * size
    elif spec.slippage is Slippage.HALF_SPREAD:
        offset += size * UNIT
    elif spec.slippage is Slippage.SQRT_IMPACT:
        if sigma != FIX_NAN and mean_volume != FIX_NAN and mean_volume > 0:
            root = mean_root(before, qty, mean_volume)
            offset += ceil_div(price * (sigma * root // FIX) * size, FIX)
    elif spec.slippage is Slippage.VOLUME_SHARE and volume > 0:
        share = min(qty * FIX // volume, FIX)
        offset += ceil_div(ceil_div(price * share, FIX) * share * size, FIX)
    if offset == 0:
        return price
    if side > 0:
        return ceil_div(price * UNIT + offset, UNIT * tick) * tick
    return max((price * UNIT - offset) // (UNIT * tick) * tick, tick)


def mean_root(before: int, qty: int, mean_volume: int) -> int:
    """Return what a unit pays per Y * sigma, 10^-9: the root of Q / V, averaged over a part of an order Q.

    With C(Q) = Q * root(Q), parts pay (C(before + qty) - C(before)) / qty per unit, so that parts of any sizes pay what
    the whole pays at once. That is r + s^2 / (r + s) with the roots r after the part and s before it, where no small
    difference of large numbers makes a price of a small part inexact.
    """
    after, ahead = (isqrt(done * 10 * 10**18 // mean_volume) for done in (before + qty, before))
    return after + ceil_div(ahead * ahead, after + ahead) if ahead else after


def rate_for(liquidity: Liquidity, rates: tuple[int, int]) -> int:
    """Return the rate that a fill of this liquidity pays."""
    return rates[liquidity]

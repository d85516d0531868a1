"""The simulated exchange: which order fills, when, at what price (spec 4.0, F1-F14, F18, F19, F21, F22).

Phases run phase by phase over all pairs: activation and open, then the path inside the bar, then trailing and close.
Inside the open phase reducing orders go first, then pair name, then order number. Own orders never meet each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isqrt

from kraken_flow.core import borrow, margin
from kraken_flow.core.admission import hold_to_trades
from kraken_flow.core.book_risk import Matrix
from kraken_flow.core.contract import quoted
from kraken_flow.core.costs import FeeSchedule, fee_of, slipped
from kraken_flow.core.funding import Due
from kraken_flow.core.funds import affordable
from kraken_flow.core.ledger import Ledger
from kraken_flow.core.market import REAL
from kraken_flow.core.orders import FillPath, Liquidity, LogKind, OrderType, Reason, State, Tif
from kraken_flow.core.paths import run_path, run_pessimistic
from kraken_flow.core.protection import after_fill
from kraken_flow.core.recorder import Recorder
from kraken_flow.core.spec import Spec
from kraken_flow.core.terms import Slippage
from kraken_flow.core.times import YEAR
from kraken_flow.core.units import FIX_NAN, UNIT
from kraken_flow.core.watch import Change, Watch
from kraken_flow.core.working import Group, Order


@dataclass
class Bars:
    """One bar of every pair: integer lists over the pairs in name order."""

    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]
    volume: list[int]
    state: list[int]
    mark: "Bars | None" = field(default=None, kw_only=True)
    """The marks that margin is judged at, where they are not these prices."""
    funding: list[Due] = field(default_factory=list, kw_only=True)
    """Funding events that become known in this bar."""


@dataclass
class Simulator:
    """Exchange, ledger and working orders of one run."""

    spec: Spec
    ledger: Ledger
    record: Recorder
    fees: FeeSchedule
    live: list[list[Order]]
    """Working orders per pair, in order number."""
    gap: list[int]
    """Consecutive synthetic rows per pair."""
    protection: list[Group | None]
    """The group that covers the pair's whole position, if risk attached one."""
    entry_row: list[int]
    """Row of the fill that opened the position."""
    stopped_row: list[int]
    """Row of the last protective exit while disarmed, -1 when armed."""
    watch: Watch
    """Where the account stands with its limits."""
    sigma: list[int] = field(default_factory=list)
    mean_volume: list[int] = field(default_factory=list)
    columns: Mapping[str, list[int]] = field(default_factory=dict)
    """What the nodes declared, at the newest row."""
    covariance: Matrix | None = None
    """Covariances of the pairs at the newest row, once the limit on the value at risk asked for them."""
    row: int = 0
    row_open: int = 0
    """Open of the decision bar; `open_time` and `close_time` are those of the finer bar where there are such."""
    open_time: int = 0
    close_time: int = 0
    time: int = 0
    """Time that fee tiers see: the open in the open phase, the close afterwards."""
    open_phase: bool = True
    ambiguous: bool = False
    cap_left: list[int] = field(default_factory=list)
    row_marks: Bars | None = None
    called: bool = False
    """Whether a margin level was reached, and what is still held goes at the next marks."""
    """The marks of the decision bar, where the data has them."""
    loan_due: list[int] = field(default_factory=list)
    """When borrowed coins of a pair are next charged for, ns UTC; 0 where none are borrowed."""
    bars: Bars = field(default_factory=lambda: Bars([], [], [], [], [], []))
    marks: Bars = field(default_factory=lambda: Bars([], [], [], [], [], []))
    """Where positions are marked: the mark's bars, else those being played."""

    @cached_property
    def periods_root(self) -> int:
        """Square root of bars per year, 10^-9."""
        return isqrt(10**18 * YEAR // self.spec.timeframe_ns)

    def busy(self) -> bool:
        """Return whether any order is working, or a position that a venue may liquidate is held."""
        return any(self.live) or bool(self.spec.margin.mode and any(self.ledger.position))

    def play(self, bars: Bars, detailed: list[bool] | None) -> None:
        """Run the phases of one (finer) bar over all pairs; `detailed` tells which pairs have finer bars here."""
        self.bars = bars
        at_risk = bool(self.spec.margin.mode)
        if self.row_marks is None:
            self.marks = bars
        for p, orders in enumerate(self.live):
            if orders:
                self.cap_left[p] = self._capacity(p)
        self.open_phase = True
        self.time = self.open_time
        self._open(detailed)
        if at_risk:
            margin.at_mark(self, self.marks.open)
        self.open_phase = False
        self.time = self.close_time
        for p in range(len(self.live)):
            threat = margin.threaten(self, p) if at_risk else None
            if self.live[p] and self.tradable(p):
                self._inside(p)
            if at_risk:
                margin.settle(self, p, threat)
        self._trail()
        if at_risk and self.close_time == self.row_open + self.spec.timeframe_ns:
            margin.at_mark(self, self.marks.close)
        self._clean()

    def tradable(self, p: int) -> bool:
        """Return whether the pair trades in this bar: a real bar with volume."""
        return self.bars.state[p] == REAL and self.bars.volume[p] > 0

    def expire(self) -> None:
        """End good-till-date orders whose time has come at the bar's close."""
        for orders in self.live:
            for order in orders:
                if order.request.tif is Tif.GTD and order.request.expire_time <= self.close_time:
                    self.end(order, State.EXPIRED, Reason.GTD_EXPIRED)
        self._clean()

    def cancel(self, order: Order, reason: Reason, time: int) -> None:
        """Take an order back: at once without latency, else when the message has arrived (spec F14)."""
        if order.cancel_at >= 0 or not order.alive:
            return
        self.record.log(LogKind.CANCEL, order, time, order.remaining, reason)
        if self.spec.latency_ns == 0:
            self.end(order, State.CANCELLED, reason)
        else:
            order.cancel_at = time + self.spec.latency_ns
            order.cancel_reason = reason

    def end(self, order: Order, state: State, reason: Reason) -> None:
        """Move an order to an end state with its reason; what was filled stays filled."""
        if order.alive:
            order.move(state)
            order.end_reason = reason

    # phases

    def _open(self, detailed: list[bool] | None) -> None:
        for orders in self.live:
            for order in orders:
                if order.cancel_at >= 0 and self.open_time >= order.cancel_at:
                    self.end(order, State.CANCELLED, order.cancel_reason)
        for p, reducing, order in self._open_queue():
            if not order.alive or not self._arrived(order, detailed):
                continue
            expires = order.request.expire_time if order.request.tif is Tif.GTD else self.close_time
            if order.state is State.PENDING and expires <= self.open_time:
                self.end(order, State.EXPIRED, Reason.GTD_EXPIRED)
                continue
            if self.tradable(p):
                self._meet_open(order, self.bars.open[p], reducing)
            elif order.type is OrderType.MARKET and self.gap[p] > self.spec.max_gap:
                self.end(order, State.REJECTED if order.state is State.PENDING else State.CANCELLED, Reason.STALE_GAP)
        if 0 < self.spec.latency_ns < self.spec.timeframe_ns:
            for orders in self.live:
                for order in orders:
                    if 0 <= order.cancel_at < self.close_time:
                        self.end(order, State.CANCELLED, order.cancel_reason)

    def _open_queue(self) -> list[tuple[int, bool, Order]]:
        queue = []
        for p, orders in enumerate(self.live):
            for order in orders:
                held = -order.side * self.ledger.position[p]
                queue.append((p, order.reduce_only or 0 < order.remaining <= held, order))
        queue.sort(key=lambda item: (not item[1], item[0], item[2].number))
        return queue

    def _arrived(self, order: Order, detailed: list[bool] | None) -> bool:
        latency = self.spec.latency_ns
        if order.state is not State.PENDING or latency == 0:
            return True
        fine = detailed is not None and detailed[order.pair]
        if latency < self.spec.timeframe_ns and not fine:
            order.late = True
            return self.open_time >= order.time
        return self.open_time >= order.time + latency

    def _meet_open(self, order: Order, price: int, reducing: bool) -> None:
        """Let an order meet the open of a tradable bar."""
        first = order.state is State.PENDING
        if first and order.late and order.rests_as_limit:
            price = self._price(order, price, slip=False)
        if order.takes_market:
            self.take(order, price, slip=True)
        elif order.type is OrderType.TRAILING and first:
            order.best = price
            self.set_level(order)
        elif order.waits_for_level:
            if first and not reducing:
                self._reserve(order, order.limit or order.stop)
            if order.alive and order.side * (price - order.level) >= 0:
                self.trigger(order)
                if order.type is OrderType.STOP_LIMIT:
                    if first and order.late:
                        price = self._price(order, price, slip=False)
                    if order.side * (order.limit - price) >= 0:
                        self.take(order, price, slip=False)
                else:
                    self.take(order, price, slip=True)
        else:
            ahead = order.side * (order.limit - price)
            if first and ahead >= 0:
                if order.post_only:
                    self.end(order, State.REJECTED, Reason.POST_ONLY_CROSS)
                else:
                    self.take(order, price, slip=False)
            elif first:
                if not reducing:
                    self._reserve(order, order.limit)
            elif ahead > 0 or (ahead == 0 and self.spec.limit_touch):
                self.make(order)
        if order.alive and order.state is State.PENDING:
            order.move(State.ACTIVE)
        order.late = False
        if order.alive and order.request.tif in (Tif.IOC, Tif.FOK):
            reason = Reason.IOC_REMAINDER if order.request.tif is Tif.IOC else Reason.FOK_UNFILLED
            self.end(order, State.CANCELLED, reason)

    def _inside(self, p: int) -> None:
        bars = self.bars
        path = self.spec.path
        if path in (FillPath.PESSIMISTIC, FillPath.DETAIL):
            run_pessimistic(self, p)
            return
        o, h, low, c = bars.open[p], bars.high[p], bars.low[p], bars.close[p]
        high_first = path is FillPath.OHLC
        if path is FillPath.ADAPTIVE:
            up, down = h - o, o - low
            high_first = up < down or (up == down and self.ledger.position[p] < 0)
        run_path(self, p, (o, h, low, c) if high_first else (o, low, h, c))

    def _trail(self) -> None:
        """Raise trailing levels with the bar's extreme, then test the close against the new level (spec F6)."""
        for p, orders in enumerate(self.live):
            if not orders or not self.tradable(p):
                continue
            close = self.bars.close[p]
            for order in list(orders):
                if order.type is OrderType.TRAILING and order.state is State.ACTIVE:
                    extreme = self.bars.high[p] if order.side < 0 else self.bars.low[p]
                    seen = close if order.born_inside else extreme
                    order.best = max(order.best, seen) if order.side < 0 else min(order.best, seen)
                    self.set_level(order)
                    if order.side * (close - order.level) >= 0:
                        self.trigger(order)
                        self.take(order, order.level, slip=True)
            for order in orders:
                order.born_inside = False
                order.birth = 0

    # fills

    def trigger(self, order: Order) -> None:
        """Mark a stop as triggered."""
        order.move(State.TRIGGERED)

    def take(self, order: Order, price: int, slip: bool) -> None:
        """Fill as taker at `price`, moved by slippage and latency where `slip`."""
        if order.reason is Reason.LIQUIDATION:
            margin.close_out(self, order)
            return
        paid = self._price(order, price, slip=True) if slip else price
        self._fill(order, price, paid, Liquidity.TAKER)

    def make(self, order: Order) -> None:
        """Fill a resting limit order at its own price as maker."""
        self._fill(order, order.limit, order.limit, Liquidity.MAKER)

    def _price(self, order: Order, price: int, slip: bool) -> int:
        late = order.late
        tick = self.spec.instruments[order.pair].tick
        if not slip:
            offset = price * self.spec.latency_rate if late else 0
            if offset == 0:
                return price
            if order.side > 0:
                return -(-(price * UNIT + offset) // (UNIT * tick)) * tick
            return max((price * UNIT - offset) // (UNIT * tick) * tick, tick)
        p = order.pair
        sigma = self.sigma[p] if self.sigma else FIX_NAN
        mean_volume = self.mean_volume[p] if self.mean_volume else FIX_NAN
        if self.spec.slippage is Slippage.SQRT_IMPACT and FIX_NAN in (sigma, mean_volume):
            self.record.count("impact_without_estimate")
        volume = self.bars.volume[p]
        side, qty = order.request.side, order.qty
        return slipped(self.spec, price, side, qty, volume, late, sigma, mean_volume, tick, order.before)

    def _fill(self, order: Order, printed: int, price: int, liquidity: Liquidity) -> None:
        """Fill as much as position, permission, funds and participation allow; end what can never fill."""
        p = order.pair
        lot = self.spec.instruments[p].lot
        position = self.ledger.position[p]
        held = max(0, -order.side * position)
        rates = self.fees.rates(self.time)
        want = order.remaining
        cut = Reason.NONE
        if (order.reduce_only or order.closes_only) and want > held:
            want, cut = held // lot * lot, Reason.REDUCE_ONLY
        elif not self.spec.short and order.side < 0 and want > held:
            want, cut = held // lot * lot, Reason.SHORT_FORBIDDEN
        if want > held:
            covered = affordable(self, order, price, want, rates[liquidity], held)
            if covered < want:
                want, cut = covered, Reason.INSUFFICIENT_FUNDS
                self.record.count("funds_cuts")
        qty = min(want, self.cap_left[p])
        if order.request.tif is Tif.FOK and qty < order.qty - order.filled:
            self.end(order, State.CANCELLED, cut or order.cut_reason or Reason.FOK_UNFILLED)
            return
        if cut:
            order.allowed = order.filled + want
            order.cut_reason = cut
        if qty > 0:
            self._book(order, qty, printed, price, liquidity, rates[liquidity])
        if not order.alive:
            return
        if order.remaining == 0:
            if cut:
                nothing = order.filled == 0 and order.state is State.PENDING
                self.end(order, State.REJECTED if nothing else State.CANCELLED, cut)
            elif order.allowed < order.qty:
                self.end(order, State.CANCELLED, order.cut_reason)
            else:
                order.move(State.FILLED)

    def _book(self, order: Order, qty: int, printed: int, price: int, liquidity: Liquidity, rate: int) -> None:
        p = order.pair
        before = self.ledger.position[p]
        notional = self.ledger.notional(p, qty, price)
        in_base = self.spec.fee_in_base and order.side > 0
        fee_base = fee_of(qty, rate) if in_base else 0
        fee = 0 if in_base else fee_of(notional, rate)
        self.ledger.book(p, order.side, qty, price, fee, fee_base)
        if self.spec.borrow.every_ns:
            borrow.opened(self, p, before, price)
        self.fees.add(self.time, quoted(self.ledger.inverse[p], qty, price))
        self.cap_left[p] -= qty
        order.filled += qty
        slip = abs(notional - self.ledger.notional(p, qty, printed))
        self.record.fill(self, order, qty, price, fee, fee_base, slip, liquidity)
        lot, after = self.spec.instruments[p].lot, self.ledger.position[p]
        self.watch.fill(p, order.side, qty, price, fee, Change(before, after, lot, self.ledger.inverse[p]))
        if order.remaining == 0 and order.allowed == order.qty:
            order.move(State.FILLED)
        if abs(before) >= lot and (abs(after) < lot or before * after < 0):
            hold_to_trades(self, p, 0 if abs(after) < lot else -order.side)
        market = self.bars.open[p] if self.open_phase else printed
        after_fill(self, order, qty, market, price, before)

    def _reserve(self, order: Order, price: int) -> None:
        """Cut a newly resting order to what free balance covers at its price, at the dearer of both fees."""
        held = max(0, -order.side * self.ledger.position[order.pair])
        if order.remaining <= held:
            return
        rate = max(self.fees.rates(self.time))
        covered = affordable(self, order, price, order.remaining, rate, held)
        if covered < order.remaining:
            self.record.count("funds_cuts")
            order.allowed = order.filled + covered
            order.cut_reason = Reason.INSUFFICIENT_FUNDS
            if covered == 0:
                self.end(order, State.REJECTED, Reason.INSUFFICIENT_FUNDS)

    # bookkeeping

    def set_level(self, order: Order) -> None:
        """Set a trailing stop's level from the best price seen, rounded to the tick adversely."""
        tick = self.spec.instruments[order.pair].tick
        trail = order.trail
        if order.side < 0:
            raw = order.best - trail if trail else order.best * (UNIT - order.trail_rate) // UNIT
            order.level = max(raw // tick * tick, tick)
        else:
            raw = order.best + trail if trail else -(-order.best * (UNIT + order.trail_rate) // UNIT)
            order.level = -(-raw // tick) * tick

    def _capacity(self, p: int) -> int:
        if self.spec.participation < 0:
            return 2**62
        lot = self.spec.instruments[p].lot
        return self.bars.volume[p] * self.spec.participation // UNIT // lot * lot

    def _clean(self) -> None:
        for p, orders in enumerate(self.live):
            if orders and not all(order.alive for order in orders):
                self.live[p] = [order for order in orders if order.alive]

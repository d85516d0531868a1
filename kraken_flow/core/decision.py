"""From forecasts to orders: one decision over all pairs when a decision bar closes (DESIGN 4, "target to order")."""

from dataclasses import dataclass, field, replace

from kraken_flow.core import exits, safety
from kraken_flow.core.account import View
from kraken_flow.core.contract import unit_price
from kraken_flow.core.errors import UserError
from kraken_flow.core.market import REAL
from kraken_flow.core.orders import Control, LogKind, OrderRequest, OrderType, Reason, Side, State
from kraken_flow.core.parents import ManualOrder, Parents
from kraken_flow.core.room import make_room
from kraken_flow.core.simulator import Simulator
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import INT64_MAX, TOO_LARGE, UNIT
from kraken_flow.core.working import Order


@dataclass
class Decider:
    """The account half above the exchange: portfolio, risk, execution, order admission."""

    spec: Spec
    sim: Simulator
    view: View
    target: list[int] = field(default_factory=list)
    """Standing target per pair, 10^-8."""
    forecast: list[int] = field(default_factory=list)
    """Forecast at the pair's last decision, 10^-9."""
    script: int = 0
    """How many scripted requests were taken so far."""
    waiting: list[OrderRequest] = field(default_factory=list)
    """Scripted requests that are due but whose pair had no bar yet."""
    paused: bool = False
    """Whether positions may only be reduced."""
    flattened: list[bool] = field(default_factory=list)
    """Per pair, whether a user or a limit closed it: then only a changed forecast arms it again, whatever `risk.rearm`
    says. A script arms it with its next order."""

    def __post_init__(self) -> None:
        n = len(self.spec.instruments)
        self.target = [0] * n
        self.forecast = [0] * n
        self.flattened = [False] * n
        self.parents = Parents(self.spec, self.sim, self.view)

    def decide(self, first_row: int) -> None:
        """Take the one decision of this row; the view holds forecast, aux and closes."""
        if self.spec.scripted:
            self._script()
            left = [p for p, state in enumerate(self.sim.bars.state) if state == REAL and self.flattened[p]]
            requests = [request for p in left for request in exits.closed(self, p)]
            self._send(requests + self.parents.step())
            return
        view, sim, state = self.view, self.sim, self.sim.bars.state
        n = len(state)
        every = self.spec.rebalance_bars
        due = every > 0 and (view.row - first_row) % every == 0
        changed = [state[p] == REAL and view.forecast[p] != self.forecast[p] for p in range(n)]
        rearmed = [self._rearm(p, changed[p]) if state[p] == REAL else False for p in range(n)]
        timed = [state[p] == REAL and self._timed_out(p) for p in range(n)]
        drifts = self.spec.band >= 0 and self.spec.portfolio.drifts
        news = due or any(changed) or any(rearmed)
        wanted = safety.scaled(self, self._wanted(), news) if news or drifts else [None] * n
        expired = [
            state[p] == REAL and not (changed[p] and self._leaves(p, wanted[p])) and self._time_stop(p)
            for p in range(n)
        ]
        requests = []
        for p in range(n):
            if state[p] != REAL:
                continue
            self.forecast[p] = view.forecast[p]
            standing = self.target[p]
            target = standing
            if sim.stopped_row[p] >= 0:
                target = 0
            else:
                new = wanted[p]
                if new is not None and (
                    changed[p]
                    or rearmed[p]
                    or due
                    or (drifts and abs(new - standing) * UNIT > self.spec.band * abs(standing))
                ):
                    target = new
            acts = changed[p] or rearmed[p] or due or target != standing or expired[p] or timed[p]
            if self.paused and (acts or not self.parents.given(p)):
                target = self._reduced(p, target)
            target = safety.bounded(self, p, target)
            if acts or target != standing:
                self._order(p, target, standing, requests, expired[p], timed[p])
            else:
                self._exit_again(p, requests)
        self._send(requests + self.parents.step())

    def control(self, what: Control, manual: ManualOrder | None = None) -> None:
        """Do what a user says between two decisions, at the time and the closes that the view holds.

        Paused, orders that would open or enlarge a position are taken back and no new ones are sent; protection, exits
        and reductions go on, that of an order taken back which was to turn a position included. To flatten takes back
        all but protection, closes every position at the market, and keeps each pair out until its forecast changes. A
        reset ends what a limit of the account began. An order is worked by its plan beside the strategy's own, until
        the strategy next acts on that pair.
        """
        if what is Control.RESET:
            self.sim.watch.reset(self.view.time)
            return
        if what is Control.ORDER:
            self._take(manual)
            return
        self.paused = self.paused if what is Control.FLATTEN else what is Control.PAUSE
        if what is Control.RESUME:
            return
        requests: list[OrderRequest] = []
        flatten = what is Control.FLATTEN
        for p in range(len(self.target)):
            wanted = 0 if flatten else self._reduced(p, self.target[p] + self.parents.given(p))
            self.target[p] = 0 if flatten else self._reduced(p, self.target[p])
            self.parents.cancel(p, Reason.FLATTEN if flatten else Reason.PAUSED, enlarging=not flatten)
            self.parents.settle(p, wanted - self.target[p])
            for order in self.sim.live[p]:
                if order.group is None and order.alive and order.cancel_at < 0 and (flatten or not order.reduce_only):
                    self.sim.cancel(order, Reason.FLATTEN if flatten else Reason.PAUSED, self.view.time)
            if flatten:
                safety.keep_out(self, p)
            if flatten or not self.spec.scripted:
                requests += self.reducing(p, wanted, flatten)
        self._send(requests)

    def _take(self, manual: ManualOrder | None) -> None:
        """Take an order of a user, which is refused where it enlarges a position of a paused session."""
        if manual is not None:
            self._send(self.parents.give(manual, self.paused))

    def reducing(self, p: int, target: int, flatten: bool) -> list[OrderRequest]:
        """Return the market order that reduces a pair's position to a target, where no order under way does."""
        position = self.sim.ledger.position[p]
        under_way = 0 if flatten else self.open_remainder(p, position)
        delta = _toward_zero(target - position - under_way, self.spec.instruments[p].lot)
        if delta * position >= 0:
            return []
        reason = Reason.FLATTEN if flatten else Reason.EXIT_SIGNAL if target == 0 else Reason.REBALANCE
        side = Side.BUY if delta > 0 else Side.SELL
        return [OrderRequest(pair=p, side=side, qty=abs(delta), reduce_only=True, reason=reason)]

    def _reduced(self, p: int, target: int) -> int:
        """Return the target nearest to the one wanted that does not enlarge the position."""
        return exits.reduced(self.sim.ledger.position[p], target)

    def _wanted(self) -> list[int | None]:
        """Return approved targets on the lot grid."""
        result: list[int | None] = []
        closes, inverse = self.view.price, self.sim.ledger.inverse
        self.view.price = [unit_price(i, close) for i, close in zip(inverse, closes, strict=True)]
        for p, raw in enumerate(self.spec.portfolio.targets(self.view)):
            if raw is not None and abs(raw) > INT64_MAX:
                raise UserError(TOO_LARGE)
            if raw is None and self._given_up(p):
                raw = 0
            if raw is None or self.sim.bars.state[p] != REAL:
                result.append(None)
                continue
            if not self.spec.short and raw < 0:
                raw = 0
            lot = self.spec.instruments[p].lot
            approved = self.spec.risk.approve(self.view, p, _toward_zero(raw, lot))
            result.append(_toward_zero(approved, lot))
        self.view.price = closes
        return result

    def _given_up(self, p: int) -> bool:
        """Return whether a forecast leaves a position, by 0 or to the other side: no size has to be known for that."""
        before, now = self.forecast[p], self.view.forecast[p]
        return now == 0 or (now < 0 < before or before < 0 < now)

    def _rearm(self, p: int, changed: bool) -> bool:
        """Arm a stopped-out pair again when its rule says so; return whether it was armed by time alone."""
        stopped = self.sim.stopped_row[p]
        if stopped < 0:
            return False
        bars = 0 if self.flattened[p] else self.spec.rearm_bars
        if changed if bars == 0 else self.view.row - stopped >= bars:
            self.sim.stopped_row[p], self.flattened[p] = -1, False
            return True
        return False

    def _leaves(self, p: int, target: int | None) -> bool:
        """Return whether a target gives the position up: then its signal closes it, and no time stop."""
        return target is not None and target * self.sim.ledger.position[p] <= 0

    def _time_stop(self, p: int) -> bool:
        bars = self.spec.protection.max_bars
        position = self.sim.ledger.position[p]
        if (
            bars == 0
            or abs(position) < self.spec.instruments[p].lot
            or self.view.row - self.sim.entry_row[p] + 1 < bars
            or any(o.reason is Reason.TIME_STOP for o in self.sim.live[p])
        ):
            return False
        self.sim.stopped_row[p] = self.view.row
        return True

    def _timed_out(self, p: int) -> bool:
        """Take back own orders that rested longer than the executor's patience; return whether any was."""
        timeout = None if self.spec.plan else self.spec.execution.timeout
        found = False
        if timeout is not None:
            for order in self._own(p):
                if order.type is OrderType.LIMIT and self.view.row - order.row >= timeout:
                    self.sim.cancel(order, Reason.TIMEOUT, self.view.time)
                    found = True
        return found

    def _own(self, p: int) -> list[Order]:
        return [o for o in self.sim.live[p] if o.own and o.group is None and o.alive and o.cancel_at < 0]

    def open_remainder(self, p: int, position: int) -> int:
        """Return the signed quantity that own working orders can still fill; reduce-only ones at most the position.

        A protective order counts once it was triggered: its remainder is a market order under way.
        """
        total, held = 0, position
        for order in self.sim.live[p]:
            if not order.own or not order.alive or order.cancel_at >= 0 or (order.group and not order.takes_market):
                continue
            signed = order.side * order.remaining
            if order.reduce_only or order.closes_only:
                signed = max(-held, min(signed, 0)) if held > 0 else min(-held, max(signed, 0))
                held += signed
            total += signed
        return total + self.parents.open_remainder(p, held)

    def _order(
        self, p: int, target: int, standing: int, requests: list[OrderRequest], expired: bool, timed: bool
    ) -> None:
        """Bring position plus open remainder to the target."""
        sim, view = self.sim, self.view
        self.target[p] = target
        if target != standing or timed:
            self.parents.cancel(p, Reason.TARGET_CHANGED)
            for order in self._own(p):
                sim.cancel(order, Reason.TARGET_CHANGED, view.time)
        self.parents.forget(p, Reason.TARGET_CHANGED)
        position = sim.ledger.position[p]
        open_remainder = self.open_remainder(p, position)
        instrument = self.spec.instruments[p]
        delta = _toward_zero(target - position - open_remainder, instrument.lot)
        if delta == 0:
            return
        side = Side.BUY if delta > 0 else Side.SELL
        reducing = delta * position < 0 and abs(delta) <= abs(position)
        if expired:
            reason = Reason.TIME_STOP
        elif reducing:
            reason = Reason.EXIT_SIGNAL if target == 0 else Reason.REBALANCE
        else:
            reason = Reason.REBALANCE if position * target > 0 else Reason.ENTRY_SIGNAL
        qty, plan = abs(delta), self.spec.plan
        if plan is not None and plan.exit_market and not expired and not reducing and delta * position < 0:
            closing = exits.closing_part(self, p, position, open_remainder)
            if 0 < closing < qty:
                qty -= closing
                requests.append(
                    OrderRequest(pair=p, side=side, qty=closing, reduce_only=True, reason=Reason.EXIT_SIGNAL)
                )
        self._work(OrderRequest(pair=p, side=side, qty=qty, reduce_only=reducing, reason=reason), requests, expired)

    def _exit_again(self, p: int, requests: list[OrderRequest]) -> None:
        """Send again what reduces a position to its target, where nothing does any more; never what enlarges one.

        A pair that is to stay out is closed at the market.
        """
        if self.sim.stopped_row[p] == self.view.row:
            self.parents.forget(p, Reason.POSITION_CLOSED)
        qty = exits.unattended(self, p)
        if qty == 0:
            return
        side = Side.SELL if self.sim.ledger.position[p] > 0 else Side.BUY
        out = self.target[p] * self.sim.ledger.position[p] <= 0
        reason = Reason.FLATTEN if self.flattened[p] else Reason.EXIT_SIGNAL if out else Reason.REBALANCE
        request = OrderRequest(pair=p, side=side, qty=qty, reduce_only=True, reason=reason)
        self._work(request, requests, at_market=self.sim.stopped_row[p] >= 0)

    def _work(self, request: OrderRequest, requests: list[OrderRequest], at_market: bool) -> None:
        """Let the executor work a market order, or send it as it is."""
        p, side, qty, reducing = request.pair, request.side, request.qty, request.reduce_only
        plan = self.spec.plan
        if plan is not None and not at_market and not (reducing and plan.exit_market):
            self.parents.open(p, side, qty, reducing, request.reason)
            return
        if not at_market and plan is None:
            placement = self.spec.execution.place(self.view, self.spec.instruments[p], p, side, qty, reducing)
            request = replace(
                request,
                type=placement.type,
                limit_price=placement.limit_price,
                tif=placement.tif,
                post_only=placement.post_only,
            )
        requests.append(request)

    def _send(self, requests: list[OrderRequest]) -> None:
        """Send a decision's orders: reducing first, then by pair name."""
        for request in sorted(requests, key=lambda r: (not r.reduce_only, r.pair)):
            self.parents.adopt(request, self.submit(request, own=True))

    def _script(self) -> None:
        """Send the scripted orders that are due, in file order; a pair without a bar keeps its orders waiting."""
        due = self.waiting
        self.waiting = []
        while self.script < len(self.spec.requests) and self.spec.requests[self.script][0] <= self.view.time:
            due = [*due, self.spec.requests[self.script][1]]
            self.script += 1
        for request in due:
            if self.sim.bars.state[request.pair] == REAL:
                self.flattened[request.pair] = False
                self.submit(request, own=False, refused=self.paused and not request.reduce_only)
            else:
                self.waiting.append(request)

    def submit(self, request: OrderRequest, own: bool, refused: bool = False) -> Order:
        """Admit an order (lot, tick, minima, price band, no pause) and send it, or record why it was refused."""
        sim, view = self.sim, self.view
        instrument = self.spec.instruments[request.pair]
        qty = request.qty // instrument.lot * instrument.lot
        order = sim.record.order(request, qty, view.time, view.row, own)
        tick, side = instrument.tick, order.side
        if order.limit:
            order.limit = _toward_side(order.limit, tick, -side)
        if order.stop:
            order.stop = order.level = _toward_side(order.stop, tick, side)
        close = view.price[request.pair]
        reason = Reason.PAUSED if refused else Reason.NONE
        if not refused and qty > 0 and sim.watch.limits.on:
            admitted, reason = safety.admitted(self, order, qty)
            if not reason:
                qty = order.qty = order.allowed = admitted
        if reason:
            pass
        elif qty <= 0 or qty < instrument.qty_min:
            reason = Reason.BELOW_MIN_QTY
            order.qty = order.allowed = request.qty
        elif instrument.is_cheap(qty, order.limit or order.stop or close):
            reason = Reason.BELOW_MIN_COST
        elif self.spec.price_band >= 0 and any(
            price and abs(price - close) * UNIT > self.spec.price_band * close for price in (order.limit, order.stop)
        ):
            reason = Reason.PRICE_BAND
        if reason:
            order.move(State.REJECTED)
            order.end_reason = reason
            return order
        make_room(sim, view, order)
        sim.record.log(LogKind.SUBMIT, order, view.time, qty, request.reason)
        sim.live[request.pair].append(order)
        return order


def _toward_zero(value: int, lot: int) -> int:
    """Round a signed quantity to the lot grid toward zero."""
    return value // lot * lot if value >= 0 else -(-value // lot * lot)


def _toward_side(price: int, tick: int, side: int) -> int:
    """Round a price to the tick: up for side +1, down for side -1, never to zero."""
    return -(-price // tick) * tick if side > 0 else max(price // tick * tick, tick)

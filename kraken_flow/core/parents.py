"""Parent orders: a quantity that is worked by children over bars, each child an order like any other (spec 7).

A parent lives in the engine: what it does follows from the instants and from what a user said, so that a session that
is killed works it on. Children are sent at decision instants and at no other time.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kraken_flow.core.account import View
from kraken_flow.core.market import REAL
from kraken_flow.core.orders import OrderRequest, OrderType, Reason, Side, State, Tif
from kraken_flow.core.plan import Algo, Plan, Remainder, cumulative, jittered, offsets, pov_part, volume_weights
from kraken_flow.core.result import Columns
from kraken_flow.core.simulator import Simulator
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import DAY
from kraken_flow.core.units import UNIT, ceil_div
from kraken_flow.core.working import Order

PARENT_FIELDS = (
    *("pair", "side", "qty", "filled", "algo", "state", "reason", "end_reason", "reduce_only", "manual"),
    *("row", "time", "end_row", "arrival", "limit_price", "bars"),
)
CHILD_FIELDS = ("order", "parent", "before")
MEMORY_DAYS = 28
"""Days of volumes that a session remembers for orders of its user."""
ICEBERG_LEAST = 15
"""An iceberg shows no less than this part of what remains, as Kraken demands."""
_AGAIN = frozenset(
    {
        Reason.NONE,
        Reason.PRICE_BAND,
        Reason.POST_ONLY_CROSS,
        Reason.IOC_REMAINDER,
        Reason.STALE_GAP,
        Reason.TIMEOUT,
    }
)
"""Ends of a child after which another one is tried; after any other the parent has no way to go on."""


@dataclass(frozen=True)
class ManualOrder:
    """A parent order that a user gives a running session: pair index, side, quantity (10^-8) and plan."""

    pair: int
    side: Side
    qty: int
    plan: Plan


@dataclass(frozen=True)
class ChildRequest(OrderRequest):
    """The request of a parent's child; `before` is what the parent has filled or working already, 10^-8."""

    parent: int = -1
    before: int = 0


@dataclass(eq=False)
class Parent:
    """One parent order; prices and quantities 10^-8.

    `at` and `due` are the bars after the decision at which slices are sent, and what shall have been sent then in all;
    `accrued` is what a POV may have sent; `shown` counts the children that were sent, of which `last` is the last one;
    `children` are those that may still be working, `settled` what the others filled; `crossed` says that the rest was
    sent; `seen` is the last row with a bar of the pair, `missed` counts those without one.
    """

    number: int
    pair: int
    side: Side
    qty: int
    plan: Plan
    reason: Reason
    reduce_only: bool
    manual: bool
    row: int
    time: int
    arrival: int
    limit: int
    at: tuple[int, ...] = ()
    due: tuple[int, ...] = ()
    state: State = State.PENDING
    end_reason: Reason = Reason.NONE
    end_row: int = -1
    accrued: int = 0
    slices: int = 0
    shown: int = 0
    crossed: bool = False
    seen: int = -1
    missed: int = 0
    children: list[Order] = field(default_factory=list)
    settled: int = 0
    last: Order | None = None

    @property
    def alive(self) -> bool:
        """Return whether it still sends children, or waits for them."""
        return self.end_row < 0

    @property
    def filled(self) -> int:
        """Return what its children filled."""
        return self.settled + sum(child.filled for child in self.children)

    @property
    def working(self) -> list[Order]:
        """Return the children that can still fill."""
        return [child for child in self.children if child.alive]

    def settle(self) -> None:
        """Keep of children that have ended what they filled."""
        self.settled += sum(child.filled for child in self.children if not child.alive)
        self.children = self.working


class Parents:
    """All parent orders of a run, and the volumes that a curve is forecast from."""

    def __init__(self, spec: Spec, sim: Simulator, view: View) -> None:
        self.spec, self.sim, self.view = spec, sim, view
        self.all: list[Parent] = []
        self.alive: list[Parent] = []
        self.links: list[tuple[int, int, int]] = []
        self.manual: list[Parent] = []
        """Orders of users since the strategy last acted on their pairs."""
        self.base = [0] * len(spec.instruments)
        """Per pair, what counts as ordered by users besides these, signed, 10^-8."""
        kept = max(MEMORY_DAYS * DAY // spec.timeframe_ns, spec.plan.lookback if spec.plan else 0)
        self.volumes: list[deque[int]] = [deque(maxlen=kept) for _ in spec.instruments]

    def remember(self, volume: list[int], state: list[int]) -> None:
        """Keep the volumes of a row, the rows of the warm-up included."""
        for kept, amount, real in zip(self.volumes, volume, state, strict=True):
            kept.append(amount if real == REAL else -1)

    def of(self, p: int) -> list[Parent]:
        """Return the pair's parents that are alive, in the order in which they came."""
        return [parent for parent in self.alive if parent.pair == p]

    def open_remainder(self, p: int, held: int) -> int:
        """Return the signed quantity that parents have still to send; reduce-only ones at most what is held."""
        total = 0
        for parent in self.of(p):
            under_way = sum(child.remaining for child in parent.working if child.cancel_at < 0)
            signed = parent.side * max(parent.qty - parent.filled - under_way, 0)
            if parent.reduce_only:
                signed = max(-held, min(signed, 0)) if held > 0 else min(-held, max(signed, 0))
                held += signed
            total += signed
        return total

    def open(self, p: int, side: Side, qty: int, reduce_only: bool, reason: Reason, plan: Plan | None = None) -> Parent:
        """Take a new parent, by the run's own plan unless one is given; its first slice is due at once."""
        view, spec = self.view, self.spec
        used, number = plan or spec.plan, len(self.all)
        if used is None:
            raise AssertionError("a parent without a plan")
        instrument, arrival = spec.instruments[p], view.price[p]
        parent = Parent(
            *(number, p, side, qty, used, reason, reduce_only, plan is not None, view.row, view.time, arrival),
            limit=_worst(used, side, arrival, instrument.tick),
            seen=view.row,
        )
        if used.algo in (Algo.TWAP, Algo.VWAP):
            weights = self._expected(used, p) if used.algo is Algo.VWAP else None
            parent.at = offsets(used, spec.seed, number)
            even = weights or [UNIT] * used.slices
            parent.due = cumulative(used, qty, instrument.lot, even, spec.seed, number)
        elif used.algo is Algo.CHASE:
            parent.at = offsets(used, spec.seed, number)
            parent.due = (qty,) * len(parent.at)
        self.all.append(parent)
        self.alive.append(parent)
        return parent

    def cancel(self, p: int, reason: Reason, enlarging: bool = False) -> None:
        """Take the pair's parents back, `enlarging` only those that do not merely reduce; their children stand."""
        for parent in self.of(p):
            if enlarging and parent.reduce_only:
                continue
            if parent.filled >= parent.qty:
                self._end(parent, State.FILLED, Reason.NONE)
            else:
                self._end(parent, State.CANCELLED, reason)

    def given(self, p: int) -> int:
        """Return what users ordered since the strategy last acted on a pair, signed: no part of its target.

        Of an order that ended, refused or taken back it is what filled, of one that works on all that it is to fill.
        """
        mine = (parent for parent in self.manual if parent.pair == p)
        return self.base[p] + sum(parent.side * (parent.qty if parent.alive else parent.filled) for parent in mine)

    def settle(self, p: int, given: int) -> None:
        """Let so much count as ordered by users, whatever else fills of their orders that have ended."""
        self.manual = [parent for parent in self.manual if parent.pair != p or parent.alive]
        self.base[p] += given - self.given(p)

    def forget(self, p: int, reason: Reason) -> None:
        """Take what users ordered of a pair back, and their children: nothing of it counts any more."""
        for parent in self.of(p):
            if parent.manual:
                self._withdraw(parent.working, reason)
                done = parent.filled >= parent.qty
                self._end(parent, *((State.FILLED, Reason.NONE) if done else (State.CANCELLED, reason)))
        self.settle(p, 0)

    def reducing(self, p: int, position: int) -> int:
        """Return what parents have still to send that reduces a position, beside their working children.

        One that opens beside a market order which closes has nothing to close.
        """
        closing = (o for o in self.of(p) if o.side * position < 0 and (o.reduce_only or not o.plan.exit_market))
        return sum(max(o.qty - o.filled - sum(child.remaining for child in o.working), 0) for o in closing)

    def give(self, order: ManualOrder, paused: bool) -> list[OrderRequest]:
        """Take a user's order; return its first child, nothing where it is refused."""
        position = self.sim.ledger.position[order.pair]
        reducing = order.side * position < 0 and order.qty <= abs(position)
        parent = self.open(order.pair, order.side, order.qty, reducing, Reason.MANUAL, order.plan)
        self.manual.append(parent)
        if paused and not reducing:
            self._end(parent, State.REJECTED, Reason.PAUSED)
        elif self.view.price[order.pair] == 0:
            self._end(parent, State.REJECTED, Reason.STALE_GAP)
        return list(self._asked(parent))

    def step(self) -> list[OrderRequest]:
        """Return the children that are due at this decision, by parent."""
        return [request for parent in list(self.alive) for request in self._asked(parent)]

    def adopt(self, request: OrderRequest, order: Order) -> None:
        """Say which order a request became."""
        if isinstance(request, ChildRequest):
            self.links.append((order.number, request.parent, request.before))
            order.before = request.before
            parent = self.all[request.parent]
            parent.children.append(order)
            parent.last = order
            if parent.state is State.PENDING and order.alive:
                parent.state = State.ACTIVE

    def columns(self) -> tuple[Columns, Columns]:
        """Return (parents, children) as int64 columns."""
        rows = [
            (
                *(p.pair, p.side, p.qty, p.filled, p.plan.algo, p.state, p.reason, p.end_reason, p.reduce_only),
                *(p.manual, p.row, p.time, p.end_row, p.arrival, p.limit, p.plan.bars),
            )
            for p in self.all
        ]
        return _columns(PARENT_FIELDS, rows), _columns(CHILD_FIELDS, self.links)

    # one parent

    def _end(self, parent: Parent, state: State, reason: Reason) -> None:
        parent.state, parent.end_reason, parent.end_row = state, reason, self.view.row
        self.alive.remove(parent)

    def _expected(self, plan: Plan, p: int) -> list[int] | None:
        """Return the weights of a volume curve, and count where there is none."""
        row, kept = self.view.row, self.volumes[p]

        def volume_at(past: int) -> int:
            back = row - past
            return kept[-1 - back] if 0 <= back < len(kept) else -1

        weights = volume_weights(plan, row, volume_at)
        if weights is None:
            self.sim.record.count("vwap_without_curve")
        return weights

    def _asked(self, parent: Parent) -> Iterator[OrderRequest]:
        """Yield a parent's next child, where one is due; end it where it is done or cannot go on."""
        p = parent.pair
        if not parent.alive or self.sim.bars.state[p] != REAL:
            return
        parent.missed += max(self.view.row - parent.seen - 1, 0)
        parent.seen = self.view.row
        if self._ended(parent):
            return
        elapsed = self.view.row - parent.row
        over = 0 < parent.plan.bars <= elapsed - parent.missed
        wanted = self._rest(parent) if over else self._due(parent, elapsed)
        left = parent.qty - parent.filled - sum(child.remaining for child in parent.working)
        qty = min(wanted, left) if over else self._sized(parent, wanted, left)
        if qty > 0:
            parent.crossed = over
            parent.shown += 1
            yield self._child(parent, qty, parent.qty - left, over)

    def _ended(self, parent: Parent) -> bool:
        """End a parent that is filled, or that cannot go on; return whether it ended."""
        parent.settle()
        working, lot = parent.working, self.spec.instruments[parent.pair].lot
        held = -parent.side * self.sim.ledger.position[parent.pair]
        last = parent.last.end_reason if parent.last else Reason.NONE
        if parent.filled >= parent.qty:
            self._end(parent, State.FILLED, Reason.NONE)
        elif held < lot if parent.reduce_only else self.sim.stopped_row[parent.pair] > parent.row:
            self._withdraw(working, Reason.POSITION_CLOSED)
            self._end(parent, State.CANCELLED, Reason.POSITION_CLOSED)
        elif last not in _AGAIN or (parent.crossed and not working):
            self._withdraw(working, Reason.TIMEOUT)
            self._end(parent, State.CANCELLED, last or Reason.TIMEOUT)
        return not parent.alive

    def _withdraw(self, children: list[Order], reason: Reason) -> None:
        for child in children:
            self.sim.cancel(child, reason, self.view.time)

    def _rest(self, parent: Parent) -> int:
        """Return what to send of a parent whose plan is over; take its resting children back first."""
        cross = parent.plan.remainder is Remainder.CROSS
        if not parent.crossed:
            resting = [child for child in parent.working if child.type is OrderType.LIMIT or not cross]
            self._withdraw(resting, Reason.TIMEOUT)
        waiting = any(child.cancel_at >= 0 for child in parent.working)
        if not cross and not parent.working:
            self._end(parent, State.EXPIRED, Reason.TIMEOUT)
        return parent.qty if cross and not waiting and not parent.crossed else 0

    def _due(self, parent: Parent, elapsed: int) -> int:
        """Return what a parent may send now, beside what its children can still fill."""
        plan, working = parent.plan, parent.working
        under_way = sum(child.remaining for child in working)
        if plan.algo is Algo.ICEBERG:
            if working:
                return 0
            shown = jittered(parent.qty * plan.display // UNIT, plan.size_jitter, *self._counters(parent, parent.shown))
            return max(shown, ceil_div(parent.qty - parent.filled, ICEBERG_LEAST))
        if plan.algo is Algo.POV:
            part = pov_part(self.sim.bars.volume[parent.pair], plan.participation)
            parent.accrued += part
            return min(parent.accrued - parent.filled - under_way, part * plan.burst // UNIT)
        slices = sum(at <= elapsed for at in parent.at)
        if slices > parent.slices and plan.offset >= 0:
            price = self._price(parent)
            self._withdraw([child for child in working if child.limit != price], Reason.TIMEOUT)
            under_way = sum(child.remaining for child in parent.working)
        parent.slices = slices
        return (parent.due[slices - 1] if slices else 0) - parent.filled - under_way

    def _counters(self, parent: Parent, index: int) -> tuple[int, int, int]:
        return self.spec.seed, parent.number, index

    def _sized(self, parent: Parent, wanted: int, left: int) -> int:
        """Return the child's quantity in lots: at most its part of the last bar, no dust, and none left behind."""
        p, plan = parent.pair, parent.plan
        instrument = self.spec.instruments[p]
        room = left
        if plan.max_participation >= 0:
            under_way = sum(child.remaining for child in parent.working)
            room = min(left, self.sim.bars.volume[p] * plan.max_participation // UNIT - under_way)
        qty = min(wanted, room) // instrument.lot * instrument.lot
        least = instrument.least(max(self._price(parent) or self.view.price[p], 1))
        if qty <= 0 or (qty < least and qty < left):
            return 0
        return left if left - qty < least else qty

    def _price(self, parent: Parent) -> int:
        """Return the limit price of a child, 0 for a market order."""
        plan, side = parent.plan, parent.side
        if plan.offset < 0:
            return parent.limit
        close = parent.arrival if plan.algo is Algo.ICEBERG else self.view.price[parent.pair]
        price = toward_passive(close, plan.offset, side, self.spec.instruments[parent.pair].tick)
        if parent.limit:
            price = min(price, parent.limit) if side > 0 else max(price, parent.limit)
        return price

    def _child(self, parent: Parent, qty: int, before: int, over: bool) -> ChildRequest:
        price = parent.limit if over else self._price(parent)
        return ChildRequest(
            pair=parent.pair,
            side=parent.side,
            qty=qty,
            type=OrderType.LIMIT if price else OrderType.MARKET,
            limit_price=price,
            tif=Tif.IOC if over and price else Tif.GTC,
            post_only=parent.plan.post_only and not over and price > 0,
            reduce_only=parent.reduce_only,
            reason=parent.reason,
            parent=parent.number,
            before=before,
        )


def toward_passive(close: int, offset: int, side: int, tick: int) -> int:
    """Return the price at a rate's distance on the passive side of `close`, rounded away from the market to the tick.

    A negative offset gives the price at that distance on the other side.
    """
    moved, unit = close * (UNIT - side * offset), UNIT * tick
    return max(moved // unit if side > 0 else -(-moved // unit), 1) * tick


def _worst(plan: Plan, side: Side, arrival: int, tick: int) -> int:
    """Return a parent's limit price on the tick, 0 where it has none."""
    if plan.limit_price:
        return toward_passive(plan.limit_price, 0, side, tick)
    return 0 if plan.limit_rate < 0 else toward_passive(arrival, -plan.limit_rate, side, tick)


def _columns(fields: tuple[str, ...], rows: Sequence[tuple[int, ...]]) -> Columns:
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(fields))
    return {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(fields)}

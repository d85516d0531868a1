"""What an engine writes down while it runs: orders, fills, the order log, counters; columns at the end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kraken_flow.core.contract import FlowKind
from kraken_flow.core.orders import Liquidity, LogKind, OrderRequest, Reason
from kraken_flow.core.result import Columns, split128
from kraken_flow.core.working import Order

if TYPE_CHECKING:
    from kraken_flow.core.simulator import Simulator

_FILL_FIELDS = (
    "row",
    "open_phase",
    "pair",
    "side",
    "qty",
    "price",
    "fee_is_base",
    "fee_hi",
    "fee_lo",
    "slip_hi",
    "slip_lo",
    "liquidity",
    "order",
    "ambiguous",
)
_FLOW_FIELDS = ("row", "kind", "pair", "time", "qty", "price", "rate", "amount_hi", "amount_lo")
_LOG_FIELDS = ("kind", "order", "time", "qty", "reason")
_ORDER_FIELDS = (
    "pair",
    "side",
    "type",
    "tif",
    "qty",
    "filled",
    "limit_price",
    "stop_price",
    "trail",
    "trail_rate",
    "expire_time",
    "post_only",
    "reduce_only",
    "state",
    "reason",
    "end_reason",
    "time",
    "tag",
)


class Recorder:
    """Append-only record of one run."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = {tag: i for i, tag in enumerate(tags)}
        self.orders: list[Order] = []
        self.fills: list[tuple[int, ...]] = []
        self.lines: list[tuple[int, ...]] = []
        self.flows: list[tuple[int, ...]] = []
        self._told = (0, 0, 0)
        self.counts: dict[str, int] = {}

    def order(self, request: OrderRequest, qty: int, time: int, row: int, own: bool) -> Order:
        """Number a new order."""
        order = Order(len(self.orders), request, qty, time, row, own)
        self.orders.append(order)
        return order

    def log(self, kind: LogKind, order: Order, time: int, qty: int, reason: Reason) -> None:
        """Write one line of the order log."""
        self.lines.append((kind, order.number, time, qty, reason))

    def fill(
        self,
        sim: "Simulator",
        order: Order,
        qty: int,
        price: int,
        fee: int,
        fee_base: int,
        slip: int,
        liquidity: Liquidity,
    ) -> None:
        """Write one fill."""
        self.fills.append(
            (
                sim.row,
                int(sim.time == sim.row_open),
                order.pair,
                order.side,
                qty,
                price,
                int(sim.spec.fee_in_base and order.side > 0),
                *split128(fee_base or fee),
                *split128(slip),
                liquidity,
                order.number,
                int(sim.ambiguous),
            )
        )

    def flow(
        self, row: int, kind: FlowKind, pair: int, time: int, qty: int, price: int, rate: int, amount: int
    ) -> None:
        """Write that cash moved without a fill: `rate` 10^-12, `amount` 10^-16, negative where it was paid."""
        self.flows.append((row, kind, pair, time, qty, price, rate, *split128(amount)))

    def count(self, name: str, by: int = 1) -> None:
        """Count something worth telling the user."""
        self.counts[name] = self.counts.get(name, 0) + by

    def columns(self) -> tuple[Columns, Columns, Columns]:
        """Return (orders, fills, log) as int64 columns."""
        return self._columns_from(0, 0, 0)

    def flow_columns(self) -> Columns:
        """Return the flows as int64 columns."""
        return _columns(_FLOW_FIELDS, self.flows)

    def news(self) -> tuple[Columns, Columns, Columns] | None:
        """Return what `columns` has that it had not at the last call of this; None where there is nothing."""
        before, self._told = self._told, (len(self.orders), len(self.fills), len(self.lines))
        return None if before == self._told else self._columns_from(*before)

    def _columns_from(self, order: int, fill: int, line: int) -> tuple[Columns, Columns, Columns]:
        orders = [
            (
                o.pair,
                o.side,
                o.type,
                o.request.tif,
                o.qty,
                o.filled,
                o.limit,
                o.stop,
                o.trail,
                o.trail_rate,
                o.request.expire_time,
                int(o.post_only),
                int(o.reduce_only),
                o.state,
                o.reason,
                o.end_reason,
                o.time,
                self.tags[o.request.tag],
            )
            for o in self.orders[order:]
        ]
        return (
            _columns(_ORDER_FIELDS, orders),
            _columns(_FILL_FIELDS, self.fills[fill:]),
            _columns(_LOG_FIELDS, self.lines[line:]),
        )


def _columns(fields: tuple[str, ...], rows: Sequence[tuple[int, ...]]) -> Columns:
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(fields))
    return {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(fields)}

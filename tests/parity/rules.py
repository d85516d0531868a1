"""Which rules and reason codes a run exercised, read off its result: the fuzz run asserts that none was missed."""

from collections import Counter, defaultdict

import numpy as np

from kraken_flow.core.limits import Trigger
from kraken_flow.core.market import REAL, Market
from kraken_flow.core.orders import FillPath, Liquidity, LogKind, OrderType, Reason
from kraken_flow.core.result import Result, join128
from kraken_flow.core.spec import Spec
from kraken_flow.core.terms import Slippage
from tests.engine_checks import PROTECTIVE, Row, rows

RULES = (
    "F1 market at the next open",
    "F1 waits for volume",
    "F1 refused after a gap",
    "F2 stop at its level",
    "F2 stop at a gapped open",
    "F3 limit through",
    "F3 limit touched",
    "F3 limit jumped by the open",
    "F3 limit takes at activation",
    "F3 post-only refused",
    "F4 pessimistic choice",
    "F4 given path",
    "F4 finer bars",
    "F5 stop in the entry bar",
    "F5 target in the entry bar",
    "F6 trail at its level",
    "F6 trail at a gapped open",
    "F7 stop-limit takes",
    "F7 stop-limit rests",
    "F8 sibling cancelled",
    "F8 sibling reduced",
    "F9 reduce-only cut",
    "F10 bps",
    "F10 half_spread",
    "F10 sqrt_impact",
    "F10 volume_share",
    "F11 maker fee",
    "F11 taker fee",
    "F11 fee in base",
    "F11 rebate",
    "F11 higher tier",
    "F12 residual fills later",
    "F13 floored to the lot",
    "F13 below a minimum",
    "F14 under one bar, worsened",
    "F14 one bar or more",
    "F14 filled before the cancel arrived",
    "F18 idle cash",
    "F19 open at the end",
    "F21 both sides in one open",
    "F22 cut to the balance",
)
NOT_IN_WHOLE_RUNS = (Reason.NONE, Reason.FLATTEN, Reason.MANUAL, Reason.PAUSED, Reason.LIQUIDATION)
REASONS = tuple(reason for reason in Reason if reason not in NOT_IN_WHOLE_RUNS)


def exercised(spec: Spec, market: Market, result: Result) -> Counter[str]:
    """Return how often each rule and each reason code occurred."""
    count: Counter[str] = Counter()
    orders = rows(result.orders)
    fills = rows(result.fills)
    for order in orders:
        count[Reason(order["reason"]).name] += 1
        if order["end_reason"]:
            count[Reason(order["end_reason"]).name] += 1
    count.update(Trigger(code).reason.name for code in result.risk["trigger"].tolist() if Trigger(code).reason)
    for name, reason in (
        ("F1 refused after a gap", Reason.STALE_GAP),
        ("F3 post-only refused", Reason.POST_ONLY_CROSS),
        ("F8 sibling cancelled", Reason.OCO),
        ("F9 reduce-only cut", Reason.REDUCE_ONLY),
        ("F13 below a minimum", Reason.BELOW_MIN_QTY),
        ("F22 cut to the balance", Reason.INSUFFICIENT_FUNDS),
    ):
        count[name] += sum(order["end_reason"] == reason for order in orders)
    lots = [spec.instruments[request.pair].lot for _, request in spec.requests]
    count["F13 floored to the lot"] += sum(r.qty % lot != 0 for (_, r), lot in zip(spec.requests, lots, strict=True))
    count["F18 idle cash"] += int(len(result.cash) > 1 and bool((np.diff(result.cash) == 0).any()))
    count["F19 open at the end"] += int(np.count_nonzero(result.final_positions))
    _count_fills(count, spec, market, orders, fills)
    _count_log(count, market, result, fills)
    return count


def _count_fills(count: Counter[str], spec: Spec, market: Market, orders: list[Row], fills: list[Row]) -> None:
    first: dict[int, Row] = {}
    in_row: dict[tuple[int, int], list[Row]] = defaultdict(list)
    traded = 0
    for fill in fills:
        order = orders[fill["order"]]
        seen = first.setdefault(fill["order"], fill)
        count["F12 residual fills later"] += fill["row"] > seen["row"]
        for name in _kinds(spec, market, order, fill, seen, in_row[fill["pair"], fill["row"]]):
            count[name] += 1
        in_row[fill["pair"], fill["row"]].append(fill)
        if len(spec.tiers) > 1 and traded >= spec.tiers[1].volume:
            count["F11 higher tier"] += 1
        traded += fill["qty"] * fill["price"]
    for together in in_row.values():
        opened = [f for f in together if f["open_phase"] and orders[f["order"]]["reason"] == Reason.SCRIPTED]
        count["F21 both sides in one open"] += len({f["side"] for f in opened}) == 2


def _kinds(spec: Spec, market: Market, order: Row, fill: Row, first: Row, earlier: list[Row]) -> list[str]:
    """Return the rules that one fill shows."""
    kind, reason = OrderType(order["type"]), Reason(order["reason"])
    maker = fill["liquidity"] == Liquidity.MAKER
    columns, row = market.pairs[fill["pair"]], fill["row"]
    found = ["F11 maker fee" if maker else "F11 taker fee"]
    fee = join128(fill["fee_hi"], fill["fee_lo"])
    if fill["fee_is_base"] and fee:
        found.append("F11 fee in base")
    if fee < 0:
        found.append("F11 rebate")
    if not maker and join128(fill["slip_hi"], fill["slip_lo"]) and spec.slippage is not Slippage.NONE:
        found.append(f"F10 {spec.slippage.word}")
    if fill is first:
        found += _arrivals(spec, market, order, fill, kind, maker)
    if not fill["open_phase"]:
        if fill["ambiguous"] and spec.path is FillPath.PESSIMISTIC:
            found.append("F4 pessimistic choice")
        if fill["ambiguous"] and spec.path in (FillPath.OHLC, FillPath.OLHC, FillPath.ADAPTIVE):
            found.append("F4 given path")
        if spec.path is FillPath.DETAIL:
            found.append("F4 finer bars")
    if kind is OrderType.STOP_LIMIT:
        found.append("F7 stop-limit rests" if maker else "F7 stop-limit takes")
    if kind is OrderType.LIMIT and maker:
        reached = int(columns.low[row] if fill["side"] > 0 else columns.high[row])
        if fill["open_phase"]:
            found.append("F3 limit jumped by the open")
        else:
            found.append("F3 limit touched" if reached == order["limit_price"] else "F3 limit through")
    entered = any(f["side"] != fill["side"] for f in earlier)
    if reason in PROTECTIVE and entered:
        found.append("F5 target in the entry bar" if reason is Reason.TAKE_PROFIT else "F5 stop in the entry bar")
    return found


def _arrivals(spec: Spec, market: Market, order: Row, fill: Row, kind: OrderType, maker: bool) -> list[str]:
    """Return the rules that an order's first fill shows."""
    found = []
    columns, row = market.pairs[fill["pair"]], fill["row"]
    where = " at a gapped open" if fill["open_phase"] else " at its level"
    if kind is OrderType.STOP:
        found.append(f"F2 stop{where}")
    elif kind is OrderType.TRAILING:
        found.append(f"F6 trail{where}")
    elif kind is OrderType.LIMIT and not maker:
        found.append("F3 limit takes at activation")
    elif kind is OrderType.MARKET:
        found.append("F1 market at the next open")
        decided = int((order["time"] - market.times[0]) // market.timeframe_ns)
        dry = (columns.state[decided:row] != REAL) | (columns.volume[decided:row] == 0)
        if spec.latency_ns == 0 and dry.any():
            found.append("F1 waits for volume")
        if spec.latency_ns >= spec.timeframe_ns:
            found.append("F14 one bar or more")
        elif spec.latency_ns and spec.latency_rate:
            found.append("F14 under one bar, worsened")
    return found


def _count_log(count: Counter[str], market: Market, result: Result, fills: list[Row]) -> None:
    last = {fill["order"]: int(market.times[fill["row"]]) for fill in fills}
    for line in rows(result.log):
        if line["kind"] == LogKind.AMEND and line["reason"] == Reason.OCO:
            count["F8 sibling reduced"] += 1
        if line["kind"] == LogKind.CANCEL and line["reason"] in (Reason.TIMEOUT, Reason.TARGET_CHANGED):
            count["F14 filled before the cancel arrived"] += last.get(line["order"], -1) >= line["time"]

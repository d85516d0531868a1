"""What the limits of day and system must never let pass, worked out anew from a result's curve, fills and orders."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kraken_flow.core.contract import cost, value
from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.market import Market
from kraken_flow.core.orders import LogKind, Reason, State
from kraken_flow.core.result import Result, join128
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import DAY
from kraken_flow.core.units import CASH_UNIT, UNIT

LEGAL = {
    (Safety.NORMAL, Safety.THROTTLED),
    (Safety.THROTTLED, Safety.NORMAL),
    (Safety.NORMAL, Safety.COOLDOWN),
    (Safety.THROTTLED, Safety.COOLDOWN),
    (Safety.COOLDOWN, Safety.NORMAL),
    (Safety.NORMAL, Safety.DAILY_HALT),
    (Safety.THROTTLED, Safety.DAILY_HALT),
    (Safety.COOLDOWN, Safety.DAILY_HALT),
    (Safety.DAILY_HALT, Safety.NORMAL),
    *((state, Safety.KILLED) for state in Safety),
}
"""Transitions that happen without a user, staying where one is left out."""

Row = dict[str, Any]


def events(result: Result) -> list[Row]:
    """The recorded triggers, a dictionary each."""
    columns = {name: column.tolist() for name, column in result.risk.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def limits_hold(spec: Spec, market: Market, result: Result) -> None:
    """Losses are noticed in the very instant they happen, and nothing opens once they are."""
    if not spec.limits.on:
        assert not events(result)
        return
    closes = market.times[market.first_row :] + market.timeframe_ns
    found = events(result)
    _transitions_are_legal(found)
    _losses_are_noticed(spec, closes, result, found)
    _losing_trades_are_counted(spec, closes, result, found)
    if not spec.limits.shadow:
        _nothing_opens_while_halted(spec, closes, result, found)
        _counts_stay_within(spec, market, result)
        _what_enlarges_is_no_trade(spec, closes, result)


def _transitions_are_legal(found: list[Row]) -> None:
    state = Safety.NORMAL
    for event in found:
        before, after = Safety(event["before"]), Safety(event["after"])
        assert before is after or (before, after) in LEGAL, f"{before.word} -> {after.word}"
        # The triggers of one instant share what was before it.
        assert state in (before, after), "a state came out of nowhere"
        state = after


def _losses_are_noticed(spec: Spec, closes: np.ndarray, result: Result, found: list[Row]) -> None:
    limits, start = spec.limits, spec.cash / CASH_UNIT
    kills = [e["time"] for e in found if e["trigger"] == Trigger.MAX_DRAWDOWN]
    if limits.max_drawdown >= 0 and len(result.equity):
        high = np.maximum.accumulate(np.append(start, result.equity))[1:]
        over = np.flatnonzero(high - result.equity >= limits.max_drawdown / UNIT * high)
        first = int(closes[over[0]]) if len(over) else None
        swans = [e["time"] for e in found if e["trigger"] == Trigger.BLACK_SWAN]
        if first is not None and not (swans and swans[0] < first):
            assert kills == [first], "a drawdown beyond the limit killed late, or not"
        else:
            assert not kills, "killed without a drawdown"
    if limits.max_loss >= 0:
        for event in found:
            if event["trigger"] == Trigger.MAX_LOSS:
                row = int(np.searchsorted(closes, event["time"]))
                opened = _day_start(closes, result.equity, row, start)
                assert event["reference"] == opened
                assert opened - event["equity"] >= limits.max_loss / UNIT * opened
        _each_days_loss_is_noticed(spec, closes, result, found)


def _each_days_loss_is_noticed(spec: Spec, closes: np.ndarray, result: Result, found: list[Row]) -> None:
    """The first mark of each day at which its loss is at the limit halts, unless something did before."""
    told = {event["time"] for event in found if event["trigger"] == Trigger.MAX_LOSS}
    limit, seen = spec.limits.max_loss / UNIT, set()
    for row, close in enumerate(closes.tolist()):
        day, opened = (close - 1) // DAY, _day_start(closes, result.equity, row, spec.cash / CASH_UNIT)
        if opened <= 0 or opened - result.equity[row] < limit * opened or day in seen:
            continue
        seen.add(day)
        halted = _state_at(found, close - 1) is Safety.DAILY_HALT and not _halted_for_trades(found, close - 1)
        over = _state_at(found, close - 1) is Safety.KILLED or (halted and close % DAY)
        assert close in told or over, "a loss of a day beyond its limit passed unseen"


def _state_at(found: list[Row], time: int) -> Safety:
    """The state after everything that was recorded up to a time."""
    return Safety(max((e for e in enumerate(found) if e[1]["time"] <= time), default=(0, {"after": 0}))[1]["after"])


def _halted_for_trades(found: list[Row], time: int) -> bool:
    """Whether the day is halted at a time because of the number of its trades, and for no loss."""
    causes = (Trigger.MAX_TRADES, Trigger.MAX_LOSS)
    halts = [e for e in found if e["time"] <= time and e["trigger"] in causes and e["after"] == Safety.DAILY_HALT]
    since = [e for e in halts if e["until"] == halts[-1]["until"]] if halts else []
    still = _state_at(found, time) is Safety.DAILY_HALT
    return still and not any(e["trigger"] == Trigger.MAX_LOSS for e in since)


def _day_start(closes: np.ndarray, equity: np.ndarray, row: int, start: float) -> float:
    """Equity at 00:00 UTC of the day that a row's close belongs to, its end included: of the last close until then."""
    midnight = (int(closes[row]) - 1) // DAY * DAY
    rows = np.flatnonzero(closes[:row] <= midnight)
    return float(equity[rows[-1]]) if len(rows) else start


def _losing_trades_are_counted(spec: Spec, closes: np.ndarray, result: Result, found: list[Row]) -> None:
    """A cool-down follows the row of losses, liquidations among them, in the instant in which it is long enough."""
    most = spec.limits.max_losses
    if not most:
        return
    told = {event["time"]: event["value"] for event in found if event["trigger"] == Trigger.MAX_LOSSES}
    over = {event["time"] for event in found if event["trigger"] == Trigger.TIMER}
    trades: dict[int, list[int]] = {}
    for row, profit in _trades(spec, result):
        trades.setdefault(row - spec.first_row, []).append(profit)
    streak = 0
    for row, close in enumerate(closes.tolist()):
        for profit in trades.get(row, ()):
            streak = streak + 1 if profit < 0 else 0 if profit else streak
        streak = 0 if close in over else streak
        if close in told:
            assert told[close] == streak >= most, "a cool-down for another row of losses than there was"
        elif streak >= most:
            assert _state_at(found, close - 1) >= Safety.COOLDOWN, "losing trades in a row passed unseen"


def _trades(spec: Spec, result: Result) -> Iterator[tuple[int, int]]:
    """Yield (row, profit) of every trade from flat to flat, net of fees in quote."""
    flow = [0] * len(spec.instruments)
    for fill, _, before, _, after in _changes(spec, result):
        p, side, qty, price = fill["pair"], fill["side"], fill["qty"], fill["price"]
        lot, inverse = spec.instruments[p].lot, spec.instruments[p].inverse
        fee = 0 if fill["fee_is_base"] else join128(fill["fee_hi"], fill["fee_lo"])
        turned, was, is_open = before * after < 0, abs(before) >= lot, abs(after) >= lot
        closing = min(abs(before), qty) if was and turned else qty
        part = fee * closing // qty
        flow[p] -= cost(inverse, side * closing, price) + part
        if was and (turned or not is_open):
            left = 0 if turned else value(inverse, after, price)
            yield fill["row"], flow[p] + left
            flow[p] = -left
        if closing < qty:
            flow[p] -= cost(inverse, side * (qty - closing), price) + fee - part


def _nothing_opens_while_halted(spec: Spec, closes: np.ndarray, result: Result, found: list[Row]) -> None:
    effect = np.zeros(len(closes), np.int64)
    for event in found:
        effect[np.searchsorted(closes, event["time"]) :] = event["effect"]
    for fill, order, before, after, _ in _changes(spec, result):
        at = fill["row"] - spec.first_row - 1
        decided = int(np.searchsorted(closes, order["time"]))
        opens = abs(after) > abs(before) or before * after < 0
        if abs(before) >= spec.instruments[fill["pair"]].lot and before * after > 0:
            # What was opened within the number of trades goes on.
            opens = opens and not _halted_for_trades(found, order["time"])
        if at >= 0 and effect[at] >= Effect.HALT and spec.latency_ns == 0:
            assert not opens, f"a position grew at row {fill['row']} while trading was halted"
        if decided < len(effect) and effect[decided] and order["reason"] not in _PROTECTIVE:
            # It was to enlarge what was held: when that is closed and the day over, its rest is a trade of the new day.
            next_day = _halted_for_trades(found, order["time"]) and not effect[max(at, 0)]
            assert next_day or not opens, f"order {fill['order']} was sent while trading was halted, and opened"


_PROTECTIVE = (Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP)


def _rows(columns: dict[str, Any]) -> list[Row]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


def _changes(spec: Spec, result: Result) -> Iterator[tuple[Row, Row, int, int, int]]:
    """Yield every fill with its order, and its pair's position before, after, and after a fee in base."""
    orders, held = _rows(result.orders), [0] * len(spec.instruments)
    for fill in _rows(result.fills):
        pair, before = fill["pair"], held[fill["pair"]]
        after = before + fill["side"] * fill["qty"]
        held[pair] = after - (join128(fill["fee_hi"], fill["fee_lo"]) if fill["fee_is_base"] else 0)
        yield fill, orders[fill["order"]], before, after, held[pair]


def _counts_stay_within(spec: Spec, market: Market, result: Result) -> None:
    limits = spec.limits
    held = [0] * len(spec.instruments)
    opened: dict[int, int] = {}
    for fill, _, before, traded, after in _changes(spec, result):
        pair, lot = fill["pair"], spec.instruments[fill["pair"]].lot
        held[pair] = after
        # What a rebate in base leaves after an exit was not opened by an order; what a fee in base leaves below a lot
        # is no position.
        if min(abs(traded), abs(after)) >= lot and (abs(before) < lot or before * traded < 0):
            day = int(market.times[fill["row"]]) // DAY
            opened[day] = opened.get(day, 0) + 1
        if limits.max_positions:
            count = sum(abs(q) >= i.lot for q, i in zip(held, spec.instruments, strict=True))
            assert count <= limits.max_positions, "more positions than allowed"
    if limits.max_trades:
        assert max(opened.values(), default=0) <= limits.max_trades, "more trades in a day than allowed"


def _what_enlarges_is_no_trade(spec: Spec, closes: np.ndarray, result: Result) -> None:
    """No order on the side of a position that is held is refused or taken back for the number of trades."""
    orders = _rows(result.orders)
    barred = [o | {"at": o["time"]} for o in orders if (o["state"], o["end_reason"]) == _ONE_TOO_MANY]
    barred += [
        orders[line["order"]] | {"at": line["time"]}
        for line in _rows(result.log)
        if line["kind"] == LogKind.CANCEL and line["reason"] == Reason.MAX_TRADES
    ]
    if not barred:
        return
    changes = [(int(closes[f["row"] - spec.first_row]), f["pair"], held) for f, _, _, _, held in _changes(spec, result)]
    for order in barred:
        held = [q for time, pair, q in changes if pair == order["pair"] and time <= order["at"]]
        lot = spec.instruments[order["pair"]].lot
        assert not held or order["side"] * held[-1] < lot, "an order that opens no position was one too many"


_ONE_TOO_MANY = (State.REJECTED, Reason.MAX_TRADES)


def flattening_rows(market: Market, result: Result) -> frozenset[int]:
    """Rows at whose close the account's limits are closing every position."""
    closes, found = market.times + market.timeframe_ns, events(result)
    effects = np.zeros(len(closes), np.int64)
    for event in found:
        effects[np.searchsorted(closes, event["time"]) :] = 0 if event["shadow"] else event["effect"]
    return frozenset(np.flatnonzero(effects == Effect.FLATTEN).tolist())

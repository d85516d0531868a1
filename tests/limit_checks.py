"""What the limits of day and system must never let pass, worked out anew from a result's curve, fills and orders."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.market import Market
from kraken_flow.core.orders import Reason
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
    if not spec.limits.shadow:
        _nothing_opens_while_halted(spec, closes, result, found)
        _counts_stay_within(spec, market, result)


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


def _day_start(closes: np.ndarray, equity: np.ndarray, row: int, start: float) -> float:
    """Equity at 00:00 UTC of the day of a row's close: of the last close at or before it."""
    midnight = int(closes[row]) // DAY * DAY
    rows = np.flatnonzero(closes <= midnight)
    return float(equity[rows[-1]]) if len(rows) else start


def _nothing_opens_while_halted(spec: Spec, closes: np.ndarray, result: Result, found: list[Row]) -> None:
    effect = np.zeros(len(closes), np.int64)
    for event in found:
        effect[np.searchsorted(closes, event["time"]) :] = event["effect"]
    for fill, order, before, after, _ in _changes(spec, result):
        at = fill["row"] - spec.first_row - 1
        decided = int(np.searchsorted(closes, order["time"]))
        opens = abs(after) > abs(before) or before * after < 0
        if at >= 0 and effect[at] >= Effect.HALT and spec.latency_ns == 0:
            assert not opens, f"a position grew at row {fill['row']} while trading was halted"
        if decided < len(effect) and effect[decided] and order["reason"] not in _PROTECTIVE:
            assert not opens, f"order {fill['order']} was sent while trading was halted, and opened"


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

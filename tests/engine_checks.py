"""What must hold of any run of an engine, whatever was traded: checks that read nothing but the result's columns.

Each takes (specification, market, result) and raises `AssertionError`. They know the rules, not the engine: the same
checks run on both engines' results, and on engines with planted faults, which they must catch.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import numpy as np

from kraken_flow.core.limits import Trigger
from kraken_flow.core.market import REAL, Market
from kraken_flow.core.orders import FillPath, Liquidity, LogKind, OrderType, Reason, State, Tif
from kraken_flow.core.result import Columns, Result, join128
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import UNIT
from tests.limit_checks import flattening_rows, limits_hold

REFUSED = (
    Reason.BELOW_MIN_QTY,
    Reason.BELOW_MIN_COST,
    Reason.PRICE_BAND,
    *(trigger.reason for trigger in Trigger if trigger.reason),
)
"""Why an order is refused before it is sent."""
PROTECTIVE = frozenset({Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP})
Row = dict[str, int]
Check = Callable[[Spec, Market, Result], None]


def rows(columns: Columns) -> list[Row]:
    """Columns as one dictionary of Python integers per row."""
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*(columns[n].tolist() for n in names), strict=True)]


def replay(spec: Spec, result: Result) -> Iterator[tuple[Row, Row, int, list[int], int]]:
    """Fold the fills again: (fill, order, cash after, positions after, position of its pair before)."""
    orders = rows(result.orders)
    cash, position = spec.cash, [0] * len(spec.instruments)
    for fill in rows(result.fills):
        before = position[fill["pair"]]
        fee = join128(fill["fee_hi"], fill["fee_lo"])
        in_base = fill["fee_is_base"]
        cash -= fill["side"] * fill["qty"] * fill["price"] + (0 if in_base else fee)
        position[fill["pair"]] += fill["side"] * fill["qty"] - (fee if in_base else 0)
        yield fill, orders[fill["order"]], cash, position, before


def fills_come_after_their_decision(spec: Spec, market: Market, result: Result) -> None:
    """No order fills at a price of the bar that decided it, nor before its message could have arrived."""
    opens = market.times[result.fills["row"]]
    decided = result.orders["time"][result.fills["order"]]
    assert np.all(opens >= decided), "an order filled in the bar that decided it"
    if spec.latency_ns >= spec.timeframe_ns and spec.path is not FillPath.DETAIL:
        assert np.all(opens >= decided + spec.latency_ns), "an order filled before it arrived"


def books_balance(spec: Spec, market: Market, result: Result) -> None:
    """Cash and positions are the fold of the fills, to the last unit, at every close and at the end."""
    count = market.n_rows - spec.first_row
    assert len(result.equity) == len(result.cash) == len(result.gross) == count, "not one mark per bar"
    closes = np.stack([pair.close for pair in market.pairs], axis=1).tolist()
    cash, position = spec.cash, [0] * len(spec.instruments)
    pending = list(replay_copies(spec, result))
    at = 0
    for i in range(count):
        row = spec.first_row + i
        while at < len(pending) and pending[at][0] == row:
            _, cash, position = pending[at]
            at += 1
        equity = held = float(cash) / 1e16
        gross = 0.0
        for quantity, price in zip(position, closes[row], strict=True):
            if quantity:
                value = float(quantity) * float(price) / 1e16
                equity += value
                gross += abs(value)
        assert (result.equity[i], result.cash[i], result.gross[i]) == (equity, held, gross), (
            f"books differ at row {row}"
        )
    assert at == len(pending), "fills are not in the order of their bars"
    assert result.final_cash == cash, "cash is not what the fills say"
    assert result.final_positions.tolist() == position, "positions are not what the fills say"


def replay_copies(spec: Spec, result: Result) -> Iterator[tuple[int, int, list[int]]]:
    """Row, cash and positions after each fill."""
    for fill, _, cash, position, _ in replay(spec, result):
        yield fill["row"], cash, list(position)


def fees_come_from_the_table(spec: Spec, market: Market, result: Result) -> None:
    """Each fee is rounded up from the rate of the tier of the volume traded before, for the simulated liquidity."""
    history: list[tuple[int, int]] = []
    for fill, *_ in replay(spec, result):
        time = int(market.times[fill["row"]]) + (0 if fill["open_phase"] else spec.timeframe_ns)
        fee = join128(fill["fee_hi"], fill["fee_lo"])
        amount = fill["qty"] if fill["fee_is_base"] else fill["qty"] * fill["price"]
        assert fill["fee_is_base"] == int(spec.fee_in_base and fill["side"] > 0)
        if spec.path is FillPath.DETAIL:
            offered = {rate for tier in spec.tiers for rate in (tier.maker, tier.taker)}
            assert fee in {-(-amount * rate // UNIT) for rate in offered}, "a fee of no tier"
            continue
        volume = sum(notional for then, notional in history if then > time - 30 * 24 * 3600 * 10**9)
        tier = max((t for t in spec.tiers if t.volume <= volume), key=lambda t: t.volume)
        rate = tier.taker if fill["liquidity"] == Liquidity.TAKER else tier.maker
        assert fee == -(-amount * rate // UNIT), "a fee that the table does not say"
        history.append((time, fill["qty"] * fill["price"]))


def prices_are_possible(spec: Spec, market: Market, result: Result) -> None:
    """Fills happen in real bars with volume, at prices inside the bar, never worse than a limit, within the cap."""
    taken: Counter[tuple[int, int]] = Counter()
    for fill, order, *_ in replay(spec, result):
        p, row, price, side = fill["pair"], fill["row"], fill["price"], fill["side"]
        columns = market.pairs[p]
        assert columns.state[row] == REAL, "a fill without a bar"
        assert columns.volume[row] > 0, "a fill without volume"
        assert fill["qty"] > 0
        assert price > 0
        maker = fill["liquidity"] == Liquidity.MAKER
        worsened = spec.latency_ns and spec.latency_rate
        exact = not worsened and (maker or fill["slip_hi"] == fill["slip_lo"] == 0)
        # The opens of later finer bars are not told apart from the prices between opens.
        perhaps_at_an_open = fill["open_phase"] or spec.path is FillPath.DETAIL
        jumped = maker and perhaps_at_an_open
        if exact and not jumped:
            assert columns.low[row] <= price <= columns.high[row], "a price that was not traded"
            if fill["open_phase"] and not maker:
                assert price == columns.open[row], "an open-phase fill away from the open"
        if maker:
            assert price == order["limit_price"], "a maker fill away from its limit"
            reached = columns.low[row] if side > 0 else columns.high[row]
            beyond = side * (order["limit_price"] - int(reached))
            assert beyond > 0 or (beyond == 0 and spec.limit_touch), "a limit filled at a mere touch"
        if order["type"] in (OrderType.LIMIT, OrderType.STOP_LIMIT):
            assert side * (order["limit_price"] - price) >= 0, "worse than its limit"
        if order["type"] == OrderType.STOP and order["reason"] not in PROTECTIVE and not perhaps_at_an_open:
            assert side * (price - order["stop_price"]) >= 0, "better than its stop"
        taken[p, row] += fill["qty"]
    if spec.participation >= 0:
        for (p, row), quantity in taken.items():
            assert quantity * UNIT <= int(market.pairs[p].volume[row]) * spec.participation, "over the cap"


def orders_add_up(spec: Spec, market: Market, result: Result) -> None:
    """States, quantities and flags of every order agree with its fills and with the log."""
    filled: Counter[int] = Counter()
    seen: dict[int, list[Row]] = defaultdict(list)
    for fill in rows(result.fills):
        filled[fill["order"]] += fill["qty"]
        seen[fill["order"]].append(fill)
    submitted = Counter(result.log["order"][result.log["kind"] == LogKind.SUBMIT].tolist())
    for number, order in enumerate(rows(result.orders)):
        instrument, fills = spec.instruments[order["pair"]], seen[number]
        state, end = State(order["state"]), Reason(order["end_reason"])
        assert order["filled"] == filled[number] <= order["qty"]
        assert (state is State.FILLED) == (order["filled"] == order["qty"]), "filled is not what filled says"
        if state is State.REJECTED:
            assert order["filled"] == 0, "a rejected order filled"
        if state in (State.REJECTED, State.CANCELLED, State.EXPIRED):
            assert end is not Reason.NONE, "an order ended without a reason"
        refused = state is State.REJECTED and end in REFUSED
        assert submitted[number] == (0 if refused else 1), "not one line per order sent"
        if not refused:
            assert order["qty"] % instrument.lot == 0, "off the lot grid"
            assert order["limit_price"] % instrument.tick == 0 or order["reason"] in PROTECTIVE, "off the tick"
        assert all(f["side"] == order["side"] and f["pair"] == order["pair"] for f in fills)
        if order["post_only"]:
            assert all(f["liquidity"] == Liquidity.MAKER for f in fills), "post-only took liquidity"
        if order["tif"] in (Tif.IOC, Tif.FOK):
            assert len({f["row"] for f in fills}) <= 1, "an immediate order rested"
        if order["tif"] == Tif.FOK:
            assert order["filled"] in (0, order["qty"]), "fill-or-kill filled in part"
        if order["tif"] == Tif.GTD:
            assert all(market.times[f["row"]] < order["expire_time"] for f in fills), "filled after it expired"


def reducing_orders_never_flip(spec: Spec, market: Market, result: Result) -> None:
    """A reduce-only order leaves a smaller position of the same sign; without permission nobody is short."""
    for fill, order, _, position, before in replay(spec, result):
        if order["reduce_only"]:
            after = before + fill["side"] * fill["qty"]
            assert before * after >= 0, "a reduce-only order flipped the position"
            assert abs(after) < abs(before), "a reduce-only order did not reduce"
        if not spec.short:
            assert position[fill["pair"]] >= 0, "short without permission"


def exposure_stays_affordable(spec: Spec, market: Market, result: Result) -> None:
    """Right after a fill that enlarges a position, gross exposure is at most leverage x equity."""
    if spec.path is FillPath.DETAIL:
        return
    for fill, _, cash, position, before in replay(spec, result):
        p = fill["pair"]
        traded = before + fill["side"] * fill["qty"]
        if abs(traded) <= abs(before) and before * traded >= 0:
            continue
        marks = [int(pair.open[fill["row"]]) for pair in market.pairs]
        marks[p] = fill["price"]
        equity = cash + sum(q * m for q, m in zip(position, marks, strict=True))
        gross = sum(abs(q * m) for q, m in zip(position, marks, strict=True))
        assert gross * UNIT <= spec.leverage * equity, "more exposure than the account affords"


def one_decision_per_instant(spec: Spec, market: Market, result: Result) -> None:
    """A forecasting run sends at most one order per pair and instant, each at a bar's close, in time order."""
    if spec.scripted:
        return
    children = set(result.children["order"].tolist()) if result.children else set()
    own = [o for number, o in enumerate(rows(result.orders)) if number not in children]
    sent = [o for o in own if o["reason"] not in PROTECTIVE]
    often = Counter((o["time"], o["pair"]) for o in sent)
    assert not often or max(often.values()) == 1, "several decisions in one instant"
    closes = set((market.times + market.timeframe_ns).tolist())
    assert all(o["time"] in closes for o in sent), "a decision between closes"
    keys = [(o["time"], not o["reduce_only"], o["pair"]) for o in sent]
    assert keys == sorted(keys), "orders left out of their order: time, reducing first, pair"


def stopped_pairs_stay_out(spec: Spec, market: Market, result: Result, forecast: np.ndarray) -> None:
    """After a protective exit no order enlarges the pair's position until the pair is armed again."""
    if spec.scripted:
        return
    orders = rows(result.orders)
    stops: dict[int, set[tuple[int, bool]]] = defaultdict(set)
    for fill in rows(result.fills):
        if orders[fill["order"]]["reason"] in PROTECTIVE:
            stops[fill["pair"]].add((fill["row"], False))
    entries: dict[int, list[int]] = defaultdict(list)
    for order in orders:
        row = int((order["time"] - market.times[0]) // market.timeframe_ns) - 1
        if order["reason"] == Reason.TIME_STOP:
            stops[order["pair"]].add((row, True))
        elif order["reason"] not in PROTECTIVE and not order["reduce_only"]:
            entries[order["pair"]].append(row)
    for p, sent in entries.items():
        armed = _rows_that_arm(spec, market, p, forecast, flattening_rows(market, result))
        spans = [(row, armed(row, by_time)) for row, by_time in sorted(stops[p])]
        for row in sent:
            assert not any(start <= row < end for start, end in spans), f"pair {p} entered at row {row} while stopped"


def _rows_that_arm(
    spec: Spec, market: Market, p: int, forecast: np.ndarray, flattened: frozenset[int]
) -> Callable[[int, bool], int]:
    """Return the function (row of a stop, whether by time) -> first row at whose close the pair is armed again.

    A pair that the account's limits close is armed by a changed forecast alone, whatever stops it meanwhile; one that
    changes at that very close arms it.
    """
    real = np.flatnonzero(market.pairs[p].state == REAL)
    real = real[real >= spec.first_row]
    changed = real[np.diff(forecast[p][real], prepend=0) != 0]
    began = [at for at in flattened if at - 1 not in flattened]

    def armed(row: int, by_time: bool) -> int:
        closed = max((at for at in began if at <= row), default=-1)
        by_change = spec.rearm_bars == 0 or (closed >= 0 and not np.any((changed >= closed) & (changed < row)))
        since = changed[changed >= row + by_time] if by_change else real[real >= row + spec.rearm_bars]
        return int(since[0]) if len(since) else market.n_rows

    return armed


def parents_keep_to_their_plan(spec: Spec, market: Market, result: Result) -> None:
    """Children fill at most their parent's quantity, on its side, at no worse price, and none is sent after its end."""
    if not result.parents:
        return
    orders, parents = rows(result.orders), rows(result.parents)
    children: dict[int, list[int]] = defaultdict(list)
    for link in rows(result.children):
        children[link["parent"]].append(link["order"])
    paid: dict[int, list[int]] = defaultdict(list)
    done: dict[int, list[tuple[int, int]]] = defaultdict(list)
    before = {link["order"]: link["before"] for link in rows(result.children)}
    for fill in rows(result.fills):
        paid[fill["order"]].append(fill["price"])
        done[fill["order"]].append((fill["row"], fill["qty"]))
    for number, parent in enumerate(parents):
        mine = [orders[n] for n in children[number]]
        filled = sum(order["filled"] for order in mine)
        assert parent["filled"] == filled <= parent["qty"], (
            "children filled something else than their parent's quantity"
        )
        assert all((o["pair"], o["side"]) == (parent["pair"], parent["side"]) for o in mine)
        assert all(o["reduce_only"] == parent["reduce_only"] for o in mine)
        prices = [price for n in children[number] for price in paid[n]]
        if parent["limit_price"]:
            assert all(parent["side"] * (parent["limit_price"] - price) >= 0 for price in prices), "worse than allowed"
        sent = [int((o["time"] - market.times[0]) // market.timeframe_ns) - 1 for o in mine]
        assert sent == sorted(sent)
        assert all(parent["row"] <= row for row in sent)
        for n, row in zip(children[number], sent, strict=True):
            known = sum(qty for other in children[number] for at, qty in done[other] if other < n and at <= row)
            assert known <= before[n] <= parent["qty"] - orders[n]["qty"], "a child is placed wrongly in its parent"
        ended, state = parent["end_row"], State(parent["state"])
        if ended >= 0:
            assert all(row <= ended for row in sent), "a child was sent after its parent's end"
            assert (state is State.FILLED) == (filled == parent["qty"]) or spec.latency_ns > 0
        else:
            assert state in (State.PENDING, State.ACTIVE)
        for order, row in zip(mine, sent, strict=True):
            missing = market.pairs[parent["pair"]].state[parent["row"] + 1 : row + 1] != REAL
            over = parent["bars"] and row - np.count_nonzero(missing) >= parent["row"] + parent["bars"]
            if spec.plan is not None and spec.plan.max_participation >= 0 and not (over or parent["manual"]):
                volume = int(market.pairs[parent["pair"]].volume[row])
                instrument = spec.instruments[parent["pair"]]
                # What would be left over below the minima goes with the child.
                dust = max(instrument.qty_min, -(-instrument.cost_min // int(market.pairs[parent["pair"]].low[row])))
                most = volume * spec.plan.max_participation // UNIT + dust + instrument.lot
                assert order["qty"] <= most, "more of the volume than allowed"


def lost_exits_are_sent_again(spec: Spec, market: Market, result: Result, forecast: np.ndarray) -> None:
    """Where an outage took an exit, the position is gone at the pair's next bar, or another order of it is under way.

    Those are looked at whose forecast is and stays 0: nothing else can be wanted than to be out.
    """
    orders = rows(result.orders)
    for number, lost in enumerate(orders):
        p, sent = lost["pair"], _row_of(market, lost["time"])
        if lost["end_reason"] != Reason.STALE_GAP or lost["reason"] != Reason.EXIT_SIGNAL or spec.scripted:
            continue
        columns = market.pairs[p]
        run, back = 0, market.n_rows
        for row in range(sent + 1, market.n_rows):
            if columns.state[row] == REAL and run > spec.max_gap:
                back = row
                break
            run = 0 if columns.state[row] == REAL else run + 1
        if back == market.n_rows or forecast[p, sent : back + 1].any():
            continue
        held = 0
        for fill, _, _, position, _ in replay(spec, result):
            held = position[p] if fill["row"] <= back else held
        instrument = spec.instruments[p]
        left = abs(held) // instrument.lot * instrument.lot
        sold = [o for o in orders[number + 1 :] if o["pair"] == p and o["side"] * held < 0]
        again = any(_row_of(market, o["time"]) <= back for o in sold) or spec.plan is not None
        assert again or left == 0 or not instrument.takes(left, int(columns.close[back])), "a lost exit"


def _row_of(market: Market, time: int) -> int:
    return int((time - market.times[0]) // market.timeframe_ns) - 1


CHECKS: tuple[Check, ...] = (
    fills_come_after_their_decision,
    books_balance,
    fees_come_from_the_table,
    prices_are_possible,
    orders_add_up,
    reducing_orders_never_flip,
    exposure_stays_affordable,
    one_decision_per_instant,
    limits_hold,
    parents_keep_to_their_plan,
)
"""All checks that need nothing but the result."""


def check_all(spec: Spec, market: Market, result: Result, forecast: np.ndarray | None = None) -> None:
    """Apply every check."""
    for check in CHECKS:
        check(spec, market, result)
    if forecast is not None:
        stopped_pairs_stay_out(spec, market, result, forecast)
        lost_exits_are_sent_again(spec, market, result, forecast)

"""A second, slow account of how scripted orders fill, written from the fill rules alone.

Nothing here is shared with the engine: numbers are `Decimal`, orders are dictionaries, time is the index of a bar. It
exists so that two programs that were written apart can be held against each other. `F..` names the rule of the fill
semantics (docs/fills.md) that a line follows.

A market is ``{pair: [bar or None, ...]}``, bars being dictionaries of ``open high low close volume``; None is a missing
bar. An order is a row of a script: the columns of ``strategy=scripted`` as a dictionary, with ``at`` (the index of the
bar at whose close it is decided) and, where it expires, ``expire`` (in bars since the first open, fractions allowed).
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

Order = dict[str, Any]
ZERO = Decimal(0)
CASH_UNIT = Decimal("1e-16")
QTY_UNIT = Decimal("1e-8")
BPS = Decimal("1e-4")

TERMS: dict[str, Any] = {
    "cash": Decimal(10000),
    "leverage": Decimal(1),
    "short": True,
    "tick": Decimal("0.5"),
    "lot": Decimal("0.001"),
    "qty_min": ZERO,
    "cost_min": ZERO,
    "band": None,
    "tiers": [(ZERO, ZERO, ZERO)],
    "fee_currency": "quote",
    "model": "none",
    "bps": ZERO,
    "half_spread": ZERO,
    "cap": Decimal("0.1"),
    "latency_bars": ZERO,
    "latency_bps": ZERO,
    "limit": "through",
    "path": "pessimistic",
    "max_gap": 24,
    "month_bars": 720,
}
"""What a venue and an account are; tiers are (30-day volume from which they hold, maker bps, taker bps)."""


def down(value: Decimal, unit: Decimal) -> Decimal:
    """The multiple of `unit` at or below a value."""
    return (value / unit).to_integral_value(ROUND_FLOOR) * unit


def up(value: Decimal, unit: Decimal) -> Decimal:
    """The multiple of `unit` at or above a value."""
    return (value / unit).to_integral_value(ROUND_CEILING) * unit


class PlainSimulator:
    """One account, all pairs, one script; `run` fills `fills` and the `status` of every order."""

    def __init__(self, market: dict[str, list[dict[str, Decimal] | None]], script: list[Order], **terms: Any) -> None:
        self.market = {pair: market[pair] for pair in sorted(market)}
        self.terms = {**TERMS, **terms}
        self.rows = len(next(iter(market.values())))
        self.script = [dict(row) for row in script]
        self.cash: Decimal = self.terms["cash"]
        self.held = dict.fromkeys(self.market, ZERO)
        self.mark: dict[str, Decimal] = {}
        self.room: dict[str, Decimal] = {}
        self.traded: list[tuple[int, Decimal]] = []
        self.orders: list[Order] = []
        self.fills: list[dict[str, Any]] = []
        self.row = 0
        self.printed = ZERO
        self.phase = "open"

    def run(self) -> "PlainSimulator":
        """Go through the bars in the order of phases that the fill rules fix."""
        for row in range(self.rows):
            self.row = row
            bars = {pair: series[row] for pair, series in self.market.items()}
            real = {p: b for p, b in bars.items() if b is not None}
            for pair, bar in real.items():
                self.mark[pair] = bar["open"]
                cap = self.terms["cap"]
                self.room[pair] = Decimal("Infinity") if cap is None else down(cap * bar["volume"], self.terms["lot"])
            tradable = {p: b for p, b in real.items() if b["volume"] > 0}
            self.open_phase(tradable)
            self.phase = "bar"
            for pair, bar in tradable.items():
                self.inside(pair, bar)
            for pair, bar in tradable.items():
                self.trail_at_close(pair, bar)
            self.phase = "open"
            for pair, bar in real.items():
                self.mark[pair] = bar["close"]
            for order in self.living():
                if order["tif"] == "gtd" and order["expire"] <= row + 1:
                    self.end(order, "expired")
            self.decide(bars)
        return self

    def living(self, pair: str | None = None) -> list[Order]:
        """Orders at the venue or on their way, oldest first."""
        return [o for o in self.orders if o["status"] == "open" and pair in (None, o["pair"])]

    def end(self, order: Order, status: str, why: str = "") -> None:
        """End an order; one that had traded is `partial`."""
        order["status"] = "partial" if order["done"] > 0 else status
        order["why"] = why

    # decisions and admission

    def decide(self, bars: dict[str, dict[str, Decimal] | None]) -> None:
        """Submit what the script asks at this close; a pair without a bar waits for its next one."""
        for row in self.script:
            if row.get("sent") or row["at"] > self.row or bars[row["pair"]] is None:
                continue
            row["sent"] = True
            self.submit(row)

    def submit(self, row: Order) -> Order:
        """Admit one row, or reject it as the venue would (F13, F22)."""
        kind = row.get("type") or ("trailing" if row.get("reduce_only") and row.get("trail") else "market")
        order: Order = {"limit_price": None, "stop_price": None, "trail": None, "stop_loss": None, "take_profit": None}
        order |= {"tif": "gtc", "post_only": False, "reduce_only": False, "tag": "", "expire": None, **row}
        order |= {"id": len(self.orders), "type": kind, "buy": row["side"] == "buy", "status": "open", "done": ZERO}
        order |= {"qty": down(row["qty"], self.terms["lot"]), "sent": self.row, "legs": [], "parent": None, "why": ""}
        order |= {"fresh": True, "triggered": kind in ("market", "limit"), "inside": False, "best": None}
        order["left"] = order["qty"]
        order["from"] = (
            self.row + 1
            if self.terms["latency_bars"] < 1
            else self.row + 1 + int(self.terms["latency_bars"].to_integral_value(ROUND_CEILING))
        )
        tick = self.terms["tick"]
        if order["limit_price"] is not None:
            order["limit_price"] = (down if order["buy"] else up)(order["limit_price"], tick)
        if order["stop_price"] is not None:
            order["stop_price"] = (up if order["buy"] else down)(order["stop_price"], tick)
        self.orders.append(order)
        close = self.mark[order["pair"]]
        price = order["limit_price"] or order["stop_price"] or close
        band = self.terms["band"]
        priced = [p for p in (order["limit_price"], order["stop_price"]) if p is not None]
        if order["expire"] is not None and order["expire"] <= self.row + 1:
            self.end(order, "expired")
        elif self.too_small(order["qty"], price):
            self.end(order, "rejected", "minimum")
        elif band is not None and any(abs(p - close) > band * close for p in priced):
            self.end(order, "rejected", "band")
        return order

    def too_small(self, qty: Decimal, price: Decimal) -> bool:
        """Whether a quantity is below what the venue takes, sent as an order or left by a cut (F13)."""
        return qty <= 0 or qty < self.terms["qty_min"] or qty * price < self.terms["cost_min"]

    # phases

    def open_phase(self, bars: dict[str, dict[str, Decimal]]) -> None:
        """Market orders, gapped stops, new marketable limits, limits that the open jumped; reducing ones first."""
        self.phase = "open"
        waiting = [o for o in self.living() if o["from"] <= self.row and o["pair"] in bars]
        for order in sorted(waiting, key=lambda o: (not self.reduces(o), o["pair"], o["id"])):
            self.at_open(order, bars[order["pair"]]["open"])

    def inside_the_bar(self, pair: str) -> list[Order]:
        """Orders that levels inside the bar can meet: at the venue, and not expiring before the close."""
        alive = [o for o in self.living(pair) if o["from"] <= self.row]
        return [o for o in alive if o["expire"] is None or o["expire"] >= self.row + 1]

    def reduces(self, order: Order) -> bool:
        """Whether an order is against the position and not larger."""
        held = self.held[order["pair"]]
        against = held < 0 if order["buy"] else held > 0
        return order["reduce_only"] or (against and order["left"] <= abs(held))

    def at_open(self, order: Order, price: Decimal) -> None:
        """One order meets the open."""
        if order["status"] != "open":
            return
        arriving, order["fresh"] = order["fresh"], False
        sign = 1 if order["buy"] else -1
        limit = order["limit_price"]
        if order["type"] == "trailing" and not order["triggered"]:
            order["best"] = price if order["best"] is None else order["best"]
            order["stop_price"] = order["best"] + sign * order["trail"]
        takes = arriving
        if not order["triggered"]:
            if sign * (price - order["stop_price"]) < 0:
                return
            order["triggered"] = takes = True
        if limit is None:
            self.fill(order, price, taker=True, arriving=arriving)
        else:
            price = self.late(sign, price) if arriving else price
            beyond = sign * (limit - price)
            if beyond > 0 or (beyond == 0 and (takes or self.terms["limit"] == "touch")):
                if takes and order["post_only"]:
                    self.end(order, "rejected", "post_only")
                else:
                    self.fill(order, price if takes else limit, taker=takes, arriving=arriving)
        if order["tif"] in ("ioc", "fok") and order["status"] == "open":
            self.end(order, "cancelled", order["tif"])

    def inside(self, pair: str, bar: dict[str, Decimal]) -> None:
        """Levels inside the bar, along the path or in the worst admissible order (F4, F5)."""
        self.born(pair)
        path = self.terms["path"]
        if path == "pessimistic":
            adverse = self.adverse_side(pair, bar)
            while self.worst(pair, bar, adverse):
                pass
            return
        high_first = path == "ohlc"
        if path == "adaptive":
            up_by, down_by = bar["high"] - bar["open"], bar["open"] - bar["low"]
            high_first = up_by < down_by or (up_by == down_by and self.held[pair] < 0)
        turns = [bar["high"], bar["low"]] if high_first else [bar["low"], bar["high"]]
        at = bar["open"]
        for target in (*turns, bar["close"]):
            at = self.walk(pair, at, target)

    def born(self, pair: str) -> None:
        """Protection born where the price is past its level already acts there and then, stops first (F2, F3, F5)."""
        while fresh := [o for o in self.living(pair) if o["fresh"] and o["parent"] is not None]:
            leg = min(fresh, key=lambda o: (o["type"] == "limit", o["id"]))
            self.at_open(leg, leg["born"])

    def reached(self, pair: str, bar: dict[str, Decimal]) -> list[tuple[int, Decimal, Order]]:
        """Orders whose level the bar reaches: the side on which it lies (1 above, -1 below), the level, the order."""
        found = []
        for order in self.inside_the_bar(pair):
            sign = 1 if order["buy"] else -1
            if not order["triggered"]:
                level, side, seen = order["stop_price"], sign, bar["high"] if order["buy"] else bar["low"]
                touch = True
            elif order["limit_price"] is not None:
                level, side, seen = order["limit_price"], -sign, bar["low"] if order["buy"] else bar["high"]
                touch = self.terms["limit"] == "touch"
                if order["inside"]:
                    seen = bar["close"]
            else:
                continue
            past = side * (seen - level)
            if past > 0 or (past == 0 and touch):
                found.append((side, level, order))
        return found

    def adverse_side(self, pair: str, bar: dict[str, Decimal]) -> int:
        """The side that hurts the position; without one the nearer extreme, if levels are reached on both."""
        held = self.held[pair]
        if held:
            return -1 if held > 0 else 1
        sides = {side for side, _, order in self.reached(pair, bar)}
        if len(sides) == 1:
            return sides.pop()
        return 1 if bar["high"] - bar["open"] < bar["open"] - bar["low"] else -1

    def worst(self, pair: str, bar: dict[str, Decimal], adverse: int) -> bool:
        """Fill the next order in the pessimistic order: the adverse side first, the nearest level to the open first.

        What began to rest inside the bar comes last: it needs the close beyond.
        """

        def turn(item: tuple[int, Decimal, Order]) -> tuple[bool, bool, Decimal, int]:
            side, level, order = item
            late = order["triggered"] and order["inside"]
            return late, side != adverse, max(side * (level - bar["open"]), ZERO), order["id"]

        for _, _, order in sorted(self.reached(pair, bar), key=turn):
            if self.touch(order):
                self.born(pair)
                return True
        return False

    def touch(self, order: Order) -> bool:
        """The price reached the level of an order; returns whether anything changed."""
        before = (order["status"], order["left"], order["triggered"])
        if not order["triggered"]:
            order["triggered"] = True
            if order["limit_price"] is None:
                self.fill(order, order["stop_price"], taker=True)
            else:
                sign = 1 if order["buy"] else -1
                if sign * (order["limit_price"] - order["stop_price"]) >= 0:
                    self.fill(order, order["stop_price"], taker=True)
                order["inside"] = True
        else:
            self.fill(order, order["limit_price"], taker=False)
        return before != (order["status"], order["left"], order["triggered"])

    def walk(self, pair: str, start: Decimal, target: Decimal) -> Decimal:
        """Move the price in one direction and fill what it meets, in the order it is met."""
        at = start
        rising = target > start
        while True:
            met = []
            for order in self.inside_the_bar(pair):
                if not order["triggered"]:
                    level, through = order["stop_price"], False
                    if order["buy"] != rising:
                        continue
                elif order["limit_price"] is not None:
                    level, through = order["limit_price"], self.terms["limit"] == "through"
                    if order["buy"] == rising:
                        continue
                else:
                    continue
                ahead = (level - at) * (1 if rising else -1)
                reach = (target - level) * (1 if rising else -1)
                if ahead >= 0 and (reach > 0 or (reach == 0 and not through)):
                    met.append((ahead, not order["reduce_only"], order["id"], order, level))
            for _, _, _, order, level in sorted(met, key=lambda m: m[:3]):
                if self.touch(order):
                    self.born(pair)
                    at = level
                    break
            else:
                return target

    def trail_at_close(self, pair: str, bar: dict[str, Decimal]) -> None:
        """Raise trailing levels by the bar's extreme, then leave if the close is beyond the new one (F6)."""
        for order in self.inside_the_bar(pair):
            if order["type"] != "trailing" or order["triggered"]:
                continue
            sign = 1 if order["buy"] else -1
            extreme = bar["low"] if order["buy"] else bar["high"]
            if order["inside"]:
                extreme = bar["close"]
                order["inside"] = False
            order["best"] = (min if order["buy"] else max)(order["best"], extreme)
            order["stop_price"] = order["best"] + sign * order["trail"]
            if sign * (bar["close"] - order["stop_price"]) >= 0:
                order["triggered"] = True
                self.fill(order, order["stop_price"], taker=True)
        for order in self.living(pair):
            order["inside"] = False

    # one fill

    def fill(self, order: Order, price: Decimal, *, taker: bool, arriving: bool = False) -> None:
        """Trade what volume, reduce-only and funds allow at a price, and tell the order's relatives."""
        pair, sign = order["pair"], 1 if order["buy"] else -1
        held = self.held[pair]
        self.printed = price
        if taker and order["limit_price"] is None:
            price = self.worsened(sign, price, arriving=arriving)
        qty = order["left"]
        refused = "rejected" if arriving and order["type"] in ("market", "limit") else "cancelled"
        if order["reduce_only"]:
            qty = min(qty, abs(held)) if held * sign < 0 else ZERO
            if qty == 0:
                refused = refused if order["tif"] != "fok" else "cancelled"
                return self.end(order, refused, "reduce_only")
        fee_rate = self.fee_rate(taker) * BPS
        affordable = self.affordable(order, price, fee_rate, qty)
        wanted, qty = qty, min(qty, affordable)
        room = self.room[pair]
        if order["tif"] == "fok" and (qty < order["left"] or room < qty):
            return self.end(order, "cancelled", "fok")
        if qty < order["left"]:
            order["left"], order["cut"] = qty, "reduce_only" if affordable >= wanted else "insufficient_funds"
        if qty == 0:
            return self.end(order, refused, order["cut"])
        qty = min(qty, room)
        if qty > 0:
            self.book(order, qty, price, fee_rate, taker=taker)
        if order["left"] == 0:
            if order.get("cut"):
                self.end(order, "cancelled", order["cut"])
            else:
                order["status"] = "filled"
        return None

    def late(self, sign: int, price: Decimal) -> Decimal:
        """The price that a limit order meets when it arrives late: worsened by latency alone (F14)."""
        if not 0 < self.terms["latency_bars"] < 1 or not self.terms["latency_bps"]:
            return price
        return (up if sign > 0 else down)(price * (1 + sign * self.terms["latency_bps"] * BPS), self.terms["tick"])

    def worsened(self, sign: int, price: Decimal, *, arriving: bool) -> Decimal:
        """Slippage and latency, against the trader, then to the tick the same way (F10, F14)."""
        moved = price
        if arriving and 0 < self.terms["latency_bars"] < 1:
            moved += sign * price * self.terms["latency_bps"] * BPS
        if self.terms["model"] == "bps":
            moved += sign * price * self.terms["bps"] * BPS
        elif self.terms["model"] == "half_spread":
            moved += sign * self.terms["half_spread"]
        return price if moved == price else (up if sign > 0 else down)(moved, self.terms["tick"])

    def now(self) -> int:
        """The time of a fill, in bars since the first open: the bar's open or its close."""
        return self.row + (self.phase == "bar")

    def fee_rate(self, taker: bool) -> Decimal:
        """The rate of the tier that the fills of the last 30 days reached (F11)."""
        volume = sum((value for row, value in self.traded if row > self.now() - self.terms["month_bars"]), ZERO)
        tier = [t for t in self.terms["tiers"] if t[0] <= volume][-1]
        return tier[2] if taker else tier[1]

    def affordable(self, order: Order, price: Decimal, fee_rate: Decimal, qty: Decimal) -> Decimal:
        """The most lots, up to `qty`, after which gross exposure stays within leverage times equity (F22)."""
        pair, sign, lot = order["pair"], 1 if order["buy"] else -1, self.terms["lot"]
        held = self.held[pair]
        least = min(qty, max(-sign * held, ZERO))
        if qty == least:
            return qty
        if not self.terms["short"] and sign < 0:
            return down(least, lot)
        others = sum((abs(q) * self.mark[p] for p, q in self.held.items() if p != pair and q), ZERO)
        worth = self.cash + sum((q * self.mark[p] for p, q in self.held.items() if p != pair and q), ZERO)

        def fits(lots: Decimal) -> bool:
            after = held + sign * lots
            if self.terms["fee_currency"] == "base" and sign > 0:
                kept = up(lots * fee_rate, QTY_UNIT)
                after -= kept
                equity = worth + (held - kept) * price
            else:
                equity = worth + held * price - up(lots * price * fee_rate, CASH_UNIT)
            return abs(after) * price + others <= self.terms["leverage"] * equity

        low, high = int(least / lot), int(qty / lot)
        if fits(high * lot):
            return high * lot
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle * lot) else (low, middle)
        closing, all_of_it = down(least, lot), low * lot
        if self.too_small(all_of_it - closing, price):
            all_of_it = closing
        return ZERO if self.too_small(all_of_it, price) else all_of_it

    def book(self, order: Order, qty: Decimal, price: Decimal, fee_rate: Decimal, *, taker: bool) -> None:
        """Book a fill: cash, position, fee, volume, then the order's relatives."""
        pair, sign = order["pair"], 1 if order["buy"] else -1
        before = self.held[pair]
        in_base = self.terms["fee_currency"] == "base" and order["buy"]
        fee = up(qty * fee_rate, QTY_UNIT) if in_base else up(qty * price * fee_rate, CASH_UNIT)
        self.cash -= sign * qty * price + (ZERO if in_base else fee)
        self.held[pair] += sign * qty - (fee if in_base else ZERO)
        self.room[pair] -= qty
        self.traded.append((self.now(), qty * price))
        order["left"] -= qty
        order["done"] += qty
        shape = {"bar": self.row, "phase": self.phase, "pair": pair, "side": order["side"], "qty": qty, "price": price}
        self.fills.append({**shape, "fee": fee, "maker": not taker, "tag": order["tag"], "order": order["id"]})
        for leg in order["legs"]:
            self.resize(leg, qty)
        opened = self.held[pair] if before * sign >= 0 else max(before + sign * qty, ZERO, key=lambda v: v * sign)
        grown = min(qty, abs(opened)) if opened * sign > 0 else ZERO
        if (
            order["parent"] is None
            and grown > 0
            and any(
                order[k] is not None
                for k in ("stop_loss", "take_profit") + (("trail",) if order["type"] != "trailing" else ())
            )
        ):
            self.protect(order, grown, price, self.mark[pair] if self.phase == "open" else self.printed)

    def resize(self, leg: Order, qty: Decimal) -> None:
        """One leg traded, the sibling shrinks by as much (F8)."""
        if leg["status"] == "open":
            leg["left"] -= qty
            leg["qty"] -= qty
            if leg["left"] <= 0:
                self.end(leg, "cancelled", "oco")

    def protect(self, entry: Order, qty: Decimal, price: Decimal, market: Decimal) -> None:
        """Give what an order opened its stop, target and trail: a reduce-only group, live at once (F5)."""
        kids = entry["kids"] = [leg for leg in entry.get("kids", []) if leg["status"] == "open"]
        if kids:
            for leg in kids:
                leg["left"] += qty
                leg["qty"] += qty
            return
        side = "sell" if entry["buy"] else "buy"
        base = {"pair": entry["pair"], "side": side, "qty": qty, "reduce_only": True, "parent": entry["id"]}
        for kind, key in (("stop", "stop_loss"), ("limit", "take_profit"), ("trailing", "trail")):
            if entry[key] is None:
                continue
            leg: Order = {"limit_price": None, "stop_price": None, "trail": None, "stop_loss": None, "legs": []}
            leg |= {"take_profit": None, "tif": "gtc", "post_only": False, "expire": None, **base, "type": kind}
            leg |= {"id": len(self.orders), "buy": not entry["buy"], "status": "open", "done": ZERO, "left": qty}
            leg |= {"from": self.row, "triggered": kind == "limit", "fresh": True, "born": market, "sent": self.row}
            leg |= {"inside": self.phase == "bar", "best": price, "tag": entry["tag"], "why": ""}
            if kind == "stop":
                leg["stop_price"] = entry[key]
            elif kind == "limit":
                leg["limit_price"] = entry[key]
            else:
                leg["trail"] = entry[key]
                leg["stop_price"] = price + (1 if leg["buy"] else -1) * entry[key]
            self.orders.append(leg)
            kids.append(leg)
        for leg in kids:
            leg["legs"] = [other for other in kids if other is not leg]

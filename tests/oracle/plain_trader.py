"""A second, slow account of one pair traded by a crossing of averages under position limits, written from the rules.

It knows market orders at the next open, a stop, a target, a trailing stop and a time stop, disarming, sizing by a fixed
fraction or quantity, fee tiers and the participation cap; `Decimal` throughout, one position, no order book. It shares
nothing with the engine nor with `plain_simulator`.
"""

from collections import deque
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

D0 = Decimal(0)
SETTINGS: dict[str, Any] = {
    "fast": 10,
    "slow": 30,
    "side": "long",
    "cash": Decimal(10000),
    "fraction": Decimal(1),
    "quantity": None,
    "band": Decimal("0.1"),
    "buffer": Decimal("0.01"),
    "leverage": Decimal(1),
    "stop": Decimal("0.03"),
    "target": Decimal("0.06"),
    "trail": None,
    "max_bars": None,
    "max_fraction": Decimal(1),
    "rearm": 0,
    "tick": Decimal("0.1"),
    "lot": Decimal("1e-8"),
    "qty_min": D0,
    "cost_min": D0,
    "tiers": [(D0, D0, D0)],
    "cap": Decimal("0.1"),
    "month_bars": 720,
    "warm": [],
}
"""`tiers` as (30-day volume, maker bps, taker bps); `rearm` 0 is on_change, N is bars:N; `warm` the
closes before the first bar."""


def steps(value: Decimal, unit: Decimal, rounding: str) -> Decimal:
    """Round a value to a multiple of a unit."""
    return (value / unit).to_integral_value(rounding) * unit


class Crossing:
    """+1 or -1 on the bar where the fast average crosses the slow one, else 0; equal averages change nothing."""

    def __init__(self, fast: int, slow: int) -> None:
        self.sizes = (fast, slow)
        self.closes = deque[float](maxlen=slow + 1)
        self.sums = [0.0, 0.0]
        self.was = 0

    def step(self, close: Decimal) -> int:
        """Take one close. Averages are running sums in float64: the one place where this file is not exact."""
        self.closes.append(float(close))
        for i, size in enumerate(self.sizes):
            self.sums[i] += self.closes[-1]
            if len(self.closes) > size:
                self.sums[i] -= self.closes[-1 - size]
        if len(self.closes) < self.sizes[1]:
            return 0
        fast, slow = (total / size for total, size in zip(self.sums, self.sizes, strict=True))
        now = (fast > slow) - (fast < slow)
        crossed = now if now and self.was and now != self.was else 0
        self.was = now or self.was
        return crossed


class PlainTrader:
    """One pair, one position; `run` leaves `fills`, `cash` and `held`."""

    def __init__(self, bars: list[dict[str, Decimal] | None], **settings: Any) -> None:
        self.s = {**SETTINGS, **settings}
        self.bars = bars
        self.cash: Decimal = self.s["cash"]
        self.held = D0
        self.fills: list[tuple[Any, ...]] = []
        self.volumes: deque[tuple[int, Decimal]] = deque()
        self.month = D0
        self.guard: dict[str, Any] | None = None
        self.order: dict[str, Any] | None = None
        self.row = self.now = 0
        self.room = D0
        self.stopped_at: int | None = None

    def run(self) -> "PlainTrader":
        """Trade the bars."""
        cross = Crossing(self.s["fast"], self.s["slow"])
        for close in self.s["warm"]:
            cross.step(close)
        forecast = wanted = D0
        disarmed = False
        for row, bar in enumerate(self.bars):
            self.row = row
            if bar is None:
                continue
            self.stopped_at = None
            if bar["volume"] > 0:
                cap = self.s["cap"]
                share = None if cap is None else steps(cap * bar["volume"], self.s["lot"], ROUND_FLOOR)
                self.room = Decimal("Infinity") if share is None else share
                self.now = self.row
                self.open(bar)
                self.now += 1
                self.inside(bar)
                self.ratchet(bar)
            signal = cross.step(bar["close"])
            before = forecast
            if signal:
                forecast = Decimal(signal) if self.s["side"] == "both" else Decimal(max(signal, 0))
            if self.stopped_at is not None:
                disarmed = True
                wanted = D0
                self.order = None
                self.send(-self.held, bar["close"], "rest")
                rearm_at = self.row + self.s["rearm"]
            if disarmed and (self.row >= rearm_at if self.s["rearm"] else forecast != before):
                disarmed = False
                before = None
            limit = self.s["max_bars"]
            old = limit and self.guard and self.held and self.row - self.guard["row"] + 1 >= limit
            stays = forecast == before or self.size(forecast, bar["close"]) * self.held > 0
            if old and not disarmed and stays:
                disarmed, wanted, self.order = True, D0, None
                rearm_at = self.row + self.s["rearm"]
                self.send(-self.held, bar["close"], "time_stop")
                continue
            if disarmed:
                continue
            size = self.size(forecast, bar["close"])
            drifted = self.s["band"] is not None and wanted and abs(size - wanted) > self.s["band"] * abs(wanted)
            if forecast != before or drifted:
                wanted, self.order = size, None
                self.send(wanted - self.held, bar["close"], "signal")
        return self

    def size(self, forecast: Decimal, close: Decimal) -> Decimal:
        """The quantity that a forecast asks for at a close."""
        equity = self.cash + self.held * close
        if self.s["quantity"] is not None:
            raw = self.s["quantity"]
        else:
            raw = min(self.s["fraction"], self.s["leverage"] * (1 - self.s["buffer"])) * equity / close
        if self.s["max_fraction"] is not None:
            raw = min(raw, self.s["max_fraction"] * equity / close)
        return steps(max(raw, D0), self.s["lot"], ROUND_FLOOR) * forecast

    def send(self, change: Decimal, close: Decimal, why: str) -> None:
        """Leave a market order for the next opens, unless the venue finds it too small."""
        size = steps(abs(change), self.s["lot"], ROUND_FLOOR)
        if size and size >= self.s["qty_min"] and size * close >= self.s["cost_min"]:
            sign = 1 if change > 0 else -1
            only = self.held * sign < 0 and size <= abs(self.held)
            self.order = {"sign": sign, "left": size, "why": why, "only": only}

    def open(self, bar: dict[str, Decimal]) -> None:
        """Gapped protection first (it is older), then the market order."""
        price, guard = bar["open"], self.guard
        if guard and self.held:
            sign = 1 if self.held > 0 else -1
            if guard["running"]:
                if guard["running"] == "trailing_stop" and guard["target"] and (price - guard["target"]) * sign > 0:
                    self.leave(guard["target"], "take_profit", "open", taker=False)
                self.leave(price, guard["running"], "open", taker=True)
            else:
                level, name = self.nearest(price)
                if guard["stop"] is not None and (guard["stop"] - price) * sign >= 0:
                    name = "stop_loss"
                if level is not None and (level - price) * sign >= 0:
                    self.leave(price, name, "open", taker=True)
                elif guard["target"] is not None and (price - guard["target"]) * sign > 0:
                    self.leave(guard["target"], "take_profit", "open", taker=False)
        if self.order is not None:
            order = self.order
            wished = order["left"]
            if order["only"]:
                wished = min(wished, max(-order["sign"] * self.held, D0))
            order["left"] = self.covered(order["sign"], wished, price)
            qty = min(order["left"], self.room)
            if qty > 0:
                order["left"] -= qty
                self.book(order["sign"], qty, price, "open", order["why"], taker=True)
            if order["left"] == 0:
                self.order = None

    def nearest(self, price: Decimal) -> tuple[Decimal | None, str]:
        """The stop that the price meets first, and what it is."""
        guard = self.guard or {}
        sign = 1 if self.held > 0 else -1
        levels = [(guard["stop"], "stop_loss"), (guard["trail"], "trailing_stop")]
        there = [(level, name) for level, name in levels if level is not None]
        return max(there, key=lambda pair: pair[0] * sign) if there else (None, "")

    def inside(self, bar: dict[str, Decimal]) -> None:
        """Stop before target: the worse of what may have happened."""
        guard = self.guard
        if not guard or not self.held or guard["running"]:
            return
        sign = 1 if self.held > 0 else -1
        bad, good = (bar["low"], bar["high"]) if sign > 0 else (bar["high"], bar["low"])
        level, name = self.nearest(bar["open"])
        if level is not None and (level - bad) * sign >= 0:
            self.leave(level, name, "bar", taker=True)
        elif guard["target"] is not None and (good - guard["target"]) * sign > 0:
            self.leave(guard["target"], "take_profit", "bar", taker=False)

    def ratchet(self, bar: dict[str, Decimal]) -> None:
        """After the bar the best price moves the trailing stop; a close beyond it is an exit."""
        guard = self.guard
        if not guard or not self.held or guard["trail"] is None or guard["running"]:
            return
        sign = 1 if self.held > 0 else -1
        guard["best"] = max(guard["best"], bar["high"]) if sign > 0 else min(guard["best"], bar["low"])
        guard["trail"] = self.trail_level(sign)
        if (guard["trail"] - bar["close"]) * sign >= 0:
            self.leave(guard["trail"], "trailing_stop", "bar", taker=True)

    def trail_level(self, sign: int) -> Decimal:
        """The trailing level: a fixed share below (above) the best price."""
        far = ROUND_FLOOR if sign > 0 else ROUND_CEILING
        return steps((self.guard or {})["best"] * (1 - sign * self.s["trail"]), self.s["tick"], far)

    def leave(self, price: Decimal, name: str, phase: str, *, taker: bool) -> None:
        """A protective order closes what volume allows; a stop's rest goes on at the next opens."""
        sign = -1 if self.held > 0 else 1
        qty = min(abs(self.held), self.room)
        if taker and self.guard:
            self.guard["running"] = name
        if qty <= 0:
            return
        if self.order is not None:
            self.order["only"] = True
        self.book(sign, qty, price, phase, name, taker=taker)
        self.stopped_at = self.row

    def covered(self, sign: int, qty: Decimal, price: Decimal) -> Decimal:
        """The most lots whose position stays within leverage times equity after the fee."""
        free = max(-sign * self.held, D0)
        if qty <= free:
            return qty
        rate = self.rate(taker=True)
        lot = self.s["lot"]

        def fits(size: Decimal) -> bool:
            fee = steps(size * price * rate, Decimal("1e-16"), ROUND_CEILING)
            worth = self.cash + self.held * price - fee
            return abs(self.held + sign * size) * price <= self.s["leverage"] * worth

        if fits(qty):
            return qty
        low, high = free // lot, qty // lot
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle * lot) else (low, middle)
        most, closing = low * lot, free // lot * lot

        def small(size: Decimal) -> bool:
            return size < self.s["qty_min"] or size * price < self.s["cost_min"]

        if small(most - closing):
            most = closing
        return D0 if small(most) else most

    def rate(self, *, taker: bool) -> Decimal:
        """Fee rate of the tier that the fills of the last 30 days reached."""
        while self.volumes and self.volumes[0][0] <= self.now - self.s["month_bars"]:
            self.month -= self.volumes.popleft()[1]
        tier = [t for t in self.s["tiers"] if t[0] <= self.month][-1]
        return (tier[2] if taker else tier[1]) / 10000

    def book(self, sign: int, qty: Decimal, price: Decimal, phase: str, why: str, *, taker: bool) -> None:
        """Book a fill, and give a position that it opened its protection."""
        fee = steps(qty * price * self.rate(taker=taker), Decimal("1e-16"), ROUND_CEILING)
        self.volumes.append((self.row + (phase == "bar"), qty * price))
        self.month += qty * price
        was = self.held
        self.cash -= sign * qty * price + fee
        self.held += sign * qty
        self.room -= qty
        self.fills.append((self.row, phase, "buy" if sign > 0 else "sell", qty, price, fee, not taker, why))
        if not self.held:
            self.guard = None
        elif was * self.held <= 0:
            self.guard = self.protection(sign, price)

    def protection(self, sign: int, price: Decimal) -> dict[str, Any]:
        """Levels from the fill that opened the position; they stand as long as it does."""
        s, tick = self.s, self.s["tick"]
        near, far = (ROUND_CEILING, ROUND_FLOOR) if sign > 0 else (ROUND_FLOOR, ROUND_CEILING)
        guard: dict[str, Any] = {"row": self.row, "running": "", "best": price, "trail": None}
        guard["stop"] = None if s["stop"] is None else steps(price * (1 - sign * s["stop"]), tick, far)
        guard["target"] = None if s["target"] is None else steps(price * (1 + sign * s["target"]), tick, near)
        if s["trail"] is not None:
            guard["trail"] = steps(price * (1 - sign * s["trail"]), tick, far)
        return guard

"""Mode `order`: a parent order that a user gives a running session from outside."""

from typing import Annotated, Literal

import annotated_types
from rich.console import Console

from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.node import Amount, Fraction, node
from kraken_flow.core.orders import Control, Side
from kraken_flow.core.parents import MEMORY_DAYS, ManualOrder
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.tape import Grid, Tape, market_of
from kraken_flow.core.times import DAY, parse_duration, timeframe_name
from kraken_flow.core.units import UNIT, parse, rate, text
from kraken_flow.modes import Call, Mode
from kraken_flow.modes.control import deliver, running
from kraken_flow.modes.order_sense import warnings
from kraken_flow.modes.status import folded
from kraken_flow.nearest import hint
from kraken_flow.runs.control import order_content
from kraken_flow.runs.past import LATEST

LONGEST = 100_000
"""Bars that an order may be worked over."""
_OF_ALGO = {"participation": ("pov",), "display": ("iceberg",), "jitter": ("twap", "vwap", "iceberg")}
"""Fields that only some ways of working an order read."""
Half = Annotated[float, annotated_types.Ge(0), annotated_types.Le(0.5)]
"""A share of at most a half."""


@node
class PlaceOrder(Mode):
    """Work an order in a running session, beside what its strategy does, until that next acts on the pair."""

    needs_graph = False
    side: Literal["buy", "sell"]
    """Direction."""
    pair: str
    """One of the session's pairs."""
    quantity: Amount
    """How much of the base currency, a multiple of the pair's lot."""
    run: str = LATEST
    """Folder of the session."""
    algo: Literal["market", "twap", "vwap", "pov", "iceberg"] = "market"
    """How it is worked: at once, in equal parts, along the volume of past days, with the volume, or part by part."""
    over: str | None = None
    """How long it is worked, as 8h; needed by twap and vwap, null lets pov and iceberg work until it is filled."""
    limit: Amount | None = None
    """Worst price; null: none. What is not filled then is left where `remainder` would cross it."""
    remainder: Literal["cancel", "cross"] = "cross"
    """What becomes of the rest at the end: sent at once, or left."""
    participation: Half = 0.1
    """Share of all volume that pov takes."""
    max_participation: Fraction | None = None
    """Largest share of the last bar's volume that may be working at a time; null: no limit."""
    display: Fraction = 0.1
    """Share of the whole that iceberg shows."""
    jitter: Half = 0.0
    """Largest change of a part, as a share of it."""

    def drive(self, call: Call) -> int:
        """Check the order against the session, leave the request and wait until the session has taken it."""
        folder = running(self.run)
        session = folded(folder)
        if session is None or session.rows <= session.tape.first_row:
            raise UserError(f"mode.run={self.run}: the session has not seen a bar yet; try again after its first one")
        tape = session.tape
        order = self.order(session.graph, tape)
        for words in warnings(order, session):
            _warn(f"mode.run={self.run}: {words}")
        deliver(self.run, folder, Control.ORDER, order_content(order, tape.pairs))
        said = f"{self.run}: {self.side} {text(order.qty)} {self.pair} by {self.algo}: taken, and stands in the journal"
        Console(highlight=False).print(said, markup=False, soft_wrap=True)
        return 0

    def order(self, graph: Graph, tape: Tape) -> ManualOrder:
        """Return the order in integers. Raises `UserError` where the session cannot work it."""
        if self.pair not in tape.pairs:
            near = hint(self.pair, tape.pairs, "mode.pair=")
            raise UserError(f"mode.pair={self.pair}: the session trades {', '.join(tape.pairs)}{near}")
        at = tape.pairs.index(self.pair)
        nothing = market_of(tape, Grid(len(tape.pairs)), Grid(len(tape.pairs)))
        instrument = graph.exchange.instruments(nothing)[at]
        qty = parse(repr(self.quantity), what="mode.quantity")
        if qty % instrument.lot or qty < instrument.qty_min:
            least = f", at least {text(instrument.qty_min)}" if instrument.qty_min else ""
            raise UserError(f"mode.quantity={self.quantity}: must be a multiple of {text(instrument.lot)}{least}")
        return ManualOrder(at, Side[self.side.upper()], qty, self._plan(tape, instrument))

    def _plan(self, tape: Tape, instrument: Instrument) -> Plan:
        bars = self._bars(tape.timeframe_ns)
        limit = 0 if self.limit is None else parse(repr(self.limit), what="mode.limit")
        if limit % instrument.tick:
            raise UserError(f"mode.limit={self.limit}: must be a multiple of the tick {text(instrument.tick)}")
        if self.algo == "iceberg" and limit == 0:
            raise UserError("mode.algo=iceberg: needs mode.limit, the price at which the parts rest")
        for name, algos in _OF_ALGO.items():
            if getattr(self, name) != type(self).__dataclass_fields__[name].default and self.algo not in algos:
                raise UserError(f"mode.{name}: mode.algo={self.algo} does not use it, {' and '.join(algos)} does")
        if self.algo == "pov" and self.participation == 0:
            raise UserError("mode.participation=0: must be above 0, at most 0.5")
        algo = Algo.TWAP if self.algo == "market" else Algo[self.algo.upper()]
        iceberg, pov = algo is Algo.ICEBERG, algo is Algo.POV
        period = DAY // tape.timeframe_ns
        return Plan(
            algo,
            bars=bars,
            size_jitter=rate(self.jitter),
            limit_price=limit,
            max_participation=-1 if self.max_participation is None else rate(self.max_participation),
            participation=rate(self.participation) if pov else 0,
            burst=2 * UNIT if pov else UNIT,
            display=rate(self.display) if iceberg else 0,
            period=period if algo is Algo.VWAP else 0,
            periods=MEMORY_DAYS if algo is Algo.VWAP else 0,
            remainder=Remainder[self.remainder.upper()],
        )

    def _bars(self, timeframe_ns: int) -> int:
        """Return the bars over which the order is worked."""
        name = timeframe_name(timeframe_ns)
        if self.algo == "market":
            if self.over is not None:
                raise UserError(f"mode.over={self.over}: mode.algo=market goes at once; choose mode.algo=twap")
            return 1
        if self.over is None:
            if self.algo in ("twap", "vwap"):
                raise UserError(f"mode.algo={self.algo}: needs mode.over, how long it is worked, as mode.over={name}")
            return 0
        over = parse_duration(self.over, "mode.over")
        if over <= 0 or over % timeframe_ns:
            raise UserError(f"mode.over={self.over}: must be a multiple of the session's bars of {name}")
        if self.algo == "vwap" and DAY % timeframe_ns:
            raise UserError(f"mode.algo=vwap: bars of {name} do not divide a day; choose mode.algo=twap")
        if over // timeframe_ns > LONGEST:
            raise UserError(f"mode.over={self.over}: at most {LONGEST:,} bars of {name}")
        return over // timeframe_ns


def _warn(words: str) -> None:
    Console(stderr=True, highlight=False).print(f"warning: {words}", markup=False, soft_wrap=True)

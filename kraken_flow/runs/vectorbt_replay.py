"""A run's fills in vectorbt: its Portfolio for those who know it, and a check of our ledger by another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import settled_in, split_pair
from kraken_flow.core.market import ABSENT, Market
from kraken_flow.core.units import UNIT, FloatArray, Int64Array
from kraken_flow.runs import arrow
from kraken_flow.runs.views import RunView, paid_in_base, pair_index, signed_change

INSTALL = 'pip install --editable ".[vectorbt]"'
_CLOSE = 1e-9
"""Amounts that differ by less than this share are equal to vectorbt: it sets what is left of them to 0."""
_ROUNDING = 8 * 2.0**-53
"""What the roundings of one fill add up to at most, as a share of the largest amount: it works in 64-bit floats."""


def require(asked_by: str) -> None:
    """Raise `UserError` with the command that installs vectorbt where it is missing; imports nothing."""
    if find_spec("vectorbt") is None:
        raise UserError(f"{asked_by} needs the library vectorbt, which is not installed: {INSTALL}")


@dataclass(frozen=True)
class Replay:
    """A run's fills as rows that vectorbt can take one order per pair of.

    Parameters
    ----------
    times
        int64 (n_rows,), ns UTC: a bar's open, and a microsecond more for each further row of a bar.
    last
        int64 (n_bars,): the last row of each bar, where its close counts.
    close
        float64 (n_rows, n_pairs): the close of the bar in its last row, what was known before in the others; before a
        pair's first bar the close of that.
    size, price, fee
        float64 (n_rows, n_pairs): the signed change of the position, NaN without a fill; its price; its fee in cash.
    cash
        Starting cash.
    largest
        The largest amount that cash or a position came to.
    """

    times: Int64Array
    last: Int64Array
    close: FloatArray
    size: FloatArray
    price: FloatArray
    fee: FloatArray
    cash: float
    largest: float
    n_fills: int
    rebates: bool = False
    """Whether fees below 0 stand in the prices."""


def replay_of(run: RunView) -> Replay:
    """Lay out a run's fills. Raises `UserError` where vectorbt has no account that could hold them."""
    pairs = run.pairs
    inverse = [pair for pair in pairs if settled_in(pair) and settled_in(pair) == split_pair(pair)[0]]
    if inverse:
        raise UserError(f"vectorbt has no inverse contracts, and the run traded {', '.join(inverse)}")
    market, fills = run.market, run.table("fills")
    opens = market.times[market.first_row : market.first_row + len(run.table("equity"))]
    bars = np.searchsorted(opens, fills.column("bar").cast("int64").to_numpy())
    pair = pair_index(fills, pairs)
    change, price = signed_change(fills), arrow.units(fills.column("price"))
    in_base = paid_in_base(fills, pairs)
    paid: FloatArray = arrow.nearest_floats(fills.column("fee")).to_numpy()
    fee = np.where(in_base, paid * (price / UNIT), paid)
    worth = change / UNIT * (price / UNIT)
    cash = run.start_equity - np.cumsum(worth + fee)
    # The last cash may be rounded: what is below zero by less than a float can tell is zero.
    if len(cash) and cash.min() < -_CLOSE * run.start_equity:
        raise UserError(
            f"vectorbt has no leverage: the run's cash went down to {cash.min():,.2f}, and vectorbt cuts orders at 0"
        )
    # A row holds one fill per pair, and vectorbt goes through the pairs in their order.
    more = np.zeros(len(bars), bool)
    more[1:] = (bars[1:] == bars[:-1]) & (pair[1:] <= pair[:-1])
    extra = np.bincount(bars[more], minlength=len(opens)).astype(np.int64)
    last = np.arange(len(opens)) + np.cumsum(extra)
    rows = bars + np.cumsum(more)
    bar_of = np.repeat(np.arange(len(opens)), extra + 1)
    slot = np.arange(len(bar_of)) - (last - extra)[bar_of]
    shape = (len(bar_of), len(pairs))
    size, prices, fees = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    # vectorbt takes no fee below 0: a maker's rebate is a better price.
    better = np.where(fee < 0, fee / (change / UNIT), 0.0)
    size[rows, pair], prices[rows, pair], fees[rows, pair] = change / UNIT, price / UNIT + better, np.maximum(fee, 0.0)
    close = _marks(_closes(market, len(opens))[bar_of], last, prices)
    held = np.nancumsum(size, axis=0) * close
    largest = float(max(run.start_equity, np.abs(cash).max(initial=0), np.abs(held).max(initial=0)))
    times = opens[bar_of] + slot * 1000
    rebates = bool((fee < 0).any())
    return Replay(times, last, close, size, prices, fees, run.start_equity, largest, len(bars), rebates)


def _closes(market: Market, n: int) -> FloatArray:
    rows = slice(market.first_row, market.first_row + n)
    columns = []
    for pair in market.marks or market.pairs:
        values = pair.floats("close")[rows].copy()
        known = np.flatnonzero(pair.state[rows] != ABSENT)
        values[: known[0] if len(known) else n] = values[known[0]] if len(known) else np.nan
        columns.append(values)
    return np.column_stack(columns)


def _marks(close: FloatArray, last: Int64Array, prices: FloatArray) -> FloatArray:
    """Value the rows before the last one of a bar at what was known then: the newest fill, else the close before."""
    inside = np.ones(len(close), bool)
    inside[last] = False
    # In the first bar there is no close before.
    inside[: last[0] if len(last) else 0] = False
    values = np.where(inside[:, None], prices, close)
    known = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    np.maximum.accumulate(known, axis=0, out=known)
    marked: FloatArray = np.take_along_axis(values, known, axis=0)
    return marked


def portfolio_of(run: RunView) -> Any:
    """Return vectorbt's Portfolio of a run's fills."""
    require("to_vectorbt()")
    return _portfolio(run, replay_of(run))


def _portfolio(run: RunView, replay: Replay) -> Any:
    import pandas as pd
    import vectorbt as vbt  # seconds to import

    index = pd.DatetimeIndex(replay.times, tz="UTC", name="time")
    made: Any = vbt.Portfolio.from_orders(
        pd.DataFrame(replay.close, index=index, columns=list(run.pairs)),
        size=replay.size,
        size_type="amount",
        direction="both",
        price=replay.price,
        fees=0.0,
        fixed_fees=replay.fee,
        slippage=0.0,
        init_cash=replay.cash,
        cash_sharing=True,
        group_by=True,
        freq=pd.Timedelta(run.market.timeframe_ns, unit="ns"),
        engine="auto",
    )
    return made


@dataclass(frozen=True)
class Line:
    """One number of both, and how far apart they may be."""

    name: str
    ours: float
    theirs: float
    tolerance: float

    @property
    def difference(self) -> float:
        """Theirs less ours."""
        return self.theirs - self.ours

    @property
    def agrees(self) -> bool:
        """Whether they differ by no more than they may."""
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class Check:
    """What vectorbt makes of a run's fills, beside what we made.

    Parameters: `lines` what was compared; `unchecked` what could not be, in sentences; `why` where the tolerance comes
    from.
    """

    lines: Sequence[Line]
    unchecked: Sequence[str]
    tolerance: float
    why: str

    @property
    def agrees(self) -> bool | None:
        """Whether all that was compared agrees; None where nothing could be."""
        return all(line.agrees for line in self.lines) if self.lines else None

    def content(self) -> dict[str, Any]:
        """Return it as plain values, as `crosscheck.json` has it."""
        lines = [
            {"name": line.name, "ours": line.ours, "vectorbt": line.theirs, "difference": line.difference}
            | {"tolerance": line.tolerance, "agrees": line.agrees}
            for line in self.lines
        ]
        return {
            "library": "vectorbt",
            "version": version("vectorbt"),
            "agrees": self.agrees,
            "compared": lines,
            "not_compared": list(self.unchecked),
            "tolerance": self.tolerance,
            "why": self.why,
        }


def check(run: RunView) -> Check:
    """Give a run's fills to vectorbt and compare the two accounts.

    What vectorbt cannot hold is said, never guessed: then fewer lines, or none, are compared.
    """
    require("report.crosscheck=vectorbt")
    try:
        replay = replay_of(run)
    except UserError as error:
        return Check((), (str(error),), 0.0, "")
    book, metrics = _portfolio(run, replay), run.metrics
    tolerance = replay.largest * (_CLOSE + _ROUNDING * replay.n_fills)
    why = (
        f"64-bit floats over {replay.n_fills:,} fills, and {_CLOSE:g} within which vectorbt takes two amounts for "
        f"equal, of {replay.largest:,.2f}, the largest amount"
    )
    moved = -sum(float(metrics.get(name) or 0) for name in ("funding", "borrow"))
    unchecked = []
    if moved:
        unchecked.append(f"funding and interest of {moved:,.2f}, of which vectorbt knows nothing, are taken off ours")
    value: FloatArray = book.value().to_numpy()
    lines = [
        Line("final equity", float(metrics["final_equity"]) - moved, float(value[-1]), tolerance),
        Line("fills", replay.n_fills, len(_records(book.orders)), 0),
    ]
    if replay.rebates:
        unchecked.append("fees: vectorbt takes none below 0, so that rebates are given to it in the price")
    else:
        lines.append(Line("fees", float(metrics["fees"]), float(_records(book.orders)["fees"].sum()), tolerance))
    if any(map(settled_in, run.pairs)):
        unchecked.append("cash: ours holds what contracts were entered at as margin, vectorbt pays it out")
    else:
        lines.insert(
            1, Line("final cash", float(metrics["final_cash"]) - moved, float(book.cash().iloc[-1]), tolerance)
        )
    fills = run.table("fills")
    if paid_in_base(fills, run.pairs).any():
        unchecked.append("trades: fees in the coin leave less than a lot, which is flat to us and open to vectorbt")
    else:
        closed = int((_records(book.positions)["status"] == _CLOSED).sum())
        lines.append(Line("closed trades", float(metrics["trades"]), closed, 0))
    if moved or run.market.marks:
        unchecked.append("the equity of each bar: funding moves cash between fills, and marks are not last prices")
    else:
        ours: FloatArray = run.table("equity").column("equity").to_numpy()
        worst = float(np.abs(value[replay.last] - ours).max(initial=0))
        lines.append(Line("equity of every bar, largest gap", 0.0, worst, tolerance))
    return Check(lines, unchecked, tolerance, why)


_CLOSED = 1
"""vectorbt's status of a position that is flat again."""


def _records(of: Any) -> NDArray[Any]:
    values: NDArray[Any] = of.values
    return values

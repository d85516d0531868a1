"""The books that a run held, and what scenarios do to them, with stored bars where there are any."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kraken_flow.analysis.backing import isolated_backing
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.stress import (
    Book,
    Isolated,
    Outcome,
    correlated,
    correlation_shock,
    estimated,
    walk,
    worst_correlated_row,
    worst_row,
)
from kraken_flow.config.nodes import FAILED, build_node
from kraken_flow.core.contract import MarginMode, values
from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import REAL, PairColumns
from kraken_flow.core.source import StreamingSource
from kraken_flow.core.times import DAY, iso, parse_time, parse_timeframe, timeframe_name
from kraken_flow.core.units import UNIT, FloatArray, rate
from kraken_flow.modes.driver import Done
from kraken_flow.modes.scenario import Scenario

if TYPE_CHECKING:
    from kraken_flow.modes.stress import Stress

FILES = "kraken_flow.data.files.Files"
Why: TypeAlias = tuple[str, ...]
_COMPLETE = 0.9
"""Share of a span's bars that have to be there for its path to be used."""


@dataclass(frozen=True)
class Loss:
    """What a scenario does to a system's book; money in the account's currency, shares as fractions of `equity`."""

    date: str
    source: str
    time: str
    equity: float
    final: float
    change: float
    drawdown: float
    worst: float
    """The lower of `change` and `drawdown`."""
    liquidated: bool
    prices: str
    """Whether moves are those of stored bars, or the figures of the scenario, by pair."""
    notes: Why
    """Why stored bars of a pair were not used."""
    liquidations: tuple[str, ...] = ()
    """The pairs whose isolated positions are liquidated; where margin is shared it is the whole book."""


@dataclass(frozen=True)
class Moves:
    """Moves of all pairs from the start of a scenario, float64 (n_steps, n_pairs): closes, lows, highs."""

    close: FloatArray
    low: FloatArray
    high: FloatArray
    prices: str
    notes: Why


def losses(done: Done, graph: Graph, asked: "Stress", scenarios: Mapping[str, Scenario]) -> dict[str, Loss]:
    """Return what each scenario does to the book that a run held."""
    finished = done.finished
    held = Held.of(finished, graph)
    equity = finished.result.equity
    if not len(equity):
        raise UserError("the run has no decision bar: there is no book to stress")
    if not bool((equity > 0.0).any()):
        raise UserError("the run has no equity at any bar: there is no book to stress")
    source = _bars(graph, asked.bars, finished)
    return {name: _loss(finished, held, scenario, asked, source) for name, scenario in scenarios.items()}


@dataclass(frozen=True)
class Held:
    """The positions of a run at each decision bar's close, float64 of shape (n_pairs, n_rows).

    Parameters: `values` as in `Book`; `backing` what stands behind each isolated one, None where margin is shared.
    """

    values: FloatArray
    backing: FloatArray | None
    maintenance: float
    at_bankruptcy: bool

    @staticmethod
    def of(finished: FinishedRun, graph: Graph) -> "Held":
        """Read a run."""
        terms = graph.exchange.terms().margin
        isolated = terms.mode is MarginMode.ISOLATED
        backing = isolated_backing(finished, rate(graph.account.leverage)) if isolated else None
        return Held(held_values(finished), backing, terms.maintenance / UNIT, terms.at_bankruptcy)

    def book(self, finished: FinishedRun, row: int) -> Book:
        """Return the book of one row."""
        values, alone = self.values[:, row], None
        if self.backing is not None:
            alone = Isolated(self.backing[:, row], self.maintenance, self.at_bankruptcy)
        return Book(values, float(finished.result.equity[row]) - float(values.sum()), alone, finished.inverse)


def held_values(finished: FinishedRun) -> FloatArray:
    """Return each position's value at each decision bar's close, float64 of shape (n_pairs, n_rows)."""
    market, result = finished.market, finished.result
    first, n = market.first_row, len(result.equity)
    fills = result.fills
    change = np.zeros((len(market.pairs), n))
    rows = np.clip(fills["row"] - first, 0, None)
    np.add.at(change, (fills["pair"], rows), (fills["side"] * fills["qty"]).astype(np.float64))
    taken = fills["fee_is_base"] != 0
    np.add.at(change, (fills["pair"][taken], rows[taken]), -fills["fee_lo"][taken].astype(np.float64))
    prices = np.array([pair.close[first : first + n].astype(np.float64) for pair in market.pairs])
    held = np.cumsum(change, axis=1)
    return values(finished.inverse[:, None], held / UNIT, prices / UNIT)


def _bars(graph: Graph, folder: str | None, finished: FinishedRun) -> Any:
    """Return the source of stored bars, None where there are none but synthetic ones."""
    if folder is None:
        stored = not finished.market.synthetic_sample and not isinstance(graph.source, StreamingSource)
        return graph.source if stored else None
    problems: list[str] = []
    source = build_node({"_target_": FILES, "path": folder}, "mode.bars", "data", problems)
    if source is FAILED:
        raise UserError("\n".join(problems))
    return source


def _loss(finished: FinishedRun, held: Held, scenario: Scenario, asked: "Stress", source: Any) -> Loss:
    equity, values = finished.result.equity, held.values
    moves = _moves(finished, scenario, source)
    if asked.at == "last":
        row = len(equity) - 1
    else:
        if scenario.moves_correlations:
            deviations, correlation = estimated(_returns(finished))
            shocked = correlation_shock(correlation, scenario.correlation or 0.0)
            row = worst_correlated_row(values, equity, deviations, shocked)
        else:
            cost = scenario.exit_cost
            low, high = moves.low.min(axis=0) - cost, moves.high.max(axis=0) + cost
            row = worst_row(values, equity, low, high, finished.inverse, held.backing)
    book = held.book(finished, row)
    time = iso(int(finished.closes[row]))
    if book.equity <= 0.0:
        raise UserError(f"mode.at={asked.at}: the book of {time} has no equity left to stress")
    if scenario.moves_correlations:
        outcome, prices = _correlated(finished, book, scenario.correlation or 0.0), "correlations, 99 % of a day"
    else:
        adverse = np.where(book.values > 0.0, moves.low, moves.high)
        outcome = walk(book, moves.close, adverse, asked.maintenance, scenario.quote, scenario.exit_cost)
        prices = moves.prices
    worst = min(outcome.change, outcome.drawdown)
    return Loss(
        scenario.date,
        scenario.source,
        time,
        book.equity,
        outcome.final,
        outcome.change,
        outcome.drawdown,
        worst,
        outcome.liquidated,
        prices,
        moves.notes,
        tuple(finished.market.names[p] for p in outcome.positions),
    )


def _correlated(finished: FinishedRun, book: Book, toward: float) -> Outcome:
    return correlated(book, _returns(finished), toward, DAY / finished.market.timeframe_ns)


def _returns(finished: FinishedRun) -> FloatArray:
    """Return simple returns of all pairs between the decision bars' closes, float64 (n_pairs, n)."""
    market = finished.market
    first = market.first_row
    closes = np.array([pair.close[first:].astype(np.float64) for pair in market.pairs])
    known = (closes > 0.0).all(axis=0)
    closes = closes[:, known]
    if closes.shape[1] < 3:
        raise UserError("a correlation shock takes three bars of all pairs, and the run has fewer")
    returns: FloatArray = closes[:, 1:] / closes[:, :-1] - 1.0
    return returns


def _moves(finished: FinishedRun, scenario: Scenario, source: Any) -> Moves:
    """Return the moves of all pairs: stored bars where the span is there, figures for the others."""
    names = finished.market.names
    real: dict[str, FloatArray] = {}
    why: Why = ()
    if source is not None and scenario.start is not None and scenario.end is not None:
        step = finished.market.timeframe_ns
        real, why = _stored(source, names, step, parse_time(scenario.start), parse_time(scenario.end))
    steps = max([scenario.steps, *(table.shape[1] for table in real.values())])
    table = np.zeros((3, steps, len(names)))
    for p, name in enumerate(names):
        if name in real:
            table[:, :, p] = real[name]
        else:
            quoted = scenario.quoted(name)
            # A figure has no path of its own: it is there when the bars of the others are at their end.
            table[:, steps - len(quoted) :, p] = quoted
    missing = [name for name in names if name not in real]
    words = "figures" if not real else "stored bars" if not missing else f"stored bars; figures: {', '.join(missing)}"
    return Moves(table[0], table[1], table[2], words, why)


def _stored(source: Any, names: tuple[str, ...], step: int, start: int, end: int) -> tuple[dict[str, FloatArray], Why]:
    """Return moves of the pairs whose bars are stored, all of one timeframe: the run's, else hours, else days.

    For the others say why theirs are not used.
    """
    reasons: dict[str, str] = {}
    for length, timeframe in ((step, None), (parse_timeframe("1h"), "1h"), (DAY, "1d")):
        if timeframe is not None and length < step:
            continue
        found = {}
        for name in names:
            moves = _moves_of(source, name, length, start, end)
            if isinstance(moves, str):
                reasons.setdefault(name, moves)
            else:
                found[name] = moves
        if found:
            return found, tuple(reason for name, reason in reasons.items() if name not in found)
    return {}, tuple(reasons.values())


def _moves_of(source: Any, name: str, step: int, start: int, end: int) -> FloatArray | str:
    """Return a pair's moves from its stored bars, float64 (3, n_steps), or why there are none."""
    try:
        market = source.load((name,), timeframe_name(step), start, end, 0)
    except UserError as error:
        return str(error)
    if market.synthetic_sample:
        return "synthetic bars are no crisis"
    pair: PairColumns = market.pairs[0]
    whole = -(-(end - start) // step)
    inside = (market.times >= start) & (market.times < end)
    real = inside & (pair.state == REAL)
    if int(real.sum()) < _COMPLETE * whole or int(inside.sum()) != whole:
        return f"{name}: {int(real.sum())} of {whole} bars of {timeframe_name(step)} are stored from {iso(start)} on"
    first = float(pair.open[np.flatnonzero(real)[0]])
    return np.array(
        [getattr(pair, field)[inside].astype(np.float64) / first - 1.0 for field in ("close", "low", "high")]
    )

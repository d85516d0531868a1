"""Mode `frontier`: the least risk for each mean return that a system's pairs would have given over its dates."""

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import annotated_types
import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from kraken_flow.core.errors import UserError
from kraken_flow.core.market import REAL
from kraken_flow.core.node import node
from kraken_flow.core.times import YEAR, iso
from kraken_flow.core.units import FloatArray
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.console import print_json, wide_console

if TYPE_CHECKING:
    from kraken_flow.core.market import Market

LEAST_BARS = 30
"""Returns below which no covariance is worth a look."""


@dataclass(frozen=True)
class Point:
    """A portfolio: its name, its return and volatility of a year as shares, and its weights by pair."""

    name: str
    annual_return: float
    annual_volatility: float
    weights: dict[str, float]

    @property
    def ratio(self) -> float | None:
        """Return over volatility; None without any."""
        return self.annual_return / self.annual_volatility if self.annual_volatility > 0 else None


@node
class Frontier(Mode):
    """Draw the efficient frontier of the system's pairs over its dates, beside portfolios that need no means."""

    points: Annotated[int, annotated_types.Ge(2), annotated_types.Le(200)] = 20
    """Portfolios on the frontier, in equal steps of the mean return."""
    min_weight: Annotated[float, annotated_types.Ge(-10), annotated_types.Le(1)] = 0.0
    """Smallest weight of a pair; below 0 it may be sold short."""
    max_weight: Annotated[float, annotated_types.Gt(0), annotated_types.Le(10)] = 1.0
    """Largest weight of a pair."""
    covariance: Literal["sample", "shrunk"] = "sample"
    """sample: of the returns as they are; shrunk: drawn toward a multiple of the identity, as Ledoit and Wolf do."""

    def drive(self, call: Call) -> int:
        """Print the table, and write it as CSV and JSON with a plot. Raises `UserError` without the library."""
        from kraken_flow.core.optimisation import require
        from kraken_flow.core.whole import write_whole
        from kraken_flow.modes.driver import Job, inputs, load
        from kraken_flow.runs.directory import write_json
        from kraken_flow.runs.frontier_plot import page
        from kraken_flow.runs.record import recorded

        require("mode=frontier")
        job = Job.of(call, "frontier")
        self._check(len(job.graph.pairs))
        market = load(job.graph)
        returns, span = returns_of(market)
        points, others = self.portfolios(returns, market)
        content = {
            "span": span,
            "returns": len(returns),
            "synthetic_sample": market.synthetic_sample,
            "frontier": [_row(point) for point in points],
            "others": [_row(point) for point in others],
        }
        title = "EFFICIENT FRONTIER" + (" (synthetic sample market)" if market.synthetic_sample else "")
        with recorded(job.declared) as record:
            record.add(inputs(job.graph, job.engine))
            write_json(record.folder / "frontier.json", content)
            write_whole(record.folder / "frontier.csv", _csv([*points, *others], market.names).encode())
            write_whole(record.folder / "frontier.html", page(title.capitalize(), points, others).encode())
        if call.choices.get("report") == "json":
            print_json(content)
            return 0
        console = wide_console()
        console.print(_table(title, [*points, *others], market.names))
        console.print(f"{len(returns):,} returns, {span[0]} to {span[1]}", markup=False, soft_wrap=True)
        console.print("means of the past are no forecast: the frontier is what hindsight would have held", markup=False)
        console.print(f"run: {record.folder}", markup=False, soft_wrap=True)
        return 0

    def _check(self, n_pairs: int) -> None:
        """Refuse bounds that leave no portfolio to choose."""
        if n_pairs < 2:
            raise UserError("mode=frontier: one pair has no frontier; name more, as in pairs=[BTC/USD,ETH/USD]")
        if self.max_weight * n_pairs <= 1:
            raise UserError(
                f"mode.max_weight={self.max_weight:g}: {n_pairs} pairs leave no choice; use more than {1 / n_pairs:.4g}"
            )
        if self.min_weight * n_pairs >= 1 or self.min_weight >= self.max_weight:
            most = min(1 / n_pairs, self.max_weight)
            raise UserError(f"mode.min_weight={self.min_weight:g}: leaves no choice; use less than {most:.4g}")

    def portfolios(self, returns: FloatArray, market: "Market") -> tuple[list[Point], list[Point]]:
        """Return the frontier, and the portfolios beside it: equal weights, inverse volatility, equal risk.

        Parameters: `returns` float64 (n_returns, n_pairs), simple; `market` for the names and the length of a bar.
        """
        from kraken_flow.core.optimisation import Problem, efficient_frontier, optimise

        bars = YEAR / market.timeframe_ns
        mean, deviation = returns.mean(axis=0), returns.std(axis=0, ddof=1)
        if not (deviation > 0).all():
            still = market.names[int(np.argmin(deviation))]
            raise UserError(f"mode=frontier: the price of {still} stands still over these dates; leave the pair out")
        covariance = np.cov(returns.T)

        def point(name: str, weights: FloatArray) -> Point:
            volatility = float(np.sqrt(weights @ covariance @ weights * bars))
            shares = dict(zip(market.names, (float(w) for w in weights), strict=True))
            return Point(name, float(mean @ weights * bars), volatility, shares)

        asked = Problem(min_weight=self.min_weight, max_weight=self.max_weight, shrunk=self.covariance == "shrunk")
        frontier = efficient_frontier(returns, asked, self.points)
        others = {"equal weights": np.full(len(mean), 1 / len(mean)), "inverse volatility": 1 / deviation}
        parity = optimise(returns, Problem("risk_parity", shrunk=asked.shrunk))
        if parity is not None:
            others["risk parity"] = parity
        return (
            [point(f"{k + 1}", weights) for k, weights in enumerate(frontier)],
            [point(name, weights / weights.sum()) for name, weights in others.items()],
        )


def returns_of(market: "Market") -> tuple[FloatArray, tuple[str, str]]:
    """Return simple returns of the pairs from `market.first_row` on, and the first and last close that they are of.

    Bars that one of the pairs lacks are left out. Raises `UserError` where too few are left.
    """
    rows = slice(market.first_row, market.n_rows)
    real = np.array([pair.state[rows] == REAL for pair in market.pairs]).all(axis=0)
    closes = np.array([pair.floats("close")[rows] for pair in market.pairs]).T[real]
    if len(closes) < LEAST_BARS + 1:
        raise UserError(
            f"mode=frontier: {len(closes)} bars that all {len(market.pairs)} pairs have, it takes {LEAST_BARS + 1}: "
            "set start and end further apart, or leave a pair out"
        )
    times = market.times[rows][real] + market.timeframe_ns
    return closes[1:] / closes[:-1] - 1.0, (iso(int(times[0])), iso(int(times[-1])))


def _row(point: Point) -> dict[str, Any]:
    return {**vars(point), "return_over_volatility": point.ratio}


def _csv(points: list[Point], pairs: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["portfolio", "annual_return", "annual_volatility", "return_over_volatility", *pairs])
    for point in points:
        numbers = [point.annual_return, point.annual_volatility, point.ratio, *point.weights.values()]
        writer.writerow([point.name, *("" if number is None else repr(number) for number in numbers)])
    return text.getvalue()


def _table(title: str, points: list[Point], pairs: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("Portfolio", overflow="fold")
    for head in ("Return/yr", "Vol/yr", "Ratio", *pairs):
        table.add_column(head, justify="right", overflow="fold")
    for point in points:
        table.add_row(
            point.name,
            f"{point.annual_return:+.1%}",
            f"{point.annual_volatility:.1%}",
            "-" if point.ratio is None else f"{point.ratio:.2f}",
            *(f"{weight:.1%}" for weight in point.weights.values()),
        )
    return table

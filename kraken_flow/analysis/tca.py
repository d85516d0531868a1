"""Transaction-cost analysis of parent orders: what working them cost against the price of their decision (spec 7)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.contract import cost, notional
from kraken_flow.core.market import PairColumns
from kraken_flow.core.orders import Liquidity
from kraken_flow.core.units import CASH_UNIT, UNIT, Int64Array

NAN = float("nan")


@dataclass(frozen=True)
class Shortfall:
    """Perold's implementation shortfall of one parent, exact; costs are positive, 10^-16 of the account's currency.

    Parameters
    ----------
    side, qty, filled
        +1 buys, -1 sells; what was to be done and what was, 10^-8.
    arrival
        Price against which it is measured, 10^-8: the close of the decision.
    notional
        Sum of the sizes of the fills: quantity times price, of an inverse contract quantity over price.
    execution
        What the fills cost against the arrival price.
    opportunity
        What the price went away by the end, of what was not filled.
    fees
        Fees of the fills.
    inverse
        Whether the contract is settled in its base.
    """

    side: int
    qty: int
    filled: int
    arrival: int
    notional: int
    execution: int
    opportunity: int
    fees: int
    inverse: bool = False

    @staticmethod
    def of(
        side: int,
        qty: int,
        arrival: int,
        fills: Sequence[tuple[int, int]],
        end: int,
        fees: int,
        inverse: bool = False,
    ) -> "Shortfall":
        """Measure a parent. Parameters: `fills` (quantity, price); `end` the price at its end.

        The sum of the three parts is Σ q(p - S) + (X - Σ q)(S_end - S) + fees for a buy, mirrored for a sale; of an
        inverse contract Σ q(1/S - 1/p) + (X - Σ q)(1/S - 1/S_end) + fees.
        """
        filled = sum(part for part, _ in fills)
        paid = sum(cost(inverse, side * part, price) for part, price in fills)
        execution = paid - _paid(inverse, side * filled, arrival)
        opportunity = _further(inverse, side * (qty - filled), arrival, end)
        size = sum(notional(inverse, part, price) for part, price in fills)
        return Shortfall(side, qty, filled, arrival, size, execution, opportunity, fees, inverse)

    @property
    def total(self) -> int:
        """Execution, opportunity and fees."""
        return self.execution + self.opportunity + self.fees

    @property
    def paper(self) -> int:
        """Value of the whole at the arrival price: the portfolio on paper."""
        return self._size(self.qty)

    @property
    def done(self) -> int:
        """Value of what was filled at the arrival price."""
        return self._size(self.filled)

    def _size(self, qty: int) -> int:
        return notional(self.inverse, qty, self.arrival) if self.arrival else 0

    @property
    def total_bps(self) -> float:
        """Total in basis points of the value on paper; NaN without one."""
        return 1e4 * self.total / self.paper if self.paper else NAN

    @property
    def slippage_bps(self) -> float:
        """Cost of the fills against the arrival price, in basis points of what was filled; NaN without a fill."""
        return 1e4 * self.execution / self.done if self.done else NAN

    @property
    def average(self) -> float:
        """Mean price of the fills, quote currency; NaN without a fill."""
        if not self.filled:
            return NAN
        return self.filled * UNIT / self.notional if self.inverse else self.notional / self.filled / UNIT

    def against_bps(self, price: float) -> float:
        """Return how much worse than a price, in quote currency, the fills were on average, in basis points."""
        return self.side * 1e4 * (self.average - price) / price if price > 0 else NAN

    def delay(self, decided: int) -> int:
        """Return what the price went away between a decision at the price `decided` and the arrival, 10^-16."""
        return _further(self.inverse, self.side * self.qty, decided, self.arrival)


def _paid(inverse: bool, change: int, price: int) -> int:
    """Return what cash pays for a change of position, nothing where there is no price."""
    return cost(inverse, change, price) if price else 0


def _further(inverse: bool, change: int, start: int, end: int) -> int:
    """Return how much more a change of position costs at one price than at an earlier one."""
    return _paid(inverse, change, end) - _paid(inverse, change, start)


@dataclass(frozen=True)
class ParentCosts:
    """One parent's costs beside its market.

    Parameters: `market_vwap` mean of typical prices of the bars from the one after the decision to the end, weighted by
    their volume, quote currency, NaN without volume; `wait` what the price went away until the open after the decision,
    a part of the shortfall, 10^-16; `maker` share of what was filled that rested; `markout_bps` how far the price was
    one bar's close after each fill's bar, in our favour, weighted by quantity; `children` how many orders were sent.
    """

    shortfall: Shortfall
    market_vwap: float
    wait: int
    maker: float
    markout_bps: float
    children: int
    end_row: int


def parent_costs(run: FinishedRun) -> list[ParentCosts]:
    """Return the costs of every parent order of a run, in their order; those still under way to the last close."""
    known: dict[str, list[ParentCosts]] = run.__dict__
    if "_parent_costs" not in known:
        known["_parent_costs"] = _parent_costs(run)
    return known["_parent_costs"]


def _parent_costs(run: FinishedRun) -> list[ParentCosts]:
    result = run.result
    if not run.has_parents:
        return []
    count = len(result.parents["pair"])
    parent_of = parents_of_orders(run)
    fill_parent = parent_of[result.fills["order"]]
    order = np.argsort(fill_parent, kind="stable")
    bounds = np.searchsorted(fill_parent[order], np.arange(count + 1))
    children = np.bincount(result.children["parent"], minlength=count)
    return [_costs(run, n, order[bounds[n] : bounds[n + 1]], int(children[n])) for n in range(count)]


def parents_of_orders(run: FinishedRun) -> Int64Array:
    """Return each order's parent, -1 where it has none."""
    found = np.full(len(run.result.orders["pair"]), -1, np.int64)
    if run.result.children:
        found[run.result.children["order"]] = run.result.children["parent"]
    return found


def _costs(run: FinishedRun, number: int, fills: Int64Array, children: int) -> ParentCosts:
    result = run.result
    inverse = run.instruments[int(result.parents["pair"][number])].inverse
    parent = {name: int(column[number]) for name, column in result.parents.items()}
    pair, side, start = run.market.pairs[parent["pair"]], parent["side"], parent["row"]
    last = run.market.n_rows - 1
    end_row = parent["end_row"] if parent["end_row"] >= 0 else last
    quantities, prices = result.fills["qty"][fills], result.fills["price"][fills]
    shortfall = Shortfall.of(
        *(side, parent["qty"], parent["arrival"]),
        list(zip(quantities.tolist(), prices.tolist(), strict=True)),
        int(pair.close[end_row]),
        run.fees.take(fills).total(),
        inverse,
    )
    after = pair.close[np.minimum(result.fills["row"][fills] + 1, last)]
    moved = float((quantities * side * (after - prices) / prices.clip(1)).sum())
    resting = int(quantities[result.fills["liquidity"][fills] == int(Liquidity.MAKER)].sum())
    filled = shortfall.filled
    opened = int(pair.open[start + 1]) if start < last else parent["arrival"]
    return ParentCosts(
        shortfall,
        market_vwap=_market_vwap(pair, inverse, start + 1, end_row + 1),
        wait=_further(inverse, side * parent["qty"], parent["arrival"], opened),
        maker=resting / filled if filled else NAN,
        markout_bps=1e4 * moved / filled if filled else NAN,
        children=children,
        end_row=end_row,
    )


def _market_vwap(pair: PairColumns, inverse: bool, start: int, stop: int) -> float:
    """Return value over volume; the volume of an inverse contract is counted in quote units, its value in base."""
    rows = slice(start, stop)
    volume = pair.volume[rows].astype(np.float64)
    typical = (pair.high[rows].astype(np.float64) + pair.low[rows] + pair.close[rows]) / 3e8
    if inverse:
        volume = np.divide(volume, typical, out=np.zeros(len(volume)), where=typical > 0.0)
    total = float(volume.sum())
    return float((typical * volume).sum()) / total if total > 0 else NAN


@dataclass(frozen=True)
class Totals:
    """All parents of a run together; money in the account's currency, basis points of the value on paper."""

    parents: int
    filled: int
    execution: float
    opportunity: float
    fees: float
    shortfall: float
    shortfall_bps: float
    filled_share: float
    children: int


def totals(costs: Sequence[ParentCosts]) -> Totals:
    """Sum up; what is refused counts with nothing filled."""
    parts = [one.shortfall for one in costs]
    paper, total = sum(s.paper for s in parts), sum(s.total for s in parts)
    done = sum(s.done for s in parts)
    return Totals(
        parents=len(parts),
        filled=sum(s.filled == s.qty for s in parts),
        execution=sum(s.execution for s in parts) / CASH_UNIT,
        opportunity=sum(s.opportunity for s in parts) / CASH_UNIT,
        fees=sum(s.fees for s in parts) / CASH_UNIT,
        shortfall=total / CASH_UNIT,
        shortfall_bps=1e4 * total / paper if paper else NAN,
        filled_share=done / paper if paper else NAN,
        children=sum(one.children for one in costs),
    )

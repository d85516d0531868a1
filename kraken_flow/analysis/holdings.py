"""What was held: net exposure bar by bar, time in the market, how many positions at once, how large one was opened."""

from dataclasses import dataclass

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import Value
from kraken_flow.analysis.tca import parents_of_orders
from kraken_flow.analysis.trips import base_fees
from kraken_flow.core.contract import values
from kraken_flow.core.units import CASH_UNIT, UNIT, FloatArray, Int64Array


@dataclass(frozen=True)
class Holdings:
    """What a run held at the closes of its decision bars.

    Parameters
    ----------
    net
        float64 of shape (n_decision_rows,): signed value of all positions in the account's currency.
    held
        int64 of that shape: pairs with a position of at least one lot.
    """

    net: FloatArray
    held: Int64Array

    @staticmethod
    def of(run: FinishedRun) -> "Holdings":
        """Add up the fills of each pair."""
        n, first, fills = len(run.result.equity), run.market.first_row, run.result.fills
        change = fills["side"] * fills["qty"] - base_fees(fills)
        row = np.maximum(fills["row"] - first, 0)
        net, held = np.zeros(n), np.zeros(n, np.int64)
        for index, columns in enumerate(run.market.pairs):
            chosen = fills["pair"] == index
            if not chosen.any():
                continue
            position = np.zeros(n, np.int64)
            np.add.at(position, row[chosen], change[chosen])
            np.cumsum(position, out=position)
            close = columns.close[first : first + n].astype(np.float64)
            if run.inverse[index]:
                net += np.divide(position, close, out=np.zeros(n), where=close > 0)
            else:
                net += position * close / CASH_UNIT
            held += np.abs(position) >= run.lots[index]
        return Holdings(net, held)

    def statistics(self, equity: FloatArray) -> dict[str, Value]:
        """Return time in the market, mean net exposure while there was equity, and the most positions at once."""
        if len(equity) == 0:
            return dict.fromkeys(("net_exposure", "time_in_market", "max_open_positions"), "no_bars")
        alive = equity > 0
        net: Value = float((self.net[alive] / equity[alive]).mean()) if alive.any() else "ruined"
        return {
            "net_exposure": net,
            "time_in_market": float(np.count_nonzero(self.held)) / len(equity),
            "max_open_positions": int(self.held.max()),
        }


def largest_opened(run: FinishedRun) -> float | None:
    """Return the largest position that a fill opened or enlarged, as a fraction of equity; None where none did.

    Price and equity are those of the close at which the fill's order was decided (of a child, its parent), as risk
    rules see them: what prices make of a position later is not in it. A decision without equity is left out.
    """
    result, first, fills = run.result, run.market.first_row, run.result.fills
    if not len(fills["pair"]) or not len(result.equity):
        return None
    change = fills["side"] * fills["qty"] - base_fees(fills)
    time = result.orders["time"][fills["order"]]
    if run.has_parents:
        parent = parents_of_orders(run)[fills["order"]]
        time = np.where(parent >= 0, result.parents["time"][parent], time)
    row = np.clip((time - run.first_close) // run.market.timeframe_ns, 0, len(result.equity) - 1)
    largest = None
    for index, columns in enumerate(run.market.pairs):
        chosen = fills["pair"] == index
        position = np.cumsum(change[chosen])
        larger = (fills["side"][chosen] * position > 0) & (result.equity[row[chosen]] > 0)
        if larger.any():
            at = row[chosen][larger]
            close = columns.close[first + at].astype(np.float64) / UNIT
            size = values(run.inverse[[index]], np.abs(position[larger]) / UNIT, close) / result.equity[at]
            largest = max(largest or 0.0, float(size.max()))
    return largest

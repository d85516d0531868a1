"""What was held bar by bar: net exposure, time in the market, how many positions at once."""

from dataclasses import dataclass

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import Value
from kraken_flow.analysis.trips import base_fees
from kraken_flow.core.units import CASH_UNIT, FloatArray, Int64Array


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

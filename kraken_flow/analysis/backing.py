"""What stands behind each isolated position of a run at each bar: its own margin and its open profit (spec F16)."""

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.flows import amounts
from kraken_flow.core.contract import FlowKind, values
from kraken_flow.core.ledger import Ledger
from kraken_flow.core.units import CASH_UNIT, UNIT, FloatArray


def isolated_backing(finished: FinishedRun, leverage: int) -> FloatArray:
    """Return margin plus open profit of each position at each decision bar's close, account currency.

    Parameters: `leverage` 10^-8. Returns float64 of shape (n_pairs, n_rows), 0 where nothing is held. The ledger folds
    the run's fills again, and the funding between them, which isolated margin pays.
    """
    market, result = finished.market, finished.result
    first, n, n_pairs = market.first_row, len(result.equity), len(market.pairs)
    ledger = Ledger(0, n_pairs, finished.inverse.tolist(), [True] * n_pairs, tracked=True, leverage=leverage)
    margin, basis = np.zeros((n_pairs, n)), np.zeros((n_pairs, n))
    position = np.zeros((n_pairs, n))
    for row, _, p, what in sorted(_events(finished), key=lambda event: event[:2]):
        if isinstance(what, int):
            ledger.margin[p] += what
        else:
            ledger.book(p, *what, 0, 0)
        at = max(row - first, 0)
        margin[p, at:], basis[p, at:] = ledger.margin[p] / CASH_UNIT, ledger.basis[p] / CASH_UNIT
        position[p, at:] = ledger.position[p]
    prices = np.array([pair.close[first : first + n].astype(np.float64) for pair in market.pairs])
    size = values(finished.inverse[:, None], position / UNIT, prices / UNIT)
    worth = np.where(finished.inverse[:, None], -size, size)
    backing: FloatArray = np.where(position != 0, margin + worth - basis, 0.0)
    return backing


def _events(finished: FinishedRun) -> list[tuple[int, int, int, int | tuple[int, int, int]]]:
    """Return (row, order in it, pair, funding or fill); funding is settled before the fills of its open."""
    result = finished.result
    fills, flows = result.fills, result.flows
    found: list[tuple[int, int, int, int | tuple[int, int, int]]] = []
    columns = (fills[name].tolist() for name in ("row", "pair", "side", "qty", "price"))
    for n, (row, p, side, qty, price) in enumerate(zip(*columns, strict=True), 1):
        found.append((row, n, p, (side, qty, price)))
    if flows:
        columns = (flows[name].tolist() for name in ("row", "pair", "kind"))
        for row, p, kind, amount in zip(*columns, amounts(flows).ints(), strict=True):
            if kind == FlowKind.FUNDING:
                found.append((row, 0, p, amount))
    return found

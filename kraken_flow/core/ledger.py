"""The ledger: the engine's own fold over fills. Exact integers; read-only to everyone else."""

from collections.abc import Sequence

from kraken_flow.core import contract
from kraken_flow.core.units import UNIT, Int64Array, ceil_div


class Ledger:
    """Cash (10^-16 of the account's currency) and positions (10^-8, short negative) of one account.

    Cash pays for derivatives as it does for coins; `wallet` is what is left of it when their entry values are put back.
    `basis` is what the standing position was paid for, `margin` what an isolated position stands on: both are kept
    where `tracked`. Invariant, after every fill: equity changes by minus the fee alone when marked at the fill's price.
    """

    __slots__ = ("basis", "cash", "contracts", "inverse", "leverage", "margin", "position", "tracked")

    def __init__(
        self,
        cash: int,
        n_pairs: int,
        inverse: Sequence[bool] = (),
        contracts: Sequence[bool] = (),
        tracked: bool = False,
        leverage: int = 0,
    ) -> None:
        self.cash = cash
        self.position = [0] * n_pairs
        self.basis = [0] * n_pairs
        self.margin = [0] * n_pairs
        self.inverse = list(inverse) or [False] * n_pairs
        self.contracts = list(contracts) or [False] * n_pairs
        self.tracked = tracked
        self.leverage = leverage
        """Leverage (10^-8) of isolated positions; 0 where margin is shared."""

    def book(self, pair: int, side: int, qty: int, price: int, fee: int, fee_base: int) -> None:
        """Fold one fill: `fee` in cash units, `fee_base` in base units (one of them is 0)."""
        paid = contract.cost(self.inverse[pair], side * qty, price)
        self.cash -= paid + fee
        before = self.position[pair]
        self.position[pair] += side * qty - fee_base
        if self.tracked:
            self._track(pair, before, paid)

    def _track(self, pair: int, before: int, paid: int) -> None:
        """Keep the standing position's entry value and isolated margin: averaged, reduced in proportion."""
        after = self.position[pair]
        change = after - before
        if change == 0:
            return
        if before == 0 or (before > 0) == (change > 0):
            grown = paid
        else:
            closed = min(abs(change), abs(before))
            self.basis[pair] -= self.basis[pair] * closed // abs(before)
            self.margin[pair] -= self.margin[pair] * closed // abs(before)
            grown = paid * (abs(change) - closed) // abs(change)
        self.basis[pair] += grown
        if self.leverage:
            self.margin[pair] += ceil_div(abs(grown) * UNIT, self.leverage)

    def value(self, pair: int, price: int) -> int:
        """Return what the pair's position is worth at a price, rounded down."""
        return contract.value(self.inverse[pair], self.position[pair], price)

    def notional(self, pair: int, qty: int, price: int) -> int:
        """Return the size of a quantity at a price, rounded up."""
        return contract.notional(self.inverse[pair], qty, price)

    def wallet(self) -> int:
        """Return cash with the entry values of derivatives put back: what a venue shows as the balance."""
        return self.cash + sum(b for b, is_contract in zip(self.basis, self.contracts, strict=True) if is_contract)

    def equity(self, prices: list[int]) -> int:
        """Return exact equity at the given prices (10^-8), units of 10^-16."""
        return self.cash + sum(self.value(p, prices[p]) for p, q in enumerate(self.position) if q)

    def marks(self, prices: list[int]) -> tuple[float, float, float]:
        """Return float64 (equity, wallet, gross) of the account, summed over pairs in name order, one fixed order.

        These are what limits and statistics use; both engines compute them with these very operations.
        """
        cash = float(self.cash) / 1e16
        equity = cash
        gross = 0.0
        for p, (q, price) in enumerate(zip(self.position, prices, strict=True)):
            if q:
                value = -(float(q) / float(price)) if self.inverse[p] else float(q) * float(price) / 1e16
                equity += value
                gross += abs(value)
        return equity, float(self.wallet()) / 1e16 if self.tracked else cash, gross


def as_lists(column: Int64Array) -> list[int]:
    """Return a column as Python integers, which the reference engine computes with."""
    result: list[int] = column.tolist()
    return result

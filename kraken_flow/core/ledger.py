"""The ledger: the engine's own fold over fills. Exact integers; read-only to everyone else."""

from kraken_flow.core.units import Int64Array


class Ledger:
    """Cash (10^-16 of quote) and positions (10^-8 of base, short negative) of one account.

    Invariant, after every fill: cash + sum(position x price) changes by minus the fee alone when marked at the fill's
    price.
    """

    __slots__ = ("cash", "position")

    def __init__(self, cash: int, n_pairs: int) -> None:
        self.cash = cash
        self.position = [0] * n_pairs

    def book(self, pair: int, side: int, qty: int, price: int, fee: int, fee_base: int) -> None:
        """Fold one fill: `fee` in cash units, `fee_base` in base units (one of them is 0)."""
        self.cash -= side * qty * price + fee
        self.position[pair] += side * qty - fee_base

    def equity(self, prices: list[int]) -> int:
        """Return exact equity at the given prices (10^-8), units of 10^-16."""
        return self.cash + sum(q * p for q, p in zip(self.position, prices, strict=True) if q)

    def marks(self, prices: list[int]) -> tuple[float, float, float]:
        """Return float64 (equity, cash, gross) of the account, summed over pairs in name order, one fixed order.

        These are what limits and statistics use; both engines compute them with these very operations.
        """
        cash = float(self.cash) / 1e16
        equity = cash
        gross = 0.0
        for q, p in zip(self.position, prices, strict=True):
            if q:
                value = float(q) * float(p) / 1e16
                equity += value
                gross += abs(value)
        return equity, cash, gross


def as_lists(column: Int64Array) -> list[int]:
    """Return a column as Python integers, which the reference engine computes with."""
    result: list[int] = column.tolist()
    return result

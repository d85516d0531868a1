"""The account: what it starts with and what it may do."""

from kraken_flow.core.account import Account as AccountNode
from kraken_flow.core.node import Factor, Positive, node


@node
class Account(AccountNode):
    """Starting cash, leverage, and whether short selling is allowed."""

    cash: Positive[float] = 10_000.0
    """Starting cash in the currency that the run's pairs are traded in: their quote, or what perpetuals settle in."""
    short: bool = True
    """Whether selling more than is held opens a short."""
    leverage: Factor = 1.0
    """Gross exposure allowed, as a multiple of equity."""

"""A venue of perpetual contracts: margin, liquidation and funding on top of what a spot venue has."""

from dataclasses import replace
from typing import Annotated, Literal

import annotated_types

from kraken_flow.core.contract import MarginMode, MarginTerms
from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import settled_in, split_pair
from kraken_flow.core.node import Rate, node
from kraken_flow.core.terms import Terms
from kraken_flow.core.times import parse_duration
from kraken_flow.core.units import rate, rate_bps
from kraken_flow.exchange.spot import SpotExchange

Share = Annotated[float, annotated_types.Gt(0), annotated_types.Le(1)]
"""A share of the notional."""


@node
class PerpetualExchange(SpotExchange):
    """A venue of perpetuals: pairs are BASE/QUOTE:SETTLE, settled in the quote (linear) or in the base (inverse)."""

    margin_mode: Literal["isolated", "cross"] = "isolated"
    """What stands behind a position: its own margin, entry value over account.leverage, or the whole account."""
    initial_margin: Share = 0.1
    """Smallest margin that opens a position, a share of its notional: account.leverage may not exceed its inverse."""
    maintenance_margin: Share = 0.01
    """Margin, a share of the notional at the mark, down to which the venue leaves a position alone."""
    liquidation_fill: Literal["bankruptcy", "mark"] = "bankruptcy"
    """Price of a liquidation: the one that leaves nothing of the margin, or the mark that triggered it."""
    liquidation_fee_bps: Rate = 0.0
    """Basis points of the notional that a liquidation costs, as far as margin is left."""
    funding_interval: str = "8h"
    """Time between funding events."""
    funding_accrual: Literal["at_event", "continuous"] = "at_event"
    """Whether an event's rate is paid in full at its time (Binance), or accrues over the interval that begins with it
    and is settled at every open in between (Kraken)."""

    def __post_init__(self) -> None:
        """Refuse values that contradict each other."""
        super().__post_init__()
        if self.maintenance_margin >= self.initial_margin:
            raise UserError(
                f"exchange.maintenance_margin={self.maintenance_margin:g}: must be below exchange.initial_margin="
                f"{self.initial_margin:g}, or every position is liquidated at once"
            )
        if self.fees.currency == "base":
            raise UserError("exchange.fees.currency=base: fees of perpetuals are paid in what they settle in; leave it")
        if self.liquidation_level is not None or self.borrow.terms().every_ns:
            raise UserError(
                "exchange.liquidation_level and exchange.borrow are those of spot on margin; perpetuals have "
                "exchange.maintenance_margin, and nothing is borrowed"
            )
        if parse_duration(self.funding_interval, "exchange.funding_interval") <= 0:
            raise UserError(f"exchange.funding_interval={self.funding_interval}: must be longer than 0, as in 8h")

    def terms(self) -> Terms:
        """Return the integers that the simulator plays."""
        accrues = self.funding_accrual == "continuous"
        interval = parse_duration(self.funding_interval, "exchange.funding_interval")
        return replace(super().terms(), funding_interval_ns=interval if accrues else 0)

    def margin_terms(self) -> MarginTerms:
        """Return when the venue liquidates."""
        return MarginTerms(
            mode=MarginMode[self.margin_mode.upper()],
            maintenance=rate(self.maintenance_margin),
            fee=rate_bps(self.liquidation_fee_bps),
            at_bankruptcy=self.liquidation_fill == "bankruptcy",
        )

    def _check_kind(self, pair: str) -> None:
        settle = settled_in(pair)
        base, quote = split_pair(pair)
        if not settle:
            raise UserError(f"pairs: {pair} is a spot pair, {self.name} trades perpetuals; write {pair}:{quote}")
        if settle not in (base, quote):
            raise UserError(
                f"pairs: {pair} settles in neither {base} nor {quote}; such quanto contracts are not traded here"
            )

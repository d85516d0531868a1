"""An exchange's terms in integers: fees, slippage, latency, and which prices fill."""

from dataclasses import dataclass, field

from kraken_flow.core.contract import BorrowTerms, MarginTerms
from kraken_flow.core.orders import FillPath, Word


class Slippage(Word):
    """How a market order's price moves against it."""

    NONE = 0
    BPS = 1
    HALF_SPREAD = 2
    SQRT_IMPACT = 3
    VOLUME_SHARE = 4


@dataclass(frozen=True)
class Tier:
    """Fee rates (10^-8) from a 30-day traded volume (cash, 10^-16) on."""

    volume: int
    maker: int
    taker: int


@dataclass(frozen=True)
class Terms:
    """What the simulator plays. Rates are 10^-8.

    `slippage_size` is a rate for BPS, price units for HALF_SPREAD, and the factor (10^-8) of the impact models.
    `participation` and `price_band` are -1 when off. `fee_in_base` takes the fee of buys from the base received.
    `funding_interval_ns` is how long the rate of a funding event accrues, 0 where it is due at once.
    """

    tiers: tuple[Tier, ...] = (Tier(0, 0, 0),)
    fee_in_base: bool = False
    slippage: Slippage = Slippage.NONE
    slippage_size: int = 0
    latency_ns: int = 0
    latency_rate: int = 0
    limit_touch: bool = False
    path: FillPath = FillPath.PESSIMISTIC
    participation: int = -1
    price_band: int = -1
    margin: MarginTerms = field(default_factory=MarginTerms)
    borrow: BorrowTerms = field(default_factory=BorrowTerms)
    funding_interval_ns: int = 0

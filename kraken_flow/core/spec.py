"""What an engine needs to know of a graph, as plain integers: the same specification drives the reference and Rust."""

from dataclasses import dataclass

from kraken_flow.core.account import Execution, Portfolio, Protection, Risk
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.orders import FillPath, OrderRequest
from kraken_flow.core.terms import Slippage, Tier


@dataclass(frozen=True)
class Spec:
    """One run in integers. Rates are 10^-8, prices and quantities 10^-8, cash 10^-16, times ns.

    `slippage_size` is a rate for BPS, price units for HALF_SPREAD, and the factor (10^-8) of the impact models.
    `participation`, `price_band` and `band` are -1 when off; `rebalance_bars` and `rearm_bars` 0 when off, where
    `rearm_bars` 0 means "armed again when the forecast changes". `aux` names the float columns (fix integers) that the
    nodes read, in the order in which engines receive them.
    """

    timeframe_ns: int
    instruments: tuple[Instrument, ...]
    portfolio: Portfolio
    risk: Risk
    execution: Execution
    protection: Protection
    cash: int
    short: bool = True
    leverage: int = 10**8
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
    max_gap: int = 24
    band: int = -1
    rebalance_bars: int = 0
    rearm_bars: int = 0
    first_row: int = 0
    aux: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("",)
    requests: tuple[tuple[int, OrderRequest], ...] = ()
    scripted: bool = False

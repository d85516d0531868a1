"""What an engine needs to know of a graph, as plain integers: the same specification drives the reference and Rust."""

from dataclasses import dataclass

from kraken_flow.core.account import Execution, Portfolio, Protection, Risk
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.limits import NO_LIMITS, Limits
from kraken_flow.core.orders import OrderRequest
from kraken_flow.core.plan import Plan
from kraken_flow.core.terms import Terms


@dataclass(frozen=True, kw_only=True)
class Spec(Terms):
    """One run in integers: the exchange's terms and everything else.

    Rates are 10^-8, prices and quantities 10^-8, cash 10^-16, times ns. `latency_ns` includes the feed delay. `band` is
    -1 when off, `rebalance_bars` and `rearm_bars` 0, where `rearm_bars` 0 means "armed again when the forecast
    changes". `aux` names the float columns (fix integers) that the nodes read, in the order in which engines receive
    them. `plan` is how changes of position are worked, None as single orders; `seed` is what its draws follow from.
    `marked` and `funded` say whether the data has marks and funding events.
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
    max_gap: int = 24
    band: int = -1
    rebalance_bars: int = 0
    rearm_bars: int = 0
    first_row: int = 0
    aux: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("",)
    requests: tuple[tuple[int, OrderRequest], ...] = ()
    scripted: bool = False
    plan: Plan | None = None
    seed: int = 0
    marked: bool = False
    funded: bool = False

    @property
    def tracked(self) -> bool:
        """Whether the ledger keeps entry values: for perpetuals, margin and borrowed coins."""
        derived = self.margin.mode or self.borrow.every_ns or any(i.settle for i in self.instruments)
        return bool(derived)

    limits: Limits = NO_LIMITS

"""The account half's protocols: what a portfolio, a risk rule, an executor and an exchange are asked, in integers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from kraken_flow.core.allocation import Allocation
from kraken_flow.core.counterfactual import SignalStatistics
from kraken_flow.core.feature import Source
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.limits import NO_LIMITS, Limits
from kraken_flow.core.market import Market
from kraken_flow.core.node import Node
from kraken_flow.core.orders import OrderType, Side, Tif
from kraken_flow.core.plan import Plan
from kraken_flow.core.terms import Terms


class View:
    """The read-only state at one decision. Lists run over the pairs in name order.

    Attributes: `row` grid row; `time` the decision (bar close, ns); `equity` exact, 10^-16 of quote; `leverage` rate
    10^-8; `stop_rate` distance of the stop loss as a rate (0 without); `periods_root` square root of bars per year,
    10^-9; `price` last closes and `position` quantities, 10^-8; `forecast` 10^-9; `aux` name -> column values, 10^-9
    (`FIX_NAN` where undefined).
    """

    __slots__ = (
        "aux",
        "equity",
        "forecast",
        "leverage",
        "periods_root",
        "position",
        "price",
        "row",
        "stop_rate",
        "time",
    )

    def __init__(self, n_pairs: int, leverage: int, stop_rate: int, periods_root: int) -> None:
        self.row = 0
        self.time = 0
        self.equity = 0
        self.leverage = leverage
        self.stop_rate = stop_rate
        self.periods_root = periods_root
        self.price = [0] * n_pairs
        self.position = [0] * n_pairs
        self.forecast = [0] * n_pairs
        self.aux: dict[str, list[int]] = {}


@dataclass(frozen=True)
class Protection:
    """What risk attaches to an approved target: rates (10^-8) of the opening fill's price, 0 when off; bars, 0 off."""

    stop_loss: int = 0
    take_profit: int = 0
    trailing: int = 0
    max_bars: int = 0


@dataclass(frozen=True)
class Placement:
    """How an executor wants an order placed; prices in 10^-8."""

    type: OrderType = OrderType.MARKET
    limit_price: int = 0
    tif: Tif = Tif.GTC
    post_only: bool = False


class Portfolio(Node):
    """Turns forecasts and the account into target quantities."""

    kind: ClassVar[str] = "portfolio"
    drifts: ClassVar[bool] = True
    """Whether targets move with prices while the forecast stands."""
    needs_stop: ClassVar[bool] = False
    """Whether sizes come from the distance of the stop loss, so that risk has to set one."""
    band: float | None
    cash_buffer: float

    def features(self) -> Mapping[str, Source]:
        """Return the feature columns read, by name; none unless overridden."""
        return {}

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        """Return the feature columns read that measure pairs against each other; none unless overridden."""
        return {}

    def statistics(self) -> SignalStatistics | None:
        """Return the columns read that follow from the forecasts themselves; none unless overridden."""
        return None

    def allocation(self, pairs: Sequence[str], timeframe_ns: int) -> Allocation | None:
        """Return how the weights that the node finds as the column `weight` are made; none unless overridden."""
        return None

    def targets(self, view: View) -> list[int | None]:
        """Return the signed quantity wanted per pair (10^-8, any grid); None keeps the standing target."""
        raise TypeError(f"{type(self).__name__} has no targets(view)")

    def parameters(self) -> dict[str, int]:
        """Return the integers that the node's Rust twin takes."""
        return {}

    def rebalance_bars(self, timeframe_ns: int) -> int:
        """Return the number of bars between scheduled rebalances, 0 for none."""
        return 0


class Risk(Node):
    """Approves targets and attaches protection."""

    kind: ClassVar[str] = "risk"

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        """Return the feature columns read that measure pairs against each other; none unless overridden."""
        return {}

    def approve(self, view: View, pair: int, target: int) -> int:
        """Return the target that may stand: the same, nearer to zero, or zero."""
        raise TypeError(f"{type(self).__name__} has no approve(view, pair, target)")

    def protection(self) -> Protection:
        """Return what is attached to every opened position."""
        return Protection()

    def limits(self) -> Limits:
        """Return the limits of a day and of the system, which either engine keeps itself; none unless overridden."""
        return NO_LIMITS

    def rearm_bars(self) -> int:
        """Return after how many bars a stopped-out pair may enter again; 0: when its forecast changes."""
        return 0

    def parameters(self) -> dict[str, int]:
        """Return the integers that the node's Rust twin takes."""
        return {}


class Execution(Node):
    """Turns an approved change of position into orders."""

    kind: ClassVar[str] = "execution"
    timeout: int | None = None
    """Bars after which an unfilled order is cancelled and placed anew; None lets it rest."""

    def place(self, view: View, instrument: Instrument, pair: int, side: Side, qty: int, reducing: bool) -> Placement:
        """Return type and prices of an order for `qty` of the pair."""
        raise TypeError(f"{type(self).__name__} has no place(...)")

    def plan(self, timeframe_ns: int) -> Plan | None:
        """Return how changes of position are worked by children; None: each is the one order that `place` describes."""
        return None

    def parameters(self) -> dict[str, int]:
        """Return the integers that the node's Rust twin takes."""
        return {}


class Exchange(Node):
    """What the simulator plays and a connector obeys; `exchange/spot.py` has the fields."""

    kind: ClassVar[str] = "exchange"
    name: str

    def terms(self) -> Terms:
        """Return fees, slippage, latency and fill rules as integers."""
        raise TypeError(f"{type(self).__name__} has no terms()")

    def features(self) -> Mapping[str, Source]:
        """Return the feature columns that the slippage model reads; none unless overridden."""
        return {}

    def check_pair(self, pair: str) -> None:
        """Raise `UserError` where the venue does not trade such a pair; it trades any unless overridden."""

    def instruments(self, market: Market) -> tuple[Instrument, ...]:
        """Return one instrument per pair of the market, from the table, the data, or the user's override."""
        raise TypeError(f"{type(self).__name__} has no instruments(market)")


class Account(Node):
    """The account's cash, leverage and permission to sell short; `exchange/account.py` has the fields."""

    kind: ClassVar[str] = "account"
    cash: float
    short: bool
    leverage: float

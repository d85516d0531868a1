"""Orders: their words, their states, the one table of legal transitions; Rust exports the same, a test compares."""

from dataclasses import dataclass
from enum import IntEnum


class Word(IntEnum):
    """An enum whose members print as the lower-case words users read in files and tables."""

    @property
    def word(self) -> str:
        """Return the member's name in lower case."""
        return self.name.lower()


class Side(Word):
    """Direction of an order; the value is the sign of the position change."""

    BUY = 1
    SELL = -1


class OrderType(Word):
    """What makes an order fill."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING = 4


class Tif(Word):
    """How long an order lives."""

    GTC = 0
    IOC = 1
    FOK = 2
    GTD = 3


class State(Word):
    """Where an order is in its life."""

    PENDING = 0
    """Sent, not yet at the exchange (latency), or not yet met by a tradable open."""
    ACTIVE = 1
    """Resting at the exchange."""
    TRIGGERED = 2
    """A stop whose level was reached: its remainder is a market order (stop, trailing) or a limit (stop-limit)."""
    FILLED = 3
    CANCELLED = 4
    REJECTED = 5
    EXPIRED = 6


ENDED = frozenset({State.FILLED, State.CANCELLED, State.REJECTED, State.EXPIRED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset(
        {State.ACTIVE, State.TRIGGERED, State.FILLED, State.CANCELLED, State.REJECTED, State.EXPIRED}
    ),
    State.ACTIVE: frozenset({State.TRIGGERED, State.FILLED, State.CANCELLED, State.EXPIRED}),
    State.TRIGGERED: frozenset({State.FILLED, State.CANCELLED, State.EXPIRED}),
    State.FILLED: frozenset(),
    State.CANCELLED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
}


class Reason(Word):
    """Why an order was sent, or why it ended unfilled. One enum; each code has a test."""

    NONE = 0
    ENTRY_SIGNAL = 1
    EXIT_SIGNAL = 2
    REBALANCE = 3
    SCRIPTED = 4
    STOP_LOSS = 5
    TAKE_PROFIT = 6
    TRAILING_STOP = 7
    TIME_STOP = 8
    FLATTEN = 9
    MANUAL = 10
    LIQUIDATION = 19
    TARGET_CHANGED = 20
    OCO = 21
    POSITION_CLOSED = 22
    REDUCE_ONLY = 23
    INSUFFICIENT_FUNDS = 24
    SHORT_FORBIDDEN = 25
    BELOW_MIN_QTY = 26
    BELOW_MIN_COST = 27
    PRICE_BAND = 28
    POST_ONLY_CROSS = 29
    IOC_REMAINDER = 30
    FOK_UNFILLED = 31
    GTD_EXPIRED = 32
    STALE_GAP = 33
    TIMEOUT = 34
    PAUSED = 35
    MAX_LOSS = 40
    MAX_TRADES = 41
    MAX_LOSSES = 42
    MAX_DRAWDOWN = 43
    MAX_GROSS = 44
    MAX_NET = 45
    MAX_POSITIONS = 46
    BLACK_SWAN = 47
    STALE_DATA = 48
    MAX_VAR = 49


class Control(Word):
    """What a user may tell a running session."""

    PAUSE = 0
    RESUME = 1
    FLATTEN = 2
    RESET = 3
    ORDER = 4


class Liquidity(Word):
    """Which side of the book a fill took."""

    MAKER = 0
    TAKER = 1


class LogKind(Word):
    """What one line of the order log says."""

    SUBMIT = 0
    AMEND = 1
    CANCEL = 2


class FillPath(Word):
    """How the prices inside a bar are assumed to have run."""

    PESSIMISTIC = 0
    OHLC = 1
    OLHC = 2
    ADAPTIVE = 3
    DETAIL = 4


@dataclass(frozen=True)
class OrderRequest:
    """An order as a strategy, a script or an executor asks for it; all prices in 10^-8, 0 means not set.

    `stop_loss`, `take_profit` are prices and `trail` a price distance of a reduce-only one-cancels-other group that
    lives from the fill on. `expire_time` is ns UTC for `Tif.GTD`, else 0.
    """

    pair: int
    side: Side
    qty: int
    type: OrderType = OrderType.MARKET
    limit_price: int = 0
    stop_price: int = 0
    trail: int = 0
    tif: Tif = Tif.GTC
    expire_time: int = 0
    post_only: bool = False
    reduce_only: bool = False
    stop_loss: int = 0
    take_profit: int = 0
    bracket_trail: int = 0
    reason: Reason = Reason.NONE
    tag: str = ""

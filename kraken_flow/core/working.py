"""A working order: what the engine knows of one order while it lives, and the groups that protect positions."""

from kraken_flow.core.orders import ENDED, TRANSITIONS, OrderRequest, OrderType, Reason, State


class Order:
    """One order. Prices and quantities 10^-8, times ns; the fields not taken from the request are the engine's.

    `allowed` is the quantity that funds cover (the rest is cancelled); `birth` the market price at which a protective
    order was born in this bar, 0 once it acted there, afterwards and for orders that were sent; `born_inside` that it
    was born inside the current bar; `late` that latency worsens its first open; `best` the best price that a trailing
    stop has seen; `before` what its parent had filled or working when it was sent; `closes_only` that a protective
    exit left it nothing but to close the position. An order is PENDING until it has met a tradable open.
    """

    __slots__ = (
        "allowed",
        "before",
        "best",
        "birth",
        "born_inside",
        "cancel_at",
        "cancel_reason",
        "child",
        "closes_only",
        "cut_reason",
        "end_reason",
        "filled",
        "group",
        "late",
        "level",
        "limit",
        "number",
        "own",
        "pair",
        "post_only",
        "qty",
        "reason",
        "reduce_only",
        "request",
        "row",
        "side",
        "state",
        "stop",
        "time",
        "trail",
        "trail_rate",
        "type",
    )

    def __init__(self, number: int, request: OrderRequest, qty: int, time: int, row: int, own: bool) -> None:
        self.number = number
        self.request = request
        self.pair = request.pair
        self.side = int(request.side)
        self.type = request.type
        self.qty = qty
        self.allowed = qty
        self.before = 0
        self.filled = 0
        self.limit = request.limit_price
        self.stop = request.stop_price
        self.trail = request.trail
        self.trail_rate = 0
        self.level = request.stop_price
        self.best = 0
        self.post_only = request.post_only
        self.reduce_only = request.reduce_only
        self.reason = request.reason
        self.end_reason = Reason.NONE
        self.state = State.PENDING
        self.time = time
        self.row = row
        self.own = own
        self.late = False
        self.closes_only = False
        self.birth = 0
        self.born_inside = False
        self.cancel_at = -1
        self.cancel_reason = Reason.NONE
        self.cut_reason = Reason.NONE
        self.group: Group | None = None
        self.child: Group | None = None

    @property
    def remaining(self) -> int:
        """Return the quantity that can still fill."""
        return self.allowed - self.filled

    @property
    def alive(self) -> bool:
        """Return whether the order can still fill."""
        return self.state not in ENDED

    @property
    def takes_market(self) -> bool:
        """Return whether the remainder is a market order: sent as one, or a triggered stop or trailing stop."""
        return self.type is OrderType.MARKET or (
            self.state is State.TRIGGERED and self.type in (OrderType.STOP, OrderType.TRAILING)
        )

    @property
    def rests_as_limit(self) -> bool:
        """Return whether the remainder rests in the book as a limit order."""
        return self.type is OrderType.LIMIT or (self.type is OrderType.STOP_LIMIT and self.state is State.TRIGGERED)

    @property
    def waits_for_level(self) -> bool:
        """Return whether the order is a stop whose level was not reached yet."""
        return self.state is not State.TRIGGERED and self.type in (
            OrderType.STOP,
            OrderType.STOP_LIMIT,
            OrderType.TRAILING,
        )

    def move(self, state: State) -> None:
        """Change the state; a change that the transition table does not allow is a fault of the engine."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"order {self.number}: {self.state.word} -> {state.word} is not a legal transition")
        self.state = state


class Group:
    """Reduce-only orders of which one's fill reduces the others (one cancels other, spec F8).

    `whole_position` groups were attached by risk and always cover the pair's position; the others belong to one
    scripted order and cover what that order opened.
    """

    __slots__ = ("legs", "whole_position")

    def __init__(self, whole_position: bool) -> None:
        self.legs: list[Order] = []
        self.whole_position = whole_position

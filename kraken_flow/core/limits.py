"""Limits of the account as a whole: what they are, what sets them off, and what they do then."""

from dataclasses import dataclass

from kraken_flow.core.orders import Reason, Word


class Safety(Word):
    """Where the account stands; a higher state goes before a lower one."""

    NORMAL = 0
    THROTTLED = 1
    """Without fresh prices of what is held positions are only reduced; in a drawdown or after losses, new ones are
    smaller."""
    COOLDOWN = 2
    """After losing trades in a row: no new positions for a while."""
    DAILY_HALT = 3
    """A limit of the day was reached: it ends at 00:00 UTC."""
    KILLED = 4
    """A limit of the system was reached: it ends by hand alone."""


class Effect(Word):
    """What a state does to orders; each does what the ones before it do, and more."""

    NONE = 0
    REDUCE_ONLY = 1
    """Orders that would open or enlarge a position are refused; what already works goes on."""
    HALT = 2
    """Working orders that would open or enlarge a position are taken back as well."""
    FLATTEN = 3
    """Every position is closed at the market as well."""


class Trigger(Word):
    """What set a limit off or ended it."""

    NONE = 0
    MAX_LOSS = 1
    MAX_TRADES = 2
    MAX_LOSSES = 3
    MAX_DRAWDOWN = 4
    MAX_GROSS = 5
    MAX_NET = 6
    MAX_POSITIONS = 7
    BLACK_SWAN = 8
    STALE_DATA = 9
    PRICE_BAND = 10
    MAX_VAR = 11
    DRAWDOWN_THROTTLE = 12
    LOSS_THROTTLE = 13
    WITHIN = 20
    """What had throttled is over."""
    TIMER = 21
    """The time of a cool-down or of a day was over."""
    RESET = 22
    """A user reset it."""

    @property
    def reason(self) -> Reason:
        """Return the code that orders bear which this trigger sent, took back or refused."""
        return _REASONS[self]

    @property
    def state(self) -> Safety | None:
        """Return the state that this trigger leads to by itself; None where it leads to none."""
        return _STATES.get(self)


_STATES = {
    Trigger.MAX_LOSS: Safety.DAILY_HALT,
    Trigger.MAX_TRADES: Safety.DAILY_HALT,
    Trigger.MAX_LOSSES: Safety.COOLDOWN,
    Trigger.MAX_DRAWDOWN: Safety.KILLED,
    Trigger.BLACK_SWAN: Safety.KILLED,
    Trigger.STALE_DATA: Safety.THROTTLED,
    Trigger.DRAWDOWN_THROTTLE: Safety.THROTTLED,
    Trigger.LOSS_THROTTLE: Safety.THROTTLED,
}


_REASONS = {
    Trigger.NONE: Reason.NONE,
    Trigger.MAX_LOSS: Reason.MAX_LOSS,
    Trigger.MAX_TRADES: Reason.MAX_TRADES,
    Trigger.MAX_LOSSES: Reason.MAX_LOSSES,
    Trigger.MAX_DRAWDOWN: Reason.MAX_DRAWDOWN,
    Trigger.MAX_GROSS: Reason.MAX_GROSS,
    Trigger.MAX_NET: Reason.MAX_NET,
    Trigger.MAX_POSITIONS: Reason.MAX_POSITIONS,
    Trigger.BLACK_SWAN: Reason.BLACK_SWAN,
    Trigger.STALE_DATA: Reason.STALE_DATA,
    Trigger.PRICE_BAND: Reason.PRICE_BAND,
    Trigger.MAX_VAR: Reason.MAX_VAR,
    Trigger.DRAWDOWN_THROTTLE: Reason.NONE,
    Trigger.LOSS_THROTTLE: Reason.NONE,
    Trigger.WITHIN: Reason.NONE,
    Trigger.TIMER: Reason.NONE,
    Trigger.RESET: Reason.NONE,
}


@dataclass(frozen=True)
class Limits:
    """Limits of a day and of the system as integers: rates 10^-8, -1 off; counts and ns, 0 off.

    `shadow` keeps all of it without effect: states and triggers are recorded, orders go out as without.
    `black_swan` is a multiple (10^-8) of a pair's volatility. `var_reach` is the quantile of `max_var` over the root of
    its horizons per year, 10^-9.
    """

    max_loss: int = -1
    max_trades: int = 0
    max_losses: int = 0
    cooldown_ns: int = 0
    max_drawdown: int = -1
    max_gross: int = -1
    max_net: int = -1
    max_positions: int = 0
    black_swan: int = -1
    stale_ns: int = 0
    price_band: int = -1
    max_var: int = -1
    var_reach: int = 0
    throttle_from: int = -1
    loss_throttle: bool = False
    day_effect: Effect = Effect.HALT
    system_effect: Effect = Effect.FLATTEN
    shadow: bool = False

    @property
    def on(self) -> bool:
        """Whether any limit is set."""
        rates = (self.max_loss, self.max_drawdown, self.black_swan, self.price_band, self.throttle_from)
        counts = (self.max_losses, self.stale_ns)
        return any(rate >= 0 for rate in rates) or any(counts) or self.bounds_exposure

    @property
    def counts_trades(self) -> bool:
        """Whether single trades have to be counted."""
        return self.max_trades > 0 or self.max_losses > 0

    @property
    def bounds_exposure(self) -> bool:
        """Whether what single orders would lead to has to be known."""
        counts = self.max_positions > 0 or self.max_trades > 0
        return counts or self.max_gross >= 0 or self.max_net >= 0 or self.max_var >= 0


NO_LIMITS = Limits()
"""Everything off."""

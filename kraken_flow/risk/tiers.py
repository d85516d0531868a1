"""Risk in three tiers: limits per position, of the day, and of the whole system."""

from collections.abc import Mapping
from itertools import pairwise
from math import isqrt
from typing import ClassVar, Literal

from kraken_flow.core.book_risk import Level, quantile
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Source
from kraken_flow.core.limits import Effect, Limits
from kraken_flow.core.node import Factor, Fraction, Positive, node
from kraken_flow.core.pairwise import Pairwise, columns_against
from kraken_flow.core.times import YEAR, parse_length
from kraken_flow.core.units import FIX, rate
from kraken_flow.core.var_limit import COLUMN
from kraken_flow.risk.position import PositionLimits, PositionRisk

EffectName = Literal["reduce_only", "halt", "flatten"]


@node
class DayLimits:
    """What a UTC day may bring; reached, a halt lasts until 00:00 UTC, a cool-down for its own time."""

    max_loss: Fraction | None = 0.04
    """Largest loss of equity since 00:00 UTC, open positions included; first there in the last bar of a day, it halts
    the next one; null switches it off."""
    max_trades: Positive[int] | None = None
    """Most positions opened in a day, which then go on while nothing else is opened; null switches it off."""
    max_losses: Positive[int] | None = None
    """Losing trades in a row after which a cool-down begins; null switches it off."""
    cooldown: str = "1h"
    """How long a cool-down lasts: 30m, 1h."""
    loss_throttle: bool = True
    """Whether new positions are half as large from half of `max_losses` losing trades in a row on."""
    effect: EffectName = "halt"
    """What the halt of a day does that lost `max_loss`: reduce_only, halt or flatten."""


@node
class SystemLimits:
    """What ends trading until somebody resets it, and how much may be held at all."""

    max_drawdown: Fraction | None = 0.05
    """Largest loss of equity from its peak, open positions included; null switches it off."""
    throttle_from: Fraction | None = None
    """Loss of equity from its peak from which new positions are smaller, down to nothing at `max_drawdown`; null
    switches it off."""
    max_gross: Factor | None = None
    """Largest sum of all positions' values over equity; null switches it off."""
    max_net: Factor | None = None
    """Largest value of long less short positions over equity, either way; null switches it off."""
    max_positions: Positive[int] | None = None
    """Most pairs held at a time; null switches it off."""
    max_var: Fraction | None = None
    """Largest value at risk of all positions together as a share of equity, by `risk.covariance`; null switches it
    off."""
    var_level: Level = 0.95
    """Confidence level of `max_var`."""
    var_horizon: str = "1d"
    """Over which time the losses of `max_var` are counted."""
    black_swan_sigma: Factor | None = None
    """Largest move of a bar in multiples of the volatility before it (exponential average of squared returns, decay
    0.94, from the 20th bar of the run on); null switches it off."""
    stale_after: str | None = None
    """Age of a held pair's newest bar from which positions are only reduced: 3h; null switches it off."""
    price_band: Fraction | None = None
    """Farthest a limit or stop price of a new order may lie from the last close; null switches it off."""
    effect: EffectName = "flatten"
    """What a kill does: reduce_only, halt or flatten."""


@node
class TieredRisk(PositionRisk):
    """Limits per position, per day and for the whole system, the same in every mode."""

    kernel: ClassVar[str | None] = "position"
    position: PositionLimits = PositionLimits()
    """Limits per position."""
    rearm: str = "on_change"
    """When a stopped-out pair may enter again: `on_change` of its forecast, `next_bar`, or `bars:N`."""
    day: DayLimits = DayLimits()
    """Limits of a UTC day."""
    system: SystemLimits = SystemLimits()
    """Limits of the whole system."""
    shadow: bool = False
    """Whether the tiers of day and system only report what they would have done."""
    covariance: Pairwise | None = None
    """Covariance of two pairs, by which `risk.system.max_var` measures: `risk.covariance.window=168`."""

    def __post_init__(self) -> None:
        """Refuse durations that cannot be read and limits that contradict each other."""
        super().__post_init__()
        self.limits()
        if self.system.max_var is not None and self.covariance is None:
            raise UserError(
                f"risk.system.max_var={self.system.max_var:g}: needs risk.covariance, by which it measures, as in "
                "{_target_: kraken_flow.features.Covariance, window: 168}"
            )
        self._check_throttle()
        self._check_effects()
        self._check_order()

    def _check_order(self) -> None:
        if self.shadow:
            return  # what is only recorded keeps no other limit from being reached
        lost = self._position_loss()
        tiers = [
            ("risk.position.stop_loss x risk.position.max_fraction", lost),
            ("risk.day.max_loss", self.day.max_loss),
            ("risk.system.max_drawdown", self.system.max_drawdown),
        ]
        known = [(name, value) for name, value in tiers if value is not None]
        for (low, less), (high, more) in pairwise(known):
            if less >= more:
                raise UserError(
                    f"{low}={less:g} is not below {high}={more:g}: a wider limit would never be reached before the "
                    "narrower one; each is a loss of equity, so lower the former, raise the latter, or switch one "
                    "off with null"
                )

    def _check_throttle(self) -> None:
        start, end = self.system.throttle_from, self.system.max_drawdown
        if start is not None and end is None:
            raise UserError(
                f"risk.system.throttle_from={start:g}: positions become smaller on the way to "
                "risk.system.max_drawdown, which is null: set it as well"
            )
        if start is not None and end is not None and start >= end:
            raise UserError(
                f"risk.system.throttle_from={start:g} is not below risk.system.max_drawdown={end:g}: lower the former "
                "or raise the latter"
            )

    def _check_effects(self) -> None:
        day, system = self.day, self.system
        halts = day.max_loss is not None or day.max_trades is not None
        kills = system.max_drawdown is not None or system.black_swan_sigma is not None
        if halts and kills and Effect[system.effect.upper()] < Effect[day.effect.upper()]:
            raise UserError(
                f"risk.system.effect={system.effect}: does less than risk.day.effect={day.effect}, and a kill is the "
                f"graver state: use risk.system.effect={day.effect}, or less for the day"
            )

    def pair_features(self, n_pairs: int) -> Mapping[str, Source]:
        """Return the covariances with each pair, where the value at risk is limited."""
        if self.system.max_var is None or self.covariance is None:
            return {}
        return columns_against(COLUMN, self.covariance, n_pairs)

    def _position_loss(self) -> float | None:
        """Return the share of equity that the stop of one position of the largest size loses; None where open."""
        limits = self.position
        if limits.stop_loss is None or limits.max_fraction is None:
            return None
        return limits.stop_loss * limits.max_fraction

    def limits(self) -> Limits:
        """Return the limits of day and system as integers."""
        day, system = self.day, self.system
        stale = system.stale_after
        return Limits(
            max_loss=_rate(day.max_loss),
            max_trades=day.max_trades or 0,
            max_losses=day.max_losses or 0,
            cooldown_ns=parse_length(day.cooldown, "risk.day.cooldown"),
            max_drawdown=_rate(system.max_drawdown),
            max_gross=_rate(system.max_gross),
            max_net=_rate(system.max_net),
            max_positions=system.max_positions or 0,
            black_swan=_rate(system.black_swan_sigma),
            stale_ns=0 if stale is None else parse_length(stale, "risk.system.stale_after"),
            price_band=_rate(system.price_band),
            max_var=_rate(system.max_var),
            var_reach=_var_reach(system),
            throttle_from=_rate(system.throttle_from),
            loss_throttle=day.loss_throttle and day.max_losses is not None,
            day_effect=Effect[day.effect.upper()],
            system_effect=Effect[system.effect.upper()],
            shadow=self.shadow,
        )


def _var_reach(system: SystemLimits) -> int:
    """Return the quantile over the root of horizons per year, 10^-9; 0 without a limit."""
    horizon = parse_length(system.var_horizon, "risk.system.var_horizon")
    return 0 if system.max_var is None else quantile(system.var_level) * FIX // isqrt(10**18 * YEAR // horizon)


def _rate(value: float | None) -> int:
    return -1 if value is None else rate(value)

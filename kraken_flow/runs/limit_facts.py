"""Which limits of risk were on in a run, and how often each of them acted."""

from collections import Counter
from collections.abc import Iterator

from kraken_flow.analysis.breakdown import reason_words
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.holdings import largest_opened
from kraken_flow.analysis.safety import rows
from kraken_flow.core.account import Risk
from kraken_flow.core.limits import Limits, Trigger
from kraken_flow.core.orders import Reason
from kraken_flow.core.times import timeframe_name
from kraken_flow.core.units import UNIT

LimitFacts = Iterator[tuple[str, str, str]]
"""Lines of a table: a limit's name, where it is set, what it did."""
UNRECORDED = "keeps no record"
"""What a rule of the user's own did: nothing tells a target that it cut from one that it let be."""


def limit_facts(run: FinishedRun, risk: Risk) -> LimitFacts:
    """Yield a line for each limit that was on, those of a position first; nothing where none was."""
    exits = Counter(reason_words(run)) if len(run.trades) else Counter()
    for reason, limit in _protection(risk):
        yield reason.word, limit, _times(exits[reason.word], "closed {} trade{}")
    most = risk.parameters().get("max_fraction", -1)
    if most >= 0:
        yield "max_fraction", f"{_percent(most)} of equity a position", _largest(run)
    if not type(risk).__module__.startswith("kraken_flow."):
        yield type(risk).__name__, "a rule of its own", UNRECORDED
    limits = risk.limits()
    events = Counter(event["trigger"] for event in rows(run))
    acted = "would have acted {}" if limits.shadow else "acted {}"
    for trigger, limit in _account(limits):
        count = events[int(trigger)]
        yield trigger.word, limit, acted.format("once" if count == 1 else f"{count:,} times") if count else "never"


def _largest(run: FinishedRun) -> str:
    """Say how near a run came to the cap of a position: nothing tells a target that was cut from one as large."""
    largest = largest_opened(run)
    return "no position" if largest is None else f"largest {largest:.1%}"


def _times(count: int, words: str) -> str:
    return words.format(f"{count:,}", "s" * (count != 1)) if count else "never"


def _protection(risk: Risk) -> Iterator[tuple[Reason, str]]:
    """Yield what rests beside a position, by the reason that its orders bear."""
    held = risk.protection()
    for reason, rate in (
        (Reason.STOP_LOSS, held.stop_loss),
        (Reason.TAKE_PROFIT, held.take_profit),
        (Reason.TRAILING_STOP, held.trailing),
    ):
        if rate:
            yield reason, f"{_percent(rate)} from the {'best' if reason is Reason.TRAILING_STOP else 'entry'} price"
    if held.max_bars:
        yield Reason.TIME_STOP, f"{held.max_bars:,} bars"


def _account(limits: Limits) -> Iterator[tuple[Trigger, str]]:
    """Yield the limits of day and system that are on, in the order of the configuration."""
    day, system = (f"then {effect.word}" for effect in (limits.day_effect, limits.system_effect))
    for trigger, rate, text in (
        (Trigger.MAX_LOSS, limits.max_loss, f"{{}} in a day, {day}"),
        (Trigger.MAX_DRAWDOWN, limits.max_drawdown, f"{{}} from the peak, {system}"),
        (Trigger.DRAWDOWN_THROTTLE, limits.throttle_from, "from {} on smaller positions"),
        (Trigger.MAX_GROSS, limits.max_gross, "{} of equity"),
        (Trigger.MAX_NET, limits.max_net, "{} of equity"),
        (Trigger.MAX_VAR, limits.max_var, "{} of equity"),
        (Trigger.BLACK_SWAN, limits.black_swan, f"{{}} in a bar, {system}"),
        (Trigger.PRICE_BAND, limits.price_band, "{} from the last close"),
    ):
        if rate >= 0:
            yield trigger, text.format(f"{rate / UNIT:g} sigma" if trigger is Trigger.BLACK_SWAN else _percent(rate))
    if limits.max_trades:
        yield Trigger.MAX_TRADES, f"{limits.max_trades:,} in a day"
    if limits.max_losses:
        yield Trigger.MAX_LOSSES, f"{limits.max_losses:,} in a row, then {timeframe_name(limits.cooldown_ns)} off"
    if limits.loss_throttle:
        least = -(-limits.max_losses // 2)
        losses = f"{least:,} losses in a row" if least > 1 else "a loss"
        yield Trigger.LOSS_THROTTLE, f"from {losses} on half the size"
    if limits.max_positions:
        yield Trigger.MAX_POSITIONS, f"{limits.max_positions:,} at a time"
    if limits.stale_ns:
        yield Trigger.STALE_DATA, f"no bar for {timeframe_name(limits.stale_ns)}, then reduce_only"


def _percent(rate: int) -> str:
    return f"{100 * rate / UNIT:g}%"

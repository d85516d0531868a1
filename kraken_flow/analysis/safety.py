"""What the limits of day and system did in a run: when it was killed, how long it stood still, each trigger."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.money import money
from kraken_flow.core.limits import Effect, Safety, Trigger
from kraken_flow.core.times import iso
from kraken_flow.core.units import Int64Array

_LOSSES = frozenset({Trigger.MAX_LOSS, Trigger.MAX_DRAWDOWN})
_MULTIPLES = frozenset({Trigger.MAX_GROSS, Trigger.MAX_NET})
_STATES = frozenset({Trigger.WITHIN, Trigger.TIMER, Trigger.RESET})


@dataclass(frozen=True)
class Kill:
    """The first kill of a run.

    Parameters: `time` ns UTC; `value` and `limit` what was measured and allowed; `reference` the equity it was measured
    against; `equity` at that instant; `untraded` the share of the span from there until a reset, or the end; `shadow`
    whether it was only recorded; `reset` when a user ended it, 0 where nobody did;
    `currency` the account's.
    """

    time: int
    trigger: Trigger
    value: float
    limit: float
    equity: float
    reference: float
    untraded: float
    shadow: bool
    reset: int
    currency: str = ""

    def text(self) -> str:
        """Say it in one line."""
        share = f"{self.untraded:.1%} of the span {'would have gone' if self.shadow else 'went'} untraded"
        until = f", reset at {iso(self.reset)}" if self.reset else ""
        numbers = f"{measured(self.trigger, self.value, self.limit)}; equity {money(self.equity, self.currency)}"
        return f"at {iso(self.time)} by {self.trigger.word} ({numbers}){until}: {share}"


def measured(trigger: Trigger, value: float, limit: float) -> str:
    """Write what was measured against what is allowed."""
    if trigger in _STATES:
        return ""
    if trigger in _LOSSES:
        return f"loss {value:.2%}, limit {limit:.2%}"
    if trigger is Trigger.PRICE_BAND:
        return f"{value:.2%} away, limit {limit:.2%}"
    if trigger in _MULTIPLES:
        return f"{value:.3f} of equity, limit {limit:g}"
    if trigger is Trigger.BLACK_SWAN:
        return f"{value:.1f} sigma, limit {limit:g}"
    if trigger is Trigger.STALE_DATA:
        return f"{value:,.0f} s old, limit {limit:,.0f} s"
    return f"{value:g}, limit {limit:g}"


def rows(run: FinishedRun) -> list[dict[str, Any]]:
    """Return what was recorded, a dictionary per trigger."""
    columns = run.result.risk
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


def first_kill(run: FinishedRun) -> Kill | None:
    """Return the first kill, None where there was none."""
    events = rows(run)
    for at, event in enumerate(events):
        if event["after"] == Safety.KILLED and event["before"] != Safety.KILLED:
            later = (e["time"] for e in events[at + 1 :] if e["trigger"] == Trigger.RESET)
            reset = next(later, 0)
            stood = (run.closes >= event["time"]) & ((run.closes <= reset) if reset else True)
            return Kill(
                time=event["time"],
                trigger=Trigger(event["trigger"]),
                value=event["value"],
                limit=event["limit"],
                equity=event["equity"],
                reference=event["reference"],
                untraded=float(np.count_nonzero(stood)) / max(len(run.closes), 1),
                shadow=bool(event["shadow"]),
                reset=reset,
                currency=run.instruments[0].currency,
            )
    return None


def effects(run: FinishedRun) -> Int64Array:
    """Return the effect in force at each decision, int64 of shape (n_decision_rows,); none in the shadow."""
    result = np.zeros(len(run.closes), np.int64)
    for event in rows(run):
        if not event["shadow"]:
            result[np.searchsorted(run.closes, event["time"]) :] = event["effect"]
    return result


def halted_share(run: FinishedRun) -> float:
    """Return the share of decisions at which nothing might be opened: halts and kills."""
    in_force = effects(run)
    return float(np.count_nonzero(in_force >= int(Effect.HALT))) / len(in_force) if len(in_force) else 0.0


def killed_at(run: FinishedRun) -> str | None:
    """Return when a kill ended trading, None where none did."""
    kill = first_kill(run)
    return None if kill is None or kill.shadow else iso(kill.time)


def by_itself(trigger: Trigger, before: Safety, after: Safety) -> Safety | None:
    """Return the state that a limit would have led to by itself, where a graver one fell at the same instant."""
    state = trigger.state
    return state if state is not None and before is not after and state < after else None


def lines(run: FinishedRun) -> Iterator[tuple[str, str, str, str]]:
    """Yield every trigger as time, limit, change of state and numbers.

    Of limits that fell at one instant the gravest changes the state; of the others stands what each alone would have.
    """
    for event in rows(run):
        trigger, before, after = Trigger(event["trigger"]), Safety(event["before"]), Safety(event["after"])
        own = by_itself(trigger, before, after)
        change = after.word if before is after else f"{before.word} -> {after.word}"
        change = change if own is None else f"alone {own.word}"
        pair = f"{run.market.names[event['pair']]} " if event["pair"] >= 0 else ""
        numbers = measured(trigger, event["value"], event["limit"])
        yield iso(event["time"]), trigger.word, change, f"{pair}{numbers}".strip() or "-"

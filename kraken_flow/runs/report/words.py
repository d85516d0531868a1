"""What the page says in words and formatted numbers: the warnings, the headline, the costs, every number by name."""

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from kraken_flow.analysis.bootstrap import DAY_CLOSES, OF_DEPTH
from kraken_flow.analysis.safety import by_itself
from kraken_flow.core.limits import Safety, Trigger

Row = dict[str, Any]
NONE = "\N{EN DASH}"
"""What stands where there is no number."""

UNDEFINED = {
    "fewer_than_two_returns": "fewer than two returns",
    "zero_variance": "it never varies",
    "no_negative_returns": "no negative returns",
    "no_drawdown": "it never fell",
    "no_closed_trades": "no trade was closed",
    "no_losing_trades": "no trade lost",
    "ruined": "equity fell to 0",
    "too_few_returns": "too few returns",
    "few_returns_not_zero": "fewer than 30 returns are not 0",
    "outside_its_interval": "the number lies outside of it",
    "sample_too_short": "the span is too short",
    "no_bars": "no bars",
    "no_parents": "no order was worked",
    "not_measured": "not measured",
    "not_killed": "nothing ended trading",
    "kill_was_reset": "trading went on after the kill",
    "no_impact_model": "no impact is modelled: exchange.slippage.model is not sqrt_impact or volume_share",
    "no_impact": "no fill moved its price",
    "no_edge": "nothing was made before impact",
    "impact_stays_below_half": "impact never takes half, however large the size",
}
"""The reasons of `null_reasons` in words."""

HEADLINE = (
    (
        "total_return",
        "Total return",
        "percent",
        "Final equity over starting equity, minus 1, open positions at the last close",
    ),
    ("cagr", "Growth a year", "percent", "Yearly growth at 365 days a year"),
    ("max_drawdown", "Max drawdown", "percent", "Deepest fall below the highest equity so far, at bar closes"),
    ("sharpe", "Sharpe", "ratio", "Mean daily return over its deviation, a year; no risk-free rate"),
    ("sortino", "Sortino", "ratio", "Like Sharpe, over the deviation of the days that lost"),
    ("calmar", "Calmar", "ratio", "Yearly growth over the deepest drawdown"),
    ("trades", "Closed trades", "count", "Round trips, flat to flat per pair"),
    ("win_rate", "Win rate", "share", "Closed trades that made money, net of all costs"),
    ("profit_factor", "Profit factor", "ratio", "What winners made over what losers lost"),
    ("expectancy", "Per trade", "money", "Mean result of a closed trade, net of all costs"),
    ("exposure", "Exposure", "share", "Mean value of positions over equity"),
    ("turnover", "Turnover", "times", "Bought plus sold value over equity, a year"),
)
"""Key, title, kind and meaning of the numbers at the top, in their order."""

_MEANINGS = {key: meaning for key, _, _, meaning in HEADLINE} | {
    "fees": "Paid to the venue",
    "slippage": "Lost to prices worse than those of the bar",
    "funding": "Paid less received for holding perpetuals",
    "borrow": "Paid for borrowed coins",
    "liquidations": "Positions that the venue closed because margin did not carry them",
    "ambiguous_fills": "Fills whose place inside their bar the data does not tell; resolved to the worse side",
    "halted_share": "Share of decisions at which a limit let nothing be opened",
    "killed_at": "When a limit ended trading",
    "bars": "Market bars over all pairs",
    "elapsed_s": "Seconds that signals and engine took",
    "shortfall_bps": "What working orders cost over their value on paper",
    "final_equity": "Equity at the end",
    "value_at_risk_until": "The kill after which returns are no part of the value at risk, for nothing was held",
    "capacity.multiple": "Size at which the modelled impact takes half of the edge, this run's being 1",
    "capacity.equity": "Starting equity at that size",
    "capacity.fillable_multiple": "Size at which a fill takes on average all that may be filled of its bar's volume",
    "capacity.fillable_equity": "Starting equity at that size",
    "capacity.edge_bps": "What was made before impact, after every other cost, over what was traded",
    "capacity.impact_bps": "What the modelled impact took of that",
    "capacity.volume_share": "Mean share of its bar's volume that a fill takes at that size",
    "final_cash": "Cash at the end",
    "engine": "Which engine ran",
}
_KINDS = {key: kind for key, _, kind, _ in HEADLINE} | {
    "fees": "money", "slippage": "money", "funding": "money", "funding_paid": "money", "funding_received": "money",
    "borrow": "money", "final_equity": "money", "final_cash": "money", "halted_share": "share", "bars": "count",
    "liquidations": "count", "ambiguous_fills": "count", "parents": "count", "killed_at": "time",
    "average_win": "money", "average_loss": "money", "worst_equity": "money",
    "best_equity": "money", "excess_return": "percent", "worst_return": "percent", "best_return": "percent",
    "best_trade": "percent", "worst_trade": "percent", "volatility": "share", "net_exposure": "percent",
    "time_in_market": "share", "cost_share": "share", "alpha": "percent", "beta": "ratio", "sqn": "ratio",
    "value_at_risk_until": "time", "multiple": "times", "equity": "money", "edge_bps": "ratio", "impact_bps": "ratio",
    "volume_share": "share", "fillable_multiple": "times", "fillable_equity": "money",
}  # fmt: skip
GRAVE = ("killed", "ruined", "liquidated", "made_up", "no_trades")
"""Codes of warnings that make the numbers say little or nothing."""
FEW_TRADES = 30
_ELSEWHERE = {"null_reasons", "warnings", "drawdowns", "breakdown", "intervals"}
"""Keys that the page shows in parts of their own."""


def formatted(value: Any, kind: str, currency: str = "") -> str:
    """Return a number as the page shows it, with its unit.

    Examples
    --------
    >>> [formatted(0.0512, "percent"), formatted("2.30", "money", "USD"), formatted(17520, "count")]
    ['+5.12 %', '2.30 USD', '17,520']
    """
    if value is None:
        return "undefined"
    if kind == "time":
        return str(value)[:16].replace("T", " ")
    if isinstance(value, bool) or (isinstance(value, str) and kind not in ("money", "percent", "share", "ratio")):
        return str(value)
    if kind in ("percent", "share"):
        sign = "+" if kind == "percent" and float(value) else ""
        text = f"{float(value):{sign}.2%}".replace("%", " %")
    elif kind == "money":
        text = f"{Decimal(str(value)):,.2f} {currency}".rstrip()
    elif kind == "count":
        text = f"{value:,}"
    elif kind == "times":
        text = f"{float(value):,.1f} \N{MULTIPLICATION SIGN}"
    elif isinstance(value, int) or abs(float(value)) >= 1e4:
        text = f"{value:,.0f}"
    else:
        text = f"{float(value):,.3f}" if kind == "ratio" else f"{float(value):,.6g}"
    return text.replace("-", "\N{MINUS SIGN}")


def interval_of(metrics: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Return the interval that stands beside a number in `metrics.json`, None where there is none."""
    found = (metrics.get("intervals") or {}).get(key)
    if isinstance(found, Mapping):
        found = [found.get("low"), found.get("high")]
    if not isinstance(found, list | tuple) or len(found) != 2:
        return None
    low, high = found
    return (float(low), float(high)) if low is not None and high is not None else None


def basis(metrics: Mapping[str, Any], key: str) -> str:
    """Return of what an interval is that has another basis than its number, which is of all bars."""
    daily = (metrics.get("intervals") or {}).get("returns_of") == DAY_CLOSES
    return f" of {DAY_CLOSES}" if daily and key in OF_DEPTH else ""


def headline(metrics: Mapping[str, Any], currency: str) -> list[Row]:
    """Return the numbers at the top: title, value, interval, meaning, and whether it is good, bad or neither."""
    return [
        _row(metrics, key, title, kind, meaning, currency) for key, title, kind, meaning in HEADLINE if key in metrics
    ]


def _row(metrics: Mapping[str, Any], key: str, title: str, kind: str, meaning: str, currency: str) -> Row:
    value = metrics[key]
    row: Row = {"key": key, "title": title, "value": formatted(value, kind, currency), "meaning": meaning, "tone": ""}
    if key in ("total_return", "cagr", "sharpe", "sortino", "calmar", "expectancy") and value is not None:
        row["tone"] = "good" if float(value) > 0 else "bad" if float(value) < 0 else ""
    if value is None:
        reason = str((metrics.get("null_reasons") or {}).get(key, ""))
        row["why"] = UNDEFINED.get(reason, reason.replace("_", " "))
    if (interval := interval_of(metrics, key)) is not None:
        row["interval"] = between(interval, kind, currency) + basis(metrics, key)
    return row


def costs(metrics: Mapping[str, Any], currency: str) -> list[Row]:
    """Return what trading cost, by kind: name, value, number."""
    block = metrics.get("costs")
    names = {"fees": "Fees", "slippage": "Slippage"}
    if isinstance(block, Mapping):
        names = {"maker_fees": "Fees, maker", "taker_fees": "Fees, taker"}
        names |= {"spread": "Spread", "impact": "Impact", "slippage": "Slippage"}
    of = block if isinstance(block, Mapping) else metrics
    return [
        {"title": title, "value": formatted(of[key], "money", currency), "number": float(of[key])}
        for key, title in {**names, "funding": "Funding", "borrow": "Borrowing"}.items()
        if isinstance(of.get(key), str | int | float)
    ]


def capacity(metrics: Mapping[str, Any], currency: str) -> str:
    """Return in a sentence how much money the system carries; nothing where the run does not say."""
    size = metrics.get("capacity")
    if not isinstance(size, Mapping):
        return ""
    most, fillable = size["multiple"], size.get("fillable_multiple", math.inf)
    start = formatted(size["equity" if most <= fillable else "fillable_equity"], "money", currency)
    share = formatted(size["volume_share"] / most * min(most, fillable), "share")
    end = (
        f"the modelled impact takes half of the edge, and a fill {share} of its bar's volume on average"
        if most <= fillable
        else f"a fill takes {share} of its bar's volume on average, and no more can be filled; the modelled impact "
        f"would take half of the edge at {most:,.2f} times the size"
    )
    return (
        f"Capacity: at {min(most, fillable):,.2f} times the size, starting with {start}, {end}. Here the edge before "
        f"impact was {size['edge_bps']:,.2f} bps of what was traded; impact took {size['impact_bps']:,.2f} of them."
    )


def _balance(amount: str) -> str:
    """Return an amount of any currency with at most eight decimals."""
    text = f"{Decimal(amount):,.8f}".rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def numbers(metrics: Mapping[str, Any], currency: str) -> list[Row]:
    """Return every plain number of `metrics.json` under its own name; groups of numbers as `group.name`."""
    found: list[Row] = []
    for key, value in metrics.items():
        if key in _ELSEWHERE or key.endswith("_sha256"):
            continue
        inner = {f"{key}.{name}": part for name, part in value.items()} if isinstance(value, Mapping) else {key: value}
        for name, part in inner.items():
            if isinstance(part, Mapping | list):
                continue
            kind = _kind(name, part)
            coins = key in ("final_balances", "final_positions") and isinstance(part, str)
            shown = _balance(part) if coins else formatted(part, kind, currency)
            row: Row = {"key": name, "value": shown, "meaning": _MEANINGS.get(name, "")}
            if part is None:
                reason = str((metrics.get("null_reasons") or {}).get(name, ""))
                row["value"], row["why"] = "undefined", UNDEFINED.get(reason, reason.replace("_", " "))
            if (interval := interval_of(metrics, name)) is not None:
                row["interval"] = between(interval, kind, currency) + basis(metrics, name)
            found.append(row)
    return found


def _kind(name: str, value: Any) -> str:
    """Return how a number of `metrics.json` is written, by its name: that of its group, or its own."""
    group, _, own = name.rpartition(".")
    if group == "costs":
        return "money"
    if group == "value_at_risk" and isinstance(value, float):
        return "share"
    return _KINDS.get(own, "count" if isinstance(value, int) else "")


def between(interval: tuple[float, float], kind: str, currency: str) -> str:
    """Return an interval with its unit once."""
    low, high = (formatted(end, kind, currency) for end in interval)
    number, _, unit = high.partition(" ")
    return f"{low.removesuffix(f' {unit}')} to {number} {unit}".rstrip()


def warnings(
    manifest: Mapping[str, Any], metrics: Mapping[str, Any], no_market: str = "", lines: str = ""
) -> list[Row]:
    """Return what a reader has to know before the numbers, worst first: level (bad, care, note) and text.

    What stands in `metrics.json` under `warnings` is taken as it is; what it does not speak of is told here.
    """
    found: list[Row] = []
    told = set()
    for warning in metrics.get("warnings") or []:
        code, text = (str(warning.get(name) or "") for name in ("code", "text"))
        told.add(code)
        found.append({"level": "bad" if code in GRAVE else "care", "text": text})
    found += [{"level": level, "text": text} for code, level, text in _own(manifest, metrics) if code not in told]
    notes = dict.fromkeys(map(str, [*(manifest.get("notes") or []), *(manifest.get("data_notes") or [])]))
    found += [{"level": "note", "text": note} for note in notes]
    if no_market:
        found.append({"level": "care", "text": f"This page has no candles: {no_market}."})
    if lines:
        found.append({"level": "care", "text": lines})
    return sorted(found, key=lambda row: ("bad", "care", "note").index(row["level"]))


def codes(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Return the codes of a run's warnings, each once."""
    told = [str(warning.get("code") or "") for warning in metrics.get("warnings") or []]
    return list(dict.fromkeys([*told, *(code for code, _, _ in _own(manifest, metrics))]))


def would_have_ended(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the event at which limits that were only recorded would have ended trading; None where none would."""
    for event in events:
        if event.get("shadow") and event["after"] == "killed" and event["before"] != "killed":
            return event
    return None


def shadow_kill(events: Sequence[Mapping[str, Any]]) -> Row | None:
    """Return the warning of a run whose limits were only recorded and would have ended trading; None for others."""
    event = would_have_ended(events)
    if event is None:
        return None
    when = str(event["time"])[:16].replace("T", " ")
    text = (
        f"The run would have been killed on {when} UTC by {event['trigger']}, at an equity of {event['equity']:,.2f}: "
        "its limits were only recorded, and all that came after would not have been traded."
    )
    return {"level": "bad", "text": text}


def _own(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield code, level and text of what follows from a few numbers: runs of earlier versions have no more."""
    status = manifest.get("status")
    if status in ("interrupted", "failed"):
        yield "interrupted", "bad", f"The run was {status}: it ends before its data does."
    share = metrics.get("halted_share")
    halted = formatted(share, "share") if share else ""
    if killed := metrics.get("killed_at"):
        untraded = f"; {halted} of its decisions could open nothing" if halted else ""
        yield "killed", "bad", f"A risk limit ended trading on {str(killed)[:16].replace('T', ' ')} UTC{untraded}."
    elif halted:
        yield "halted", "care", f"Risk limits let nothing be opened at {halted} of the decisions."
    if liquidated := metrics.get("liquidations"):
        yield "liquidated", "bad", f"The venue closed {liquidated} positions because margin did not carry them."
    if manifest.get("synthetic_sample"):
        yield "made_up", "bad", "Synthetic market: the project made these prices itself, nothing in them ever traded."
    audit = manifest.get("audit") or {}
    if not audit.get("audited"):
        why = audit.get("why") or "not audited"
        yield "unaudited", "care", f"Nothing proves that the strategy cannot see the future: {why}."
    trades = metrics.get("trades")
    if "warnings" not in metrics and isinstance(trades, int) and trades < FEW_TRADES:
        yield "few_trades", "care", f"{trades} closed trades: too few to tell skill from luck."


def alone(event: Mapping[str, Any]) -> dict[str, str]:
    """Return what a limit would have led to by itself, where a graver one fell with it; a run may know other words."""
    try:
        trigger = Trigger[str(event["trigger"]).upper()]
        state = by_itself(trigger, *(Safety[str(event[name]).upper()] for name in ("before", "after")))
    except KeyError:
        return {}
    return {} if state is None else {"alone": state.word}

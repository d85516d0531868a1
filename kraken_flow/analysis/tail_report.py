"""The tail of a run's returns for `metrics.json` and the summary: value at risk, shortfall, and whether it held."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kraken_flow.analysis import coverage
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import daily_returns
from kraken_flow.analysis.safety import Kill, first_kill
from kraken_flow.analysis.value_at_risk import METHODS
from kraken_flow.core.times import DAY, iso
from kraken_flow.core.units import FloatArray

LEVELS = {"95": 0.95, "99": 0.99}
"""Confidence levels by the digits that stand in the names of metrics."""
TESTED = "95"
"""The level whose forecasts are held to what came."""
_WORDS = {
    "historical": "historical",
    "normal": "normal",
    "cornish_fisher": "Cornish-Fisher",
    "ewma": "EWMA",
    "filtered": "filtered historical",
}


def tail_metrics(run: FinishedRun) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `value_at_risk`, `var_backtest` and `value_at_risk_until` of `metrics.json`, and the reasons of nulls.

    Losses are positive fractions of equity over one UTC day, or over one bar where bars are longer than a day. What
    comes after a kill that nobody reset is left out: nothing is held then, and nothing at risk.
    """
    kill, why_whole = _end(run)
    until = {"value_at_risk_until": None if kill is None else iso(kill.time)}
    whole = {"value_at_risk_until": why_whole} if kill is None else {}
    # What a kill sells at the next open is at risk until then.
    rows = len(run.closes) if kill is None else int(np.searchsorted(run.closes, kill.time)) + 2
    equity = run.result.equity[:rows]
    if len(equity) == 0 or not bool((equity > 0.0).all()):
        reason = "no_bars" if len(equity) == 0 else "ruined"
        names = ("value_at_risk", "var_backtest")
        return dict.fromkeys(names) | until, dict.fromkeys(names, reason) | whole
    returns = daily_returns(equity, run.start_equity, run.first_close, run.market.timeframe_ns)
    tails, reasons = _tails(returns)
    tested, why = _tested(returns)
    return {"value_at_risk": tails, "var_backtest": tested} | until, reasons | why | whole


def _end(run: FinishedRun) -> tuple[Kill | None, str]:
    """Return the kill that ended trading for good; None where trading went on, and the code of the reason."""
    kill = first_kill(run)
    if kill is None or kill.shadow:
        return None, "not_killed"
    return (None, "kill_was_reset") if kill.reset else (kill, "")


def _tails(returns: FloatArray) -> tuple[dict[str, Any] | None, dict[str, str]]:
    found: dict[str, Any] = {"returns": len(returns)}
    reasons: dict[str, str] = {}
    for digits, level in LEVELS.items():
        for name, method in METHODS.items():
            tail = method(returns, level)
            if isinstance(tail, str):
                found |= dict.fromkeys((f"{name}_{digits}", f"{name}_{digits}_cvar"))
                reasons[f"value_at_risk.{name}_{digits}"] = tail
                continue
            found |= {f"{name}_{digits}": tail.var, f"{name}_{digits}_cvar": tail.cvar}
            if name == "cornish_fisher":
                found[f"{name}_{digits}_form"] = tail.form or name
    if all(value is None for key, value in found.items() if key != "returns"):
        return None, {"value_at_risk": next(iter(reasons.values()))}
    return found, reasons


def _tested(returns: FloatArray) -> tuple[dict[str, Any] | None, dict[str, str]]:
    results = coverage.backtest(returns, LEVELS[TESTED])
    if isinstance(results, str):
        return None, {"var_backtest": results}
    known = {name: result for name, result in results.items() if "reason" not in result}
    reasons = {f"var_backtest.{name}": result["reason"] for name, result in results.items() if name not in known}
    if not known:
        return None, {"var_backtest": next(iter(reasons.values()))}
    return {f"{name}_{key}": value for name, result in known.items() for key, value in result.items()}, reasons


def tail_facts(metrics: Mapping[str, Any], timeframe_ns: int) -> Iterator[tuple[str, str]]:
    """Return the lines of the summary that speak of the tail, from the numbers of `metrics.json`."""
    tails, span = metrics["value_at_risk"], "1 day" if timeframe_ns <= DAY else "1 bar"
    if tails is None:
        yield f"VaR 95 % ({span})", f"undefined ({metrics['null_reasons']['value_at_risk'].replace('_', ' ')})"
        yield from _until_kill(metrics)
        return
    for label, suffix in ((f"VaR 95 % ({span})", ""), (f"CVaR 95 % ({span})", "_cvar")):
        values = {name: tails[f"{name}_{TESTED}{suffix}"] for name in METHODS}
        yield label, ", ".join(f"{_WORDS[name]} {value:.2%}" for name, value in values.items() if value is not None)
    yield from _until_kill(metrics)
    if tails.get(f"cornish_fisher_{TESTED}_form") == "historical":
        yield "", "Cornish-Fisher is no quantile at this skew and kurtosis: it shows the historical one"
    tested = metrics["var_backtest"]
    if tested is None:
        reason = metrics["null_reasons"]["var_backtest"].replace("_", " ")
        yield "VaR 95 % backtest", f"undefined ({reason}; it takes {coverage.WINDOW + coverage.LEAST})"
        return
    for name in METHODS:
        if f"{name}_days" in tested:
            yield f"VaR backtest, {_WORDS[name]}", _verdict({k: tested[f"{name}_{k}"] for k in _KEYS})


def _until_kill(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if metrics["value_at_risk_until"]:
        yield "", f"VaR is of the time until the kill at {metrics['value_at_risk_until']}: then nothing was at risk"


_KEYS = ("violations", "days", "kupiec_p", "independence_p", "coverage")


def _verdict(found: Mapping[str, Any]) -> str:
    """Say how a method's forecasts did: how often they were exceeded, and whether in clusters."""
    share = f"{found['violations']} of {found['days']:,} exceeded it ({found['violations'] / found['days']:.1%})"
    said = "nominal" if found["coverage"] == "nominal" else f"FAILS, {found['coverage'].replace('_', ' ')}"
    clustered = "; in clusters" if found["independence_p"] < coverage.SIGNIFICANCE else ""
    return f"{share}: {said} (p {found['kupiec_p']:.3f}){clustered}"

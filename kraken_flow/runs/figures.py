"""How the numbers of `metrics.json` are called and written for people: one way for the report and for comparisons."""

from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from kraken_flow.analysis.money import money

MONEY = "money"
"""The pattern of an amount of the account's currency, whose decimals depend on it."""


class Figure(NamedTuple):
    """A number: where it stands in `metrics.json` (`costs.total`), its label, and the pattern that writes it."""

    name: str
    label: str
    pattern: str


TOTAL_RETURN = Figure("total_return", "Total profit %", "{:+.2%}")
CAGR = Figure("cagr", "CAGR %", "{:+.2%}")
SORTINO = Figure("sortino", "Sortino (daily, 365)", "{:.3f}")
SHARPE = Figure("sharpe", "Sharpe (daily, 365)", "{:.3f}")
CALMAR = Figure("calmar", "Calmar", "{:.3f}")
SQN = Figure("sqn", "SQN", "{:.3f}")
PROFIT_FACTOR = Figure("profit_factor", "Profit factor", "{:.3f}")
WIN_RATE = Figure("win_rate", "Win rate", "{:.1%}")
MAX_DRAWDOWN = Figure("max_drawdown", "Max % of account underwater", "{:.2%}")
MARKET_CHANGE = Figure("benchmark.total_return", "Market change", "{:+,.2%}")
VOLATILITY = Figure("volatility", "Volatility, a year", "{:.1%}")
EXPOSURE = Figure("exposure", "Exposure (mean gross)", "{:.1%}")
TURNOVER = Figure("turnover", "Turnover (two-sided, per year)", "{:,.1f}")
EXCESS = Figure("benchmark.excess_return", "Our return less its", "{:+,.2%}")
RATIOS = (
    Figure("sharpe_bar", "Sharpe of the bars", "{:.3f}"),
    Figure("sharpe_lo", "Sharpe (Lo, autocorrelated)", "{:.3f}"),
    VOLATILITY,
    Figure("omega", "Omega", "{:.3f}"),
    Figure("gain_to_pain", "Gain to pain", "{:.3f}"),
    Figure("tail_ratio", "Tail ratio", "{:.3f}"),
    Figure("skew", "Skewness", "{:.3f}"),
    Figure("kurtosis", "Kurtosis (normal 3)", "{:.3f}"),
    Figure("ulcer", "Ulcer index", "{:.2%}"),
    Figure("pain", "Pain index", "{:.2%}"),
    Figure("recovery_factor", "Recovery factor", "{:.3f}"),
)
OF_TRADES = (
    Figure("payoff", "Payoff (mean win / loss)", "{:.3f}"),
    Figure("kelly", "Kelly fraction", "{:.3f}"),
    Figure("edge_ratio", "Edge ratio (MFE / MAE)", "{:.3f}"),
)
HELD = (
    EXPOSURE,
    Figure("net_exposure", "Exposure (mean net)", "{:+.1%}"),
    Figure("time_in_market", "Time in the market", "{:.1%}"),
    TURNOVER,
)
AGAINST = (
    Figure("benchmark.total_return", "Return", "{:+,.2%}"),
    Figure("benchmark.cagr", "CAGR %", "{:+.2%}"),
    Figure("benchmark.sharpe", "Sharpe (daily, 365)", "{:.3f}"),
    Figure("benchmark.max_drawdown", "Max drawdown", "{:.2%}"),
    EXCESS,
    Figure("benchmark.beta", "Beta", "{:.3f}"),
    Figure("benchmark.alpha", "Alpha, a year", "{:+.2%}"),
    Figure("benchmark.correlation", "Correlation", "{:.3f}"),
    Figure("benchmark.information_ratio", "Information ratio", "{:.3f}"),
    Figure("benchmark.up_capture", "Capture when it rises", "{:.1%}"),
    Figure("benchmark.down_capture", "Capture when it falls", "{:.1%}"),
)
HEADLINE = (
    Figure("final_equity", "Final balance", MONEY),
    *(TOTAL_RETURN, CAGR, SORTINO, SHARPE, CALMAR, MAX_DRAWDOWN, VOLATILITY, SQN, PROFIT_FACTOR, WIN_RATE),
    Figure("expectancy", "Expectancy", MONEY),
    Figure("trades", "Trades", "{:,.0f}"),
    *(EXPOSURE, TURNOVER),
    Figure("costs.total", "All costs", MONEY),
    EXCESS._replace(label="Return less that of holding"),
)
"""What one looks at first where two runs are held against each other."""
_PATTERNS = {
    figure.name: figure.pattern for figure in (*HEADLINE, SQN, MARKET_CHANGE, *RATIOS, *OF_TRADES, *HELD, *AGAINST)
}
_SHARES = ("rate", "share", "depth", "drawdown")
_RETURNS = ("return", "best_trade", "worst_trade")
"""How the names of fractions end that are written as percents, the latter with a sign."""
_HOLDINGS = ("final_positions", "final_balances")
"""Quantities of assets, of which two decimals are too few."""


def value_at(metrics: Any, name: str) -> Any:
    """Return the number that `costs.total` names, None where there is none."""
    for part in name.split("."):
        metrics = metrics.get(part) if isinstance(metrics, dict) else None
    return metrics


def written(value: Any, pattern: str, currency: str = "") -> str:
    """Write a number by its pattern, `-` where it is not defined, nothing never as -0; amounts without a currency."""
    if value is None:
        return "-"
    said = money(float(value), currency) if pattern == MONEY else pattern.format(float(value))
    return said if any(digit in said for digit in "123456789") else said.removeprefix("-")


def change(before: Any, now: Any, pattern: str, currency: str = "") -> str:
    """Write by how much a number changed, always with a sign, `-` where either is not defined."""
    if before is None or now is None:
        return "-"
    said = written(Decimal(str(now)) - Decimal(str(before)), pattern.replace("{:+", "{:"), currency)
    return said if said.startswith("-") or not any(digit in said for digit in "123456789") else f"+{said}"


def pattern_of(name: str, value: Any) -> str | None:
    """Return how any number of `metrics.json` is written, None for what is no number."""
    if name in _PATTERNS:
        return _PATTERNS[name]
    first, *rest = name.split(".")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        try:
            amount = Decimal(value).is_finite()
        except InvalidOperation:
            return None
        return ("{:,.8f}" if first in _HOLDINGS else MONEY) if amount else None
    if first == "intervals" and rest and rest[0] in _PATTERNS:
        return _PATTERNS[rest[0]]
    if name.endswith("_equity"):
        return MONEY
    if isinstance(value, int):
        return "{:,.0f}"
    if name.endswith("_s"):
        return "{:,.0f} s"
    if name.endswith(_RETURNS):
        return "{:+.2%}"
    return "{:.2%}" if name.endswith(_SHARES) else "{:,.3f}"

"""What holding the traded pairs would have made, and how a run's returns lie to it."""

from kraken_flow.analysis import ratios, returns
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.returns import Value
from kraken_flow.analysis.series import held_value
from kraken_flow.core.units import FloatArray

NAME = "hold"


def hold_equity(run: FinishedRun) -> FloatArray:
    """Return the worth of one unit held over the run, float64 of shape (n_decision_rows,); see `series.held_value`."""
    first = run.market.first_row
    return held_value(run.market, slice(first, first + len(run.result.equity)), run.inverse.tolist())


def beta(own: FloatArray, other: FloatArray) -> Value:
    """Return the slope of own returns on the benchmark's: covariance over variance."""
    if len(own) < 2:
        return "fewer_than_two_returns"
    if ratios.is_flat(other):
        return "zero_variance_of_benchmark"
    around = other - other.mean()
    return float(around @ (own - own.mean())) / float(around @ around)


def alpha(own: FloatArray, other: FloatArray, periods_per_year: float) -> Value:
    """Return what own returns have above beta times the benchmark's, a year, added up and not compounded."""
    slope = beta(own, other)
    return slope if isinstance(slope, str) else (float(own.mean()) - slope * float(other.mean())) * periods_per_year


def correlation(own: FloatArray, other: FloatArray) -> Value:
    """Return Pearson's correlation."""
    slope = beta(own, other)
    if isinstance(slope, str):
        return slope
    return "zero_variance" if ratios.is_flat(own) else slope * float(other.std()) / float(own.std())


def information_ratio(own: FloatArray, other: FloatArray, periods_per_year: float) -> Value:
    """Return the mean difference of the returns over its sample deviation, a year."""
    return returns.sharpe(own - other, periods_per_year)


def capture(own: FloatArray, other: FloatArray, up: bool) -> Value:
    """Return the mean own return over the mean of the benchmark's, over the periods in which that rose (or fell)."""
    chosen = other > 0 if up else other < 0
    if not chosen.any():
        return "benchmark_never_rose" if up else "benchmark_never_fell"
    return float(own[chosen].mean()) / float(other[chosen].mean())


def against_hold(run: FinishedRun, own: FloatArray | None, per_year: float) -> dict[str, Value]:
    """Return the numbers of the benchmark and of the run against it, on the periods of the run's own ratios.

    Parameters: `own` the run's returns between UTC-day closes, None where its equity did not last; `per_year` how many
    of them are in a year.
    """
    equity, step = hold_equity(run), run.market.timeframe_ns
    # Positions of contracts settled in their base can lose more than all.
    if len(equity) == 0 or not bool((equity > 0).all()):
        reason = "no_bars" if len(equity) == 0 else "benchmark_ruined"
        return dict.fromkeys(NUMBERS, reason)
    other = returns.daily_returns(equity, 1.0, run.first_close, step)
    total = float(equity[-1]) - 1.0
    growth = returns.cagr(total, len(equity) * step)
    depth = returns.max_drawdown(equity, 1.0)
    found: dict[str, Value] = {
        "total_return": total,
        "cagr": growth,
        "volatility": ratios.volatility(other, per_year),
        "sharpe": returns.sharpe(other, per_year),
        "max_drawdown": depth,
        "excess_return": run.final_equity / run.start_cash - 1.0 - total,
    }
    if own is None:
        return found | dict.fromkeys(AGAINST, "ruined")
    return found | {
        "beta": beta(own, other),
        "alpha": alpha(own, other, per_year),
        "correlation": correlation(own, other),
        "information_ratio": information_ratio(own, other, per_year),
        "up_capture": capture(own, other, up=True),
        "down_capture": capture(own, other, up=False),
    }


AGAINST = ("beta", "alpha", "correlation", "information_ratio", "up_capture", "down_capture")
"""The numbers that compare returns."""
NUMBERS = ("total_return", "cagr", "volatility", "sharpe", "max_drawdown", "excess_return", *AGAINST)
"""The numbers of `benchmark` in `metrics.json`."""

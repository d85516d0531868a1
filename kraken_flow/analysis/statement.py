"""The statistics of `metrics.json` beyond the headline ones: how sure, against what, when, and what to mind."""

from typing import Any

import numpy as np

from kraken_flow.analysis import benchmark, ratios, returns, trade_ratios, underwater
from kraken_flow.analysis.ambiguity import band
from kraken_flow.analysis.bootstrap import (
    BAR_CLOSES,
    DAY_CLOSES,
    LEVEL,
    OF_RETURNS,
    RESAMPLES,
    block_length,
    of_depth,
    return_intervals,
    trade_intervals,
)
from kraken_flow.analysis.breakdown import TradeColumns, breakdowns
from kraken_flow.analysis.capacity import capacity
from kraken_flow.analysis.excursion import range_at_entry
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.flows import spent
from kraken_flow.analysis.given import given
from kraken_flow.analysis.holdings import Holdings
from kraken_flow.analysis.returns import Value, parted
from kraken_flow.analysis.wide import mean
from kraken_flow.core.orders import Liquidity
from kraken_flow.core.times import DAY, YEAR, iso
from kraken_flow.core.units import CASH_UNIT, FloatArray, cash_text

CURVE = (
    *("volatility", "sharpe_bar", "sharpe_lo", "skew", "skew_adjusted", "kurtosis", "excess_kurtosis"),
    *("omega", "gain_to_pain", "tail_ratio", "ulcer", "pain", "recovery_factor"),
)
TRADES = (
    *("payoff", "kelly", "sqn", "expectancy_ratio", "edge_ratio", "best_trade", "worst_trade", "mean_duration_s"),
)
MONEY = ("average_win", "average_loss")
FLAT = (
    *CURVE,
    *("longest_underwater_bars", "longest_underwater_days", "underwater_open", "short_sample", "span_days"),
    *("net_exposure", "time_in_market", "max_open_positions"),
    *TRADES,
    *MONEY,
    *("max_consecutive_wins", "max_consecutive_losses", "cost_share"),
)
"""The scalars that stand here, in the order of `metrics.json`."""
NESTED = ("costs", "capacity", "ambiguity", "intervals", "benchmark", "drawdowns", "breakdown")


def statement(run: FinishedRun) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of `FLAT` and `NESTED`, and the reasons of what is None."""
    ruined = _ruined(run)
    own = None if ruined else _daily(run)
    profit = run.trades.pnl.floats(CASH_UNIT)
    values: dict[str, Value] = {**_curve(run, own, ruined), **_trades(run, profit)}
    values |= Holdings.of(run).statistics(run.result.equity)
    costs, values["cost_share"] = cost_block(run)
    found, reasons = parted(values | {"capacity": capacity(run)})
    found |= _money(run) | _depths(run) | {"costs": costs}
    reasons |= {name: _why_no_money(run, name) for name in MONEY if found[name] is None}
    wins, losses = trade_ratios.longest_streaks(profit)
    found |= {"max_consecutive_wins": wins, "max_consecutive_losses": losses}
    found |= {"short_sample": _span(run) < returns.SHORT_SAMPLE_NS, "span_days": _span(run) / DAY}
    found |= {"ambiguity": band(run).numbers(run), "breakdown": breakdowns(run)}
    for name, (values_of, why) in {
        "intervals": _intervals(run, own, ruined, profit),
        "benchmark": _benchmark(run, own),
    }.items():
        found[name] = values_of
        reasons |= {f"{name}.{key}": reason for key, reason in why.items()}
    return found, reasons


def _span(run: FinishedRun) -> int:
    return len(run.result.equity) * run.market.timeframe_ns


def _per_year(run: FinishedRun) -> float:
    step = run.market.timeframe_ns
    return 365.0 if step <= DAY else YEAR / step


def _ruined(run: FinishedRun) -> str:
    """Return why the run has no returns, nothing where it has some."""
    if len(run.result.equity) == 0:
        return "no_bars"
    return "" if float(run.result.equity.min()) > 0 and run.start_equity > 0 else "ruined"


def _daily(run: FinishedRun) -> FloatArray:
    return returns.daily_returns(run.result.equity, run.start_equity, run.first_close, run.market.timeframe_ns)


def _curve(run: FinishedRun, own: FloatArray | None, ruined: str) -> dict[str, Value]:
    """Return the statistics of the equity curve: on UTC-day closes, but for the Sharpe ratio of the bars."""
    if own is None:
        return dict.fromkeys(CURVE, ruined)
    equity, start, per_year = run.result.equity, run.start_equity, _per_year(run)
    bars = np.empty_like(equity)
    bars[0] = equity[0] / start - 1.0
    np.divide(equity[1:], equity[:-1], out=bars[1:])
    bars[1:] -= 1.0
    closes = returns.day_ends(run.first_close, run.market.timeframe_ns, len(equity))
    daily = returns.drawdowns(equity[closes], start)
    total = run.final_equity / run.start_cash - 1.0
    return {
        "volatility": ratios.volatility(own, per_year),
        "sharpe_bar": returns.sharpe(bars, YEAR / run.market.timeframe_ns),
        "sharpe_lo": ratios.sharpe_lo(own, per_year),
        "skew": ratios.skew(own),
        "skew_adjusted": ratios.skew_adjusted(own),
        "kurtosis": ratios.kurtosis(own),
        "excess_kurtosis": ratios.excess_kurtosis(own),
        "omega": ratios.omega(own),
        "gain_to_pain": ratios.gain_to_pain(own),
        "tail_ratio": ratios.tail_ratio(own),
        "ulcer": underwater.ulcer(daily),
        "pain": underwater.pain(daily),
        "recovery_factor": underwater.recovery_factor(total, returns.max_drawdown(equity, start)),
    }


def _trades(run: FinishedRun, profit: FloatArray) -> dict[str, Value]:
    """Return the statistics of closed trades."""
    trades = run.trades
    if not len(trades):
        return dict.fromkeys(TRADES, "no_closed_trades")
    columns = TradeColumns.of(run, trades)
    mae, mfe = run.excursions
    return {
        "payoff": trade_ratios.payoff(profit),
        "kelly": trade_ratios.kelly(profit),
        "sqn": trade_ratios.sqn(profit),
        "expectancy_ratio": trade_ratios.expectancy_ratio(profit),
        "edge_ratio": trade_ratios.edge_ratio(mae, mfe, range_at_entry(trades, run.result.fills, run.market)),
        "best_trade": float(columns.gain.max()),
        "worst_trade": float(columns.gain.min()),
        "mean_duration_s": float(columns.held.mean()) / 1e9,
    }


def _money(run: FinishedRun) -> dict[str, str | None]:
    """Return the mean win and the mean loss as exact decimals rounded half-even to 10^-16."""
    pnl = run.trades.pnl
    kinds = {"average_win": pnl.take(pnl.positive), "average_loss": pnl.take(pnl.negative)}
    return {name: cash_text(mean(some.total(), len(some))) if len(some) else None for name, some in kinds.items()}


def _why_no_money(run: FinishedRun, name: str) -> str:
    kind = "winning" if name == "average_win" else "losing"
    return f"no_{kind}_trades" if len(run.trades) else "no_closed_trades"


def _depths(run: FinishedRun) -> dict[str, Any]:
    """Return the worst ten drawdowns of the bar closes, and the longest time below the highest of them."""
    equity, start, closes = run.result.equity, run.start_equity, run.closes
    depths = returns.drawdowns(equity, start)
    rows, still = underwater.longest_underwater(depths)
    step_days = run.market.timeframe_ns / DAY
    worst = []
    for one in underwater.episodes(depths):
        top = one.first - 1
        worst.append(
            {
                "peak": iso(int(closes[top])) if top >= 0 else iso(run.first_close - run.market.timeframe_ns),
                "trough": iso(int(closes[one.trough])),
                "recovered": iso(int(closes[one.last + 1])) if one.recovered else None,
                "depth": one.depth,
                "bars": one.rows,
                "days": one.rows * step_days,
                "bars_to_trough": one.trough - top,
                "peak_equity": float(equity[top]) if top >= 0 else start,
                "trough_equity": float(equity[one.trough]),
            }
        )
    return {
        "drawdowns": worst,
        "longest_underwater_bars": rows,
        "longest_underwater_days": rows * step_days,
        "underwater_open": still,
    }


def cost_block(run: FinishedRun) -> tuple[dict[str, str], Value]:
    """Return what trading cost in exact decimals, and its share of the profit before it."""
    fills, flows, gave = run.result.fills, spent(run.result), given(run)
    kinds = {kind: run.fees.take(fills["liquidity"] == int(kind)).total() for kind in Liquidity}
    parts = {
        "maker_fees": kinds[Liquidity.MAKER],
        "taker_fees": kinds[Liquidity.TAKER],
        "spread": gave.spread,
        "impact": gave.impact,
        "slippage": gave.rest,
        "funding": flows["funding_paid"] - flows["funding_received"],
        "borrow": flows["borrow"],
    }
    total = sum(parts.values())
    before = run.final_equity - run.start_cash + total
    share: Value = total / before if before > 0 else "no_profit_before_costs"
    parts |= {"total": total, "profit_before_costs": before}
    return {name: cash_text(value) for name, value in parts.items()}, share


def _intervals(
    run: FinishedRun, own: FloatArray | None, ruined: str, profit: FloatArray
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the intervals with how they were made."""
    found: dict[str, Any] = {"level": LEVEL, "resamples": RESAMPLES}
    if own is None:
        made: dict[str, Any] = dict.fromkeys(OF_RETURNS, ruined)
    else:
        found |= {"returns": len(own), "returns_block": block_length(len(own))}
        found["returns_of"] = DAY_CLOSES if run.market.timeframe_ns < DAY else BAR_CLOSES
        depth = returns.max_drawdown(run.result.equity, run.start_equity)
        made = of_depth(return_intervals(own, _per_year(run), _span(run)), depth)
    found |= {"trades": len(profit), "trades_block": block_length(len(profit))}
    intervals, why = parted(made | dict(trade_intervals(profit)))
    return found | intervals, why


def _benchmark(run: FinishedRun, own: FloatArray | None) -> tuple[dict[str, Any], dict[str, str]]:
    found, why = parted(benchmark.against_hold(run, own, _per_year(run)))
    return {"name": benchmark.NAME, "pairs": len(run.market.pairs)} | found, why

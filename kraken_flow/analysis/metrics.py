"""The numbers of `metrics.json`."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kraken_flow.analysis import returns
from kraken_flow.analysis.cautions import cautions
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.flows import spent
from kraken_flow.analysis.returns import Value, parted
from kraken_flow.analysis.safety import halted_share, killed_at
from kraken_flow.analysis.statement import FLAT, NESTED, statement
from kraken_flow.analysis.tail_report import tail_metrics
from kraken_flow.analysis.tca import parent_costs, totals
from kraken_flow.analysis.wide import Wide, mean
from kraken_flow.core.times import DAY, YEAR
from kraken_flow.core.units import cash_text, text


@dataclass(frozen=True)
class Hashes:
    """What identifies a run: SHA-256 of its order log, its ledger log and its input columns, in hex."""

    order_log: str
    ledger: str
    data: str


def equity_statistics(run: FinishedRun) -> dict[str, Value]:
    """Return the statistics of the equity curve: headline ratios on UTC-day closes with the root of 365."""
    equity, start, step = run.result.equity, run.start_equity, run.market.timeframe_ns
    names = ("total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "exposure", "turnover")
    if len(equity) == 0:
        return dict.fromkeys(names, "no_bars")
    total = run.final_equity / run.start_cash - 1.0
    drawdown = returns.max_drawdown(equity, start)
    stats: dict[str, Value] = {"total_return": total, "max_drawdown": drawdown}
    if drawdown <= -1.0:
        stats |= dict.fromkeys(("cagr", "sharpe", "sortino", "calmar"), "ruined")
    else:
        daily = returns.daily_returns(equity, start, run.first_close, step)
        per_year = 365.0 if step <= DAY else YEAR / step
        growth = returns.cagr(total, len(equity) * step)
        stats |= {
            "cagr": growth,
            "sharpe": returns.sharpe(daily, per_year),
            "sortino": returns.sortino(daily, per_year),
            "calmar": returns.calmar(growth, drawdown),
        }
    return stats | {"exposure": _exposure(run), "turnover": _turnover(run)}


def _exposure(run: FinishedRun) -> Value:
    """Mean of gross position value over equity, over the rows with equity left."""
    mean = run.result.exposure
    return "ruined" if math.isnan(mean) else mean


def _turnover(run: FinishedRun) -> Value:
    """Bought and sold value, each over the equity at the close before its bar, per year of 365 days."""
    equity = run.result.equity
    rows = run.result.fills["row"] - run.market.first_row - 1
    before = np.where(rows < 0, run.start_equity, equity[np.maximum(rows, 0)])
    if (before <= 0).any():
        return "ruined"
    return float((run.notional / before).sum()) * YEAR / (len(equity) * run.market.timeframe_ns)


def trade_statistics(pnl: Wide) -> dict[str, Value]:
    """Return win rate, profit factor and expectancy of closed round trips, net of all costs.

    A trade that made exactly 0 is no win. `expectancy` is money: an exact decimal string rounded half-even to 10^-16.
    """
    n = len(pnl)
    if n == 0:
        return dict.fromkeys(("win_rate", "profit_factor", "expectancy"), "no_closed_trades")
    won, lost = pnl.take(pnl.positive).total(), -pnl.take(pnl.negative).total()
    return {
        "win_rate": int(np.count_nonzero(pnl.positive)) / n,
        "profit_factor": won / lost if lost else "no_losing_trades",
        "expectancy": mean(won - lost, n),
    }


def costs(run: FinishedRun) -> dict[str, int]:
    """Return what trading cost, exact, units of 10^-16: fees, slippage, funding (net), borrowed coins."""
    fills = run.result.fills
    slippage = Wide.of_split(fills["slip_hi"], fills["slip_lo"])
    flows = spent(run.result)
    funding = flows["funding_paid"] - flows["funding_received"]
    return {"fees": run.fees.total(), "slippage": slippage.total(), "funding": funding, "borrow": flows["borrow"]}


def balances(run: FinishedRun) -> dict[str, str]:
    """Return the closing amount of every asset that is held, the account's currency always, as exact decimals.

    A contract is no asset.
    """
    held: dict[str, int] = {}
    for instrument, qty in zip(run.instruments, run.result.final_positions.tolist(), strict=True):
        if not instrument.settle:
            held[instrument.base] = held.get(instrument.base, 0) + qty
    quote = run.instruments[0].currency
    return {quote: cash_text(run.result.final_cash)} | {a: text(q) for a, q in sorted(held.items()) if q}


def measure(run: FinishedRun) -> dict[str, Any]:
    """Return every number of `metrics.json` that needs no hash; a statistic that is not defined is None.

    The keys, their units and the reasons are described in `docs/reading-a-run.md`.
    """
    worked = totals(parent_costs(run))
    stats = equity_statistics(run) | trade_statistics(run.trades.pnl)
    stats |= {"shortfall_bps": worked.shortfall_bps if worked.parents else "no_parents"}
    shown, reasons = parted(stats)
    if shown["expectancy"] is not None:
        shown["expectancy"] = cash_text(shown["expectancy"])
    result, killed = run.result, killed_at(run)
    speed = run.bars / run.elapsed_s if run.elapsed_s > 0 else None
    if speed is None:
        reasons["bars_per_s"] = "not_measured"
    return shown | {
        "trades": len(run.trades),
        "parents": worked.parents,
        **{name: cash_text(value) for name, value in (costs(run) | spent(run.result)).items()},
        "liquidations": result.counts.get("liquidations", 0),
        "final_equity": cash_text(run.final_equity),
        "final_cash": cash_text(result.final_cash),
        "final_positions": {
            i.pair: text(q) for i, q in zip(run.instruments, result.final_positions.tolist(), strict=True) if q
        },
        "final_balances": balances(run),
        "ambiguous_fills": int(np.count_nonzero(result.fills["ambiguous"])),
        "bars": run.bars,
        "elapsed_s": run.elapsed_s,
        "bars_per_s": speed,
        "engine": result.engine,
        "halted_share": halted_share(run),
        "killed_at": killed,
        "null_reasons": ({"killed_at": "not_killed"} if killed is None else {}) | reasons,
    }


NAMES = (
    *("total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "win_rate", "profit_factor"),
    *("expectancy", "trades", "exposure", "turnover", "fees", "slippage", "funding"),
    *("funding_paid", "funding_received", "borrow", "liquidations", "final_equity", "final_cash"),
    *("final_positions", "final_balances", "ambiguous_fills", "bars", "elapsed_s", "bars_per_s", "engine"),
    *("parents", "shortfall_bps"),
    *FLAT,
    *NESTED,
    *("value_at_risk", "value_at_risk_until", "var_backtest"),
    *("order_log_sha256", "ledger_sha256", "data_sha256", "halted_share", "killed_at", "warnings", "null_reasons"),
)
"""The keys of `metrics.json`, in its order."""


def complete(run: FinishedRun, measured: dict[str, Any], hashes: Hashes, unaudited: str = "") -> dict[str, Any]:
    """Add what is costlier than the headline numbers, the warnings and the hashes, in the order of `metrics.json`.

    Parameters: `unaudited` why the system's nodes are not known to be free of look-ahead; nothing where they are.
    """
    tails, tail_reasons = tail_metrics(run)
    more, reasons = statement(run)
    everything = (
        measured
        | tails
        | more
        | {
            "null_reasons": measured["null_reasons"] | tail_reasons | reasons,
            "order_log_sha256": hashes.order_log,
            "ledger_sha256": hashes.ledger,
            "data_sha256": hashes.data,
        }
    )
    everything["warnings"] = [one.row() for one in cautions(run, everything, unaudited)]
    return {name: everything[name] for name in NAMES}

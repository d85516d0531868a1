"""What a reader should mind before believing a run, in plain words: the `warnings` of `metrics.json`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kraken_flow.analysis.breakdown import by_pair
from kraken_flow.analysis.data_summary import data_summary
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.safety import first_kill
from kraken_flow.analysis.unfilled import short_of_volume
from kraken_flow.core.market import REAL
from kraken_flow.core.orders import Liquidity
from kraken_flow.core.terms import Slippage
from kraken_flow.core.times import DAY
from kraken_flow.core.units import CASH_UNIT, UNIT

FEW_TRADES = 30
"""Closed trades below which their statistics say little."""
LARGE_SHARE = 0.5
"""Share of the profit that one trade, one pair, costs or open positions should not make."""
AMBIGUOUS_SHARE = 0.05
"""Share of the closed trades with an exit in doubt from which the band is worth a look."""
MISSING_SHARE = 0.05
"""Share of missing bars from which data is thin."""
HIGH_SHARPE = 3.0
"""Sharpe ratio above which a mistake is likelier than a discovery."""
HALTED_SHARE = 0.1
VOLUME_SHARE = 0.01
"""Share of the orders that lack of volume cut from which the system is too large for its market."""
WIDE_SHARE = 0.01
"""Half a spread as a share of a pair's price above which it is hardly that pair's."""
_NAMED = 3


@dataclass(frozen=True)
class Caution:
    """One warning: a code that programs can rely on, and its sentence."""

    code: str
    text: str

    def row(self) -> dict[str, str]:
        """Return it as it stands in `metrics.json`."""
        return {"code": self.code, "text": self.text}


def cautions(run: FinishedRun, metrics: Mapping[str, Any], unaudited: str = "") -> list[Caution]:
    """Return all warnings of a run, the gravest first.

    Parameters: `metrics` the numbers of `metrics.json`; `unaudited` why the system's nodes are not known to be free of
    look-ahead, nothing where they are.
    """
    found = [*_of_the_account(run, metrics), *_of_trades(run, metrics)]
    found += [*_of_costs(run, metrics), *_of_fills(run, metrics)]
    if unaudited:
        found.append(Caution("unaudited", f"Nothing shows that the system does not know the future: {unaudited}."))
    return [*found, *_of_the_sample(run, metrics), *_of_the_benchmark(metrics)]


def _of_the_account(run: FinishedRun, metrics: Mapping[str, Any]) -> Iterator[Caution]:
    if len(run.result.equity) and float(run.result.equity.min()) <= 0:
        yield Caution("ruined", "Equity fell to zero or below: ratios of the curve are not defined.")
    kill = first_kill(run)
    if kill is not None and not kill.shadow:
        yield Caution(
            "killed",
            f"A limit ended trading and {kill.untraded:.0%} of the span went untraded: the numbers are those of the "
            "part before, diluted by the idle rest.",
        )
    elif metrics["halted_share"] > HALTED_SHARE:
        yield Caution("halted", f"Limits stood in the way at {metrics['halted_share']:.0%} of decisions.")
    if metrics["liquidations"]:
        yield Caution("liquidated", f"The venue closed {metrics['liquidations']} positions for lack of margin.")


def _of_trades(run: FinishedRun, metrics: Mapping[str, Any]) -> Iterator[Caution]:
    n, trades = len(run.trades), run.trades
    if n == 0:
        yield Caution("no_trades", "No trade was closed: there is nothing to judge.")
    elif n < FEW_TRADES:
        closed = "Only 1 trade was" if n == 1 else f"Only {n} trades were"
        yield Caution(
            "few_trades", f"{closed} closed: luck can make any ratio of fewer than {FEW_TRADES}, and 100 are better."
        )
    gained = (run.final_equity - run.start_cash) / CASH_UNIT
    if gained <= 0:
        return
    profit = trades.pnl.floats(CASH_UNIT)
    if n > 1 and float(profit.max()) >= LARGE_SHARE * gained:
        share = float(profit.max()) / gained
        yield Caution("one_trade", f"One trade made {share:.0%} of the profit: without it the run is another one.")
    lines = by_pair(run, trades)
    if len(lines) > 2 and n and lines[0].profit / CASH_UNIT >= 0.9 * gained:
        share = lines[0].profit / CASH_UNIT / gained
        yield Caution("one_pair", f"{lines[0].name} alone made {share:.0%} of the profit of {len(lines)} pairs.")
    unrealised = run.trips.where(~run.trips.closed).pnl.total() / CASH_UNIT
    if unrealised >= LARGE_SHARE * gained:
        yield Caution("open_profit", f"{unrealised / gained:.0%} of the profit is in positions that are still open.")


def _of_costs(run: FinishedRun, metrics: Mapping[str, Any]) -> Iterator[Caution]:
    costs, share = metrics["costs"], metrics["cost_share"]
    total, before = float(costs["total"]), float(costs["profit_before_costs"])
    if before > 0 and total >= before:
        yield Caution("costs_exceed_edge", "Costs took all that the system made before them: no edge is left.")
    elif share is not None and share >= LARGE_SHARE:
        yield Caution("costs_heavy", f"Costs took {share:.0%} of the profit before them: a little more and it is gone.")
    if metrics["trades"] and total == 0:
        yield Caution("no_costs", "Trading cost nothing in this run; no venue is like that.")
    elif _took_for_nothing(run):
        yield Caution(
            "no_slippage",
            "Orders that took liquidity paid no spread and moved no price, as in no market: exchange.slippage says "
            "what they pay.",
        )
    if _takers_paid(run):
        yield Caution(
            "takers_paid",
            "Orders that took liquidity were paid for it: exchange.fees.taker_bps, or a tier's, is below 0, and hardly "
            "any venue pays takers.",
        )
    wide = _wide_pairs(run)
    if wide:
        more = f" and {len(wide) - _NAMED} more" if len(wide) > _NAMED else ""
        yield Caution(
            "wide_half_spread",
            f"exchange.slippage.half_spread={run.prices.size:g} is a large share of the lowest close "
            f"({', '.join(f'{name} {share:,.1%}' for name, share in wide[:_NAMED])}{more}): it is in quote units, the "
            "same for every pair; exchange.slippage.model=bps takes a share of each price.",
        )


def _takers_paid(run: FinishedRun) -> bool:
    """Whether the fee of a fill that took liquidity was below 0."""
    fills = run.result.fills
    return bool(((fills["fee_hi"] < 0) & (fills["liquidity"] == int(Liquidity.TAKER))).any())


def _wide_pairs(run: FinishedRun) -> list[tuple[str, float]]:
    """Return the pairs of whose lowest close in the run the half-spread is too much, with the share, largest first."""
    if run.prices.model is not Slippage.HALF_SPREAD:
        return []
    found = []
    for pair in run.market.pairs:
        closes = pair.close[run.market.first_row :][pair.state[run.market.first_row :] == REAL]
        if len(closes) and (share := run.prices.size * UNIT / int(closes.min())) > WIDE_SHARE:
            found.append((pair.pair, share))
    return sorted(found, key=lambda one: -one[1])


def _took_for_nothing(run: FinishedRun) -> bool:
    """Whether orders took liquidity and no model moved their price: none is set, or one of size 0."""
    fills = run.result.fills
    free = not (fills["slip_hi"].any() or fills["slip_lo"].any())
    return free and bool((fills["liquidity"] == int(Liquidity.TAKER)).any())


def _of_fills(run: FinishedRun, metrics: Mapping[str, Any]) -> Iterator[Caution]:
    short = short_of_volume(run)
    cut = int(short.sum())
    if cut and cut >= VOLUME_SHARE * len(short):
        yield Caution(
            "volume_short",
            f"{cut} of {len(short)} orders filled nothing or a part: bars had too little volume; orders take at most "
            "the share of a bar's that exchange.participation_cap says.",
        )
    band = metrics["ambiguity"]
    if metrics["trades"] and band["exits"] > AMBIGUOUS_SHARE * metrics["trades"]:
        yield Caution(
            "exits_ambiguous",
            f"{band['exits']} exits hang on prices inside bars that the data does not tell; at their worst the return "
            f"is {band['worst_return']:+.2%}, at their best {band['best_return']:+.2%}. Finer bars "
            "(exchange.fill.detail) tell.",
        )
    elif band["worst_return"] < 0 < band["best_return"]:
        yield Caution(
            "sign_ambiguous",
            f"Whether the run won or lost hangs on prices inside bars: between {band['worst_return']:+.2%} and "
            f"{band['best_return']:+.2%}.",
        )


def _of_the_sample(run: FinishedRun, metrics: Mapping[str, Any]) -> Iterator[Caution]:
    span = metrics["span_days"]
    if span * DAY < 90 * DAY:
        yield Caution("short_history", f"The run covers {span:.0f} days: yearly numbers of under 90 days say little.")
    elif span < 365:
        yield Caution("short_history", f"The run covers {span:.0f} days, under a year: perhaps one kind of market.")
    interval = metrics["intervals"]["sharpe"]
    if interval is not None and interval[0] < 0 < interval[1]:
        span = f"{interval[0]:.2f} to {interval[1]:.2f}"
        loses = (metrics["sharpe"] or 0.0) < 0
        yield Caution(
            "sharpe_uncertain",
            f"The Sharpe ratio is below zero, and whether the system loses is left open: its 90 % interval is {span}."
            if loses
            else f"The Sharpe ratio may as well be below zero: its 90 % interval is {span}.",
        )
    if (metrics["sharpe"] or 0.0) > HIGH_SHARPE:
        yield Caution(
            "too_good",
            f"A Sharpe ratio of {metrics['sharpe']:.1f} is rare: look for a mistake first.",
        )
    if run.market.synthetic_sample:
        yield Caution("made_up", "The market is made up: nothing can be concluded about a real one.")
    thin = [
        f"{row['pair']} {int(row['missing']) / (int(row['bars']) + int(row['missing'])):.0%}"
        for row in data_summary(run.market)
        if int(row["missing"]) > MISSING_SHARE * (int(row["bars"]) + int(row["missing"]))
    ]
    if thin:
        yield Caution("bars_missing", f"Bars are missing: {', '.join(thin)} of them; nothing trades in their place.")


def _of_the_benchmark(metrics: Mapping[str, Any]) -> Iterator[Caution]:
    held = metrics["benchmark"]["total_return"]
    excess = metrics["benchmark"]["excess_return"]
    if excess is not None and excess < 0 and metrics["trades"]:
        yield Caution(
            "worse_than_hold",
            f"Holding the same pairs made {held:+,.1%}: the run fell short of it by {-excess:,.1%} of the start.",
        )

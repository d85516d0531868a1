"""From a graph and its market to the integers that both engines run on."""

from math import isqrt

from kraken_flow.core.account import Protection
from kraken_flow.core.errors import UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.instrument import Instrument
from kraken_flow.core.margin_limits import check_margin
from kraken_flow.core.market import Market
from kraken_flow.core.signal import account_columns
from kraken_flow.core.spec import Spec
from kraken_flow.core.strategy import Scripted
from kraken_flow.core.times import YEAR, parse_timeframe
from kraken_flow.core.units import CASH_DECIMALS, CASH_UNIT, parse, rate

MOST_CASH = 10**12 * CASH_UNIT
"""Cash that leaves room in 128 bits for the products of the sizers."""


def compile_graph(graph: Graph, market: Market, instruments: tuple[Instrument, ...]) -> Spec:
    """Return the specification of a run. `instruments` follow `market.names`."""
    exchange, portfolio, risk, execution = graph.exchange, graph.portfolio, graph.risk, graph.execution
    scripted = isinstance(graph.strategy, Scripted)
    requests = tuple(graph.strategy.requests(market, list(instruments))) if isinstance(graph.strategy, Scripted) else ()
    timeframe_ns = parse_timeframe(graph.timeframe)
    terms = vars(exchange.terms())
    cash = parse(repr(graph.account.cash), CASH_DECIMALS, "account.cash")
    if cash > MOST_CASH:
        raise UserError(f"account.cash={graph.account.cash:g}: must be at most {MOST_CASH // CASH_UNIT:,}")
    check_margin(graph, market, instruments)
    return Spec(
        **(terms | {"latency_ns": terms["latency_ns"] + graph.source.feed_delay_ns}),
        timeframe_ns=timeframe_ns,
        instruments=instruments,
        portfolio=portfolio,
        risk=risk,
        execution=execution,
        protection=Protection() if scripted else risk.protection(),
        cash=cash,
        short=graph.account.short,
        leverage=rate(graph.account.leverage),
        max_gap=market.max_gap,
        band=-1 if portfolio.band is None else rate(portfolio.band),
        rebalance_bars=portfolio.rebalance_bars(timeframe_ns),
        rearm_bars=risk.rearm_bars(),
        first_row=market.first_row,
        aux=account_columns(graph),
        tags=tuple(sorted({"", *(request.tag for _, request in requests)})),
        requests=requests,
        scripted=scripted,
        plan=None if scripted else execution.plan(timeframe_ns),
        seed=graph.seed,
        marked=bool(market.marks),
        funded=bool(market.funding),
        limits=risk.limits(),
    )


def periods_root(timeframe_ns: int) -> int:
    """Return the square root of the number of bars in 365 days, 10^-9."""
    return isqrt(10**18 * YEAR // timeframe_ns)

"""Hypothesis strategies: complete graphs, from features to fills, every strategy of the registry among them."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.strategy import Strategy
from kraken_flow.features import LogReturnStd, Sma
from kraken_flow.portfolio.inverse_vol import InverseVol
from kraken_flow.portfolio.vol_target import VolTarget
from strategies.combined import Combined
from strategies.donchian_breakout import DonchianBreakout
from strategies.hold import Hold
from strategies.mean_reversion import MeanReversion
from strategies.momentum import Momentum
from strategies.sma_cross import SmaCross
from tests.engines import graph_of
from tests.parity.draw import EXECUTORS, LIMITERS, SIZERS, Dice, account_drawn, exchange_drawn, market_drawn

SIDES = ("both", "long")
SINGLE: dict[type[Strategy], Callable[[Dice], Strategy]] = {
    Hold: lambda d: Hold(),
    SmaCross: lambda d: SmaCross(fast=d.pick(2, 3), slow=d.pick(4, 7), side=d.pick(*SIDES)),
    MeanReversion: lambda d: MeanReversion(window=d.pick(5, 9), entry=d.pick(1.0, 0.7), exit=d.pick(0.5, 0.0)),
    Momentum: lambda d: Momentum(
        window=d.pick(3, 6), threshold=d.pick(0.5, 0.0), ranked=d.chance(50), share=d.pick("half", "third")
    ),
    DonchianBreakout: lambda d: DonchianBreakout(entry=d.pick(5, 8), exit=d.pick(3, 4), side=d.pick(*SIDES)),
}
STRATEGIES = SINGLE | {
    Combined: lambda d: Combined(
        members={name: make(d) for name, make in zip("abc", list(SINGLE.values())[1:4], strict=True)},
        weights={"a": d.pick(1.0, 2.0, 0.0)},
    )
}
"""Every strategy of the registry but the scripted one, whose orders the other cases give."""


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, Market]:
    """A graph and its market, long enough for short features."""
    dice = Dice(draw)
    detail = dice.chance(20)
    market, _ = market_drawn(dice, detail=detail)
    exchange = exchange_drawn(dice, market.timeframe_ns, detail=detail)
    if exchange.slippage.sigma is not None:
        exchange = with_features(exchange, slippage=with_features(exchange.slippage, sigma=5, volume=4))
    portfolio = dice.pick(*SIZERS.values())(dice)
    if isinstance(portfolio, InverseVol | VolTarget):
        portfolio = with_features(portfolio, volatility=dice.pick(4, 9))
    graph = graph_of(
        market,
        exchange=exchange,
        account=account_drawn(dice),
        strategy=dice.pick(*STRATEGIES.values())(dice),
        portfolio=portfolio,
        risk=dice.pick(*LIMITERS.values())(dice),
        execution=dice.pick(*EXECUTORS.values())(dice),
    )
    return graph, market


def with_features(node: Any, **fields: Any) -> Any:
    """A copy of a node with some fields replaced; a number stands for the window of the feature that it reads."""
    features = {"sigma": LogReturnStd, "volatility": LogReturnStd, "volume": lambda window: Sma("volume", window)}
    new = {k: features[k](v) if k in features and isinstance(v, int) else v for k, v in fields.items()}
    return type(node)(**{k: getattr(node, k) for k in type(node).__pydantic_fields__} | new)

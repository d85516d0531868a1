"""The trading systems of the benchmarks, declared as a user declares them."""

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.graph import Graph

FAST, SLOW = 10, 50
FEE_BPS = 26
CASH = 1_000_000
WINDOW, WEEK = 672, 168
FIRST_REBALANCE = WINDOW + WEEK
BUFFER = 0.01
STOP, TARGET, TRAIL = 0.03, 0.06, 0.02

_TERMS = (
    "exchange=bare",
    f"exchange.fees.taker_bps={FEE_BPS}",
    f"exchange.fees.maker_bps={FEE_BPS}",
    "exchange.participation_cap=null",
    f"account.cash={CASH}",
)
_CROSS = (
    "strategy=sma_cross",
    f"strategy.fast={FAST}",
    f"strategy.slow={SLOW}",
    "pairs=[BTC/USD]",
    "timeframe=1m",
    "portfolio=fixed_quantity",
    "portfolio.quantity=1",
)


def _graph(*words: str) -> Graph:
    return build(compose(["mode=backtest", *_TERMS, *words]))


def plain() -> Graph:
    """One unit on each crossing, no limits."""
    return _graph(*_CROSS, "risk=none")


def protected(stop: float = STOP, target: float = TARGET, trail: float = TRAIL) -> Graph:
    """The same with stop, target and trail; the rest of the limits off."""
    return _graph(
        *_CROSS,
        "risk=none",
        f"risk.position.stop_loss={stop}",
        f"risk.position.take_profit={target}",
        f"risk.position.trailing={trail}",
    )


def far_limits() -> Graph:
    """The same with every position limit set, so far away that none ever acts."""
    return _graph(
        *_CROSS,
        "risk=none",
        "risk.position.stop_loss=0.99",
        "risk.position.take_profit=1000",
        "risk.position.trailing=0.99",
        "risk.position.max_bars=100000000",
        "risk.position.max_fraction=1000",
    )


def inverse_vol(n_pairs: int) -> Graph:
    """Hold all pairs, weighted by inverse volatility each week."""
    return _graph(
        "strategy=hold",
        f"pairs=[{','.join(f'A{i:02}/USD' for i in range(n_pairs))}]",
        "timeframe=1h",
        "portfolio=inverse_vol",
        f"portfolio.volatility.window={WINDOW}",
        "portfolio.rebalance=1w",
        f"portfolio.cash_buffer={BUFFER}",
        "portfolio.band=null",
        "risk=none",
    )


def worked(*words: str) -> Graph:
    """The crossing, its orders worked by an executor."""
    return _graph(*_CROSS, "risk=none", *words)

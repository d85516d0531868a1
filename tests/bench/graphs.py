"""The trading systems of the benchmarks, declared as a user declares them."""

from dataclasses import replace

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.graph import Graph
from kraken_flow.core.node import node
from kraken_flow.portfolio.fixed_quantity import FixedQuantity
from tests.bench.terms import BUFFER, CASH, FAST, FEE_BPS, SLOW, STOP, TARGET, TRAIL, WINDOW

_TERMS = (
    "exchange=bare",
    f"exchange.fees.taker_bps={FEE_BPS}",
    f"exchange.fees.maker_bps={FEE_BPS}",
    "exchange.participation_cap=null",
    f"account.cash={CASH}",
)
_CROSS = (
    "strategy=sma_cross",
    "pairs=[BTC/USD]",
    "timeframe=1m",
    "portfolio=fixed_quantity",
    "portfolio.quantity=1",
)


@node
class OwnQuantity(FixedQuantity):
    """What a user might write: a portfolio without a twin in Rust, called back at every decision."""


def words(fast: object = FAST, slow: object = SLOW) -> list[str]:
    """The plain run in the words of the command line, without its candles; `"5,10"` sweeps."""
    return [*_TERMS, *_cross(fast, slow), "risk=none"]


def _cross(fast: object = FAST, slow: object = SLOW) -> tuple[str, ...]:
    return (*_CROSS, f"strategy.fast={fast}", f"strategy.slow={slow}")


def _graph(*more: str) -> Graph:
    return build(compose(["mode=backtest", *_TERMS, *more]))


def plain(fast: int = FAST, slow: int = SLOW) -> Graph:
    """One unit on each crossing, no limits."""
    return build(compose(["mode=backtest", *words(fast, slow)]))


def called_back() -> Graph:
    """The plain run with a portfolio of the user's own in Python."""
    return replace(plain(), portfolio=OwnQuantity(quantity=1))


def stop_and_target(stop: float = STOP, target: float = TARGET) -> Graph:
    """The plain run with a stop and a target, without a trail."""
    return _graph(*_cross(), "risk=none", f"risk.position.stop_loss={stop}", f"risk.position.take_profit={target}")


def protected(stop: float = STOP, target: float = TARGET, trail: float = TRAIL) -> Graph:
    """The same with stop, target and trail; the rest of the limits off."""
    return _graph(
        *_cross(),
        "risk=none",
        f"risk.position.stop_loss={stop}",
        f"risk.position.take_profit={target}",
        f"risk.position.trailing={trail}",
    )


def far_limits() -> Graph:
    """The same with every position limit set, so far away that none ever acts."""
    return _graph(
        *_cross(),
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


def worked(*plan: str) -> Graph:
    """The crossing, its orders worked by an executor."""
    return _graph(*_cross(), "risk=none", *plan)

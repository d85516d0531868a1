"""Asking risk about single orders, and limits that contradict each other."""

from typing import Any

import pytest

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.errors import UserError
from kraken_flow.risk.answer import answer
from kraken_flow.risk.position import PositionLimits, PositionRisk
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk

PRICES = {"BTC/USD": 100.0, "ETH/USD": 10.0}


def ask(risk: Any = None, **order: Any) -> tuple[bool, str]:
    given = {"cash": 10_000.0, "prices": PRICES, "pair": "BTC/USD", "side": "buy", "qty": 1.0}
    return tuple(answer(risk or TieredRisk(), **given | order))


SYSTEM = TieredRisk(
    system=SystemLimits(max_gross=0.5, max_net=0.3, max_positions=1, price_band=0.1), day=DayLimits(max_trades=3)
)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({}, (True, "none")),
        ({"qty": 30.0}, (True, "none")),
        ({"qty": 30.01}, (False, "max_net")),
        ({"qty": 60.0}, (False, "max_net")),
        ({"positions": {"ETH/USD": 1.0}}, (False, "max_positions")),
        ({"limit_price": 89.0}, (False, "price_band")),
        ({"limit_price": 90.0}, (True, "none")),
        ({"state": "killed", "cause": "max_drawdown"}, (False, "max_drawdown")),
        ({"state": "killed", "cause": "max_drawdown", "positions": {"BTC/USD": -1.0}}, (True, "none")),
        ({"state": "cooldown", "cause": "max_losses", "qty": 2.0}, (False, "max_losses")),
        ({"state": "killed", "cause": "max_drawdown", "reduce_only": True}, (True, "none")),
    ],
)  # fmt: skip
def test_an_order_is_allowed_or_not_for_a_reason(order: dict[str, Any], said: tuple[bool, str]) -> None:
    assert ask(SYSTEM, **order) == said


def test_the_size_of_a_position_counts() -> None:
    assert ask(qty=100.0) == (True, "none")
    assert ask(qty=100.01) == (False, "max_fraction")
    assert ask(PositionRisk(PositionLimits(max_fraction=0.5)), qty=51.0) == (False, "max_fraction")
    gross = TieredRisk(system=SystemLimits(max_gross=0.5))
    assert ask(gross, qty=51.0) == (False, "max_gross")


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"pair": "XRP/USD"}, "no price"),
        ({"side": "up"}, "side=up"),
        ({"state": "tired"}, "state=tired"),
        ({"qty": 0}, "qty=0: must be above 0"),
        ({"qty": -1.0}, "qty=-1.0: must be above 0"),
        ({"qty": float("nan")}, "qty=nan: must be a finite number"),
        ({"qty": "1"}, "qty='1': must be a finite number"),
        ({"prices": {"BTC/USD": 0.0}}, r"prices\[BTC/USD\]=0.0: must be above 0"),
        ({"prices": {"BTC/USD": float("inf")}}, r"prices\[BTC/USD\]=inf: must be a finite number"),
        ({"cash": float("nan")}, "cash=nan"),
        ({"limit_price": -90.0}, "limit_price=-90.0: must be above 0"),
        ({"stop_price": float("inf")}, "stop_price=inf"),
        ({"positions": {"BTC/USD": float("nan")}}, "positions"),
        ({"positions": {"XRP/USD": 1.0}}, "XRP/USD: there is no price"),
        ({"covariance": {"BTC/USD": {"XRP/USD": 1.0}}}, "XRP/USD: there is no price"),
        ({"covariance": {"BTC/USD": {"ETH/USD": float("nan")}}}, "covariance"),
    ],
)
def test_nonsense_is_refused_by_name(order: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        ask(**order)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["risk.position.stop_loss=0.04"], "risk.day.max_loss"),
        (["risk.day.max_loss=0.05"], "risk.system.max_drawdown"),
        (["risk.day.max_loss=null", "risk.position.stop_loss=0.06"], "risk.system.max_drawdown"),
        (["risk.position.max_fraction=2"], "risk.day.max_loss"),
        (["risk.day.cooldown=soon"], "risk.day.cooldown"),
        (["risk.system.stale_after=old"], "risk.system.stale_after"),
        (["risk.day.effect=panic"], "risk.day.effect"),
        (["risk.system.max_drawdown=1.5"], "risk.system.max_drawdown"),
        (["risk.system.max_gros=1.5"], "risk.system.max_gross"),
    ],
)
def test_wrong_limits_are_told_by_their_key(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(compose(overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["risk=conservative"],
        ["risk=research"],
        ["risk=none"],
        ["risk.position.stop_loss=0.08", "risk.position.max_fraction=0.4"],
        ["risk.position.stop_loss=0.5", "risk.day.max_loss=null", "risk.system.max_drawdown=null"],
        ["risk.position.stop_loss=null", "risk.day.max_loss=0.049"],
    ],
)
def test_limits_in_order_are_taken(overrides: list[str]) -> None:
    assert isinstance(build(compose(overrides)).risk, TieredRisk)

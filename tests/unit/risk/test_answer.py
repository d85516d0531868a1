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
        ["risk=research", "risk.position.stop_loss=0.08"],
        ["risk.shadow=true", "risk.position.stop_loss=0.08", "risk.day.max_loss=0.06"],
    ],
)
def test_limits_in_order_are_taken(overrides: list[str]) -> None:
    assert isinstance(build(compose(overrides)).risk, TieredRisk)


@pytest.mark.parametrize(
    ("qty", "held", "limit", "told"),
    [
        (25_000, 0, 0.5, (True, "none")),
        (25_001, 0, 0.5, (False, "max_gross")),
        (5_000, 20_000, 0.5, (True, "none")),
        (5_001, 20_000, 0.5, (False, "max_gross")),
        (20_000, 500_000, 2.0, (False, "max_gross")),
        (25_001, -50_000, 0.5, (True, "none")),
    ],
)
def test_inverse_contracts_count_at_what_they_are_worth_in_coins(
    qty: float, held: float, limit: float, told: tuple[bool, str]
) -> None:
    """One coin of equity at 50,000: 25,000 dollars are half of it, whatever is held."""
    risk = TieredRisk(PositionLimits(max_fraction=None), day=DayLimits(), system=SystemLimits(max_gross=limit))
    pair = "BTC/USD:BTC"
    said = answer(risk, cash=1, prices={pair: 50_000}, pair=pair, side="buy", qty=qty, positions={pair: held})
    assert said == told


def test_perpetuals_held_add_nothing_to_the_margin_balance() -> None:
    """10,000 with 1 BTC long at 50,000, five times: 0.6 more are beyond six and a half times, 0.3 are not."""
    risk = TieredRisk(PositionLimits(max_fraction=None), day=DayLimits(), system=SystemLimits(max_gross=6.5))
    pair = "BTC/USD:USD"
    terms = {"cash": 10_000, "prices": {pair: 50_000}, "pair": pair, "side": "buy", "positions": {pair: 1.0}}
    assert answer(risk, qty=0.6, **terms) == (False, "max_gross")
    assert answer(risk, qty=0.3, **terms) == (True, "none")


def test_the_largest_fraction_of_an_inverse_position_is_of_its_coins() -> None:
    risk = TieredRisk(PositionLimits(max_fraction=0.5), day=DayLimits(), system=SystemLimits())
    pair = "BTC/USD:BTC"
    terms = {"cash": 1, "prices": {pair: 50_000}, "pair": pair, "side": "buy"}
    assert answer(risk, qty=24_000, **terms) == (True, "none")
    assert answer(risk, qty=26_000, **terms) == (False, "max_fraction")


def test_pairs_of_two_currencies_have_no_equity_together() -> None:
    with pytest.raises(UserError, match="prices: pairs traded in BTC, USD"):
        answer(TieredRisk(), cash=1, prices={"BTC/USD:BTC": 1, "ETH/USD": 1}, pair="ETH/USD", side="buy", qty=1)

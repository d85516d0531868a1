"""Capacity and the parts of what takers gave: closed forms, reasons, and what holds in every run."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraken_flow import backtest
from kraken_flow.analysis.capacity import size_at_half
from kraken_flow.analysis.given import given as parted
from kraken_flow.analysis.price_model import PriceModel
from kraken_flow.core.terms import Slippage
from kraken_flow.core.units import parse

WORDS = ["strategy=sma_cross", "timeframe=4h", "end=2021-07-01"]
IMPACT = "exchange.slippage.model=sqrt_impact"


def test_the_offset_is_that_of_the_specification():
    """25 of a daily volume of 10000 at a daily deviation of 4 %: 20 bps of 100.5."""
    model = PriceModel(Slippage.SQRT_IMPACT, 1.0, 0.0, 1.0, np.array([0.04, np.nan]), np.array([10_000.0, 10_000.0]))
    qty = np.array([25, 25]) * 10**8
    assert model.offsets(np.array([100.5, 100.5]), qty, qty) == pytest.approx([0.201, 0.0], rel=1e-12)


def test_a_share_of_volume_takes_half_at_a_size_in_closed_form():
    impacts, shares = np.array([3.0, 1.0, 0.0]), np.array([0.01, 0.02, 0.0])
    assert size_at_half(impacts, shares, 32.0) == pytest.approx(2.0, rel=1e-12)
    assert size_at_half(impacts, shares, 2.0) == pytest.approx(0.5, rel=1e-12)


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(1e-4, 1.0)), min_size=1, max_size=9), st.floats(0.01, 1e6))
def test_at_the_size_that_is_found_the_model_takes_half(fills, edge):
    """The whole book, order by order, as the venue would price it."""
    impacts, shares = (np.array(column) for column in zip(*fills, strict=True))
    found = size_at_half(impacts, shares, edge)
    if math.isinf(found):
        assert float((impacts / shares**2).sum()) < edge / 2.0 * (1 + 1e-12)
        return
    taken = sum(i / s**2 * min(found * s, 1.0) ** 2 for i, s in fills)
    assert taken == pytest.approx(edge / 2.0, rel=1e-9)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ([], "no_impact_model"),
        (["exchange.slippage.model=half_spread", "exchange.slippage.half_spread=1"], "no_impact_model"),
        ([IMPACT, "start=2021-06-30"], "no_impact"),
        ([IMPACT, "exchange.fees.taker_bps=500", "exchange.fees.maker_bps=500"], "no_edge"),
        (["exchange.slippage.model=volume_share", "exchange.slippage.factor=1e-6"], "impact_stays_below_half"),
    ],
)
def test_why_there_is_none(more, reason):
    run = backtest([*WORDS, "risk=none", *more])
    assert run.metrics["capacity"] is None
    assert run.metrics["null_reasons"]["capacity"] == reason


@pytest.mark.parametrize(
    "more",
    [
        [IMPACT, "data.feed_delay=2s", "execution=twap", "execution.bars=3"],
        [IMPACT, "exchange.fill.path=detail", "exchange.fill.detail=15m"],
        ["exchange.slippage.model=volume_share", "exchange.fill.path=detail", "exchange.fill.detail=15m"],
        [IMPACT, "exchange=kraken_futures", "pairs=[BTC/USD:BTC]", "account.cash=3", "risk=none"],
        ["exchange.slippage.model=half_spread", "exchange.slippage.half_spread=0.001", "data.feed_delay=2s"],
    ],
)
def test_the_parts_are_never_more_than_the_whole(more):
    run = backtest([*WORDS, *more])
    found, gave = run.metrics["costs"], parse(run.metrics["slippage"], 16)
    parts = [parse(found[name], 16) for name in ("spread", "impact", "slippage")]
    assert sum(parts) == gave > 0
    assert min(parts) >= 0
    assert parts[0] + parts[1] > 0
    impacts = parted(run.tables.run).impacts
    assert (impacts >= 0.0).all()
    assert impacts.sum() == pytest.approx(parts[1] / 1e16, abs=1e-6)
    if parts[1]:
        names = ("multiple", "edge_bps", "impact_bps")
        size = run.metrics["capacity"] or dict.fromkeys(names, 1.0)
        assert all(size[name] > 0 for name in names)


def test_at_the_capacity_the_root_of_the_size_takes_half_of_what_was_made_before_impact():
    """Impact takes 2^1.5 times as much of an account twice as large, and the rest of the profit is twice as large."""
    metrics = backtest([*WORDS, IMPACT, "exchange.slippage.factor=5"]).metrics
    impact, size = float(metrics["costs"]["impact"]), metrics["capacity"]["multiple"]
    profit = float(metrics["final_equity"]) - 10_000.0 + impact
    assert impact > 10.0
    assert impact * size**1.5 == pytest.approx(profit * size / 2.0, rel=1e-6)


@pytest.mark.parametrize(("cap", "share"), [("0.1", 0.1), ("0.02", 0.02), ("null", 1.0), ("3", 1.0)])
def test_the_size_that_can_be_filled_takes_the_venues_share_of_the_volume(cap, share):
    size = backtest([*WORDS, IMPACT, f"exchange.participation_cap={cap}"]).metrics["capacity"]
    assert size["volume_share"] / size["multiple"] * size["fillable_multiple"] == pytest.approx(share, rel=1e-12)
    for name in ("", "fillable_"):
        assert float(size[f"{name}equity"]) == pytest.approx(10_000 * size[f"{name}multiple"], abs=1e-8, rel=1e-12)


def test_a_capacity_in_coins_keeps_eight_decimals():
    words = ["exchange=kraken_futures", "pairs=[BTC/USD:BTC]", "account.cash=0.02", "risk=none", IMPACT]
    size = backtest(["strategy=momentum", "timeframe=4h", "end=2021-03-01", *words]).metrics["capacity"]
    assert float(size["equity"]) == pytest.approx(0.02 * size["multiple"], abs=1e-8)


def test_latency_is_no_impact():
    """What takers gave to arriving late is not what their size took."""
    whole = [
        "exchange.latency_bps=0",
        IMPACT,
        "portfolio=fixed_quantity",
        "portfolio.quantity=1",
        "pairs=btc",
        "account.cash=1e6",
    ]
    early, late = (
        backtest([*WORDS, "risk=none", *whole[1:], bps, "data.feed_delay=2s"])
        for bps in (whole[0], "exchange.latency_bps=50")
    )
    impacts = [float(run.metrics["costs"]["impact"]) for run in (early, late)]
    others = [float(run.metrics["costs"]["slippage"]) for run in (early, late)]
    assert impacts[1] == pytest.approx(impacts[0], rel=1e-4)
    assert others[1] > 50 * others[0]

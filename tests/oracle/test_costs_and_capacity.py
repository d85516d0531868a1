"""Costs and capacity on real candles: what fills gave against the opens they met, by pandas and by running larger."""

import numpy as np
import pandas as pd
import pytest

from kraken_flow import backtest
from kraken_flow.core.units import parse

MODELS = {
    "none": [],
    "bps": ["exchange.slippage.bps=3.3"],
    "half_spread": ["exchange.slippage.half_spread=0.43"],
    "sqrt_impact": [],
    "volume_share": ["exchange.slippage.factor=5"],
}
VENUE = [
    "exchange=kraken",
    "exchange.fees.taker_bps=20",
    "exchange.fees.maker_bps=20",
    "exchange.participation_cap=null",
]
"""Every order fills whole, and a larger one pays the same fee rate."""
CASH = 50_000
"""Starting cash per unit held: enough for every order to fill whole."""
PART = {"none": "slippage", "bps": "slippage", "half_spread": "spread"} | dict.fromkeys(
    ("sqrt_impact", "volume_share"), "impact"
)


@pytest.fixture(scope="module")
def words(shared):
    """Market orders alone on Bitcoin at Kraken, of a size that does not hang on what was made before."""
    path = shared / "data/ohlcv/kraken_xbtusd_1h.parquet"
    market = [
        "data=files",
        f"data.path={path}",
        "pairs=[BTC/USD]",
        "timeframe=1h",
        "start=2017-03-01",
        "end=2018-03-01",
    ]
    return [*market, "strategy=donchian_breakout", "risk=none", *VENUE]


TWAP = ["execution=twap", "execution.bars=5", "execution.max_participation=null"]
SCALED = [
    ("sqrt_impact", "sqrt_impact", []),
    ("volume_share", "volume_share", MODELS["volume_share"]),
    ("worked", "sqrt_impact", TWAP),
]


def sized(quantity: float) -> list[str]:
    return ["portfolio=fixed_quantity", f"portfolio.quantity={quantity!r}", f"account.cash={CASH * quantity!r}"]


def costs(run) -> dict[str, int]:
    return {name: parse(value, 16) for name, value in run.metrics["costs"].items()}


@pytest.fixture(scope="module")
def runs(words):
    """A run per model."""
    made = {m: backtest([*words, *sized(3.7), f"exchange.slippage.model={m}", *more]) for m, more in MODELS.items()}
    return made | {"worked": backtest([*words, *sized(3.7), "exchange.slippage.model=sqrt_impact", *TWAP])}


@pytest.mark.parametrize("model", MODELS)
def test_costs_are_the_difference_to_fills_at_the_opens(runs, model):
    run, found = runs[model], costs(runs[model])
    result, pair = run.tables.run.result, run.market.pairs[0]
    fills = {name: column.tolist() for name, column in result.fills.items()}
    assert set(fills["open_phase"]) == {1}
    assert len(fills["row"]) > 100
    opens = pair.open[result.fills["row"]].tolist()
    changes = [side * qty for side, qty in zip(fills["side"], fills["qty"], strict=True)]
    gave = sum(c * (paid - met) for c, paid, met in zip(changes, fills["price"], opens, strict=True))
    fees = sum((hi << 62) + lo for hi, lo in zip(fills["fee_hi"], fills["fee_lo"], strict=True))
    assert found["spread"] + found["impact"] + found["slippage"] == gave == parse(run.metrics["slippage"], 16)
    assert found["total"] == gave + fees
    at_opens = sum(changes) * int(pair.close[-1]) - sum(c * met for c, met in zip(changes, opens, strict=True))
    assert found["profit_before_costs"] == at_opens
    others = {"spread", "impact", "slippage"} - {PART[model]}
    assert (gave > 0) == (model != "none")
    assert all(found[name] == 0 for name in others - {"slippage"})


def test_the_rounding_to_the_tick_is_no_spread(runs):
    found, traded = costs(runs["half_spread"]), int(runs["half_spread"].tables.run.result.fills["qty"].sum())
    assert found["spread"] == traded * parse("0.43")
    assert 0 < found["slippage"] < traded * parse("0.1")


def independent(run, model: str) -> float:
    """What impact took, by pandas."""
    bars, fills = run.market.pairs[0], run.fills
    frame = pd.DataFrame({name: getattr(bars, name) / 1e8 for name in ("open", "close", "volume")})
    real = frame[bars.state == 1]
    known = (
        pd.DataFrame(
            {
                "sigma": np.log(real.close / real.close.shift()).rolling(168).std(),
                "mean": real.volume.rolling(168).mean(),
            }
        )
        .reindex(frame.index)
        .ffill()
    )
    at = run.tables.run.result.fills["row"]
    qty, opened = fills["qty"].astype(float).to_numpy(), frame.open.to_numpy()[at]
    if model == "sqrt_impact":
        before = known.iloc[at - 1]
        # What fills in a parent's order pay together what the whole would: the difference of two wholes.
        after = qty
        if "parent_id" in run.orders:
            parents = run.orders["parent_id"].to_numpy()[run.tables.run.result.fills["order"]]
            after = pd.Series(qty).groupby(parents).cumsum().to_numpy()
        return float((opened * before.sigma * (after**1.5 - (after - qty) ** 1.5) / np.sqrt(before["mean"])).sum())
    return float((qty * opened * 5.0 * np.minimum(qty / frame.volume.to_numpy()[at], 1.0) ** 2).sum())


@pytest.mark.parametrize("model", ["sqrt_impact", "volume_share", "worked"])
def test_impact_is_what_pandas_makes_of_the_formula(runs, model):
    took = costs(runs[model])["impact"] / 1e16
    expected = independent(runs[model], "sqrt_impact" if model == "worked" else model)
    assert took == pytest.approx(expected, rel=1e-6)
    assert took > 0.0


def test_a_worked_order_pays_about_what_one_order_pays(runs):
    """Of the same quantity at other estimates; by their own sizes alone its parts would pay 1/sqrt(5) of it."""
    at_once, worked = (costs(runs[name])["impact"] for name in ("sqrt_impact", "worked"))
    assert len(runs["worked"].fills) > 4 * len(runs["sqrt_impact"].fills)
    assert 0.8 < worked / at_once < 1.25


@pytest.mark.parametrize(("name", "model", "more"), SCALED, ids=[name for name, *_ in SCALED])
def test_at_capacity_impact_takes_half_of_what_was_made_before_it(runs, words, name, model, more):
    small = runs[name].metrics["capacity"]
    assert small["multiple"] > 1.5
    assert small["impact_bps"] < small["edge_bps"] / 2.0
    quantity = round(3.7 * small["multiple"], 6)
    larger = backtest([*words, *sized(quantity), f"exchange.slippage.model={model}", *more])
    took = costs(larger)["impact"] / 1e16
    made = float(larger.metrics["final_equity"]) - CASH * quantity
    assert took == pytest.approx((made + took) / 2.0, rel=1e-3)
    assert larger.metrics["capacity"]["multiple"] == pytest.approx(1.0, rel=1e-2)
    assert larger.metrics["capacity"]["volume_share"] == pytest.approx(small["volume_share"], rel=1e-2)
    assert float(small["equity"]) == pytest.approx(small["multiple"] * 3.7 * CASH, abs=0.01)

"""Each warning at its bound: told on one side of it, silent on the other."""

from dataclasses import replace

import numpy as np
import pytest

from kraken_flow.analysis.cautions import cautions
from kraken_flow.analysis.price_model import PriceModel
from kraken_flow.core.limits import Safety, Trigger
from kraken_flow.core.market import SYNTHETIC
from kraken_flow.core.orders import Liquidity, Reason, State
from kraken_flow.core.terms import Slippage
from kraken_flow.core.watch import columns_of
from tests.hand_made import HOUR, T0, fill, finished, market, pair_columns, s01

CALM = {
    "halted_share": 0.0,
    "liquidations": 0,
    "costs": {"total": "1", "profit_before_costs": "10"},
    "cost_share": 0.1,
    "trades": 100,
    "ambiguity": {"exits": 0, "worst_return": 0.1, "best_return": 0.1},
    "span_days": 400.0,
    "intervals": {"sharpe": None},
    "sharpe": 1.0,
    "benchmark": {"total_return": 0.1, "excess_return": 0.05},
}


def told(run, **more):
    metrics = CALM | {key: CALM[key] | value if isinstance(value, dict) else value for key, value in more.items()}
    return {one.code: one.text for one in cautions(run, metrics)}


def costs(total, before, share):
    return {"costs": {"total": total, "profit_before_costs": before}, "cost_share": share}


def band(exits, worst, best, trades=100):
    return {"ambiguity": {"exits": exits, "worst_return": worst, "best_return": best}, "trades": trades}


def held(excess, trades=1):
    return {"benchmark": {"total_return": 0.25, "excess_return": excess}, "trades": trades}


def test_a_calm_run_is_told_nothing_but_its_few_trades_and_that_slippage_is_missing():
    assert set(told(s01())) == {"few_trades", "no_slippage"}


@pytest.mark.parametrize("model", [model for model in Slippage if model is not Slippage.NONE])
def test_a_venue_that_lets_takers_pay_is_not_called_free_of_slippage(model):
    run = replace(s01(), prices=PriceModel(model))
    assert set(told(run)) == {"few_trades", "no_slippage"}, "a model with nothing in it"
    run.result.fills["slip_lo"][0] = 1
    assert set(told(run)) == {"few_trades"}


def test_a_run_of_makers_has_no_slippage_to_miss():
    run = s01()
    run.result.fills["liquidity"][:] = int(Liquidity.MAKER)
    assert set(told(run)) == {"few_trades"}


@pytest.mark.parametrize(
    ("fee", "liquidity", "said"), [("-0.01", "TAKER", True), ("-1", "MAKER", False), ("0", "TAKER", False)]
)
def test_takers_that_are_paid_are_told_and_makers_may_be(fee, liquidity, said):
    bars = [(100, 100, 100, 100)] * 3
    done = fill(0, 1, "1", "100", fee=fee, liquidity=int(Liquidity[liquidity]))
    text = told(finished(market(pair_columns("A/USD", bars)), [done, fill(1, -1, "1", "100", fee="5")])).get(
        "takers_paid"
    )
    assert (text is not None) == said
    assert not said or "exchange.fees.taker_bps" in text


@pytest.mark.parametrize(
    ("model", "size", "said"),
    [
        ("HALF_SPREAD", 0.5, None),
        ("HALF_SPREAD", 0.6, ["B/USD 1.2%"]),
        ("HALF_SPREAD", 3, ["A/USD 3.0%", "B/USD 6.0%"]),
        ("BPS", 9, None),
    ],
)
def test_a_half_spread_that_is_wide_for_a_pair_names_it_and_its_share_of_the_lowest_close(model, size, said):
    """In the warm-up, before the first decision, B was at 10; in the run it is at 50 at least."""
    one = pair_columns("A/USD", [(100, 100, 100, 100)] * 4)
    two = pair_columns("B/USD", [(10, 10, 10, 10), (60, 60, 40, 60), (60, 60, 40, 50), (70, 70, 70, 70)])
    run = replace(finished(market(one, two, first_row=1), []), prices=PriceModel(Slippage[model], size))
    text = told(run).get("wide_half_spread")
    assert (text is None) == (said is None)
    assert said is None or all(part in text for part in [*said, "quote units, the same for every pair"])
    assert said is None or ("A/USD" in text) == (len(said) == 2)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"halted_share": 0.1}, None),
        ({"halted_share": 0.11}, "halted"),
        ({"liquidations": 1}, "liquidated"),
        (costs("10", "10", 1.0), "costs_exceed_edge"),
        (costs("11", "10", 1.1), "costs_exceed_edge"),
        (costs("9.99", "10", 0.999), "costs_heavy"),
        (costs("5", "10", 0.5), "costs_heavy"),
        (costs("4.99", "10", 0.499), None),
        (costs("5", "0", None), None),
        (costs("5", "-1", None), None),
        (costs("0", "10", 0.0), "no_costs"),
        (costs("0", "10", 0.0) | {"trades": 0}, None),
        (band(5, 0.01, 0.2), None),
        (band(6, 0.01, 0.2), "exits_ambiguous"),
        (band(6, 0.01, 0.2, trades=0), None),
        (band(5, -0.01, 0.01), "sign_ambiguous"),
        (band(5, 0.0, 0.01), None),
        (band(5, -0.01, 0.0), None),
        ({"span_days": 89.9}, "short_history"),
        ({"span_days": 364.9}, "short_history"),
        ({"span_days": 365}, None),
        ({"intervals": {"sharpe": [-0.1, 0.1]}}, "sharpe_uncertain"),
        ({"intervals": {"sharpe": [0.0, 0.1]}}, None),
        ({"intervals": {"sharpe": [-0.1, 0.0]}}, None),
        ({"sharpe": 3.0}, None),
        ({"sharpe": 3.01}, "too_good"),
        ({"sharpe": None}, None),
        (held(-0.01), "worse_than_hold"),
        (held(0.0), None),
        (held(None), None),
        (held(-0.01, trades=0), None),
    ],
)
def test_each_warning_of_the_metrics_has_its_bound(changed, code):
    assert set(told(s01(), **changed)) - {"few_trades", "no_slippage"} == ({code} if code else set())


def test_texts_carry_the_numbers():
    assert "under 90 days" in told(s01(), span_days=89.9)["short_history"]
    assert "under a year" in told(s01(), span_days=90)["short_history"]
    assert "12% of decisions" in told(s01(), halted_share=0.12)["halted"]
    assert "took 60% of the profit" in told(s01(), **costs("6", "10", 0.6))["costs_heavy"]
    text = told(s01(), **held(-0.3))["worse_than_hold"]
    assert "made +25.0%" in text
    assert "by 30.0% of the start" in text
    assert "between -1.00% and +2.00%" in told(s01(), **band(0, -0.01, 0.02))["sign_ambiguous"]


def trading(*profits, pairs=1, opened=0):
    """A run whose closed trades made these amounts, dealt out to its pairs in turn; one more is open with `opened`."""
    n = 2 * len(profits) + 3
    fills = []
    for number, profit in enumerate(profits):
        pair = number % pairs
        fills += [
            fill(2 * number, 1, "1", "100", pair=pair),
            fill(2 * number + 1, -1, "1", str(100 + profit), pair=pair),
        ]
    bars = [(100, 100, 100, 100)] * (n - 1) + [(100 + opened,) * 4]
    if opened:
        fills.append(fill(n - 2, 1, "1", "100"))
    columns = [pair_columns(f"{'ABCD'[p]}/USD", bars) for p in range(pairs)]
    return finished(market(*columns), fills, [{}])


def test_thirty_trades_are_not_few():
    assert told(trading(*[1] * 29))["few_trades"].startswith("Only 29 trades were closed")
    assert told(trading(1))["few_trades"].startswith("Only 1 trade was closed")
    assert "few_trades" not in told(trading(*[1] * 30))
    assert set(told(trading())) == {"no_trades"}


@pytest.mark.parametrize(
    ("profits", "share"),
    [((5, 3, 2), "50%"), ((4, 3, 3), None), ((9,), None), ((5, -5), None), ((9, -3), "150%"), ((-1, -2), None)],
)
def test_one_trade_that_made_half_of_the_profit(profits, share):
    text = told(trading(*profits)).get("one_trade")
    assert (share is None) == (text is None)
    assert share is None or f"made {share} of the profit" in text


@pytest.mark.parametrize(
    ("profits", "pairs", "share"),
    [((9, 0.5, 0.5), 3, "A/USD alone made 90%"), ((8.9, 0.6, 0.5), 3, None), ((9, 1), 2, None)],
)
def test_one_pair_that_made_the_profit_of_many(profits, pairs, share):
    text = told(trading(*profits, pairs=pairs)).get("one_pair")
    assert text is None if share is None else text.startswith(share)


@pytest.mark.parametrize(("opened", "said"), [(10, "50%"), (9, None), (-5, None)])
def test_profit_that_is_still_open(opened, said):
    text = told(trading(6, 4, opened=opened)).get("open_profit")
    assert text is None if said is None else text.startswith(f"{said} of the profit")


@pytest.mark.parametrize(("missing", "said"), [(5, False), (6, True)])
def test_bars_are_missing_where_more_than_one_in_twenty_is(missing, said):
    one, two = (pair_columns(name, [(100, 100, 100, 100)] * 100) for name in ("A/USD", "B/USD"))
    state = one.state.copy()
    state[10 : 10 + missing] = SYNTHETIC
    gappy = type(one)(one.pair, one.open, one.high, one.low, one.close, one.volume, state)
    text = told(finished(market(gappy, two), [])).get("bars_missing")
    assert (text is not None) == said
    assert not said or "A/USD 6% of them" in text


def test_an_account_that_fell_to_nothing_is_ruined():
    bars = [(100, 100, 100, 100)] * 2 + [(200, 200, 200, 200)]
    exactly = finished(market(pair_columns("A/USD", bars)), [fill(0, -1, "100", "100")])
    assert float(np.min(exactly.result.equity)) == 0.0
    assert "ruined" in told(exactly)
    assert "ruined" not in told(finished(market(pair_columns("A/USD", bars)), [fill(0, -1, "99", "100")]))


def test_a_made_up_market_is_told():
    run = s01()
    assert "made_up" in told(replace(run, market=replace(run.market, synthetic_sample=True)))


@pytest.mark.parametrize(("orders", "said"), [(100, True), (101, False)])
def test_one_order_of_a_hundred_that_lacked_volume_is_told(orders, said):
    cut = {"state": int(State.CANCELLED), "end_reason": int(Reason.TARGET_CHANGED), "qty": 2, "filled": 1, "side": 1}
    bars = [(100, 100, 100, 100)] * 3
    text = told(finished(market(pair_columns("A/USD", bars)), [], [cut] + [{"qty": 2}] * (orders - 1)))
    assert ("volume_short" in text) == said
    assert not said or text["volume_short"].startswith("1 of 100 orders filled nothing or a part")


def killed(shadow):
    event = dict.fromkeys(columns_of(()), 0) | {
        "time": T0 + 3 * HOUR,
        "trigger": int(Trigger.MAX_LOSS),
        "before": int(Safety.NORMAL),
        "after": int(Safety.KILLED),
        "shadow": int(shadow),
    }
    run = s01()
    columns = {name: np.array([event[name]], column.dtype) for name, column in columns_of(()).items()}
    return replace(run, result=replace(run.result, risk=columns))


def test_a_kill_is_told_in_place_of_the_decisions_that_were_halted_and_a_recorded_one_is_not():
    text = told(killed(shadow=False), halted_share=0.6)
    assert "60% of the span went untraded" in text["killed"]
    assert "halted" not in text
    text = told(killed(shadow=True), halted_share=0.6)
    assert "killed" not in text
    assert "60% of decisions" in text["halted"]

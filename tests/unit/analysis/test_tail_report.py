"""What a run says of its tail: numbers, reasons and words."""

import numpy as np
import pytest

from kraken_flow import backtest
from kraken_flow.analysis.metrics import NAMES
from kraken_flow.analysis.returns import daily_returns
from kraken_flow.analysis.tail_report import LEVELS, tail_facts
from kraken_flow.analysis.value_at_risk import METHODS, Tail
from kraken_flow.core.times import DAY

WORDS = ["strategy=hold", "pairs=btc", "risk=none", "timeframe=4h"]


@pytest.fixture(scope="module")
def long():
    return backtest(WORDS)


def test_the_numbers_are_those_of_the_methods(long):
    run = long.tables.run
    returns = daily_returns(run.result.equity, run.start_equity, run.first_close, run.market.timeframe_ns)
    found = long.metrics["value_at_risk"]
    assert found["returns"] == len(returns) > 700
    for digits, level in LEVELS.items():
        for name, method in METHODS.items():
            tail = method(returns, level)
            assert isinstance(tail, Tail)
            assert (found[f"{name}_{digits}"], found[f"{name}_{digits}_cvar"]) == (tail.var, tail.cvar)
        assert found[f"cornish_fisher_{digits}_form"] in {"cornish_fisher", "historical"}
    assert set(long.metrics) == set(NAMES)


def test_the_summary_says_of_every_method_whether_it_held(long):
    facts = dict(tail_facts(long.metrics, DAY))
    tested = long.metrics["var_backtest"]
    for name, words in (("historical", "VaR backtest, historical"), ("ewma", "VaR backtest, EWMA")):
        assert ("nominal" in facts[words]) == (tested[f"{name}_coverage"] == "nominal")
        assert ("FAILS" in facts[words]) == (tested[f"{name}_coverage"] != "nominal")
        assert f"{tested[f'{name}_violations']} of" in facts[words]
        assert ("in clusters" in facts[words]) == (tested[f"{name}_independence_p"] < 0.05)
    assert "CVaR 95 % (1 day)" in facts


def test_a_short_run_says_why_there_is_none():
    short = backtest([*WORDS, "end=2021-01-10"]).metrics
    assert (short["value_at_risk"], short["var_backtest"]) == (None, None)
    assert short["null_reasons"]["value_at_risk"] == "too_few_returns"
    assert dict(tail_facts(short, DAY)) == {"VaR 95 % (1 day)": "undefined (too few returns)"}
    some = backtest([*WORDS, "end=2021-03-01"]).metrics
    assert some["value_at_risk"]["historical_95"] > 0
    assert some["value_at_risk"]["historical_99"] is None
    assert some["null_reasons"]["value_at_risk.historical_99"] == "too_few_returns"
    assert some["value_at_risk"]["filtered_95_cvar"] is None
    assert some["null_reasons"]["value_at_risk.filtered_95"] == "too_few_returns"
    assert "filtered" not in dict(tail_facts(some, DAY))["CVaR 95 % (1 day)"]
    assert "it takes 350" in dict(tail_facts(some, DAY))["VaR 95 % backtest"]


def test_a_report_can_be_read_twice(long):
    assert not any(isinstance(v, float) and np.isnan(v) for v in long.metrics["value_at_risk"].values())
    assert list(tail_facts(long.metrics, DAY)) == list(tail_facts(long.metrics, DAY))

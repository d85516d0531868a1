import pytest

from kraken_flow.config import compose
from kraken_flow.config.differences import changed_keys, in_force
from kraken_flow.config.paths import GROUPS, options


def told(before, now, **more):
    return [str(change) for change in changed_keys(compose(before), compose(now), **more)]


@pytest.mark.parametrize("group", ["strategy", "exchange", "risk", "portfolio"])
def test_a_configuration_does_not_differ_from_itself(group):
    needed = {"scripted": ["strategy.path=a"], "fixed_quantity": ["portfolio.quantity=1"]}
    for name in options(group):
        words = [f"{group}={name}", *needed.get(name, [])]
        assert told(words, words) == []


@pytest.mark.parametrize(
    ("words", "key", "shown"),
    [
        ([], "exchange.fees.taker_bps", "null (40 by tier)"),
        (["exchange=bare"], "exchange.fees.maker_bps", "null (0 by tier)"),
        (["exchange.fees.taker_bps=10"], "exchange.fees.maker_bps", "null (25)"),
        ([], "risk.position.trailing", "null"),
        (["exchange.fees.tiers.0.taker_bps=x"], "exchange.fees.taker_bps", "null"),
    ],
)
def test_a_fee_that_is_null_is_shown_with_the_rate_that_is_in_force(words, key, shown):
    assert in_force(compose(words), key, "null") == shown
    assert in_force(compose(words), key, "7") == "7"


def test_stating_a_default_is_no_difference_and_another_value_is_held_to_it():
    stated = ["risk.position.stop_loss=0.03", "exchange.slippage.model=none", "strategy.fast=10", "timeframe=1h"]
    assert told([], stated) == told(stated, []) == []
    assert told([], ["risk.position.stop_loss=0.04", "exchange.slippage.bps=2", "engine=rust"]) == [
        "exchange.slippage.bps was null, is 2",
        "risk.position.stop_loss was 0.03, is 0.04",
        "engine was auto, is rust",
    ]


def test_tables_of_a_venue_come_behind_the_keys_that_say_more():
    words = ["exchange=binance", "strategy.slow=60", "timeframe=4h"]
    keys = [change.key for change in changed_keys(compose([]), compose(words))]
    first = ["exchange.name", "strategy.slow", "timeframe"]
    assert keys[:3] == first
    assert {key.split(".")[1] for key in keys[3:]} == {"fees", "instruments_table"}


def test_keys_come_in_the_order_of_the_groups_and_run_dir_does_not_count():
    words = ["strategy=momentum", "exchange.latency_bps=3", "account.cash=5", "seed=2", "run_dir=x", "pairs=[BTC/USD]"]
    keys = [change.key.partition(".")[0] for change in changed_keys(compose([]), compose(words))]
    known = [*GROUPS, "seed"]
    assert keys == sorted(keys, key=known.index)
    assert set(keys) == {"exchange", "account", "pairs", "strategy", "seed"}
    assert told([], ["run_dir=x"], free=()) == ["run_dir was null, is x"]


def test_true_is_not_one():
    change = changed_keys({"account": {"short": True}}, {"account": {"short": 1}})
    assert [str(key) for key in change] == ["account.short was true, is 1"]

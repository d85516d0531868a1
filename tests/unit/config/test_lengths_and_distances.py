"""Times without length, schedules between bars, distances beyond the price, effects in the wrong order: refused."""

import pytest

from kraken_flow.config.composition import compose
from kraken_flow.config.validation import check


def problems(words: list[str]) -> str:
    return "\n".join(check(compose(words)).problems)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["portfolio=inverse_vol", "portfolio.rebalance=0d"], "portfolio.rebalance=0d: must be longer than 0"),
        (["portfolio=inverse_vol", "portfolio.rebalance=soon"], "portfolio.rebalance: 'soon' is not a duration"),
        (["portfolio=inverse_vol", "portfolio.rebalance=1m"], "portfolio.rebalance=1m: decisions are made at closes"),
        (["portfolio=inverse_vol", "portfolio.rebalance=61m"], "timeframe=1h; use a multiple of that, as 1h"),
        (["portfolio=optimised", "portfolio.rebalance=0h"], "portfolio.rebalance=0h: must be longer than 0"),
        (["portfolio=optimised", "portfolio.rebalance=36h", "timeframe=1d"], "use a multiple of that, as 1d"),
        (["portfolio=var_target", "portfolio.horizon=0d"], "portfolio.horizon=0d: must be longer than 0"),
        (["portfolio=correlation_limits", "portfolio.horizon=0d"], "portfolio.horizon=0d: must be longer than 0"),
        (["risk.system.var_horizon=0d"], "risk.system.var_horizon=0d: must be longer than 0"),
        (["risk.system.stale_after=0h"], "risk.system.stale_after=0h: must be longer than 0"),
        (["risk.day.cooldown=0h"], "risk.day.cooldown=0h: must be longer than 0"),
        (["execution=twap", "execution.passive_bps=20000"], "execution.passive_bps=20000: must be"),
        (["execution=vwap", "execution.passive_bps=10000"], "execution.passive_bps=10000: must be"),
        (["execution=pov", "execution.passive_bps=10000"], "execution.passive_bps=10000: must be"),
        (["execution=iceberg", "execution.offset_bps=99999"], "execution.offset_bps=99999: must be"),
        (["execution=limit", "execution.offset_bps=10000"], "execution.offset_bps=10000: must be"),
        (
            ["risk.day.effect=flatten", "risk.system.effect=reduce_only"],
            "risk.system.effect=reduce_only: does less than risk.day.effect=flatten",
        ),
        (["risk.system.effect=reduce_only"], "does less than risk.day.effect=halt"),
    ],
)
def test_what_is_refused(words: list[str], told: str) -> None:
    assert told in problems(words)


@pytest.mark.parametrize(
    "words",
    [
        ["portfolio=inverse_vol", "portfolio.rebalance=1h"],
        ["portfolio=inverse_vol", "portfolio.rebalance=null"],
        ["portfolio=inverse_vol", "timeframe=1w"],
        ["portfolio=optimised", "portfolio.rebalance=36h", "timeframe=4h"],
        ["execution=twap", "execution.passive_bps=9999"],
        ["execution=iceberg", "execution.offset_bps=0"],
        ["risk.day.effect=reduce_only", "risk.system.effect=reduce_only"],
        ["risk.day.max_loss=null", "risk.system.effect=reduce_only"],
    ],
)
def test_what_is_not(words: list[str]) -> None:
    assert problems(words) == ""

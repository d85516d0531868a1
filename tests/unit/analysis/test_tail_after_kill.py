"""What comes after a kill is no part of what a bad day costs."""

from kraken_flow import backtest


def test_days_after_a_kill_are_left_out() -> None:
    killed = backtest(["strategy=combined"]).metrics
    day = killed["killed_at"][:10]
    until = backtest(["strategy=combined", "risk=research", f"end={day}"]).metrics
    assert 0 <= killed["value_at_risk"]["returns"] - until["value_at_risk"]["returns"] <= 2
    assert killed["null_reasons"]["var_backtest"] == "too_few_returns"

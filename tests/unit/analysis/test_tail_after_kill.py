"""What comes after a kill is no part of what a bad day costs."""

from kraken_flow import backtest
from kraken_flow.analysis.tail_report import tail_facts
from kraken_flow.core.times import DAY


def test_days_after_a_kill_are_left_out() -> None:
    killed = backtest(["strategy=combined"]).metrics
    day = killed["killed_at"][:10]
    until = backtest(["strategy=combined", "risk=research", f"end={day}"]).metrics
    assert 0 <= killed["value_at_risk"]["returns"] - until["value_at_risk"]["returns"] <= 2
    assert killed["null_reasons"]["var_backtest"] == "too_few_returns"
    assert killed["value_at_risk_until"] == killed["killed_at"]
    said = [text for _, text in tail_facts(killed, DAY)]
    assert f"VaR is of the time until the kill at {killed['killed_at']}: then nothing was at risk" in said
    assert until["value_at_risk_until"] is None
    assert until["null_reasons"]["value_at_risk_until"] == "not_killed"
    assert not any("until the kill" in text for _, text in tail_facts(until, DAY))


def test_a_tail_that_a_kill_leaves_too_short_is_told_with_the_kill() -> None:
    killed = backtest(
        ["strategy=hold", "risk.position.stop_loss=null", "risk.day.max_loss=null", "risk.system.max_drawdown=0.01"]
    ).metrics
    assert killed["value_at_risk"] is None
    assert len([text for _, text in tail_facts(killed, DAY) if "until the kill" in text]) == 1

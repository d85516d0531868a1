"""Executors as a user declares them: their plans in integers, and what is refused."""

import pytest

from kraken_flow.app import main
from kraken_flow.config import build, check, compose
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.signal import required_lookback
from kraken_flow.core.units import UNIT

HOUR = 3600 * 10**9


def plan(*words: str) -> Plan | None:
    return build(compose(list(words))).execution.plan(HOUR)


def test_single_orders_have_no_plan() -> None:
    assert plan() is None
    assert plan("execution=limit") is None


def test_plans_in_integers() -> None:
    twap = plan("execution=twap", "execution.size_jitter=0.2", "execution.limit_bps=25", "execution.remainder=cancel")
    assert twap is not None
    assert (twap.algo, twap.bars, twap.size_jitter, twap.offset) == (Algo.TWAP, 8, UNIT // 5, -1)
    assert (twap.limit_rate, twap.remainder, twap.max_participation) == (250_000, Remainder.CANCEL, UNIT // 10)
    assert plan("execution=vwap", "execution.curve=week", "execution.past=6").lookback == 6 * 168
    pov = plan("execution=pov", "execution.participation=0.05", "execution.bars=12", "execution.max_participation=null")
    assert (pov.algo, pov.participation, pov.burst, pov.bars, pov.max_participation) == (
        *(Algo.POV, UNIT // 20, 2 * UNIT, 12, -1),
    )
    ice = plan("execution=iceberg", "execution.offset_bps=10", "execution.display=0.25", "execution.bars=null")
    assert (ice.algo, ice.offset, ice.display, ice.bars) == (Algo.ICEBERG, 100_000, UNIT // 4, 0)
    chase = plan("execution=limit", "execution.timeout=2", "execution.chase=3", "execution.chase_bps=40")
    assert (chase.algo, chase.bars, chase.every, chase.slices, chase.limit_rate) == (Algo.CHASE, 8, 2, 4, 400_000)
    assert chase.remainder is Remainder.CROSS


def test_the_bars_of_a_curve_are_loaded_before_the_start() -> None:
    assert required_lookback(build(compose(["strategy=hold", "execution=vwap", "timeframe=1h"]))) == 28 * 24
    assert required_lookback(build(compose(["strategy=hold", "execution=twap", "timeframe=1h"]))) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["execution=twap", "execution.bars=0"], "execution.bars=0"),
        (["execution=twap", "execution.time_jitter=0.6"], "execution.time_jitter=0.6"),
        (["execution=twap", "execution.remainder=keep"], "execution.remainder=keep"),
        (["execution=pov", "execution.participation=0.6"], "execution.participation=0.6"),
        (["execution=pov", "execution.burst=0.5"], "execution.burst=0.5"),
        (["execution=iceberg", "execution.display=0"], "execution.display=0"),
        (["execution=vwap", "execution.curve=month"], "execution.curve=month"),
        (
            ["execution=limit", "execution.chase=2", "execution.timeout=null"],
            "execution.chase: needs execution.timeout",
        ),
        (["execution=limit", "execution.chase_bps=5"], "execution.chase_bps: needs execution.chase"),
        (["execution=twap", "execution.slices=4"], "execution.slices"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_key(words: list[str], told: str) -> None:
    problems = "\n".join(check(compose(words)).problems)
    assert told in problems


def test_a_curve_needs_bars_that_divide_it(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert main(["strategy=hold", "execution=vwap", "timeframe=5h", "end=2021-02-01"]) == 2
    assert "execution.curve=day: bars of this timeframe do not divide a day" in capsys.readouterr().err

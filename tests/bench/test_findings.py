"""Timing and verdicts."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Finding, Section, seconds
from tests.bench.record import LIBRARIES, save


def test_contestants_take_turns_and_warm_up() -> None:
    order: list[str] = []
    sides = {
        "a": Contestant(lambda given: order.append(f"a{given}"), lambda: 1),
        "b": Contestant(lambda _: order.append("b")),
    }
    times = take_turns(sides, rounds=2, warm=1)
    assert order == ["a1", "b"] * 3
    assert [len(taken) for taken in times.seconds.values()] == [2, 2]
    assert times.ratio("a", "a") == 1.0


@pytest.mark.parametrize(
    ("value", "sense", "met"), [(8.0, "at least", "yes"), (7.9, "at least", "NO"), (1.3, "at most", "yes")]
)
def test_a_verdict_says_whether_what_is_wanted_is_met(value: float, sense: str, met: str) -> None:
    wanted = 8.0 if sense == "at least" else 1.3
    assert Finding("x", value, sense=sense, wanted=wanted).verdict == met  # type: ignore[arg-type] # a parameter


def test_results_are_equal_to_the_cent() -> None:
    assert Check("x", 100.004, 100.0).equal
    assert not Check("x", 100.006, 100.0).equal


def test_the_record_holds_checks_and_figures(tmp_path: Path) -> None:
    save(
        tmp_path / "deep" / "bench.json",
        [Section("t", [Check("c", np.float64(1.0), 1.0)], [Finding("f", np.float64(2.0))])],
        {"rounds": 3},
    )
    record = json.loads((tmp_path / "deep" / "bench.json").read_text())
    assert record["sections"][0]["checks"][0]["equal"]
    assert record["sections"][0]["findings"][0]["value"] == 2.0
    assert record["machine"]["processors"]
    assert record["rounds"] == 3
    assert record["versions"]["python"]
    assert set(LIBRARIES) <= set(record["versions"])


@pytest.mark.parametrize(("value", "words"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (4.5e-5, "45 us"), (3e-8, "30 ns")])
def test_durations_have_a_fitting_unit(value: float, words: str) -> None:
    assert seconds(value) == words

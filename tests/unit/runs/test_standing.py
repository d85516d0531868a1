"""Runs beside each other: who can be the best of a line, what they are warned of together, what tells them apart."""

from pathlib import Path

import pytest

from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report import standing

MANY = {"trades": 30, "warnings": []}
FEW = {"trades": 29, "warnings": [{"code": "few_trades", "text": "Only 29 trades were closed."}]}
AUDITED = {"audit": {"audited": True}, "strategy": "dip"}
EVENT = {"time": "2024-01-05T02:00:00+00:00", "trigger": "max_drawdown"}
LONG, SHORT = ["2021-01-01", "2023-01-01"], ["2021-01-01", "2021-03-01"]


def past(metrics, span=LONG, **manifest):
    run = PastRun("mode.run=a", Path("a"), {**AUDITED, "span": span, **manifest})
    run.__dict__["metrics"] = metrics
    return run


def test_runs_of_few_trades_and_of_another_span_are_marked_and_never_the_best():
    runs = [past(MANY), past(MANY), past(FEW), past(MANY, SHORT), past({**MANY, "killed_at": "2021-02-01"})]
    marks = standing.marks_of(runs, [None, EVENT, None, None, None])
    assert marks == ["", "!", "*", "~", "!"]
    assert standing.best_of([1.0, 2.0, 9.0, 8.0, 1.5], marks) == 1
    assert standing.best_of([2.0, 2.0, 9.0, 8.0, None], marks) == -1
    assert standing.best_of([2.0, None, 9.0, 8.0, None], marks) == -1
    assert standing.best_of([None, None], ["", ""]) == -1


@pytest.mark.parametrize(
    ("spans", "odd"),
    [
        ([LONG, LONG], [False, False]),
        ([LONG, SHORT], [True, True]),
        ([LONG, SHORT, LONG], [False, True, False]),
        ([None, None], [False, False]),
    ],
)
def test_a_span_is_another_where_it_is_not_that_of_most(spans, odd):
    assert standing.odd_spans([past(MANY, span) for span in spans]) == odd


def test_runs_of_few_trades_stand_behind_the_others_in_the_order_given():
    runs = [past(FEW), past(MANY), past(FEW), past(MANY)]
    assert [id(run) for run in standing.ranked(runs)] == [id(runs[at]) for at in (1, 3, 0, 2)]


def test_the_gravest_warnings_are_a_line_each_that_names_the_runs():
    made_up = {"synthetic_sample": True}
    killed = {**MANY, "killed_at": "2021-02-01T05:00:00Z", "warnings": [{"code": "killed", "text": "?"}]}
    told = standing.warnings([past(FEW, **made_up), past(killed, **made_up)], ["a", "b"], [EVENT, None])
    assert [(row["level"], row["text"]) for row in told] == [
        (
            "bad",
            "Would have been stopped, had limits not been only recorded, and not have traded what came after: "
            "a on 2024-01-05 by max_drawdown.",
        ),
        ("bad", "A risk limit ended trading, and the rest is idle time: b on 2021-02-01."),
        ("bad", "Synthetic market, nothing in it ever traded: both runs."),
        ("care", "Fewer than 30 trades were closed: a (29)."),
    ]
    assert standing.warnings([past(MANY)] * 3, ["a", "b", "c"], [None] * 3) == []


def test_a_run_is_told_apart_by_the_values_in_which_it_differs_from_others_of_its_strategy():
    runs = [past(MANY), past(MANY), past(MANY, strategy="hold")]
    keys = [
        ("risk.shadow", ["true", "true", "false"]),
        ("strategy._target_", ["a", "a", "b"]),
        ("strategy.slow", ["50", "100", "not set"]),
        ("strategy.fast", ["5", "a very long value of it", "not set"]),
    ]
    assert standing.told_apart(runs, keys) == [
        "fast 5, slow 50",
        "fast a very long v\N{HORIZONTAL ELLIPSIS}, slow 100",
        "",
    ]
    more = [(f"strategy.k{n}", ["1", "2", "3"]) for n in range(5)]
    assert standing.told_apart(runs, more)[1] == "k0 2, k1 2, k2 2, 2 more"

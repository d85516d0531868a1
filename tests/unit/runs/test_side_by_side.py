"""The page that lays runs side by side: whose number is the best of a line, what makes runs hard to compare, curves."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kraken_flow.core.times import DAY
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report.comparison import _run, cautions, rows_of

LONG, SHORT = ["2021-01-01", "2023-01-01"], ["2021-01-01", "2021-03-01"]


def content(metrics, currency="USD", start=100.0, span=LONG, **more):
    past = PastRun("mode.run=a", Path("a"), {"strategy": "dip", "span": span})
    past.__dict__["metrics"] = metrics
    return SimpleNamespace(past=past, currency=currency, start_equity=start, **more)


def best(*contents):
    rows = rows_of(contents, [""] * len(contents), [None] * len(contents))
    return {row["key"]: row["best"] for row in rows}


def test_more_is_better_of_returns_ratios_and_drawdowns_and_of_fees_nothing_is():
    a = {"total_return": 0.1, "sharpe": 2.0, "max_drawdown": -0.3, "fees": "1", "expectancy": "5", "trades": 40}
    b = {"total_return": 0.2, "sharpe": 1.0, "max_drawdown": -0.2, "fees": "2", "expectancy": "4", "trades": 50}
    found = best(content(a), content(b))
    assert found == {
        **{"total_return": 1, "sharpe": 0, "max_drawdown": 1, "expectancy": 0},
        **dict.fromkeys(found.keys() - {"total_return", "sharpe", "max_drawdown", "expectancy"}, -1),
    }
    assert {"fees", "trades"} <= found.keys()


@pytest.mark.parametrize("more", [{"currency": "EUR"}, {"start": 1000.0}])
def test_amounts_of_accounts_that_are_not_alike_have_no_best(more):
    a, b = ({"final_equity": str(n), "expectancy": str(n), "sharpe": n} for n in (110.0, 1100.0))
    assert best(content(a), content(b, **more)) == {"final_equity": -1, "expectancy": -1, "sharpe": 1}
    assert best(content(a), content(b)) == {"final_equity": 1, "expectancy": 1, "sharpe": 1}


def test_what_makes_runs_hard_to_compare_is_said():
    def said(*runs):
        found = cautions([run.past for run in runs], [run.currency for run in runs])
        return [row["text"].split(" ")[0:4] for row in found]

    words = ("The runs did not", "The runs do not", "The best of 3", "The accounts are in")
    data, span, many, money = (text.split() for text in words)
    same, other = {"data_sha256": "1"}, {"data_sha256": "2"}
    assert said(content(same), content(same)) == []
    assert said(content(same), content(same, currency="EUR")) == [money]
    assert said(content(same), content(other)) == [data]
    assert said(content(same), content(same, span=SHORT)) == [span]
    assert said(content(same), content(same), content(same)) == [many]


def test_curves_begin_at_the_starting_equity():
    run = content({}, times=np.array([DAY, 2 * DAY, 3 * DAY]), equity=np.array([110.0, 99.0, 121.0]))
    facts, pack = _run(run, "a")
    steps = {name: pack.index[name]["step"] for name in ("growth", "drawdown")}
    # The page carries differences of whole steps, with the sign in the lowest bit.
    columns = dict(zip(pack.index, pack.parts, strict=True))

    def carried(name):
        planes = np.frombuffer(columns[name], np.uint8).reshape(4, -1).T.copy()
        bits = planes.view("<u4").ravel().astype(np.int64)
        return np.cumsum((bits >> 1) ^ -(bits & 1)) * steps[name]

    assert carried("growth") == pytest.approx([0.1, -0.01, 0.21])
    assert carried("drawdown") == pytest.approx([0.0, -0.1, 0.0])
    assert facts["first_ms"] == DAY // 1_000_000

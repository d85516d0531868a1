"""The interval of a drawdown is of day closes; its number is of all bars."""

import numpy as np
import pytest

from kraken_flow.analysis import statement
from tests.hand_made import s01


@pytest.mark.parametrize(("span", "kept"), [([-0.2, -0.1], False), ([-0.1, 0.0], True)])
def test_an_interval_that_does_not_hold_its_drawdown_is_left_out(monkeypatch, span, kept):
    run = s01()
    assert statement.returns.max_drawdown(run.result.equity, run.start_equity) == 0.0
    made = {name: [-9.0, 9.0] for name in statement.OF_RETURNS} | {"max_drawdown": span}
    monkeypatch.setattr(statement, "return_intervals", lambda *_: made)
    found, why = statement._intervals(run, np.zeros(40), "", np.zeros(0))
    assert found["returns_of"] == "day closes"
    assert found["sharpe"] == [-9.0, 9.0]
    assert found["max_drawdown"] == (span if kept else None)
    assert found["calmar"] == ([-9.0, 9.0] if kept else None)
    assert why.get("max_drawdown") == (None if kept else "outside_its_interval")

import json
from decimal import Decimal

import pytest

from tests.unit.modes.past_runs import SHIPPED, edit

FREE = ("elapsed_s", "bars_per_s")


def compared(mine):
    assert mine("mode=compare", "mode.a=a", "mode.b=b", "report=json") == 0, mine.err
    return json.loads(mine.out)


def test_equal_runs_of_two_modes_differ_in_the_mode_alone(mine):
    assert mine("mode=backtest", *SHIPPED, "run_dir=a") == 0
    assert mine("mode=paper", *SHIPPED, "run_dir=b") == 0
    found = compared(mine)
    assert all(found["equal"].values())
    assert set(found["keys"]) == {"mode._target_"}
    assert (found["data"], found["metrics"], found["counts"], found["versions"]) == ([], {}, {}, [])
    assert found["orders"]["moved"] == 0
    assert found["orders"]["equal"] == (mine.folder / "a/orders.log").read_text().count("\n")


def inside(value, path):
    """Walk into nested objects and lists, whose rows go by their name or their place."""
    for part in path:
        if isinstance(value, list):
            value = next((row for row in value if isinstance(row, dict) and row.get("name") == part), None) or (
                value[int(part)] if part.isdecimal() and int(part) < len(value) else None
            )
        else:
            value = value and value.get(part)
    return value


def test_keys_metrics_and_orders_that_differ_are_named_with_both_values(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert mine(*SHIPPED[:-1], "strategy.slow=16", "exchange.fees.taker_bps=9", "timeframe=1h", "run_dir=b") == 0
    found = compared(mine)
    assert found["keys"] == {
        "exchange.fees.taker_bps": {"a": "null", "b": "9"},
        "strategy.slow": {"a": "12", "b": "16"},
    }
    known = {run: json.loads((mine.folder / run / "metrics.json").read_text()) for run in "ab"}
    assert set(found["metrics"]) >= {name for name in ("fees", "sharpe", "final_equity") if known["a"] != known["b"]}
    for name, both in found["metrics"].items():
        assert [both["a"], both["b"]] == [inside(known[run], name.split(".")) for run in "ab"]
    fees = found["metrics"]["fees"]
    assert Decimal(fees["difference"]) == Decimal(fees["b"]) - Decimal(fees["a"])
    lines = {run: (mine.folder / run / "orders.log").read_text().splitlines() for run in "ab"}
    orders = found["orders"]
    for run in "ab":
        told = [pair[run] for pair in orders["changed"]] + orders[f"only_{run}"]
        assert orders["equal"] + len(told) == len(lines[run])
        assert set(told) <= set(lines[run])
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    said = mine.out
    assert " strategy.slow             12     16 \n" in said
    assert f"order lines: {orders['equal']} equal, {len(orders['changed'])} changed, " in said
    assert orders["only_a"][0] in said


def test_data_that_differs_is_named(mine):
    assert mine("mode=paper", *SHIPPED, "run_dir=a") == 0
    edit(mine.folder / "candles/btcusd_1h.csv", ",1040\n", ",1041\n")
    assert mine("mode=paper", *SHIPPED, "end=2024-01-10", "run_dir=b") == 0
    found = compared(mine)
    assert not found["equal"]["data_sha256"]
    told = "\n".join(found["data"])
    assert "BTC/USD: sha256 " in told
    assert "span: 2024-01-01T00:00:00Z to 2024-01-13T12:00:00Z and 2024-01-01T00:00:00Z to 2024-01-10T00:00:00Z" in told
    assert "169 bars differ between the journals; the first is that of BTC/USD at 2024-01-02T16:00:00Z" in told
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    assert "data that differs\n" in mine.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mode.a=a"], "mode.b: must be given"),
        (["mode.a=a", "mode.b=c"], "mode.b=c: there is no such folder"),
        (["mode.a=candles", "mode.b=a"], "mode.a=candles: the folder holds no run of ours"),
        (["mode.a=a", "mode.b=a", "seed=3"], "seed=3: leave that out"),
    ],
)
def test_what_cannot_be_compared_is_told(mine, words, told):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert mine("mode=compare", *words) == 2
    assert told in mine.err

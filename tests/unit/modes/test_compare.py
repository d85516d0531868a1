import json
import re
from decimal import Decimal

import pandas as pd
import pyarrow.parquet as pq
import pytest

from kraken_flow.analysis.bootstrap import difference_intervals, trade_difference_intervals
from kraken_flow.api import load_run
from kraken_flow.core.times import DAY
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
    assert (found["orders"]["first"], found["trades"]["first"], found["code"]) == (None, None, [])
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    assert "the same: code, data, versions, order log, ledger\n" in mine.out
    assert "Every number is the same." in mine.out
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
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    assert re.search(r"^ *exchange.fees.taker_bps +null \(0 by tier\) +9 *$", mine.out, re.M), mine.out
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
    assert max(map(len, said.splitlines())) <= 80
    assert len(said.splitlines()) <= 55
    assert "\x1b" not in said
    assert re.search(r"^ *strategy.slow +12 +16 *$", said, re.M)
    assert f"Order lines: {orders['equal']} equal, {len(orders['changed'])} changed, " in said
    first = next(n for n, (old, new) in enumerate(zip(lines["a"], lines["b"], strict=False)) if old != new)
    assert orders["first"] == {"line": first + 1, "a": lines["a"][first], "b": lines["b"][first]}
    folded = " ".join(said.split())
    assert all(line in folded for line in (lines["a"][first], lines["b"][first]))
    trades = [pq.read_table(mine.folder / run / "trades.parquet").to_pylist() for run in "ab"]
    assert [found["trades"][run] for run in "ab"] == [len(rows) for rows in trades]
    number = next(n for n, (old, new) in enumerate(zip(*trades, strict=False), 1) if old != new)
    assert found["trades"]["first"]["number"] == number
    assert Decimal(found["trades"]["first"]["b"]["pnl"]) == trades[1][number - 1]["pnl"]
    assert mine("mode=compare", "mode.a=a", "mode.b=b", "mode.details=true") == 0
    assert max(map(len, mine.out.splitlines())) <= 80
    for name, both in found["metrics"].items():
        told = name.rpartition(".")[2]
        assert told == "name" or f"{told} " in mine.out, (name, both)


def test_headline_numbers_stand_side_by_side_as_the_summary_writes_them(mine):
    summaries = []
    for run, slow in (("a", 12), ("b", 16)):
        assert mine(*SHIPPED[:-1], f"strategy.slow={slow}", f"run_dir={run}") == 0
        summaries.append(mine.out)
    found = compared(mine)
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    rows = {line.split("  ")[0]: line.split() for line in mine.out.splitlines()}
    for label in ("Total profit %", "Sharpe (daily, 365)", "Win rate", "Turnover (two-sided, per year)"):
        for summary in summaries:
            written = next(line for line in summary.splitlines() if line.startswith(label))
            assert written.removeprefix(label).split()[0] in rows[label]
    assert found["paired"]["why"] == "too few returns"


def test_intervals_are_of_the_daily_returns_of_both_runs(mine):
    for run, slow, bars in (("a", 12, "12h"), ("b", 16, "1d")):
        words = (f"timeframe={bars}", "pairs=[BTC/USD,ETH/USD]", "risk=research", f"strategy.slow={slow}")
        assert mine(*words, f"run_dir={run}", "report=none") == 0
    old, new = (load_run(mine.folder / run).returns().to_numpy() for run in "ab")
    expected = difference_intervals(old, new, 365.0, len(old) * DAY)
    found = compared(mine)["paired"]["intervals"]
    assert found["sharpe"][0] < found["sharpe"][1]
    for name, interval in expected.items():
        assert found[name] == pytest.approx(interval, rel=1e-9)
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    low, high = found["sharpe"]
    assert f"{low:+.3f} to {high:+.3f}" in mine.out


def test_intervals_of_trades_draw_the_days_that_opened_them(mine, monkeypatch):
    for run, slow in (("a", 12), ("b", 16)):
        words = ("timeframe=4h", "pairs=[BTC/USD,ETH/USD]", "risk=research", "strategy.fast=4", f"strategy.slow={slow}")
        assert mine(*words, f"run_dir={run}", "report=none") == 0, mine.err
    first = int(pd.read_parquet(mine.folder / "a/equity.parquet")["time"].min().floor("D").timestamp()) // 86_400
    trades = []
    for run in "ab":
        table = pd.read_parquet(mine.folder / run / "trades.parquet")
        days = table["entry_time"].dt.floor("D").map(lambda day: int(day.timestamp()) // 86_400 - first)
        trades.append((days.to_numpy(), table["pnl"].astype(float).to_numpy()))
    days = len(load_run(mine.folder / "a").returns())
    expected = trade_difference_intervals(*trades, days)
    found = compared(mine)["paired"]["intervals"]
    for name, interval in expected.items():
        assert interval[0] < interval[1]
        assert found[name] == pytest.approx(interval, rel=1e-9), name
    for columns in ("80", "160"):
        monkeypatch.setenv("COLUMNS", columns)
        assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
        said = " ".join(mine.out.split())
        assert f"{expected['profit_factor'][0]:+.3f} to {expected['profit_factor'][1]:+.3f}" in said
        assert f"{expected['expectancy'][0]:+,.2f} to {expected['expectancy'][1]:+,.2f}" in said
        assert "are drawn again, trades with the day that opened them." in said
    manifest = mine.folder / "b/manifest.json"
    manifest.write_text(manifest.read_text().replace("/USD", "/JPY"))
    again = compared(mine)["paired"]["intervals"]
    assert again == found | {"expectancy": None}


def test_days_that_differ_have_no_interval_of_the_difference(mine):
    assert mine(*SHIPPED, "run_dir=a") == 0
    assert mine(*SHIPPED, "end=2024-01-10", "run_dir=b") == 0
    assert compared(mine)["paired"]["why"] == "the runs cover different days"
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    assert "Nothing says how much of it is luck: the runs cover different days." in mine.out


def test_source_files_that_are_others_are_named(mine):
    for run in "ab":
        assert mine(*SHIPPED, f"run_dir={run}") == 0
    path = mine.folder / "b/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sources"] |= {"strategies.sma_cross": "0" * 64, "mine": "1" * 64, "kraken_flow.core.run": "2" * 64}
    path.write_text(json.dumps(manifest))
    assert compared(mine)["code"] == [
        "kraken_flow.core.run: the file is another one",
        "mine: loaded by b alone",
        "strategies.sma_cross: the file is another one",
    ]
    assert mine("mode=compare", "mode.a=a", "mode.b=b") == 0
    assert "different: code\n" in mine.out
    assert "- strategies.sma_cross: the file is another one\n- 1 file of the program (mode.details=true)\n" in mine.out


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
    assert "DATA THAT DIFFERS\n" in mine.out


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

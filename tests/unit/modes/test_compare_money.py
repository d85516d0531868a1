"""What `mode=compare` says of runs without trades, of two currencies, of wide amounts, of equal results, of ruin."""

import json
from itertools import product

import pytest

from tests.unit.modes.past_runs import candles

NEVER = {"fast": 200, "slow": 290}
HEADS = ("Final balance", "Total profit %", "Expectancy", "Trades", "Turnover", "All costs")


def made(mine, run, pair="BTC/USD", *words, scale=100.0, fast=4, slow=12):
    """Make a run of one pair, whose candles are those of the project at another scale."""
    name = pair.replace("/", "").lower()
    (mine.folder / f"candles/{name}_1h.csv").write_text(candles(scale), "utf-8")
    data = ("data=files", "data.path=candles", f"pairs=[{pair}]", "exchange=bare", "strategy=sma_cross")
    assert (
        mine(*data, f"strategy.fast={fast}", f"strategy.slow={slow}", *words, f"run_dir={run}", "report=none") == 0
    ), mine.err
    return json.loads((mine.folder / run / "metrics.json").read_text())


def told(mine, *words):
    assert mine("mode=compare", "mode.a=a", "mode.b=b", *words) == 0, mine.err
    return mine.out


def content(mine):
    return json.loads(told(mine, "report=json"))


@pytest.mark.parametrize(("a", "b"), list(product(({}, NEVER), repeat=2)))
def test_runs_that_closed_no_trade_are_compared(mine, a, b):
    metrics = [made(mine, run, **words) for run, words in (("a", a), ("b", b))]
    counts = [found["trades"] for found in metrics]
    assert [count == 0 for count in counts] == [words == NEVER for words in (a, b)]
    assert [content(mine)["trades"][run] for run in "ab"] == counts
    first = content(mine)["trades"]["first"]
    for words in ((), ("mode.details=true",)):
        said = told(mine, *words)
        assert ("(no trade)" in said) is (counts[0] != counts[1])
    if counts[0] == counts[1]:
        assert first is None
        assert "Every number is the same." in said
    else:
        assert first["number"] == 1
        assert [first[run] is None for run in "ab"] == [count == 0 for count in counts]


def test_ruined_runs_are_compared(mine):
    lines = candles(100.0).splitlines()[:150] + candles(10.0).splitlines()[150:]
    (mine.folder / "candles/btcusd_1h.csv").write_text("\n".join(lines) + "\n", "utf-8")
    levered = ("account.leverage=30", "portfolio.fraction=20", "risk=none", "strategy=hold", "exchange=bare")
    data = ("data=files", "data.path=candles", "pairs=[BTC/USD]")
    assert mine(*data, *levered, "run_dir=a", "report=none") == 0, mine.err
    assert float(json.loads((mine.folder / "a/metrics.json").read_text())["final_equity"]) < 0
    made(mine, "b")
    assert content(mine)["paired"]["why"].startswith("equity was gone in one of the runs")
    assert "Nothing says how much of it is luck: equity was gone" in " ".join(told(mine, "mode.details=true").split())
    assert mine("mode=compare", "mode.a=a", "mode.b=a") == 0
    assert "Every number is the same." in mine.out


def test_unlike_money_is_not_subtracted_and_has_its_own_currency(mine):
    made(mine, "a")
    made(mine, "b", "BTC/JPY", "account.cash=1_000_000", scale=15_000.0)
    found = content(mine)
    assert found["currencies"] == {"a": "USD", "b": "JPY"}
    for name in ("final_equity", "expectancy", "costs.profit_before_costs", "drawdowns.0.peak_equity"):
        assert found["metrics"][name]["a"] != found["metrics"][name]["b"]
        assert found["metrics"][name]["difference"] is None
    assert found["metrics"]["total_return"]["difference"] is not None
    said = told(mine)
    rows = {line.split("  ")[0]: line for line in said.splitlines()}
    metrics = found["metrics"]
    for label, name in (("Final balance", "final_equity"), ("Expectancy", "expectancy")):
        usd, jpy = (f"{float(metrics[name][run]):,.2f} {unit}" for run, unit in (("a", "USD"), ("b", "JPY")))
        assert rows[label].split(usd)[1].split() == [*jpy.split(), "-"]
    assert "Currencies: a in USD and b in JPY. Money is not subtracted;" in said
    assert "Warning: returns are subtracted as they stand. What the currencies gained" in " ".join(said.split())
    trade = " ".join(said[said.index("The first trade that differs") :].split())
    assert f"{float(found['trades']['first']['a']['pnl']):,.2f} USD" in trade
    assert f"{float(found['trades']['first']['b']['pnl']):,.2f} JPY" in trade
    details = told(mine, "mode.details=true")
    peak = next(line for line in details.splitlines() if line.startswith("0.peak_equity"))
    assert (peak.split()[2], *peak.split()[4:]) == ("USD", "JPY", "-")


def test_runs_of_one_currency_say_it_and_subtract(mine):
    made(mine, "a")
    made(mine, "b", slow=16)
    assert content(mine)["currencies"] == {"a": "USD", "b": "USD"}
    assert content(mine)["metrics"]["final_equity"]["difference"] is not None
    assert "Currencies:" not in told(mine)
    assert "Warning:" not in mine.out
    assert "Final balance, USD" in mine.out


@pytest.mark.parametrize("pair", ["BTC/JPY", "ETH/USD"])
def test_the_page_of_several_runs_warns_of_their_currencies(mine, pair):
    made(mine, "a")
    made(mine, "b", pair, "account.cash=1_000_000", scale=15_000.0)
    assert mine("mode=report", "mode.run=[a,b]", "mode.out=both.html") == 0, mine.err
    page = (mine.folder / "both.html").read_text("utf-8")
    assert ("The accounts are in USD and JPY: each run's returns are in its own currency" in page) is ("JPY" in pair)


@pytest.mark.parametrize(
    ("pair", "cash", "scale"),
    [
        ("BTC/USD", "10_000", 100.0),
        ("BTC/JPY", "1_000_000_000", 15_000.0),
        ("BTC/IDR", "1_000_000_000_000", 1_500_000.0),
        ("ETH/BTC", "12_345_678", 5.0),
    ],
)
def test_labels_and_numbers_are_whole_however_wide_they_are(mine, monkeypatch, pair, cash, scale):
    for run, slow in (("a", 12), ("b", 16)):
        made(mine, run, pair, f"account.cash={cash}", scale=scale, slow=slow)
    found, places = content(mine)["metrics"], 8 if pair == "ETH/BTC" else 2
    for columns in (80, 100, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        said, details = told(mine), told(mine, "mode.details=true")
        for name in ("final_equity", "expectancy"):
            for run in "ab":
                assert f"{float(found[name][run]):,.{places}f}" in said
            assert f"{float(found[name]['difference']):+,.{places}f}" in said
        for label in HEADS:
            assert any(line.startswith(label) for line in said.splitlines()), (label, said)
        for name in ("final_cash", "average_win", "average_loss"):
            assert f"{float(found[name]['b']):,.{places}f}" in details
        assert "…" not in said + details
        assert max(map(len, (said + details).splitlines())) <= columns


def test_an_interval_that_is_too_wide_for_the_line_is_told(mine, monkeypatch):
    for run, slow in (("a", 12), ("b", 16)):
        bars = ("timeframe=12h" if run == "a" else "timeframe=1d", "pairs=[BTC/USD,ETH/USD]", "risk=research")
        assert mine(*bars, f"strategy.slow={slow}", f"run_dir={run}", "report=none", "account.cash=1e12") == 0, mine.err
    intervals = content(mine)["paired"]["intervals"]
    (low, high), amounts = intervals["sharpe"], intervals["expectancy"]
    for columns in ("80", "60", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        assert f"{low:+.3f} to {high:+.3f}" in told(mine)
        assert f"{amounts[0]:+,.2f} to {amounts[1]:+,.2f}" in " ".join(mine.out.split())
        assert "of b - a: where the difference lies" in " ".join(mine.out.split())


def test_equal_results_of_other_runs_are_called_equal(mine):
    made(mine, "a")
    made(mine, "b")
    path = mine.folder / "b/metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"skew": 0.25}))
    said = told(mine)
    assert "The results are equal: every headline number is the same.\n" in said
    assert "RESULTS" not in said
    assert "luck" not in said
    assert "mode.details=true shows all 1 numbers that moved" in said


def test_days_that_are_the_same_in_both_have_no_luck(mine):
    bars = ("timeframe=12h", "pairs=[BTC/USD,ETH/USD]", "risk=research", "report=none")
    for run in "ab":
        assert mine(*bars, f"run_dir={run}") == 0, mine.err
    path = mine.folder / "b/metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sqn": 0.25}))
    assert content(mine)["paired"]["intervals"]["total_return"] == [0, 0]
    assert "RESULTS" in told(mine)
    assert "luck" not in mine.out

"""The block of the console that says which limits were on, and how often each of them acted."""

import io
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from kraken_flow.analysis.holdings import largest_opened
from kraken_flow.analysis.safety import lines
from kraken_flow.config.composition import compose
from kraken_flow.config.validation import build
from kraken_flow.core.account import Risk
from kraken_flow.core.limits import Trigger
from kraken_flow.core.node import node
from kraken_flow.core.units import UNIT
from kraken_flow.modes.backtest import perform
from kraken_flow.risk.position import PositionLimits, PositionRisk
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from kraken_flow.runs.console import Report
from kraken_flow.runs.limit_facts import UNRECORDED, limit_facts
from kraken_flow.runs.summary import trading_mode
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics

SYSTEM = ["timeframe=4h", "end=2021-06-01", "strategy.fast=3", "strategy.slow=9"]
OFF = {"stop_loss": None, "take_profit": None, "max_fraction": None}


def run_with(*overrides):
    done = perform(build(compose([*SYSTEM, *overrides])))
    return done, Tables(done.finished)


def nothing():
    off = PositionLimits(**OFF)
    return TieredRisk(position=off, day=DayLimits(max_loss=None), system=SystemLimits(max_drawdown=None))


def printed(done, tables, risk):
    out, metrics = io.StringIO(), full_metrics(tables)
    Report(done.finished, metrics, spec=replace(done.spec, risk=risk)).show(
        Console(file=out, width=80, highlight=False)
    )
    return out.getvalue()


def test_what_each_limit_did_is_what_the_tables_say():
    overrides = ("risk=research", "risk.system.max_net=0.5", "risk.day.max_losses=3", "risk.position.max_bars=12")
    done, tables = run_with(*overrides)
    risk = TieredRisk(
        position=PositionLimits(max_bars=12),
        day=DayLimits(max_losses=3),
        system=SystemLimits(max_net=0.5),
        shadow=True,
    )
    found = {name: (limit, did) for name, limit, did in limit_facts(done.finished, risk)}
    exits = Counter(tables.trades.column("exit_reason").to_pylist())
    events = Counter(tables.risk.column("trigger").to_pylist())
    assert found["stop_loss"] == ("3% from the entry price", f"closed {exits['stop_loss']} trades")
    assert found["time_stop"] == ("12 bars", f"closed {exits['time_stop']} trades")
    assert found["max_net"] == ("50% of equity", f"would have acted {events['max_net']} times")
    assert found["max_losses"][1] == f"would have acted {events['max_losses']} times"
    assert found["max_fraction"][0] == "100% of equity a position"
    assert min(exits["stop_loss"], exits["time_stop"], events["max_net"], events["max_losses"]) > 1
    assert "max_gross" not in found


def test_every_limit_has_its_line():
    done, tables = run_with("risk=none")
    system = SystemLimits(
        max_drawdown=0.05,
        throttle_from=0.02,
        max_gross=1.5,
        max_net=0.8,
        max_positions=4,
        black_swan_sigma=6.5,
        stale_after="3h",
        price_band=0.1,
    )
    limits = PositionLimits(trailing=0.025, max_bars=1000)
    risk = TieredRisk(position=limits, day=DayLimits(max_trades=20, max_losses=3), system=system)
    found = {name: limit for name, limit, _ in limit_facts(done.finished, risk)}
    assert found == {
        "stop_loss": "3% from the entry price",
        "take_profit": "6% from the entry price",
        "trailing_stop": "2.5% from the best price",
        "time_stop": "1,000 bars",
        "max_fraction": "100% of equity a position",
        "max_loss": "4% in a day, then halt",
        "max_drawdown": "5% from the peak, then flatten",
        "drawdown_throttle": "from 2% on smaller positions",
        "max_gross": "150% of equity",
        "max_net": "80% of equity",
        "black_swan": "6.5 sigma in a bar, then flatten",
        "price_band": "10% from the last close",
        "max_trades": "20 in a day",
        "max_losses": "3 in a row, then 1h off",
        "loss_throttle": "from 2 losses in a row on half the size",
        "max_positions": "4 at a time",
        "stale_data": "no bar for 3h, then reduce_only",
    }
    acted = {name: did for name, _, did in limit_facts(done.finished, risk)}
    assert acted.pop("max_fraction").startswith("largest ")
    assert set(acted.values()) == {"never"}
    assert max(map(len, printed(done, tables, risk).splitlines())) <= 80


@pytest.mark.parametrize("risk", [nothing(), PositionRisk(position=PositionLimits(**OFF))])
def test_no_limit_at_all_is_one_line(risk):
    said = [line for line in printed(*run_with("risk=none"), risk).splitlines() if "RISK LIMITS" in line]
    assert len(said) == 1
    assert said[0].startswith("RISK LIMITS: none is on")


def largest(done, tables):
    """Look at every fill by itself: what was held after it, at the close and the equity of its order's decision."""
    run, found = done.finished, []
    equity = dict(
        zip(tables.equity.column("time").to_pylist(), tables.equity.column("equity").to_pylist(), strict=True)
    )
    decided = tables.orders.column("time").to_pylist()
    if run.has_parents:
        parents = dict(enumerate(tables.parents.column("time").to_pylist()))
        decided = [
            parents.get(p, t) for p, t in zip(tables.orders.column("parent_id").to_pylist(), decided, strict=True)
        ]
    held = dict.fromkeys(run.market.names, 0.0)
    for fill in tables.fills.to_pylist():
        pair, time = fill["pair"], decided[fill["order_id"]]
        signed = float(fill["qty"]) if fill["side"] == "buy" else -float(fill["qty"])
        held[pair] += signed
        if held[pair] * signed > 0:
            columns = run.market.pairs[run.market.names.index(pair)]
            row = run.market.times.tolist().index(pd.Timestamp(time).value - run.market.timeframe_ns)
            found.append(abs(held[pair]) * columns.close[row] / UNIT / equity[time])
    return max(found)


@pytest.mark.parametrize("words", [("strategy.side=both", "risk=research"), ("execution=twap",)])
@pytest.mark.parametrize("cap", [0.02, 0.9])
def test_how_near_the_cap_of_a_position_was_is_told(words, cap):
    """The configuration sizes positions at an eighth of the equity: the one cap cuts them all, the other none."""
    done, tables = run_with(*words, f"risk.position.max_fraction={cap}")
    found = {name: did for name, _, did in limit_facts(done.finished, done.spec.risk)}
    exact = largest_opened(done.finished)
    assert exact == pytest.approx(largest(done, tables), rel=1e-9)
    assert cap * 0.99 < exact <= cap if cap < 0.1 else 0.12 < exact < 0.126
    assert found["max_fraction"] == f"largest {exact:.1%}"


def test_a_run_that_opened_nothing_says_so():
    done, _ = run_with("risk.position.max_fraction=1e-7")
    assert len(done.finished.result.fills["pair"]) == 0
    assert "no position" in [did for name, _, did in limit_facts(done.finished, done.spec.risk)]


@node
class Whim(Risk):
    """Refuse what one does not like."""

    def approve(self, view, pair, target):
        """Refuse it."""
        return 0


def test_what_happened_once_is_said_of_one(monkeypatch):
    monkeypatch.setattr("kraken_flow.runs.limit_facts.reason_words", lambda run: ["stop_loss"])
    monkeypatch.setattr("kraken_flow.runs.limit_facts.rows", lambda run: [{"trigger": int(Trigger.MAX_LOSSES)}])
    risk = TieredRisk(position=PositionLimits(max_fraction=None), day=DayLimits(max_losses=1))
    found = {name: (limit, did) for name, limit, did in limit_facts(SimpleNamespace(trades=[1]), risk)}
    assert found["stop_loss"][1] == "closed 1 trade"
    assert found["max_losses"][1] == "acted once"
    assert found["loss_throttle"] == ("from a loss on half the size", "never")


def test_a_rule_of_the_users_own_is_named():
    done, _ = run_with("risk=none")
    assert list(limit_facts(done.finished, Whim())) == [("Whim", "a rule of its own", UNRECORDED)]


SHORTS = ("risk=none", "strategy.side=both")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("risk=none",), "spot"),
        (("risk=none", "account.short=false", "account.leverage=2"), "spot, leverage 2, no shorts"),
        (SHORTS, "spot, shorts of borrowed coins, lent for nothing"),
        (
            (*SHORTS, "exchange=kraken_margin"),
            "spot on margin, liquidated at a level of 40%, shorts of borrowed coins at 2 bps and 2 bps per 4h",
        ),
    ],
)
def test_the_trading_mode_says_who_lends_what_is_sold_short(words, said):
    done, _ = run_with(*words)
    assert trading_mode(done.finished, done.spec) == said


def test_of_limits_that_fall_together_each_says_what_it_would_have_done_alone():
    words = ["pairs=[BTC/USD]", "strategy=hold", "risk=research", "risk.position.stop_loss=null", "timeframe=1d"]
    done = perform(build(compose([*words, "end=2021-12-01", "risk.day.max_loss=0.01"])))
    tables = Tables(done.finished)
    stored = tables.risk.to_pylist()
    assert [(row["trigger"], row["before"], row["after"]) for row in stored[-2:]] == [
        ("max_drawdown", "normal", "killed"),
        ("max_loss", "normal", "killed"),
    ]
    assert [(line[1], line[2]) for line in lines(done.finished)][-2:] == [
        ("max_drawdown", "normal -> killed"),
        ("max_loss", "alone daily_halt"),
    ]
    said = " ".join(printed(done, tables, TieredRisk(shadow=True)).split())
    when = stored[-1]["time"].strftime("%Y-%m-%dT%H:%M")
    assert f"What halts, pauses or ends trading is counted up to {when}, where it would have ended." in said
    # Worse days came later, and are not counted.
    equity = pd.Series(done.finished.result.equity)
    assert (equity.pct_change() < -0.01).sum() > Counter(row["trigger"] for row in stored)["max_loss"]


def test_advice_after_a_kill_stands_beside_it_and_is_no_note_on_the_data():
    done = perform(build(compose(["pairs=[BTC/USD]", "strategy=hold", "risk.position.stop_loss=null", "timeframe=1d"])))
    tables = Tables(done.finished)
    assert full_metrics(tables)["killed_at"]
    said = " ".join(printed(done, tables, TieredRisk()).split())
    advice = "To see what would have come after the kill: risk=research only records it and trades on."
    assert said.index("RISK EVENTS") < said.index(advice) < said.index("WARNINGS")
    assert not any("risk=research" in note for note in done.notes)

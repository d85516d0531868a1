import copy
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraken_flow.config import build, check, compose
from kraken_flow.core.errors import UserError
from kraken_flow.nearest import nearest


def problems(*overrides):
    cfg = compose(overrides)
    return list(check(cfg).problems)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "strategy.fats=3",
            "strategy.fats=3: no such key; SmaCross has fast, slow, side; did you mean strategy.fast?",
        ),
        (
            "data.path=candles.csv",
            "data.path=candles.csv: no such key; Sample has seed, max_gap, feed_delay; "
            "it is a key of data=files, data=store",
        ),
        ("strategy.fast=abc", "strategy.fast=abc: must be a whole number above 0 and at most 10000000"),
        ("strategy.fast=-1", "strategy.fast=-1: must be a whole number above 0 and at most 10000000"),
        ("strategy.fast=2.5", "strategy.fast=2.5: must be a whole number above 0 and at most 10000000"),
        ("strategy.fast=true", "strategy.fast=true: must be a whole number above 0 and at most 10000000"),
        ("strategy.fast=null", "strategy.fast=null: must be a whole number above 0 and at most 10000000"),
        (
            "strategy.fast=1000000000000",
            "strategy.fast=1000000000000: must be a whole number above 0 and at most 10000000",
        ),
        ("strategy.side=bot", "strategy.side=bot: must be long, both; did you mean strategy.side=both?"),
        ("strategy.fast=[1,2]", "strategy.fast: must be a whole number above 0 and at most 10000000"),
        ("strategy.fast={a: 1}", "strategy.fast: must be a whole number above 0 and at most 10000000"),
        ("account.cash=lots", "account.cash=lots: must be a number above 0"),
        ("account.cash=0", "account.cash=0: must be a number above 0"),
        ("account.cash=.inf", "account.cash=.inf: must be a number above 0"),
        ("portfolio.cash_buffer=1", "portfolio.cash_buffer=1: must be a number at least 0 and below 1"),
        ("account.short=perhaps", "account.short=perhaps: must be true or false"),
        (
            "risk.position.stop_loss=1.5",
            "risk.position.stop_loss=1.5: must be a number above 0 and at most 1 or null; 1.5 % is 0.015",
        ),
        ("risk.position.stop_loss=-1", "risk.position.stop_loss=-1: must be a number above 0 and at most 1 or null"),
        (
            "risk.position.stop_los=1",
            "risk.position.stop_los=1: no such key; PositionLimits has stop_loss, take_profit, trailing, max_bars, "
            "max_fraction; did you mean risk.position.stop_loss?",
        ),
        (
            "exchange.fill.limit=tuch",
            "exchange.fill.limit=tuch: must be through, touch; did you mean exchange.fill.limit=touch?",
        ),
        (
            "exchange.fees.taker_bps=x",
            "exchange.fees.taker_bps=x: must be a number at least -1000000 and at most 1000000 or null",
        ),
        (
            "exchange.fees.tiers.0.maker_bps=x",
            "exchange.fees.tiers.0.maker_bps=x: must be a number at least -1000000 and at most 1000000",
        ),
        ("exchange.fees=1", "exchange.fees=1: must be a mapping of maker_bps, taker_bps, currency, tiers"),
        ("engine=rst", "engine=rst: must be auto, rust, python; did you mean engine=rust?"),
        ("seed=-1", "seed=-1: must be a whole number of at least 0 and at most 9223372036854775807"),
        (
            "exchange.fees.taker_bps=1e30",
            "exchange.fees.taker_bps=1e+30: must be a number at least -1000000 and at most 1000000 or null",
        ),
        (
            "exchange.slippage.bps=1e30",
            "exchange.slippage.bps=1e+30: must be a number at least 0 and at most 1000000 or null",
        ),
        ("account.leverage=2e6", "account.leverage=2000000.0: must be a number above 0 and at most 1000000"),
        ("exchange.lot=1e-20", "exchange.lot=1e-20: must be a number at least 1e-08 and at most 10000000000 or null"),
        (
            "exchange.latency=200000d",
            "exchange.latency: '200000d' is longer than 292 years; write a shorter one, as 1h or 1d",
        ),
        (
            "risk.position.max_bars=9223372036854775808",
            "risk.position.max_bars=9223372036854775808: must be at most 9223372036854775807, "
            "which is what 64 bits hold",
        ),
        ("timeframe=1x", "timeframe: '1x' is not a timeframe; use for example 1m, 5m, 15m, 1h, 4h, 1d"),
        ("timeframe=null", "timeframe: 'None' is not a timeframe; use for example 1m, 5m, 15m, 1h, 4h, 1d"),
        ("start=yesterday", "start: 'yesterday' is not a time; write 2020-01-31 or 2020-01-31T12:00:00Z"),
        ("strategy=null", "strategy: nothing is chosen; write strategy=... (`mode=list` shows the options)"),
        ("report.path=x", "report.path=x: no such key; Report has crosscheck, breakdown"),
        ("pairs.nmaes=[A/B]", "pairs.nmaes: no such key; pairs has names; did you mean pairs.names?"),
        (
            "strategy._target_=os.system",
            "strategy._target_=os.system: must name a class below kraken_flow or strategies",
        ),
        (
            "strategy._target_=kraken_flow.risk.position.PositionRisk",
            "strategy._target_=kraken_flow.risk.position.PositionRisk: is a risk, and this must be a strategy",
        ),
        (
            "strategy._target_=strategies.sma_cros.SmaCross",
            "strategy._target_=strategies.sma_cros.SmaCross: there is no module strategies.sma_cros",
        ),
        (
            "strategy._target_=strategies.sma_cross.SmaCros",
            "strategy._target_=strategies.sma_cross.SmaCros: strategies.sma_cross has no node SmaCros; "
            "did you mean strategies.sma_cross.SmaCross?",
        ),
        (
            "strategy._target_=kraken_flow.config.paths.own_conf",
            "strategy._target_=kraken_flow.config.paths.own_conf: kraken_flow.config.paths has no node own_conf",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_is_allowed(override, says):
    assert problems(override) == [says]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["pairs=[BTC/USD,ETH/EUR]"], "pairs: traded in EUR and USD; an account holds one currency for now"),
        (["pairs=[BTC/USD,BTC/USD]"], "pairs: BTC/USD stands there more than once"),
        (["pairs=[BTC-USD]"], "did you mean BTC/USD?"),
        (["pairs=[btcusdt]"], "did you mean BTC/USDT?"),
        (["pairs=[BTC/USD:]"], "a perpetual is BASE/QUOTE:SETTLE, as in BTC/USDT:USDT"),
        (["pairs=[]"], "pairs: must be a list of pairs"),
        (["pairs=custom"], "pairs: must be a list of pairs"),
        (["start=2020-01-01", "end=2019-01-01"], "start=2020-01-01: must be before end=2019-01-01"),
        (["start=2020-01-01", "end=2020-01-01"], "must be before"),
        (["portfolio=fixed_risk", "risk=none"], "set risk.position.stop_loss, as in risk.position.stop_loss=0.03"),
        (["strategy.fast=30"], "strategy: fast (30) must be below slow (30)"),
        (["exchange.fill.path=detail"], "exchange.fill.detail: path=detail needs the finer timeframe"),
        (["exchange.latency=5"], "exchange.latency: 5 is not a duration"),
        (["strategy=combined", "strategy.members.sma_cross.fats=3"], "did you mean strategy.members.sma_cross.fast?"),
        (["strategy=scripted"], "strategy.path: must be given; it is text"),
    ],
)
def test_values_that_do_not_go_together_are_refused(overrides, says):
    found = problems(*overrides)
    assert len(found) == 1
    assert says in found[0]


def test_all_problems_are_told_at_once():
    found = problems("strategy.fats=3", "strategy.slow=x", "risk.position.max_bars=0", "timeframe=1y", "seed=x")
    assert [text.partition(":")[0] for text in found] == [
        "timeframe",
        "seed=x",
        "strategy.fats=3",
        "strategy.slow=x",
        "risk.position.max_bars=0",
    ]


def test_an_unknown_key_of_the_run_is_refused():
    cfg = compose() | {"timefarme": "1h"}
    assert re.search("timefarme: no such key; .* did you mean timeframe?", check(cfg).problems[0])


def test_a_variable_that_is_not_set_is_named_with_its_key(monkeypatch):
    monkeypatch.delenv("KF_ABSENT", raising=False)
    with pytest.raises(UserError, match=r"^account.cash: the variable KF_ABSENT is not set$"):
        compose(["account.cash=${oc.env:KF_ABSENT}"])
    monkeypatch.setenv("KF_PRESENT", "77")
    assert build(compose(["account.cash=${oc.env:KF_PRESENT}"])).account.cash == 77


def test_the_order_of_pairs_changes_nothing():
    graphs = [build(compose([f"pairs=[{text}]"])) for text in ("ETH/USD,BTC/USD", "BTC/USD,ETH/USD")]
    assert graphs[0] == graphs[1]
    assert graphs[0].pairs == ("BTC/USD", "ETH/USD")


def test_nothing_of_a_graph_is_a_hydra_object():
    graph = build(compose(["strategy=combined"]))
    assert "omegaconf" not in repr(graph)
    assert set(graph.strategy.parts()) == {"sma_cross", "mean_reversion", "donchian_breakout"}


def leaves(cfg, path=()):
    for key, value in cfg.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


BASE = compose(["strategy=combined", "portfolio=inverse_vol"])
FOLDERS = sorted(path for path in leaves(BASE) if path[-1] not in {"features", "weights", "tiers", "instruments_table"})


@settings(max_examples=60)
@given(st.sampled_from(FOLDERS), st.from_regex(r"[a-z]{3,9}_zz", fullmatch=True))
def test_a_key_that_nobody_knows_is_found_wherever_it_stands(path, name):
    cfg = copy.deepcopy(BASE)
    parent = cfg
    for key in path[:-1]:
        parent = parent[key]
    if path[-1] == "_target_" or (isinstance(parent[path[-1]], dict)):
        where = parent if path[-1] == "_target_" else parent[path[-1]]
        prefix = path[:-1] if path[-1] == "_target_" else path
    else:
        where, prefix = parent, path[:-1]
    if prefix and prefix[-1] in {"weights", "features", "tiers", "instruments_table", "members"}:
        return
    where[name] = 1
    dotted = ".".join((*prefix, name))
    found = check(cfg).problems
    assert any(text.startswith((f"{dotted}=1: no such key", f"{dotted}: no such key")) for text in found), found


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    compose(["strategy.fast=5"])
    assert dict(os.environ) == before


@pytest.mark.parametrize("fault", ["raise KeyError('x')", "import sys; sys.exit(7)", "open('/no/such/file')", "1 / 0"])
def test_a_strategy_file_that_fails_as_it_is_imported_is_one_sentence(tmp_path, monkeypatch, fault):
    name = f"broken_{sum(fault.encode())}"
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / f"{name}.py").write_text(fault)
    monkeypatch.syspath_prepend(tmp_path)
    (said,) = [text for text in problems(f"strategy._target_=strategies.{name}.X") if "_target_" in text]
    assert f"strategies.{name} cannot be imported: " in said


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        (
            ["exchange.latency=banana", "exchange.fill.path=zig"],
            ["exchange.fill.path=zig", "exchange.latency"],
        ),
        (
            ["exchange.latency=banana", "exchange.fill.detail=x"],
            ["exchange.fill.detail", "exchange.latency"],
        ),
        (["risk.rearm=zz", "risk.position.stop_loss=8"], ["risk.position.stop_loss=8", "risk.rearm"]),
        (["data.feed_delay=x", "data.seed=y", "data.nope=1"], ["data.feed_delay", "data.nope=1", "data.seed=y"]),
        # What fields say together is not told of values that stand in for wrong ones.
        (["strategy.fast=abc", "strategy.slow=3"], ["strategy.fast=abc"]),
    ],
)
def test_all_that_is_wrong_with_one_node_is_told(overrides, keys):
    assert sorted(text.partition(":")[0] for text in problems(*overrides)) == keys


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("fats", ["fast", "slow"], "fast"),
        ("tuch", ["through", "touch"], "touch"),
        ("lto", ["tick", "lot"], "lot"),
        ("STOP", ["stop_loss", "max_bars"], None),
        ("stop", ["stop_loss", "max_bars"], "stop_loss"),
        ("breakout", ["donchian_breakout", "hold"], "donchian_breakout"),
        ("money", ["none", "mode"], None),
        ("short", ["start", "end"], None),
        ("fixed", ["files", "sample"], None),
        ("mine", ["engine", "combined"], None),
        ("coinbse", ["combined", "close"], None),
        ("", ["a"], None),
    ],
)
def test_only_a_name_that_is_like_it_is_suggested(name, known, near):
    assert nearest(name, known) == near

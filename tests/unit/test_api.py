import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from kraken_flow import backtest
from kraken_flow.api import _declaration
from kraken_flow.config import build, compose
from kraken_flow.core import Positive, Strategy, nan, node, where
from kraken_flow.core.errors import UserError
from kraken_flow.features import Sma

N = 300


@pytest.fixture(scope="module")
def bars():
    rng = np.random.default_rng(11)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, N))), 2)
    times = np.datetime64("2024-01-01", "ns") + np.arange(N) * np.timedelta64(1, "h")
    prices = {"open": close, "high": close + 1, "low": close - 1, "close": close}
    return {"BTC/USD": {"time": times, **prices, "volume": np.full(N, 1000.0)}}


OVERRIDES = ["strategy=sma_cross", "strategy.fast=3", "strategy.slow=8", "exchange=bare", "engine=python"]


@pytest.fixture(scope="module")
def result(bars):
    return backtest(overrides=OVERRIDES, bars=bars)


def test_the_frames_and_the_metrics_agree(result):
    assert len(result.equity) == result.metrics["bars"] == N
    assert len(result.trades) == result.metrics["trades"] > 0
    assert result.equity["equity"].iloc[-1] == pytest.approx(float(result.metrics["final_equity"]))
    assert set(result.fills["order_id"]) <= set(result.orders["order_id"])
    assert isinstance(result.trades["pnl"].sum(), Decimal)
    assert result.result.engine == "python"
    assert result.market.names == ("BTC/USD",)
    assert result.run_dir is None


def test_a_frame_and_arrays_are_the_same_candles(bars, result):
    frame = pd.DataFrame(bars["BTC/USD"]).set_index("time")
    again = backtest(overrides=OVERRIDES, bars={"BTC/USD": frame})
    for name in ("order_log_sha256", "ledger_sha256", "data_sha256"):
        assert again.metrics[name] == result.metrics[name]


def test_nothing_is_written_unless_asked(bars, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    backtest(overrides=OVERRIDES, bars=bars)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_a_run_dir_gets_a_run(bars, tmp_path, result):
    written = backtest(overrides=OVERRIDES, bars=bars, run_dir=tmp_path / "run")
    assert written.run_dir == tmp_path / "run"
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics == written.metrics
    assert metrics["ledger_sha256"] == result.metrics["ledger_sha256"]
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "finished"


def test_the_defaults_of_the_data_group_hold_for_bars(bars):
    columns = {name: values.copy() for name, values in bars["BTC/USD"].items()}
    columns["low"][5] = columns["close"][5] + 2
    with pytest.raises(UserError, match="row"):
        backtest(overrides=OVERRIDES, bars={"BTC/USD": columns})
    dropped = backtest(overrides=[*OVERRIDES, "data.on_bad=drop"], bars={"BTC/USD": columns})
    assert dropped.metrics["bars"] == N - 1


@pytest.mark.parametrize("words", [["data.path=x.csv"], ["data=files", "data.path=x.csv"], ["data=sample"]])
def test_candles_come_from_one_place(bars, words):
    with pytest.raises(UserError) as caught:
        backtest(overrides=[*OVERRIDES, *words, "data.max_gap=3"], bars=bars)
    assert str(caught.value) == (
        f"overrides: {', '.join(words)}: bars= gives the candles already; leave out one of the two "
        "(beside it there are data.on_bad, data.max_gap, data.feed_delay)"
    )


@node
class Crossing(Strategy):
    """Long while the close is above its average."""

    window: Positive[int] = 8

    def features(self):
        return {"mean": Sma("close", self.window)}

    def forecast(self, f):
        return where(f.mean > 100, 1.0, where(f.mean <= 100, 0.0, nan))


def test_a_strategy_of_the_program_s_own(bars, tmp_path):
    words = ["exchange=bare", "engine=python"]
    run = backtest(words, bars, tmp_path / "run", strategy=Crossing(window=5))
    assert run.metrics["trades"] > 0
    assert repr(run).startswith("<Crossing on BTC/USD, 1h: ")
    config = (tmp_path / "run/config.yaml").read_text()
    assert f"strategy:\n  _target_: {__name__}.Crossing\n  window: 5\n" in config
    assert backtest(words, bars, strategy=Crossing(window=5)).metrics["ledger_sha256"] == run.metrics["ledger_sha256"]
    assert backtest(words, bars, strategy=Crossing(window=50)).metrics["ledger_sha256"] != run.metrics["ledger_sha256"]


@pytest.mark.parametrize("strategy", ["sma_cross", Crossing, 3])
def test_what_is_no_strategy_is_refused(strategy):
    with pytest.raises(UserError, match="must be a strategy made from a class"):
        backtest(strategy=strategy)


def test_a_strategy_is_given_once(bars):
    with pytest.raises(UserError) as caught:
        backtest(["strategy=hold", "strategy.fast=3"], bars, strategy=Crossing())
    assert str(caught.value) == (
        "overrides: strategy=hold, strategy.fast=3: strategy= is the strategy already; leave out one of the two"
    )


def test_a_strategy_s_declaration_is_what_builds_it():
    graph = build(compose(["strategy=combined"]))
    assert build(compose() | {"strategy": _declaration(graph.strategy)}).strategy == graph.strategy


def test_what_is_wrong_is_said_at_once():
    with pytest.raises(UserError) as caught:
        backtest(overrides=["strategy=sma_cross", "strategy.fastt=5", "account.cash=-1"])
    assert "strategy.fastt" in str(caught.value)
    assert "account.cash" in str(caught.value)


@pytest.mark.parametrize("overrides", ["strategy=hold", [3], ["-m", "strategy.fast=2,3"]])
def test_overrides_are_a_list_of_key_value(overrides):
    with pytest.raises(UserError, match=r"^overrides"):
        backtest(overrides=overrides)


class Undecorated(Strategy):
    """A strategy whose author forgot @node."""

    window: int = 8


@node
class Misspelt(Strategy):
    """A strategy that reads what is not there."""

    def features(self):
        return {"mean": Sma("clsoe", 3)}


CALLS = {
    "a_mode": ({"overrides": ["mode=paper"]}, ["overrides: mode=paper: backtest() runs a backtest"]),
    "a_key_of_a_mode": ({"overrides": ["mode.speed=1x"]}, ["overrides: mode.speed=1x: backtest() runs a backtest"]),
    "bars": ({"bars": [1]}, ["bars: a list is no mapping of pairs to candles; write bars={'BTC/USD': frame}"]),
    "no_bars": ({"bars": {}}, ["bars: there are no candles"]),
    "keys": ({"bars": {1: 2}}, ["bars: a dict is no mapping of pairs to candles"]),
    "folder": ({"run_dir": 5}, ["run_dir=5: must be the path of a folder, or None"]),
    "number": ({"overrides": 5}, ["overrides=5: must be a list of texts"]),
    "forgotten": ({"strategy": Undecorated()}, ["strategy: Undecorated is not made a node", "engine=x: must be"]),
    "misspelt": ({"strategy": Misspelt()}, ["Misspelt.features: Sma.source=clsoe: must be open, high", "engine=x: "]),
    "all": (
        {
            "overrides": ["mode=paper", "-m", "stratgy=x", "data=files", "engine=x"],
            "bars": {"BTC/USD": 1},
            "run_dir": "",
        },
        [
            "overrides: -m: flags",
            "overrides: mode=paper",
            "overrides: data=files",
            "run_dir=''",
            "stratgy: no",
            "engine=x",
        ],
    ),
}


@pytest.mark.parametrize(("call", "says"), CALLS.values(), ids=CALLS)
def test_all_that_is_wrong_with_a_call_is_said_at_once(call, says):
    with pytest.raises(UserError) as caught:
        backtest(**({"overrides": ["engine=x"]} if "strategy" in call else {}) | call)
    told = str(caught.value).splitlines()
    assert len(told) == len(says)
    assert all(begin in text for begin, text in zip(says, told, strict=True))


def test_the_mode_that_runs_anyway_may_be_named(bars):
    assert backtest(["mode=backtest", *OVERRIDES], bars).metrics["bars"] == N


def test_every_pair_s_candles_are_looked_at(bars):
    good = bars["BTC/USD"]
    with pytest.raises(UserError) as caught:
        backtest(OVERRIDES, {"ADA/USD": 5, "BTC/USD": good, "ETH/USD": {"time": good["time"]}})
    assert [text.partition(":")[0] for text in str(caught.value).splitlines()] == ["bars['ADA/USD']", "bars['ETH/USD']"]


@pytest.mark.parametrize("wrong", [5, np.ones((N, 2))])
def test_a_column_is_a_list_of_numbers(bars, wrong):
    with pytest.raises(UserError, match="close must be a list of numbers, or an array of one dimension"):
        backtest(OVERRIDES, {"BTC/USD": bars["BTC/USD"] | {"close": wrong}})


def test_several_values_are_no_matter_of_a_flag_here():
    with pytest.raises(UserError) as caught:
        backtest(["strategy.fast=5,6"])
    assert str(caught.value) == "strategy.fast=5,6 lists several values; backtest() runs one: call it for each"


def test_an_exit_in_a_strategy_does_not_end_the_program_that_calls(bars):
    @node
    class Exits(Strategy):
        def forecast(self, f):
            raise SystemExit(0)

    with pytest.raises(UserError, match=r"test_api\.py, line \d+: calls sys\.exit"):
        backtest(["engine=python"], bars, strategy=Exits())


def test_a_result_is_shown_in_one_line_and_names_the_sample_market(tmp_path):
    import pyarrow.parquet as pq

    result = backtest(overrides=["strategy=hold", "pairs=[BTC/USD]", "timeframe=1d"], run_dir=tmp_path / "run")
    assert repr(result).startswith("<hold on BTC/USD of the synthetic sample market, 1d: 1 trades, total return ")
    assert any("synthetic sample market" in note for note in result.notes)
    for name in ("orders", "fills", "trades", "equity"):
        metadata = pq.read_schema(tmp_path / "run" / f"{name}.parquet").metadata
        assert metadata == {b"market": b"synthetic sample market"}


def test_a_user_s_own_market_is_not_called_synthetic(bars, tmp_path):
    import pyarrow.parquet as pq

    result = backtest(overrides=OVERRIDES, bars=bars, run_dir=tmp_path / "run")
    assert "synthetic" not in repr(result)
    assert pq.read_schema(tmp_path / "run" / "equity.parquet").metadata is None


def test_an_unknown_name_is_no_attribute():
    import kraken_flow

    with pytest.raises(AttributeError, match="nothing"):
        kraken_flow.nothing  # noqa: B018 - the access is the test

"""Every YAML of ours composes, builds and, where it trades, runs."""

import pytest

from kraken_flow.app import main
from kraken_flow.config import build, check, compose
from kraken_flow.config.paths import GROUPS, options, own_conf
from kraken_flow.core.errors import UserError

REQUIRED = {"data=files": ["data.path=candles"], "strategy=scripted": ["strategy.path=orders.csv"]}
NEEDS = {
    "pairs=custom": ["pairs.names=[BTC/USD]"],
    "mode=new": ["mode.name=my_idea"],
    "mode=order": ["mode.side=buy", "mode.pair=BTC/USD", "mode.quantity=0.5"],
    "mode=import": ["mode.source=candles.zip"],
    "mode=compare": ["mode.a=one", "mode.b=other"],
    "exchange=binance_perp": ["pairs=[BTC/USD:USD]"],
    "exchange=kraken_futures": ["pairs=[BTC/USD:USD]"],
}
EVERY = [f"{group}={name}" for group in GROUPS for name in options(group)]
SHORT = ["start=2021-02-01", "end=2021-04-01", "report=none"]


def words(choice):
    return [choice, *REQUIRED.get(choice, []), *NEEDS.get(choice, [])]


@pytest.mark.parametrize("choice", EVERY)
def test_it_composes_and_builds(choice):
    cfg = compose(words(choice))
    checked = check(cfg)
    assert checked.problems == ()
    assert checked.mode is not None
    assert (checked.graph is not None) == checked.mode.needs_graph


@pytest.mark.parametrize("choice", [c for c in EVERY if c.split("=")[0] not in {"mode", "experiment"}])
def test_only_the_mode_key_differs_between_modes(choice):
    backtest, describe = (compose([f"mode={mode}", *words(choice)]) for mode in ("backtest", "describe"))
    assert {key for key in backtest if backtest[key] != describe[key]} == {"mode"}


def test_every_group_of_the_folder_is_a_group_and_none_is_empty():
    assert sorted(path.name for path in own_conf().iterdir() if path.is_dir()) == sorted(GROUPS)
    assert all(options(group) for group in GROUPS)


@pytest.mark.parametrize("name", sorted(options("experiment")))
def test_an_experiment_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([f"experiment={name}", *SHORT, "run_dir=out"]) == 0
    assert (tmp_path / "out/metrics.json").is_file()


@pytest.mark.parametrize("name", sorted(set(options("strategy")) - {"scripted"}))
def test_a_strategy_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([f"strategy={name}", *SHORT, "timeframe=4h", "pairs=[BTC/USD,ETH/USD]", "run_dir=out"]) == 0


@pytest.mark.parametrize(
    "choice", [c for c in EVERY if c.split("=")[0] in {"portfolio", "risk", "execution", "exchange"}]
)
def test_an_option_of_the_account_half_runs(choice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extra = ["portfolio.quantity=0.01"] if choice == "portfolio=fixed_quantity" else []
    pairs = NEEDS.get(choice, ["pairs=[BTC/USD]"])
    assert main([choice, *extra, *SHORT, "timeframe=4h", *pairs, "run_dir=out"]) == 0


@pytest.mark.parametrize("model", ["none", "bps", "half_spread", "sqrt_impact", "volume_share"])
def test_every_slippage_model_builds_on_every_exchange(model):
    for exchange in options("exchange"):
        given = [f"exchange.slippage.model={model}"]
        if model in ("bps", "half_spread"):
            with pytest.raises(UserError, match=rf"slippage\.model={model}: .* set exchange\.slippage\.{model}, as in"):
                build(compose([*words(f"exchange={exchange}"), *given]))
            zero = build(compose([*words(f"exchange={exchange}"), *given, f"exchange.slippage.{model}=0"]))
            assert zero.exchange.slippage.size() == 0, "a sweep over costs may begin at nothing"
            given.append(f"exchange.slippage.{model}=2")
        assert build(compose([*words(f"exchange={exchange}"), *given])).exchange.slippage.model == model

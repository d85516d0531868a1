"""vectorbt keeps the same account of the same fills, and finds out where it does not.

Importing vectorbt takes seconds, so that there are few tests here, with many runs in each.
"""

import dataclasses
import json

import numpy as np
import pytest

from kraken_flow import backtest, load_run
from kraken_flow.app import main
from kraken_flow.core.errors import UserError
from kraken_flow.runs import vectorbt_replay
from kraken_flow.runs.views import MadeRun

SPAN = ["timeframe=4h", "start=2021-02-01", "end=2021-08-01", "risk=research"]
ACCOUNTS = {
    "shorts_and_shared_cash": ["strategy=combined"],
    "stops_and_several_fills_a_bar": ["strategy=mean_reversion", "risk=default", "risk.position.stop_loss=0.004"],
    "orders_in_slices": ["strategy=momentum", "execution=twap"],
    "fees_in_the_coin": ["strategy=combined", "exchange.fees.currency=base"],
    "rebates": ["strategy=combined", "exchange.fees.maker_bps=-2", "execution=limit"],
    "no_fees_and_one_pair": ["strategy=sma_cross", "pairs=[ETH/USD]", "exchange=bare"],
    "perpetuals": ["strategy=combined", "exchange=binance_perp", "pairs=[BTC/USD:USD,ETH/USD:USD]"],
    "no_trade": ["strategy=hold", "pairs=[BTC/USD]", "end=2021-02-02"],
}


def run(*words):
    given = {word.partition("=")[0] for word in words}
    return backtest([*(word for word in SPAN if word.partition("=")[0] not in given), *words])


def test_vectorbt_comes_to_the_same_account():
    several = 0
    for name, words in ACCOUNTS.items():
        made = run(*words)
        found = vectorbt_replay.check(made)
        assert found.agrees, (name, found.content())
        compared = {line.name: line for line in found.lines}
        assert {"final equity", "fills"} <= set(compared), name
        # The tolerance allows for much; what is there is the rounding of floats.
        assert all(abs(line.difference) <= 1e-9 * made.start_equity for line in found.lines), (name, found.content())
        replay = vectorbt_replay.replay_of(made)
        several += len(replay.times) > len(made.equity)
        assert np.count_nonzero(~np.isnan(replay.size)) == len(made.fills)
        assert (np.diff(replay.times) > 0).all()
    assert several >= 2, "no run here filled a pair twice in a bar"


def test_a_portfolio_is_the_run(tmp_path):
    made = backtest([*SPAN, "strategy=combined"], run_dir=tmp_path / "run")
    book = load_run(tmp_path / "run").to_vectorbt()
    assert book.total_return() == pytest.approx(made.metrics["total_return"], rel=1e-9)
    value = book.value().iloc[vectorbt_replay.replay_of(made).last]
    peak = value.cummax().clip(lower=made.start_equity)
    assert (value / peak - 1).min() == pytest.approx(made.metrics["max_drawdown"], rel=1e-9)
    # Between the fills of one bar its equity may fall a little deeper than at any close.
    assert book.max_drawdown() == pytest.approx(made.metrics["max_drawdown"], rel=1e-2)
    assert len(book.orders.values) == len(made.fills)
    profit = book.positions.values
    closed = profit["pnl"][profit["status"] == 1].sum()
    assert closed == pytest.approx(float(made.trades["pnl"].sum()), abs=1e-6)
    assert list(book.wrapper.columns) == list(made.pairs)


def test_a_planted_fault_is_found():
    """A checker that cannot fail is none: wrong cash, a wrong fee, a trade too many, one bar's equity."""
    made = run("strategy=combined")
    plain = MadeRun(made.tables, made.metrics)
    assert vectorbt_replay.check(plain).agrees
    for key, line in {"final_cash": "final cash", "fees": "fees", "final_equity": "final equity"}.items():
        wrong = f"{float(made.metrics[key]) + 0.001:.16f}"
        found = vectorbt_replay.check(dataclasses.replace(plain, measured=made.metrics | {key: wrong}))
        assert [one.name for one in found.lines if not one.agrees] == [line]
    found = vectorbt_replay.check(dataclasses.replace(plain, measured=made.metrics | {"trades": 1}))
    assert [one.name for one in found.lines if not one.agrees] == ["closed trades"]
    result = made.tables.run.result
    equity = result.equity.copy()
    result.equity[len(equity) // 2] += 0.01
    try:
        found = vectorbt_replay.check(MadeRun(dataclasses.replace(made.tables), made.metrics))
    finally:
        result.equity[:] = equity
    assert [one.name for one in found.lines if not one.agrees] == ["equity of every bar, largest gap"]


def test_what_vectorbt_cannot_hold_is_said():
    coin = run("strategy=momentum", "exchange=binance_perp", "pairs=[BTC/USD:BTC]")
    found = vectorbt_replay.check(coin)
    assert (found.agrees, found.lines) == (None, ())
    assert found.unchecked == ("vectorbt has no inverse contracts, and the run traded BTC/USD:BTC",)
    bold = ["strategy=hold", "account.leverage=3", "portfolio.fraction=1", "risk.position.max_fraction=null"]
    lever = run(*bold, "exchange=binance_perp", "pairs=[BTC/USD:USD,ETH/USD:USD]")
    with pytest.raises(UserError, match="vectorbt has no leverage: the run's cash went down to -"):
        lever.to_vectorbt()


def test_the_command_line_prints_and_keeps_the_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [*SPAN, "strategy=momentum", "run_dir=out", "report.crosscheck=vectorbt"]
    assert main(words) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "CROSS-CHECK WITH VECTORBT" in shown
    assert "DIFFERS" not in shown
    kept = json.loads((tmp_path / "out/crosscheck.json").read_text())
    assert (kept["agrees"], kept["not_compared"]) == (True, [])
    assert json.loads((tmp_path / "out/manifest.json").read_text())["crosscheck"] == kept

    def wrong(asked):
        found = vectorbt_replay_check(asked)
        return dataclasses.replace(found, lines=[dataclasses.replace(found.lines[0], ours=0.0), *found.lines[1:]])

    vectorbt_replay_check = vectorbt_replay.check
    monkeypatch.setattr(vectorbt_replay, "check", wrong)
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "DIFFERS" in shown
    assert "warning: vectorbt" in shown
    assert main([*SPAN, "strategy=momentum", "run_dir=out"]) == 0
    assert not (tmp_path / "out/crosscheck.json").exists()


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vectorbt_replay, "find_spec", lambda name: None)
    assert main(["report.crosscheck=vectorbt", "run_dir=out"]) == 2
    assert 'pip install --editable ".[vectorbt]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["report.crosscheck=backtrader"]) == 2
    assert "report.crosscheck=backtrader: must be vectorbt or null" in capsys.readouterr().err

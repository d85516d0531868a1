"""Mode `stress`: whose book, which prices, and what it refuses."""

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kraken_flow import backtest
from kraken_flow.analysis.backing import isolated_backing
from kraken_flow.analysis.stress import Book, Isolated, liquidation_moves
from kraken_flow.app import main
from kraken_flow.core.orders import Reason
from kraken_flow.core.units import UNIT
from kraken_flow.modes.stress_book import held_values

SHORT = ["strategy=hold", "pairs=[BTC/USD,ETH/USD]", "start=2021-02-01", "end=2021-03-01", "timeframe=4h"]
SMALL = [*SHORT, "risk=none"]
MINE = "mode.scenarios.mine"


@pytest.fixture
def stressed(tmp_path, monkeypatch, capsys):
    """Run mode=stress; return exit code, what stands in stress.json, and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main(["mode=stress", "run_dir=out", *words])
        told = capsys.readouterr()
        path = tmp_path / "out" / "stress.json"
        return code, orjson.loads(path.read_bytes())["scenarios"] if path.is_file() else {}, told.err

    return call


def test_every_crisis_of_the_specification_is_there(stressed):
    code, found, _ = stressed(*SMALL)
    assert code == 0
    assert {"covid_2020", "may_2021", "luna_2022", "june_2022", "ftx_2022", "yen_2024", "october_2025"} <= set(found)
    assert all(loss["date"] and loss["source"] and loss["prices"] for loss in found.values())
    for name in ("covid_2020", "ftx_2022"):
        assert found[name]["prices"] == "figures"
        assert found[name]["final"] == pytest.approx(found[name]["equity"] * (1 + found[name]["change"]))


def test_the_last_book_is_that_of_the_run(stressed):
    run = backtest(SMALL)
    code, found, _ = stressed(*SMALL, "mode.at=last")
    assert code == 0
    positions = {pair: float(qty) for pair, qty in run.metrics["final_positions"].items()}
    closes = dict(zip(("BTC/USD", "ETH/USD"), run.tables.run.last_close / 1e8, strict=True))
    lost = positions["BTC/USD"] * closes["BTC/USD"] * 0.224 + positions["ETH/USD"] * closes["ETH/USD"] * 0.244
    loss = found["ftx_2022"]
    assert loss["equity"] == pytest.approx(float(run.metrics["final_equity"]))
    assert loss["equity"] - loss["final"] == pytest.approx(lost)


def test_the_worst_book_loses_no_less_than_the_last(stressed):
    worst = stressed(*SMALL)[1]
    last = stressed(*SMALL, "mode.at=last")[1]
    assert all(worst[name]["change"] <= last[name]["change"] + 1e-12 for name in last)


def test_a_limit_blocks_where_it_is_passed_and_only_there(stressed):
    code, _, told = stressed(*SMALL, "mode.max_loss=0.3")
    assert code == 1
    assert "stress: covid_2020 costs" in told
    assert "venue_default" not in told
    assert stressed(*SMALL, "mode.max_loss=0.9")[0] == 0


def test_a_book_that_is_liquidated_blocks_unless_that_is_accepted(stressed):
    lent = [*SMALL, "account.leverage=3", "portfolio.fraction=2.9"]
    code, found, told = stressed(*lent)
    assert code == 1
    assert found["covid_2020"]["liquidated"]
    assert "covid_2020 liquidates the book" in told
    assert stressed(*lent, "mode.accept_liquidation=true")[0] == 0


def test_a_user_adds_and_drops_scenarios(stressed):
    mine = "mode.scenarios.mine={date: 2026-11-21, source: me, shocks: {BTC: -0.4}, others: 0.1}"
    code, found, _ = stressed(*SMALL, mine, "mode.scenarios.depeg=null", "mode.at=last")
    assert code == 0
    assert "depeg" not in found
    assert -0.4 < found["mine"]["change"] < 0


def test_a_path_counts_its_lowest_point(stressed):
    path = "mode.scenarios.mine={date: 2020-01-01, source: me, path: {BTC: [-0.5, 0.1], ETH: [-0.5, 0.1]}}"
    loss = stressed(*SMALL, path, "mode.at=last")[1]["mine"]
    assert loss["change"] > 0
    assert -0.51 < loss["drawdown"] < -0.45


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mode.scenarios.depeg.shocks.BTC=-3", "mode.scenarios.depeg.shocks.BTC=-3: must be a number at least -1"),
        (MINE + "={date: 2020-01-01}", MINE + ".source: must be given"),
        (
            MINE + "={date: 2020-01-01, source: y, start: 2020-01-01}",
            MINE + ": start and end: give both or none",
        ),
        (
            MINE + "={date: 2020-01-01, source: y, path: {BTC: [0.1], ETH: [0.1, 0.2]}}",
            MINE + ".path: all lists must be equally long",
        ),
        (
            MINE + "={date: 2020-01-01, source: y, path: {BTC: []}}",
            MINE + ".path: a list is empty",
        ),
        (MINE + "={date: foo, source: y, quote: -0.1}", MINE + ".date: 'foo' is not a time"),
        (MINE + "={date: 2020-01-01, source: y}", MINE + ": moves nothing"),
        ("mode.bars=/nope", "mode.bars=/nope: there is no such folder"),
        ("mode.max_loss=2", "mode.max_loss=2: must be a number above 0 and at most 1"),
        ("mode.run=nowhere", "mode.run=nowhere"),
    ],
)
def test_wrong_input_is_refused_with_its_key(stressed, word, message):
    code, _, told = stressed(*([] if "run" in word else SHORT), word)
    assert code == 2
    assert message in told


def daily(folder, pair, opens, lows, closes):
    times = [f"2022-11-{day:02}" for day in range(7, 15)]
    table = {
        "date": times, "open": opens, "high": [max(o, c) for o, c in zip(opens, closes, strict=True)],
        "low": lows, "close": closes, "volume": [1.0] * 8,
    }  # fmt: skip
    pq.write_table(pa.table(table), folder / f"{pair}_1d.parquet")


def test_stored_bars_go_before_figures(stressed, tmp_path):
    folder = tmp_path / "candles"
    folder.mkdir()
    daily(folder, "btcusd", [100] * 8, [100] * 3 + [40] + [100] * 3 + [90], [100] * 7 + [90])
    loss = stressed(*SMALL, "mode.bars=candles", "mode.at=last")[1]["ftx_2022"]
    assert loss["prices"] == "stored bars; figures: ETH/USD"
    whole = stressed(*SMALL, "mode.at=last")[1]["ftx_2022"]
    assert loss["change"] > whole["change"]
    assert loss["drawdown"] < loss["change"]


def test_the_book_of_a_run_is_that_of_its_folder(stressed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "run_dir=base", "report=none"]) == 0
    code, of_run, _ = stressed("mode.run=base")
    assert code == 0
    assert of_run == stressed(*SMALL)[1]
    assert stressed("mode.run=base", "strategy=hold")[0] == 2


PERPETUAL = ["exchange=kraken_futures", "exchange.margin_mode=isolated", "pairs=[BTC/USD:USD,ETH/USD:USD]", "risk=none"]


@pytest.mark.parametrize(("leverage", "gone"), [(1.5, False), (3.0, True)])
def test_isolated_positions_cost_their_margin_and_the_others_go_on(stressed, leverage, gone):
    words = [*PERPETUAL, "strategy=hold", "start=2021-02-01", "end=2021-02-03", "timeframe=4h", "mode.at=last"]
    words += [f"account.leverage={leverage}", "portfolio.fraction=0.4", "exchange.participation_cap=null"]
    crash = "mode.scenarios.mine={date: 2020-01-01, source: me, shocks: {BTC: -0.4}, others: 0.1}"
    code, found, told = stressed(*words, crash, "mode.accept_liquidation=true")
    assert code == 0, told
    loss = found["mine"]
    assert loss["liquidations"] == (["BTC/USD:USD"] if gone else [])
    assert loss["liquidated"] is gone
    if gone:
        code, _, told = stressed(*words, crash)
        assert code == 1
        assert "stress: mine liquidates BTC/USD:USD; mode.accept_liquidation=true takes that" in told
    run = backtest([word for word in words if word != "mode.at=last"]).tables.run
    (btc, eth), backing = held_values(run)[:, -1], isolated_backing(run, int(leverage * UNIT))[:, -1]
    assert loss["final"] - loss["equity"] == pytest.approx(0.1 * eth - (backing[0] if gone else 0.4 * btc))
    assert backing[0] == pytest.approx(btc / leverage, rel=0.25)


@pytest.mark.parametrize("pair", ["BTC/USD:USD", "BTC/USD:BTC"])
def test_what_stands_behind_a_position_is_what_the_engine_judges_it_by(pair):
    """The price at which the run's own liquidation comes is the one that its backing gives the bar before."""
    cash = 1 if pair.endswith("BTC") else 10_000
    words = ["exchange=kraken_futures", "exchange.margin_mode=isolated", f"pairs=[{pair}]", "risk=none"]
    words += ["strategy=hold", "start=2021-02-01", "end=2021-06-01", "timeframe=4h", "account.leverage=8"]
    words += ["exchange.participation_cap=null"]
    run = backtest([*words, "portfolio.fraction=0.5", f"account.cash={cash}"]).tables.run
    rows = [n for n, one in enumerate(run.result.orders["reason"].tolist()) if one == Reason.LIQUIDATION]
    assert rows
    (first,) = [n for n, order in enumerate(run.result.fills["order"].tolist()) if order == rows[0]]
    row = int(run.result.fills["row"][first]) - run.market.first_row - 1
    backing = isolated_backing(run, 8 * UNIT)[:, row]
    book = Book(held_values(run)[:, row], 0.0, Isolated(backing, 0.01), run.inverse)
    move = float(liquidation_moves(book, book.isolated)[0])
    columns = run.market.pairs[0]
    at = run.market.first_row + row
    assert columns.low[at + 1] / columns.close[at] - 1 <= move + 1e-3
    assert columns.low[at] / columns.close[at] - 1 > move - 1e-3
    bankrupt = run.result.fills["price"][first] / columns.close[at] - 1
    assert book.gains(np.array([bankrupt]))[0] == pytest.approx(-backing[0], rel=2e-2)


def test_a_book_of_coins_is_told_in_coins(stressed, capsys, monkeypatch):
    printed = []
    monkeypatch.setattr("kraken_flow.modes.stress.money", lambda value, unit: printed.append((value, unit)) or "x")
    words = ["exchange=kraken_futures", "pairs=[BTC/USD:BTC]", "account.cash=1", "risk=none", "portfolio.fraction=0.5"]
    code, found, _ = stressed("strategy=hold", "start=2021-02-01", "end=2021-03-01", "timeframe=4h", *words)
    assert code == 0
    assert {unit for _, unit in printed} == {"BTC"}
    assert found["ftx_2022"]["final"] == pytest.approx(found["ftx_2022"]["equity"] * (1 + found["ftx_2022"]["change"]))
    # Half of it at 22.4 % less: 0.5 (1 / 0.776 - 1).
    assert found["ftx_2022"]["change"] == pytest.approx(-0.5 * (1 / 0.776 - 1), abs=0.03)

"""Real candles of two exchanges: a system trades on the data store as it does on the files it was filled from."""

import json

import pytest

from kraken_flow.app import main

LOGS = ("order_log_sha256", "ledger_sha256", "data_sha256")
TRIALS = {
    "kraken": ("kraken_1d", ["pairs=[BTC/USD,ETH/USD,LTC/USD]", "timeframe=1d", "start=2018-01-01", "end=2021-01-01"]),
    "binance": (
        "binance_spot_1h",
        ["pairs=[BTC/USDT,ETH/USDT,SOL/USDT]", "timeframe=4h", "start=2021-03-01", "end=2021-09-01T05:00:00Z"],
    ),
}


@pytest.fixture(scope="module")
def store(shared, tmp_path_factory):
    """A store with both exchanges' files."""
    folder = tmp_path_factory.mktemp("store")
    for exchange, (name, _) in TRIALS.items():
        words = [f"mode.source={shared}/data/ohlcv/{name}", f"mode.exchange={exchange}"]
        assert main(["mode=import", *words, f"data.path={folder}/store"]) == 0
    assert main(["mode=data", f"data.path={folder}/store"]) == 0
    return folder / "store"


@pytest.mark.parametrize("exchange", TRIALS)
def test_combined_trades_on_the_store_as_on_the_files(shared, store, exchange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, system = TRIALS[exchange]
    sources = {
        "files": ["data=files", f"data.path={shared}/data/ohlcv/{name}"],
        "store": ["data=store", f"data.path={store}", f"data.exchange={exchange}"],
    }
    found = {}
    for source, words in sources.items():
        run = ["strategy=combined", f"exchange={exchange}", "report=none", *system, *words, f"run_dir={source}"]
        assert main(run) == 0
        known = json.loads((tmp_path / source / "metrics.json").read_text())
        found[source] = [known[log] for log in LOGS]
    assert found["store"] == found["files"]
    assert (tmp_path / "store/orders.log").read_text().count("\n") > 20

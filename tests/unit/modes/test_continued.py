"""A session that was interrupted, continued and killed has no results of an earlier instant."""

import json
import signal

from kraken_flow.runs.past import TABLES
from tests.unit.modes.past_runs import SHIPPED, edit, started, wait_for

RESULTS = {"metrics.json", "orders.log", "ledger.log", *(f"{name}.parquet" for name in TABLES)}
WORDS = ["mode=paper", *SHIPPED, "mode.speed=36000x", "run_dir=out"]


def results(folder):
    return {path.name for path in folder.iterdir()} & RESULTS


def test_what_was_written_at_the_interrupt_goes_with_the_first_new_instant(mine):
    out = mine.folder / "out"
    with started(mine.folder, *WORDS) as process:
        wait_for(lambda: (out / "journal").stat().st_size > 5000)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert results(out) == RESULTS
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    size = (out / "journal").stat().st_size

    candles = mine.folder / "candles/btcusd_1h.csv"
    before = candles.read_text()
    edit(candles, ",1001\n", ",1002\n")
    assert mine(*WORDS) == 2
    assert "ran on other data" in mine.err
    assert "btcusd_1h.csv differs" in mine.err
    candles.write_text(before)
    other = ["strategy.fast=5" if word == "strategy.fast=4" else word for word in WORDS]
    assert mine(*other, "risk=none") == 2
    assert "run_dir=out: the unfinished session there has another configuration (" in mine.err
    assert "strategy.fast was 4, is 5" in mine.err
    assert "risk.position.stop_loss was the default, is null" in mine.err
    assert "repeat its own command to continue it, or choose another run_dir" in mine.err
    assert "strategy.slow" not in mine.err
    assert results(out) == RESULTS  # nothing was continued

    with started(mine.folder, *WORDS) as process:
        wait_for(lambda: (out / "journal").stat().st_size > size + 3000)
        process.kill()
    assert results(out) == set()
    assert mine("mode=replay", "mode.run=out", "run_dir=again") == 0, mine.err
    assert "out is not finished: nothing to compare with" in mine.out
    for mode in ("verify", "export"):
        assert mine(f"mode={mode}", "mode.run=out") == 2
        assert "its manifest says running; repeat its own command to go on with it" in mine.err

    assert mine(*[word for word in WORDS if not word.startswith("mode.speed")]) == 0, mine.err
    assert results(out) == RESULTS
    assert json.loads((out / "manifest.json").read_text())["status"] == "finished"
    assert mine("mode=verify", "mode.run=out") == 0, mine.err
    assert mine("mode=replay", "mode.run=out", "run_dir=again") == 0, mine.err
    assert "equal to out" in mine.out
    assert mine("mode=export", "mode.run=out") == 0, mine.err

"""What analysis makes of a run agrees with the engine's own books, on runs drawn from the whole registry."""

import numpy as np
from hypothesis import given, settings

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics
from tests.engines import RUST, run_engine
from tests.parity.draw import Case, cases


@settings(max_examples=400)
@given(cases())
def test_trips_fees_and_times_agree_with_the_ledger(case: Case) -> None:
    result = run_engine("rust" if RUST else "python", case.spec, case.market, case.forecast, case.aux)
    run = FinishedRun(result, case.market, case.spec.instruments, case.spec.cash)
    change = run.final_equity - run.start_cash
    # What a trip leaves below one lot is valued at its last fill in the trip, and at the last close in the account.
    prices = [int(pair.high.max()) for pair in case.market.pairs]
    dust = sum(i.lot * price for i, price in zip(case.spec.instruments, prices, strict=True))
    assert abs(change - run.trips.pnl.total()) <= (dust if case.spec.fee_in_base else 0)
    metrics = full_metrics(Tables(run))
    assert abs(float(metrics["final_equity"]) - result.equity[-1]) < 1e-6
    assert (np.diff(run.fill_times) >= 0).all()

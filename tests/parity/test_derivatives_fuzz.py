"""Perpetuals, margin and borrowed coins: the engines against each other, and against what must hold of any run."""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.contract import FlowKind
from kraken_flow.core.orders import Reason
from kraken_flow.core.result import Result, join128
from kraken_flow.core.session import Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.core.units import CASH_UNIT
from kraken_flow.runs.logs import data_hash
from kraken_flow.runs.session_journal import instant_frame, instant_of
from tests.engine_checks import rows
from tests.engines import RUST, run_engine
from tests.limit_checks import limits_hold
from tests.parity.draw import Case
from tests.parity.draw_derivatives import KINDS, derivative_cases
from tests.parity.same import assert_same

RUNS = int(os.environ.get("KRAKEN_FLOW_FUZZ", "2400")) // 12
OTHERS = ("rust", "rust-steps") if RUST else ()
many = settings(
    max_examples=RUNS,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def books_balance(case: Case, result: Result) -> None:
    """Cash is the fold of fills and flows by arithmetic of this test's own, to the rounding of inverse values."""
    inverse = case.spec.instruments[0].inverse
    cash, position = case.spec.cash, [0] * len(case.spec.instruments)
    for fill in rows(result.fills):
        change = fill["side"] * fill["qty"]
        fee = join128(fill["fee_hi"], fill["fee_lo"])
        cash -= fee + (-(change * CASH_UNIT // fill["price"]) if inverse else change * fill["price"])
        position[fill["pair"]] += change
    cash += sum(join128(hi, lo) for hi, lo in zip(result.flows["amount_hi"], result.flows["amount_lo"], strict=True))
    assert position == result.final_positions.tolist()
    assert result.final_cash == cash + sum(result.basis)


def trades_add_up(case: Case, result: Result) -> None:
    """Round trips, open ones included, made what the account made: fees, funding and borrowing are in them."""
    run = FinishedRun(result, case.market, case.spec.instruments, case.spec.cash)
    made = run.final_equity - run.start_cash
    slack = len(result.fills["row"]) if case.spec.instruments[0].inverse else 0
    assert abs(run.trips.pnl.total() - made) <= slack
    if result.equity.size and result.equity[-1] != 0 and not slack:
        assert result.equity[-1] == pytest.approx(run.final_equity / CASH_UNIT, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_engines_agree_and_the_books_balance(kind: str) -> None:
    seen: Counter[str] = Counter()

    @seed(list(KINDS).index(kind))
    @many
    @given(derivative_cases(kind))
    def play(case: Case) -> None:
        result = run_engine("python", case.spec, case.market, case.forecast, case.aux)
        for engine in OTHERS:
            assert_same(result, run_engine(engine, case.spec, case.market, case.forecast, case.aux))
        limits_hold(case.spec, case.market, result)
        books_balance(case, result)
        trades_add_up(case, result)
        seen.update(FlowKind(k).name for k in result.flows["kind"])
        seen.update(Reason(r).name for r in result.orders["reason"])
        seen.update(Reason(r).name + " end" for r in result.orders["end_reason"])

    play()
    # Contracts are seldom drawn with a limit on losing trades: too few to count on.
    wanted = {"LIQUIDATION"} | ({"MAX_LOSSES end"} if RUNS >= 200 and kind == "spot" else set())
    wanted |= {"BORROW_OPENING", "BORROW_ROLLOVER"} if kind == "spot" else {"FUNDING"}
    assert all(seen[name] >= 1 for name in wanted), seen


def test_sessions_trade_as_whole_columns_do_through_a_journal() -> None:
    @seed(5)
    @settings(many, max_examples=max(40, RUNS // 3))
    @given(derivative_cases("linear"))
    def play(case: Case) -> None:
        if not case.spec.scripted:
            return
        whole = run_engine("python", case.spec, case.market)
        for engine in ("python", "rust") if RUST else ("python",):
            session = Session(case.graph, tape_of(case.market), engine)
            for instant in instants(case.market):
                session.take(instant_of(instant_frame(instant, {}, 0)))
            assert_same(whole, session.outcome().result)
            again, halfway = Session(case.graph, tape_of(case.market), engine), case.market.n_rows // 2
            all_ = list(instants(case.market))
            list(again.catch_up(all_[:halfway]))
            for instant in all_[halfway:]:
                again.take(instant)
            assert_same(whole, again.outcome().result)
            told = session.market()
            assert case.market.detail is not None or data_hash(told) == data_hash(case.market)

    play()

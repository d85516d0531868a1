"""The limits of a whole book of 50 positions at one decision: clusters, correlation-adjusted sizes, value at risk."""

import math
from time import process_time

import numpy as np

from kraken_flow.core import book_risk
from kraken_flow.core.account import View
from kraken_flow.core.compile import periods_root
from kraken_flow.core.times import parse_timeframe
from kraken_flow.core.units import CASH_UNIT, FIX, UNIT, fix
from kraken_flow.features import Covariance
from kraken_flow.portfolio.correlation_limits import CorrelationLimits
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.var_target import book_value_at_risk
from kraken_flow.risk.position import PositionRisk
from tests.bench.findings import Check, Finding, Section

LIMIT_MS = 5.0


def book(n: int) -> tuple[View, np.ndarray]:
    """A view of n pairs that share one factor, and their covariances in squared percents."""
    rng = np.random.default_rng(50)
    loading = rng.uniform(0.4, 1.2, n)
    covariance = np.outer(loading, loading) + np.diag(rng.uniform(0.2, 0.8, n))
    view = View(n, UNIT, 0, periods_root(parse_timeframe("1h")))
    view.equity = 10**6 * CASH_UNIT
    view.price = [round(p * UNIT) for p in rng.uniform(1, 1000, n)]
    view.position = [UNIT] * n
    view.forecast = [fix(f) for f in rng.uniform(-1, 1, n)]
    view.aux = {f"limit_covariance_{k}": [fix(float(c)) for c in covariance[:, k]] for k in range(n)}
    return view, covariance


def section(n: int, rounds: int) -> Section:
    """Milliseconds of one decision's limits over `n` positions, in the Python that either engine asks."""
    view, covariance = book(n)
    node = CorrelationLimits(
        sizer=FixedFraction(), covariance=Covariance(), max_cluster=0.3, adjust=True, max_var=0.01, max_positions=n
    )
    risk = PositionRisk()
    taken = []
    targets: list[int | None] = []
    for _ in range(max(rounds, 3) * 5):
        began = process_time()
        targets = node.targets(view)
        for pair, target in enumerate(targets):
            risk.approve(view, pair, target or 0)
        taken.append(process_time() - began)
    weights = [book_risk.weight_of(t or 0, p, view.equity) for t, p in zip(targets, view.price, strict=True)]
    matrix = book_risk.covariance_matrix(view.aux, "limit_covariance", n)
    ours = (book_value_at_risk(view, weights, matrix, 0.95, "1d") or 0) / FIX
    held = np.array(weights) / FIX
    theirs = 1.6448536269514722 * math.sqrt(held @ covariance @ held * 24) / 100
    median = 1e3 * sorted(taken)[len(taken) // 2]
    return Section(
        "risk check",
        [Check(f"value at risk of {n} positions, in integers and in floats", ours, theirs, 1e-7)],
        [Finding(f"limits of {n} positions at one decision", median, "ms", "at most", LIMIT_MS, "of processor time")],
    )

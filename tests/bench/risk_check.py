"""The limits of a book of 50 positions: clusters, correlation-adjusted sizes, value at risk of targets and orders."""

import math
from time import process_time

import numpy as np

from kraken_flow.core import book_risk
from kraken_flow.core.account import View
from kraken_flow.core.compile import compile_graph, periods_root
from kraken_flow.core.engine import Engine
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import REAL, Market, PairColumns
from kraken_flow.core.simulator import Bars
from kraken_flow.core.spec import Spec
from kraken_flow.core.times import parse_timeframe
from kraken_flow.core.twin import Stepper
from kraken_flow.core.units import CASH_UNIT, FIX, UNIT, Int64Array, fix, fix_column
from kraken_flow.exchange.account import Account
from kraken_flow.exchange.spot import SpotExchange
from kraken_flow.execution.market import MarketOrders
from kraken_flow.features import Covariance
from kraken_flow.native import native
from kraken_flow.portfolio.correlation_limits import CorrelationLimits
from kraken_flow.portfolio.fixed_fraction import FixedFraction
from kraken_flow.portfolio.var_target import book_value_at_risk
from kraken_flow.risk.position import PositionLimits, PositionRisk
from kraken_flow.risk.tiers import DayLimits, SystemLimits, TieredRisk
from tests.bench.findings import Check, Finding, Section
from tests.engines import GivenForecast, InMemory

LIMIT_MS = 5.0
HOUR = parse_timeframe("1h")


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
    said = {engine: admission(n, engine, max(rounds, 3) * 5) for engine in ("python", *(("rust",) if native else ()))}
    note = "of processor time"
    findings = [Finding(f"limits of {n} positions at one decision", median, "ms", "at most", LIMIT_MS, note)]
    for engine, (order_ms, instant_ms, _) in said.items():
        what = f"max_var and a single order beside {n} positions, {engine} engine"
        findings.append(Finding(what, order_ms, "ms", "at most", LIMIT_MS, "the whole instant"))
        wanted = ("at most", LIMIT_MS) if engine == "rust" else (None, None)
        what = f"max_var and {n} new targets with their {n} orders, {engine} engine"
        findings.append(Finding(what, instant_ms, "ms", *wanted, "the whole instant"))
    checks = [Check(f"value at risk of {n} positions, in integers and in floats", ours, theirs, 1e-7)]
    checks += [Check("orders of both engines under max_var", said["python"][2], said["rust"][2])] if native else []
    return Section("risk check", checks, findings)


def admission(n: int, engine: str, rounds: int) -> tuple[float, float, int]:
    """Return the median milliseconds of an instant with one order and with `n` under `max_var`, and the orders sent."""
    names = tuple(f"P{k:02d}/USD" for k in range(n))
    rows = 2 * rounds + 2
    rng = np.random.default_rng(7)
    closes = np.full((n, rows), 100 * UNIT)
    volume, state = np.full(rows, 10**6 * UNIT), np.full(rows, REAL, np.uint8)
    pairs = tuple(PairColumns(name, *[closes[p]] * 4, volume, state) for p, name in enumerate(names))
    market = Market(HOUR, np.arange(rows) * HOUR, pairs)
    risk = TieredRisk(
        PositionLimits(None, None, max_fraction=None),
        day=DayLimits(max_loss=None),
        system=SystemLimits(max_drawdown=None, max_var=0.02),
        covariance=Covariance(),
    )
    graph = Graph(
        pairs=names,
        timeframe="1h",
        source=InMemory(market),
        exchange=SpotExchange(name="bare", tick=0.01),
        account=Account(cash=1e6, leverage=10.0),
        strategy=GivenForecast(),
        portfolio=FixedFraction(fraction=2.0, band=None),
        risk=risk,
        execution=MarketOrders(),
    )
    spec = compile_graph(graph, market, graph.exchange.instruments(market))
    loading = rng.uniform(0.4, 1.2, n)
    covariance = fix_column(np.outer(loading, loading) + np.diag(rng.uniform(0.2, 0.8, n)))
    forecast = np.zeros((n, rows), np.int64)
    for row in range(rows):
        # Every other row all pairs change, between them one.
        one = row // 2 % n
        forecast[:, row] = forecast[:, row - 1] if row % 2 else rng.integers(FIX // 4, FIX, n)
        forecast[one, row] = FIX // 8 if row % 2 else forecast[one, row]
    return timed(spec, market, engine, forecast, covariance)


def timed(
    spec: Spec, market: Market, engine: str, forecast: Int64Array, covariance: Int64Array
) -> tuple[float, float, int]:
    """Feed an engine row by row; return the medians of odd and even rows, in milliseconds, and the orders sent."""
    taken: list[float] = []
    rust = Stepper(native, spec) if engine == "rust" and native else None
    plain = None if rust else Engine(spec)
    for row in range(market.n_rows):
        bar = [getattr(market.pairs[0], name)[row] for name in ("open", "high", "low", "close", "volume", "state")]
        bars = np.repeat(np.array(bar, np.int64)[:, None], len(market.pairs), axis=1)
        values = np.vstack([bars, forecast[:, row], covariance])
        lists = values.tolist()
        aux = dict(zip(spec.aux, lists[7:], strict=True))
        began = process_time()
        if rust:
            rust.step(row, int(market.times[row]), values)
        elif plain:
            plain.step(row, int(market.times[row]), Bars(*lists[:6]), lists[6], aux)
        taken.append(1e3 * (process_time() - began))
    result = rust.result() if rust else plain.result() if plain else None
    sent = len(result.orders["pair"]) if result else 0
    return float(np.median(taken[1::2])), float(np.median(taken[2::2])), sent

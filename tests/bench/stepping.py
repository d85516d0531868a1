"""The account half one instant at a time from Python, and the reference engine."""

import numpy as np

from kraken_flow.core import twin
from kraken_flow.core.compile import compile_graph
from kraken_flow.core.market import Market
from kraken_flow.core.result import Result
from kraken_flow.core.signal import compute
from kraken_flow.core.spec import Spec
from kraken_flow.core.units import Int64Array
from kraken_flow.native import native
from tests.bench import graphs, market
from tests.bench.clock import alone
from tests.bench.findings import Check, Finding, Section, seconds
from tests.bench.plain import whole


def instants(loaded: Market, forecast: Int64Array) -> list[tuple[int, int, Int64Array]]:
    """What each step is given: row, open time, and the row's integers of shape (7, n_pairs)."""
    fields = ("open", "high", "low", "close", "volume", "state")
    table = np.stack([np.array([getattr(pair, name) for pair in loaded.pairs]) for name in fields])
    rows = np.ascontiguousarray(np.concatenate([table, forecast[None]]).transpose(2, 0, 1).astype(np.int64))
    return list(zip(range(len(rows)), loaded.times.tolist(), rows, strict=True))


def stepped(spec: Spec, given: list[tuple[int, int, Int64Array]]) -> Result:
    """Take the Rust engine through every instant."""
    if native is None:
        raise RuntimeError("stepping the Rust engine needs the extension")
    engine = twin.Stepper(native, spec)
    for row, time, values in given:
        engine.step(row, time, values)
    return engine.result()


def section(n: int, n_reference: int, rounds: int) -> Section:
    """Instants a second of the stepped Rust engine and bars a second of the reference engine."""
    loaded, graph = market.single(n), graphs.plain()
    spec = compile_graph(graph, loaded, graph.exchange.instruments(loaded))
    given = instants(loaded, compute(graph, loaded).forecast_fix)
    stepping = alone(lambda: stepped(spec, given), rounds)
    in_one_go = whole(graph, loaded)
    final = stepped(spec, given).equity[-1]
    short = market.single(n_reference)
    reference = alone(lambda: whole(graph, market.untouched(short), "python"), rounds)
    checks = [
        Check("final equity, stepped and in one go", float(final), float(in_one_go.result.equity[-1]), 1e-9),
        Check(
            f"final equity of {n_reference:,} bars, both engines",
            whole(graph, short, "python").final_equity / 1e16,
            whole(graph, short).final_equity / 1e16,
            1e-9,
        ),
    ]
    return Section(
        "step by step",
        checks,
        [
            _rate("Rust engine stepped from Python", n, stepping, "instants/s", 300_000.0),
            _rate("reference engine, whole run", n_reference, reference, "bars/s", 20_000.0),
        ],
    )


def _rate(what: str, n: int, taken: tuple[float, float], unit: str, wanted: float) -> Finding:
    """Return how many a second of processor time, which is the wall's on a machine with nothing else to do."""
    wall, busy = taken
    return Finding(what, n / busy, unit, "at least", wanted, f"{seconds(wall)} by the wall for {n:,}")

"""Many pairs, one pool of cash, weights by inverse volatility each week."""

import numpy as np
import pandas as pd

from tests.bench import graphs, market, terms
from tests.bench.clock import Contestant, take_turns
from tests.bench.findings import Check, Finding, Section, against
from tests.bench.plain import whole


def weekly(n_pairs: int, n: int, rounds: int) -> Section:
    """Whole runs against vectorbt's weights and simulation.

    Both rebalance at the same closes at the same prices: our fills are at the next open, which is that close.
    """
    from tests.bench import rivals

    prices = market.closes(n_pairs, n)
    loaded, graph = market.many(prices, terms.FIRST_REBALANCE), graphs.inverse_vol(n_pairs)
    rivals.prepare("1h")
    frame = pd.DataFrame(
        np.ascontiguousarray(prices.T), pd.date_range("2012-01-02", periods=n, freq="1h"), list(loaded.names)
    )
    times = take_turns(
        {
            "ours": Contestant(lambda m: whole(graph, m), lambda: market.untouched(loaded)),
            "vectorbt": Contestant(lambda _: rivals.rebalanced(frame, 1.0 - terms.BUFFER)),
        },
        rounds,
    )
    ours, theirs = times.results["ours"], times.results["vectorbt"]
    checks = [
        Check("final equity", ours.final_equity / 1e16, theirs["final"]),
        Check("orders", len(ours.result.orders["pair"]), theirs["orders"], 0.5),
    ]
    per_bar = times.median("ours") / (n * n_pairs) * 1e9
    return Section(
        f"{n_pairs} pairs x {n:,} hourly bars, weekly inverse volatility",
        checks,
        [
            against(
                times,
                "vectorbt",
                f"{n_pairs} pairs x {n:,} bars, weekly inverse volatility",
                "at least",
                20.0,
                label="vectorbt, Rust engine: weights, from_orders",
            ),
            Finding("whole run", per_bar, "ns/pair-bar"),
        ],
    )

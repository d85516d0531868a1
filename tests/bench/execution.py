"""How long an order takes from a known bar: one instant of an account that works parent orders."""

from time import thread_time

import numpy as np

from kraken_flow.core.session import News, Session
from kraken_flow.core.tape import instants, tape_of
from kraken_flow.native import native
from tests.bench import graphs, market
from tests.bench.findings import Check, Finding, Section

PLANS = {
    "market": (),
    "TWAP": ("execution=twap", "execution.bars=20", "execution.size_jitter=0.3"),
    "VWAP of 7 days of minutes": ("execution=vwap", "execution.bars=20", "execution.past=7"),
}
LIMIT_US = 1000.0


def section(n: int) -> Section:
    """The 99th percentile of the processor time of instants that sent an order, signals included."""
    loaded = market.single(n)
    findings, checks = [], []
    for name, words in PLANS.items():
        graph = graphs.worked(*words)
        sent: dict[str, int] = {}
        for engine in ("rust", "python") if native else ("python",):
            session, taken = Session(graph, tape_of(loaded), engine), []
            sent[engine] = 0
            for instant in instants(loaded):
                began = thread_time()
                news: News | None = session.take(instant)
                took = thread_time() - began
                if news is not None and len(news.orders["pair"]):
                    taken.append(took)
                    sent[engine] += len(news.orders["pair"])
            slow, usual = (float(np.percentile(taken, at)) * 1e6 for at in (99, 50))
            note = f"{sent[engine]:,} orders in {len(taken):,} instants, half of them within {usual:.0f} us"
            findings.append(Finding(f"{name}, {engine} engine", slow, "us", "at most", LIMIT_US, note))
        if native:
            checks.append(Check(f"orders by {name}, both engines", sent["rust"], sent["python"]))
    return Section("order generation, processor time of 99 of 100 instants", checks, findings)

"""What the console says beyond SUMMARY METRICS: the distribution, costs, ambiguity, the benchmark, worked orders."""

from kraken_flow.analysis.flows import spent
from kraken_flow.analysis.safety import first_kill
from kraken_flow.analysis.tail_report import tail_facts
from kraken_flow.analysis.tca import parent_costs, totals
from kraken_flow.runs.figures import AGAINST, HELD, OF_TRADES, RATIOS
from kraken_flow.runs.summary import Facts, Words


def more_metrics(words: Words) -> Facts:
    """Yield what freqtrade has no line for."""
    metrics, run = words.metrics, words.run
    for figure in RATIOS:
        yield words.line(figure)
    still = "  (still open)" if metrics["underwater_open"] else ""
    yield "Longest under water", f"{metrics['longest_underwater_days']:,.1f} days{still}"
    yield from tail_facts(metrics, run.market.timeframe_ns)
    for figure in (*OF_TRADES, *HELD):
        yield words.line(figure)
    for word, n in sorted(run.result.counts.items()):
        yield word.replace("_", " ").capitalize(), str(n)
    yield "Share of the span halted", f"{metrics['halted_share']:.1%}"


def cost_facts(words: Words) -> Facts:
    """Yield what trading cost."""
    costs, flows = words.metrics["costs"], spent(words.run.result)
    for label, name in (
        ("Fees, maker", "maker_fees"),
        ("Fees, taker", "taker_fees"),
        ("Spread", "spread"),
        ("Impact", "impact"),
        ("Slippage", "slippage"),
        ("Funding", "funding"),
    ):
        yield label, words.money(float(costs[name]))
    for name in ("funding_paid", "funding_received", "borrow"):
        if flows[name]:
            yield name.replace("_", " ").capitalize(), words.exact(flows[name])
    yield "All costs", words.money(float(costs["total"]))
    yield "Profit before costs", words.money(float(costs["profit_before_costs"]))
    share = words.metrics["cost_share"]
    yield (
        "Costs over profit before costs",
        f"{share:.1%}" if share is not None else "undefined (no profit before costs)",
    )
    yield from _capacity(words)


def _capacity(words: Words) -> Facts:
    """Yield at which size impact takes half the edge."""
    size = words.metrics["capacity"]
    if size is None:
        yield "Capacity", words.undefined("capacity")
        return
    yield "Edge before impact", f"{size['edge_bps']:.2f} bps of what was traded; impact took {size['impact_bps']:.2f}"
    most, fillable = size["multiple"], size["fillable_multiple"]
    share = size["volume_share"] / most * min(most, fillable)
    money = words.money(float(size["equity" if most <= fillable else "fillable_equity"]))
    why = "impact takes half the edge" if most <= fillable else "no more can be filled"
    yield "Capacity", f"{money} ({min(most, fillable):,.2f} times the size): {why}"
    yield "", f"a fill then takes {share:,.1%} of its bar's volume on average"
    if most > fillable:
        yield "", f"impact would take half the edge at {most:,.2f} times the size"


def ambiguity_facts(words: Words) -> Facts:
    """Yield how much hangs on prices inside bars."""
    band = words.metrics["ambiguity"]
    yield "Ambiguous fills", f"{band['fills']} in {band['bars']} bars"
    if not band["fills"]:
        return
    yield "Exits among them", f"{band['exits']}, {band['alternatives']} with another end, {band['unknown']} unknown"
    for label, name in (("worst", "worst"), ("best", "best")):
        money = words.money(float(band[f"{name}_equity"]))
        yield f"Final balance at {label}", f"{money} ({band[f'{name}_return']:+.2%})"


def benchmark_facts(words: Words) -> Facts:
    """Yield what holding the pairs made, and how the run lies to it."""
    for figure in AGAINST:
        yield words.line(figure)


def execution_facts(words: Words) -> Facts:
    """Yield what working parent orders cost."""
    worked = totals(parent_costs(words.run))
    yield "Parents filled / all, children", f"{worked.filled} / {worked.parents}, {worked.children}"
    yield "Filled share of the value", f"{worked.filled_share:.1%}"
    for name, value in (
        ("Execution against the decision", worked.execution),
        ("Opportunity, what was not filled", worked.opportunity),
        ("Fees", worked.fees),
        ("Implementation shortfall", worked.shortfall),
    ):
        yield name, words.money(value)
    yield "Shortfall, bps of the value on paper", words.number("shortfall_bps", "{:+.2f}")


def kill_line(words: Words) -> tuple[str, str] | None:
    """Return what a kill did, None where there was none."""
    kill = first_kill(words.run)
    if kill is None:
        return None
    return "Would have been killed" if kill.shadow else "Killed", kill.text()

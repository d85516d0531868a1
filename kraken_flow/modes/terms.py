"""What a user should know about the terms of a run, in sentences: what is switched off, idle, or stranded."""

from collections.abc import Iterator

from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.core.account import Protection
from kraken_flow.core.feature import CrossSection, Feature, Source
from kraken_flow.core.graph import Graph
from kraken_flow.core.signal import account_features, sources_of
from kraken_flow.core.times import iso
from kraken_flow.core.units import UNIT


def notes_on(graph: Graph, run: FinishedRun) -> tuple[str, ...]:
    """Return the sentences about a finished run."""
    return (*_idle_notes(graph), *_lonely_notes(graph), *_risk_notes(graph), *_stranded_notes(run))


def _risk_notes(graph: Graph) -> tuple[str, ...]:
    """Say so where nothing limits a position."""
    protection = graph.risk.protection()
    if (target := protection.take_profit / UNIT) > 1:
        return (
            f"risk.position.take_profit={target:g} closes a position at a gain of {100 * target:,g} % of its "
            f"entry price; {target:g} % is {target / 100:g}",
        )
    if protection == Protection() and graph.risk.parameters().get("max_fraction", -1) < 0:
        return ("risk limits are off: no stop, no target and no size limit protects a position",)
    return ()


def _lonely_notes(graph: Graph) -> tuple[str, ...]:
    """Say so where a feature compares pairs and there is one: it has no value, and what reads it does nothing."""
    if len(graph.pairs) > 1:
        return ()
    sources = [*sources_of(graph.strategy), *graph.features.values(), *account_features(graph).values()]
    found = dict.fromkeys(
        type(node).__name__
        for source in sources
        for node in _within(source)
        if isinstance(node, CrossSection) and not node.alone
    )
    return tuple(
        f"{name} compares pairs and has no value on a single one: it takes two pairs or more" for name in found
    )


def _within(source: Source) -> Iterator[Feature]:
    """Yield a feature and all that it reads."""
    if isinstance(source, Feature):
        yield source
        for inner in source.inputs():
            yield from _within(inner)


def _stranded_notes(run: FinishedRun) -> tuple[str, ...]:
    """Name the positions of pairs whose bars ended long before the run did: equity counts them at a price of then."""
    market, notes = run.market, []
    for pair, held in zip(market.pairs, run.result.final_positions.tolist(), strict=True):
        last = int(pair.real[-1]) if len(pair.real) else 0
        if held and market.n_rows - 1 - last > market.max_gap:
            ended = iso(int(market.times[last]))
            notes.append(f"{pair.pair}: its bars end at {ended}; the position still held counts at the close of then")
    return tuple(notes)


def _idle_notes(graph: Graph) -> tuple[str, ...]:
    """Name the keys that were set and that nothing reads, for they look like costs that were charged."""
    slippage, fill = getattr(graph.exchange, "slippage", None), getattr(graph.exchange, "fill", None)
    notes = [
        f"exchange.slippage.{name} has no effect: exchange.slippage.model is {slippage.model}, not {name}"
        for name in ("bps", "half_spread")
        if slippage is not None and getattr(slippage, name) and slippage.model != name
    ]
    if fill is not None and fill.detail is not None and fill.path != "detail":
        notes.append(f"exchange.fill.detail has no effect: exchange.fill.path is {fill.path}, not detail")
    return tuple(notes)

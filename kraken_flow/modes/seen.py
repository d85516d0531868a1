"""The market that an earlier run traded on, read again for its page."""

from collections.abc import Sequence

from kraken_flow.config.composition import read_yaml
from kraken_flow.config.differences import changed_keys, in_force
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.graph import Graph
from kraken_flow.core.market import Market
from kraken_flow.core.redact import redact
from kraken_flow.core.source import StreamingSource
from kraken_flow.modes import Call
from kraken_flow.modes.driver import READ, load
from kraken_flow.modes.rerun import again, engine_for, graph_of, pin_from
from kraken_flow.runs.logs import data_hash
from kraken_flow.runs.past import PastRun
from kraken_flow.runs.report.content import Seen
from kraken_flow.runs.report.indicators import indicators
from kraken_flow.runs.sources import changed_sources, source_file


def seen_again(call: Call, past: PastRun) -> Seen:
    """Read again what a run traded on; where that cannot be had, or is not what it was, say why.

    Code is loaded by the rules of `mode=verify`: none from the run's folder, and from elsewhere none that was changed.
    """
    near = {module: source_file(module) for module in past.modules}
    try:
        with past.at_home():
            changed = {name: path for name, path in changed_sources(past.modules).items() if path is not None}
            for name, path in changed.items():
                if path != near.get(name):
                    return Seen(why=f"{path} is not the {name} that ran, and not in the working directory")
            graph = graph_of(past)
            market = _market(call, past, graph)
            if data_hash(market) != past.metrics.get("data_sha256"):
                return Seen(why="the data read now is not what the run traded on")
            lines = indicators(graph, market, engine_for(call, past)[0])
            now = f"The code of {', '.join(changed)} is not what ran: the lines over the candles are those of today's."
            return Seen(market, lines, note=now if changed else "")
    except (UserError, CheckFailed) as error:
        # Messages about a run begin with its name, and the page is that run's.
        return Seen(why=redact(str(error).removeprefix(f"{past.name}: ").splitlines()[0]))


def _market(call: Call, past: PastRun, graph: Graph) -> Market:
    """Return the candles of a run: its source's, or for a session on live data those of its journal."""
    if (
        past.session is not None
        or isinstance(graph.source, StreamingSource)
        or past.manifest.get("status") != "finished"
    ):
        return again(past, graph, engine_for(call, past)[0]).done.finished.market
    return load(graph, pin_from(past.manifest.get(READ)))


def differing_keys(runs: Sequence[PastRun]) -> list[tuple[str, list[str]]]:
    """Return the keys in which the configurations of runs differ, with the value of each run; defaults count."""
    configs = [read_yaml(run.config) for run in runs]
    found: dict[str, list[str]] = {}
    for number, config in enumerate(configs[1:], start=1):
        for change in changed_keys(configs[0], config, free=("run_dir", "report")):
            before = redact(in_force(configs[0], change.key, change.before))
            values = found.setdefault(change.key, [before] * len(runs))
            values[number] = redact(in_force(config, change.key, change.now))
    return list(found.items())

"""What all drivers of runs share: reading the data, the facts of the manifest, the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from kraken_flow import native
from kraken_flow.analysis.data_summary import data_notes
from kraken_flow.analysis.finished import FinishedRun
from kraken_flow.analysis.price_model import PriceModel
from kraken_flow.analysis.safety import first_kill
from kraken_flow.config.composition import Composition, read_yaml
from kraken_flow.config.validation import build
from kraken_flow.core.compile import compile_graph
from kraken_flow.core.errors import UserError
from kraken_flow.core.feature import Source
from kraken_flow.core.feature_grid import FeatureColumns, pick_native
from kraken_flow.core.graph import Graph
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import Market
from kraken_flow.core.pin import Pin
from kraken_flow.core.redact import revealed
from kraken_flow.core.run import Outcome
from kraken_flow.core.signal import required_lookback
from kraken_flow.core.spec import Spec
from kraken_flow.core.terms import Slippage
from kraken_flow.core.times import iso
from kraken_flow.core.units import FloatArray
from kraken_flow.modes import Call
from kraken_flow.modes.terms import notes_on
from kraken_flow.runs.certificate import standing
from kraken_flow.runs.console import Report, print_json
from kraken_flow.runs.crosscheck import crosscheck, show_crosscheck
from kraken_flow.runs.options import report_of
from kraken_flow.runs.progress import WRITING, Work
from kraken_flow.runs.record import Declared, Run, redacted_paths
from kraken_flow.runs.tables import SAMPLE, Tables
from kraken_flow.runs.vectorbt_replay import require
from kraken_flow.runs.views import MadeRun
from kraken_flow.runs.write import write_run

READ = "read"
"""Key of the manifest under which stands what was read; see `core.pin.Pin`."""


@dataclass(frozen=True)
class Job:
    """What a call asks a driver to run.

    Parameters: `graph` validated; `engine` auto, rust or python; `strategy` the option chosen; `declared` what goes
    into the run's folder.
    """

    graph: Graph
    engine: str
    strategy: str
    declared: Declared
    crosscheck: bool = False
    """Whether vectorbt is given the fills too."""

    @staticmethod
    def of(call: Call, mode: str) -> "Job":
        """Read a call."""
        graph = call.graph
        if graph is None:
            raise TypeError(f"mode {mode} needs a graph")
        engine = str(call.cfg.get("engine", "auto"))
        pick_native(engine)  # an engine that cannot run is refused before a folder is taken
        strategy = call.choices.get("strategy") or type(graph.strategy).__name__
        config = Composition(dict(call.cfg), dict(call.choices), dict(call.origins)).yaml() + "\n"
        declared = Declared(mode, strategy, config, call.overrides, call.cfg.get("run_dir"))
        crosscheck = report_of(call.cfg).crosscheck is not None
        if crosscheck:
            require("report.crosscheck=vectorbt")
        return Job(graph, engine, strategy, declared, crosscheck)

    def resuming(self, check: Callable[[Path], None]) -> "Job":
        """Return the job of a session that continues what its folder holds, unless `check` raises."""
        return replace(self, declared=replace(self.declared, resume=check))


@dataclass(frozen=True)
class Done:
    """A run that is done: its columns, and what a user should know about its terms."""

    finished: FinishedRun
    notes: tuple[str, ...]
    callbacks: tuple[str, ...] = ()
    """Account nodes that the Rust engine asked in Python."""
    spec: Spec | None = None
    """What the engine was told: the venue's terms, the account's, the limits of risk."""


def warn_of_fallback(engine: str) -> None:
    """Say in one line on stderr where `engine=auto` will not run in Rust, and why."""
    if engine == "auto" and native.native is None:
        Console(stderr=True, highlight=False).print(
            f"warning: {native.REASON}; the Python engine runs, slower, with equal results",
            markup=False,
            soft_wrap=True,
        )


def show(call: Call, done: Done, metrics: dict[str, Any], record: Run) -> None:
    """Print the report that the user chose; a member of a sweep says nothing, its leaderboard does."""
    if call.member:
        return
    if call.choices.get("report") == "json":
        print_json(metrics)
        return
    why, mode = record.manifest["audit"]["why"], record.manifest["mode"]
    report = Report(done.finished, metrics, done.notes, why, report_of(call.cfg), mode, done.spec)
    report.show()
    if (checked := record.manifest.get("crosscheck")) is not None:
        show_crosscheck(report.console, checked)
    report.say(f"run: {record.folder}")


def inputs(graph: Graph, engine: str) -> dict[str, Any]:
    """Return what the manifest says before a bar is read."""
    return {
        "engine_asked": engine,
        "native_reason": native.REASON or None,
        "seed": graph.seed,
        "pairs": list(graph.pairs),
        "timeframe": graph.timeframe,
        "start": None if graph.start is None else iso(graph.start),
        "end": None if graph.end is None else iso(graph.end),
    }


def extent(run: FinishedRun) -> dict[str, Any]:
    """Return what the manifest says of the bars of a run: from when to when, and whether they were made up."""
    closes = run.closes
    span = [iso(int(closes[0]) - run.market.timeframe_ns), iso(int(closes[-1]))] if len(closes) else None
    return {"span": span, "synthetic_sample": run.market.synthetic_sample}


def outputs(graph: Graph, done: Done) -> dict[str, Any]:
    """Return what the manifest says about a run that is done."""
    market, result = done.finished.market, done.finished.result
    files = [dict(record) for record in market.files]
    files += [{"role": "strategy", "path": path, "sha256": file_hash(Path(path))} for path in graph.strategy.files()]
    kill = first_kill(done.finished)
    shadow = {"would_have_been_killed_at": iso(kill.time)} if kill is not None and kill.shadow else {}
    return {
        "engine": result.engine,
        "data": redacted_paths(files),
        **extent(done.finished),
        READ: Pin.of(market).plain(),
        "data_notes": list(data_notes(market)),
        "notes": list(done.notes),
        "callbacks": list(done.callbacks),
        "counts": dict(sorted(result.counts.items())),
        "audit": standing(graph),
        **shadow,
    } | ({"market": SAMPLE} if market.synthetic_sample else {})


def load(graph: Graph, pin: Pin | None = None) -> Market:
    """Read the graph's data, where there is a `pin` exactly what was read then.

    Raises `UserError` naming file and row, or pair and folder.
    """
    fill = getattr(graph.exchange, "fill", None)
    detail = fill.detail if fill is not None and fill.path == "detail" else None
    lookback = required_lookback(graph)
    start, end = (graph.start, graph.end) if pin is None else (pin.start, pin.end)
    market = graph.source.load(graph.pairs, graph.timeframe, start, end, lookback, detail)
    return market if pin is None else pin.cut(market)


def load_checked(graph: Graph) -> Market:
    """Read the graph's data, and refuse what else of the input a run would: orders of a file, instruments, amounts."""
    market = load(graph)
    compile_graph(graph, market, graph.exchange.instruments(market))
    return market


def configuration_of(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run. Raises `UserError` where it cannot be read."""
    try:
        text = (folder / "config.yaml").read_text("utf-8")
    except OSError as error:
        raise UserError(f"mode.run={folder}: its config.yaml cannot be read ({error.strerror})") from None
    return configuration_from(text, f"mode.run={folder}")


def configuration_from(text: str, name: str) -> dict[str, Any]:
    """Read the `config.yaml` of the run called `name`; values of secrets come from the environment.

    Raises `UserError` naming each key whose secret is not set there.
    """
    missing: dict[str, list[str]] = {}

    def put(value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return {part: put(item, f"{key}.{part}" if key else part) for part, item in value.items()}
        if isinstance(value, list):
            return [put(item, key) for item in value]
        if not isinstance(value, str):
            return value
        known, unset = revealed(value)
        if unset:
            missing[key] = unset
        return known

    cfg: dict[str, Any] = put(read_yaml(text), "")
    if missing:
        told = [
            f"{name}: {key} holds the place of a secret; set {', '.join(unset)} to what it was in the run"
            for key, unset in missing.items()
        ]
        raise UserError("\n".join(told))
    return cfg


def graph_of_run(folder: Path) -> Graph:
    """Return the graph of a run, from its folder alone."""
    return build(configuration_of(folder))


def concluded(graph: Graph, ran: Outcome, market: Market, elapsed_s: float) -> Done:
    """Put together what a run made. `elapsed_s` is the time of signals and engine."""
    prices = PriceModel.of(ran.spec, ran.result.fills, _read_by_impact(graph, ran, market))
    finished = FinishedRun(ran.result, market, ran.instruments, ran.spec.cash, elapsed_s, prices)
    return Done(finished, (*ran.notes, *notes_on(graph, finished)), ran.callbacks, ran.spec)


def _read_by_impact(graph: Graph, ran: Outcome, market: Market) -> Mapping[str, FloatArray]:
    """Return the columns that the square-root impact read; a session's are computed again, as whole columns."""
    if ran.spec.slippage is not Slippage.SQRT_IMPACT:
        return {}
    if ran.signals is not None:
        return ran.signals.aux
    features = FeatureColumns(market, pick_native(ran.result.engine))
    declared: Mapping[str, Source] = getattr(graph.exchange, "features", dict)()
    return {name: features.table(name, source) for name, source in declared.items()}


def write(record: Run, job: Job, done: Done, work: Work | None = None) -> dict[str, Any]:
    """Write a run's files, and into its manifest what it was made of; return its metrics.

    Parameters: `work` is told what is being done.
    """
    work = work or Work(quiet=True)
    work.now(WRITING)
    record.manifest |= outputs(job.graph, done)
    tables, audit = Tables(done.finished, job.strategy), record.manifest["audit"]
    unaudited = "" if audit["audited"] else audit["why"]
    metrics = write_run(record.folder, tables, unaudited, record.then, work)
    if job.crosscheck:
        record.manifest["crosscheck"] = crosscheck(record.folder, MadeRun(tables, metrics))
    return metrics

"""Mode `audit`: shows for every node that it does not know the future, or names the one that does and where."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from kraken_flow.analysis.answers import ACCOUNT, System
from kraken_flow.analysis.futures import FUTURES, TAIL, window
from kraken_flow.analysis.leaks import AGAIN, BY_BAR, CHECKS, CUT, FAR, LONG, Finding, Verdict, audit
from kraken_flow.config.schema import short
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.feature_grid import pick_native
from kraken_flow.core.market import Market
from kraken_flow.core.node import Positive, node
from kraken_flow.core.times import iso
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.console import print_json, wide_console

SHOWN = {
    "ok": "ok",
    "leaks": "KNOWS THE FUTURE",
    "varies": "NOT REPEATABLE",
    "differs": "NOT BAR BY BAR",
    "rounds": "NOT TO THE BIT",
    "outside": "READS MORE",
    "follows": "reads one that fails",
    "idle": "SAYS NOTHING",
}
"""The verdicts as the table shows them."""
_WHAT = {
    "leaks": "knows the future",
    "varies": "is not repeatable",
    "differs": "does not work bar by bar",
    "rounds": "rounds otherwise when it is asked about other rows",
}
_HOW = {
    "leaks": "",
    "varies": "",
    "differs": "",
    "rounds": ". A matrix product (@) adds in another order for other numbers of rows; (w * k).sum(axis=-1) does not",
}
_OTHERWISE = {
    AGAIN: "asked again about the same bars, it {does}; does it draw random numbers, read a clock, or remember?",
    CUT: "when the market ends there, it {does}",
    LONG: "when all the data ends some time later, it {does}",
    FAR: "asked bar by bar, as paper and live ask, it {does}",
    BY_BAR: "asked bar by bar, as paper and live ask, it {does}",
    **{name: f"with {name} after it, it {{does}}" for name in FUTURES},
}


@node
class Audit(Mode):
    """Show that nothing knows the future: every feature, strategy and portfolio, and the files in strategies/."""

    rows: Positive[int] | None = None
    """Bars to audit, the last ones of the data; what features take to warm up comes on top. null: 2000, and 600 with
    the Python engine, which is slower."""
    cuts: Positive[int] = 16
    """Random bars behind which the future is changed; those at closes of higher timeframes come on top."""
    strategies: Literal["all", "chosen"] = "all"
    """all: also every file in the working directory's strategies/; chosen: the composed system alone."""

    def drive(self, call: Call) -> int:
        """Audit once, write the certificate, print the table. Raises `CheckFailed` naming what knows the future."""
        from kraken_flow.modes.audit_files import Beside, found_beside
        from kraken_flow.modes.driver import Job, inputs, load_checked, warn_of_fallback
        from kraken_flow.runs.certificate import issue
        from kraken_flow.runs.record import recorded, redacted_paths

        job = Job.of(call, "audit")
        warn_of_fallback(job.engine)
        beside = found_beside(job.graph) if self.strategies == "all" else Beside({}, ())
        system = System(job.graph, beside.nodes, job.engine)
        rows = self.rows or (600 if pick_native(job.engine) is None else 2000)
        everything = load_checked(job.graph)
        market = window(everything, rows + system.lookback)
        if market.n_rows < 3:
            raise UserError(f"the data has {market.n_rows} bars between start and end: an audit needs 3 or more")
        quiet = call.choices.get("report") == "json"
        with recorded(job.declared) as record:
            record.add(inputs(job.graph, job.engine))
            finding = _audited(system, market, _most_of(everything, job.engine), self.cuts, job.graph.seed, quiet)
            certificate = _certificate(job, finding, system, market, record.folder)
            issue(record.folder, certificate, job.declared.root)
            record.manifest |= {"verdict": certificate["verdict"], "data": redacted_paths(market.files)}
            record.manifest |= {"span": certificate["span"], "synthetic_sample": market.synthetic_sample}
        if quiet:
            print_json(certificate)
        else:
            _show(finding, market, beside.notes, record.folder)
        if not finding.passed:
            raise CheckFailed("\n".join(sentences(finding, market)))
        return 0


def _most_of(market: Market, engine: str) -> Market:
    """Return as many of the last bars as the signal half computes in a few seconds."""
    values = 100_000 if pick_native(engine) is None else 300_000
    return window(market, values // max(len(market.pairs), 1))


def _audited(system: System, market: Market, long: Market, cuts: int, seed: int, quiet: bool) -> Finding:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        tell = partial(_tell, progress, progress.add_task("audit"))
        return audit(system, market, cuts, seed, tell, long)


def _tell(progress: Progress, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


def title(verdict: Verdict) -> str:
    """Return the name of a node as the table shows it."""
    subject = verdict.subject
    if subject.kind == "feature" and subject.node is not None:
        return subject.name if ".py: " in subject.name else short(subject.node)
    beside = subject.node is None or subject.name.endswith(type(subject.node).__name__)
    return subject.name if beside else f"{subject.name}: {type(subject.node).__name__}"


def sentences(finding: Finding, market: Market) -> list[str]:
    """Say of each node that fails by itself what it does, where it does so first, and how that was seen."""
    told = []
    for verdict in finding.verdicts:
        first = verdict.first
        if verdict.word == "idle":
            nothing = "never wants a position" if verdict.subject.kind == "strategy" else "has no value"
            told.append(
                f"{title(verdict)} {nothing} on these bars, so nothing is shown of it: "
                "give it more bars (mode.rows), other dates, or the pairs it compares"
            )
        elif verdict.word == "outside" and first is not None:
            told.append(
                f"{title(verdict)} reads {first.other}: nobody can tell of which time that knows; "
                "let it read the market alone"
            )
        elif verdict.word in _WHAT and first is not None:
            where = f"{market.names[first.pair]} at the close of the bar of {iso(first.time)}"
            sure = "confidence " if verdict.subject.kind == "strategy" and first.output == 1 else ""
            said = f", where it says {sure}{first.whole} in a backtest" if first.whole else ""
            other = f"says {sure}{first.other}" if first.other else "does something else"
            otherwise = _OTHERWISE[first.check].format(does=f"fails: {first.other}" if first.fails else other)
            told.append(
                f"{title(verdict)} {_WHAT[verdict.word]}: first for {where}{said}; {otherwise}{_HOW[verdict.word]}"
            )
    return told


def _show(finding: Finding, market: Market, notes: tuple[str, ...], folder: Path) -> None:
    console = wide_console()
    table = Table(title="AUDIT: DOES ANYTHING KNOW THE FUTURE?", title_justify="left", box=None, pad_edge=False)
    table.add_column("Node", overflow="fold")
    table.add_column("Kind", no_wrap=True)
    table.add_column("Values", justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    for verdict in finding.verdicts:
        idle_account = verdict.subject.kind in ACCOUNT and verdict.rows == 0 and verdict.word == "ok"
        word = "not asked" if idle_account else SHOWN[verdict.word]
        table.add_row(title(verdict), verdict.subject.kind, f"{verdict.rows:,}", word)
    console.print(table, "")
    span = f"{iso(int(market.times[0]))} to {iso(int(market.times[-1]) + market.timeframe_ns)}"
    console.print(
        f"{market.n_rows:,} bars of {len(market.pairs)} pairs, {span}: asked bar by bar, and about {finding.trials} "
        f"other markets that are the same up to one of {len(finding.cuts)} bars and go on otherwise",
        markup=False,
        soft_wrap=True,
    )
    for note in notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(f"certificate: {folder / 'audit.json'}", markup=False, soft_wrap=True)


def _certificate(job: Any, finding: Finding, system: System, market: Market, folder: Path) -> dict[str, Any]:
    from kraken_flow.runs.certificate import graph_key, node_hashes, node_sources
    from kraken_flow.runs.logs import data_hash
    from kraken_flow.runs.sources import versions

    sources = node_sources()
    closes = market.times + market.timeframe_ns
    own = [verdict.word for verdict in finding.verdicts if verdict.subject.name not in system.foreign]
    return {
        "verdict": "passed" if finding.passed else "failed",
        "system": "passed" if set(own) == {"ok"} else "failed",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": str(folder),
        "config_sha256": job.declared.config_hash,
        "graph_sha256": graph_key(system.graph),
        "parts": node_hashes(system.graph),
        "data_sha256": data_hash(market),
        "rows": market.n_rows,
        "pairs": list(market.names),
        "timeframe": system.graph.timeframe,
        "span": [iso(int(market.times[0])), iso(int(closes[-1]))],
        "method": {
            "checks": list(CHECKS),
            "cuts": [iso(int(closes[row])) for row in finding.cuts],
            "bars_of_another_future": TAIL,
            "markets": finding.trials,
            "not_asked": finding.skipped,
            "seed": system.graph.seed,
            "engine": system.engine,
        },
        "nodes": [
            {
                "node": title(verdict),
                "kind": verdict.subject.kind,
                "of_the_system": verdict.subject.name not in system.foreign,
                "verdict": verdict.word,
                "values": verdict.rows,
                "failed_checks": verdict.failed,
                "first": None
                if verdict.first is None
                else {
                    "bar": iso(verdict.first.time),
                    "pair": market.names[verdict.first.pair],
                    "check": verdict.first.check,
                    "backtest": verdict.first.whole,
                    "otherwise": verdict.first.other,
                },
                "source": _source(verdict, sources),
            }
            for verdict in finding.verdicts
        ],
        "sources": sources,
        "versions": versions(),
    }


def _source(verdict: Verdict, sources: dict[str, str]) -> dict[str, str | None] | None:
    """Return the module that defines a node, and the hash of its file."""
    if verdict.subject.node is None:
        return None
    module = type(verdict.subject.node).__module__
    return {"module": module, "sha256": sources.get(module)}

"""Mode `stress`: what past crises, and a user's own, would have done to the book that a system held."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import annotated_types
from pydantic import Field
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from kraken_flow.analysis.money import money
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.instrument import currency_of
from kraken_flow.core.node import Fraction, node
from kraken_flow.modes import Call, Mode
from kraken_flow.modes.scenario import Scenario
from kraken_flow.runs.console import print_json, wide_console

if TYPE_CHECKING:
    from kraken_flow.modes.driver import Job
    from kraken_flow.modes.stress_book import Loss

_OWN = ("mode", "report", "engine", "run_dir")


@node
class Stress(Mode):
    """Hold the book of a system through historical crises; exit 1 where one liquidates it or costs too much."""

    run: str | None = None
    """Folder of the run whose book is taken; null: the composed system is backtested first."""
    at: Literal["worst", "last"] = "worst"
    """Which book: per scenario the one that loses the largest share of equity, or that at the end of the run."""
    max_loss: Fraction | None = None
    """Largest share of equity that a scenario may cost: beyond it the exit code is 1; null reports only."""
    accept_liquidation: bool = False
    """Whether a scenario that liquidates the book is only reported."""
    maintenance: Annotated[float, annotated_types.Ge(0), annotated_types.Lt(1)] = 0.01
    """Share of gross value below which a book that owes something is liquidated."""
    bars: str | None = None
    """Folder of candle files for scenarios with a span; null: the data of the system. Synthetic bars are never used."""
    scenarios: dict[str, Scenario | None] = Field(default_factory=dict)
    """Crises by name; null leaves one out."""

    def __post_init__(self) -> None:
        """Refuse scenarios that say nothing, with their keys."""
        for name, scenario in self.scenarios.items():
            if scenario is not None:
                scenario.check(f"mode.scenarios.{name}")

    def drive(self, call: Call) -> int:
        """Print a line per scenario. Raises `CheckFailed` naming those that cost too much."""
        from kraken_flow.modes.backtest import perform
        from kraken_flow.modes.driver import Job, extent, inputs, warn_of_fallback
        from kraken_flow.modes.stress_book import losses
        from kraken_flow.runs.directory import write_json
        from kraken_flow.runs.record import recorded

        chosen = {name: scenario for name, scenario in self.scenarios.items() if scenario is not None}
        if not chosen:
            raise UserError("mode.scenarios: there is none; mode=stress has the historical ones")
        if self.bars is not None and not Path(self.bars).expanduser().exists():
            raise UserError(f"mode.bars={self.bars}: there is no such folder of candle files")
        if self.run is None:
            job = Job.of(call, "stress")
            warn_of_fallback(job.engine)
            done = perform(job.graph, job.engine)
            found, seen = losses(done, job.graph, self, chosen), extent(done.finished)
        else:
            job, found, seen = self._of_run(call, self.run, chosen)
        lost = {name: asdict(loss) for name, loss in found.items()}
        content = {"at": self.at, "scenarios": lost}
        with recorded(job.declared) as record:
            record.add(inputs(job.graph, job.engine) | seen | ({} if self.run is None else {"stresses": self.run}))
            write_json(record.folder / "stress.json", content)
        if call.choices.get("report") == "json":
            print_json(content)
        else:
            _show(lost, currency_of(job.graph.pairs[0]), str(record.folder), self.bars is not None)
        self._judge(lost)
        return 0

    def _of_run(
        self, call: Call, run: str, chosen: dict[str, Scenario]
    ) -> "tuple[Job, dict[str, Loss], dict[str, Any]]":
        """Make a run again and stress its book, under its own configuration."""
        from kraken_flow.modes.driver import Job, configuration_from, extent
        from kraken_flow.modes.rerun import again, engine_for, graph_of
        from kraken_flow.modes.stress_book import losses
        from kraken_flow.runs.past import PastRun

        words = [word for word in call.overrides if not word.startswith("-")]
        other = [w for w in words if w.lstrip("+").partition("=")[0].partition(".")[0] not in _OWN]
        if other:
            raise UserError(f"{', '.join(other)}: leave that out; with mode.run the configuration is that of the run")
        past = PastRun.at("mode.run", run)
        engine, warning = engine_for(call, past)
        if warning:
            Console(stderr=True, highlight=False).print(f"warning: {warning}", markup=False, soft_wrap=True)
        asked = self if self.bars is None else replace(self, bars=str(Path(self.bars).expanduser().absolute()))
        cfg = configuration_from(past.config, past.name)
        cfg |= {key: call.cfg[key] for key in ("mode", "report", "engine", "run_dir") if key in call.cfg}
        with past.at_home():
            graph = graph_of(past)
            done = again(past, graph, engine).done
            found = losses(done, graph, asked, chosen)
        choices = {**call.choices, "strategy": past.strategy}
        return Job.of(replace(call, cfg=cfg, choices=choices, graph=graph), "stress"), found, extent(done.finished)

    def _judge(self, found: dict[str, dict[str, Any]]) -> None:
        told = []
        for name, loss in found.items():
            if loss["liquidated"] and not self.accept_liquidation:
                what = ", ".join(loss["liquidations"]) or "the book"
                told.append(f"stress: {name} liquidates {what}; mode.accept_liquidation=true takes that")
            scenario = self.scenarios[name]
            blocks = scenario is not None and scenario.blocks
            if blocks and self.max_loss is not None and -loss["worst"] > self.max_loss:
                told.append(
                    f"stress: {name} costs {-loss['worst']:.1%} of equity, more than mode.max_loss={self.max_loss:g}"
                )
        if told:
            raise CheckFailed("\n".join(told))


def _show(found: dict[str, dict[str, Any]], unit: str, folder: str, bars: bool) -> None:
    console = wide_console()
    table = Table(title="STRESS TESTS", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("Scenario", overflow="fold")
    for head in ("Book of", f"Equity {unit}", f"Final {unit}", "Change", "Drawdown", "Liquidated", "Prices"):
        table.add_column(head, justify="right" if head not in ("Prices", "Liquidated") else "left", overflow="fold")
    for name, loss in found.items():
        table.add_row(
            name,
            loss["time"][:16].replace("T", " "),
            money(loss["equity"], unit),
            money(loss["final"], unit),
            f"{loss['change']:+.1%}",
            f"{loss['drawdown']:.1%}",
            ", ".join(loss["liquidations"]) or ("YES" if loss["liquidated"] else "no"),
            loss["prices"],
        )
    console.print(table)
    for note in dict.fromkeys(note for loss in found.values() for note in loss["notes"]) if bars else ():
        console.print(f"note: figures were used: {note}", markup=False, soft_wrap=True)
    console.print("positions are held unchanged: stops are taken not to work", markup=False)
    console.print(f"run: {folder}", markup=False, soft_wrap=True)

"""Mode `export`: a past run's tables and journal as files that every program reads."""

from pathlib import Path
from typing import Literal

from rich.console import Console

from kraken_flow.core.node import node
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.past import LATEST, PastRun


@node
class Export(Mode):
    """Write a run's trades, fills, orders, equity and journal as CSV or JSON."""

    needs_graph = False
    run: str = LATEST
    """Folder of the run."""
    format: Literal["csv", "json"] = "csv"
    """What the files are; either way decimals are exact, as text."""
    out: str | None = None
    """Where the files go; null: export/ in the run's folder."""

    def drive(self, call: Call) -> int:
        """Write the files and name them."""
        from kraken_flow.modes.rerun import refuse_other
        from kraken_flow.runs.export import export

        refuse_other(call, ("mode.run", "mode.format", "mode.out"))
        past = PastRun.at("mode.run", self.run, unfinished=True)
        folder = Path(self.run, "export") if self.out is None else Path(self.out).expanduser()
        for path in export(past, self.format, folder).values():
            Console(highlight=False).print(f"written: {path}", markup=False, soft_wrap=True)
        if not past.finished:
            told = (
                f"{past.name}: the session is not finished: its tables and the tags of its orders are missing; repeat "
                f"its own command to finish it, or make them as far as it got: mode=replay mode.run={self.run}"
            )
            Console(stderr=True, highlight=False).print(told, markup=False, soft_wrap=True)
        return 0

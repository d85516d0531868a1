"""Mode `report`: the page of an earlier run made anew, or a page that compares several."""

from pathlib import Path

from rich.console import Console

from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.directory import COMPARISON, read_manifest
from kraken_flow.runs.members import ranked
from kraken_flow.runs.past import LATEST, PastRun

MOST = 8
"""Runs of a sweep that are laid side by side: as many as a table holds and colours tell apart."""


@node
class ReportPage(Mode):
    """Write a run's page anew from its folder, or one page that lays several runs side by side."""

    needs_graph = False
    run: str | tuple[str, ...] = LATEST
    """Folder of a run, wherever it lies now; or of a sweep, or a list of folders, to compare runs."""
    out: str | None = None
    """File to write; null: report.html in the run's folder, comparison.html in the sweep's, or in runs for a list."""

    def drive(self, call: Call) -> int:
        """Write the page and say where it is. Raises `UserError` where a folder holds no finished run."""
        from kraken_flow.modes.rerun import refuse_other

        refuse_other(call, ("mode.run", "mode.out", "engine"))
        folders = (self.run,) if isinstance(self.run, str) else self.run
        usual = Path("runs") / COMPARISON
        if len(folders) == 1 and (read_manifest(sweep := Path(folders[0]).expanduser()) or {}).get("kind") == "sweep":
            folders, usual = self._best(sweep), sweep / COMPARISON
        if not folders:
            raise UserError("mode.run=[]: name a run, or several to compare them, as in mode.run=[runs/a,runs/b]")
        if len(folders) != len({Path(folder).resolve() for folder in folders}):
            raise UserError(f"mode.run=[{','.join(folders)}]: the same run stands there twice")
        runs = [PastRun.at("mode.run", folder) for folder in folders]
        path = self._one(call, runs[0]) if len(runs) == 1 else self._several(runs, usual)
        Console(highlight=False).print(f"report: {_named(path)}", markup=False, soft_wrap=True)
        return 0

    def _best(self, sweep: Path) -> tuple[str, ...]:
        """Return the members of a sweep that its page lays side by side."""
        members = ranked(sweep)
        if not members:
            raise UserError(f"mode.run={sweep}: no run of this sweep is finished; its leaderboard.csv says why")
        if len(members) > MOST:
            told = f"{sweep} has {len(members):,} finished runs: the best {MOST} of its leaderboard are compared"
            Console(stderr=True, highlight=False).print(told, markup=False, soft_wrap=True)
        return tuple(map(str, members[:MOST]))

    def _one(self, call: Call, past: PastRun) -> Path:
        from kraken_flow.modes.seen import seen_again
        from kraken_flow.runs.report.page import NAME, write_page

        place = self._place(past.folder / NAME)
        seen = seen_again(call, past)
        if seen.why:
            told = f"warning: the page has no candles: {seen.why}"
            Console(stderr=True, highlight=False).print(told, markup=False, soft_wrap=True)
        return write_page(past, seen, place)

    def _several(self, runs: list[PastRun], usual: Path) -> Path:
        from kraken_flow.modes.seen import differing_keys
        from kraken_flow.runs.report.comparison import write_comparison
        from kraken_flow.runs.report.standing import ranked as placed

        runs = placed(runs)
        return write_comparison(runs, differing_keys(runs), self._place(usual))

    def _place(self, usual: Path) -> Path:
        if self.out is None:
            return usual
        path = Path(self.out).expanduser()
        if path.is_dir() or path.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"mode.out={self.out}: name a file that ends in .html")
        if not path.parent.is_dir():
            raise UserError(f"mode.out={self.out}: there is no folder {path.parent}; make it first")
        return path


def _named(path: Path) -> Path:
    """Return where a file really lies, for a link such as runs/latest says not of which run it is."""
    real, here = path.resolve(), Path.cwd()
    return real.relative_to(here) if real.is_relative_to(here) else real

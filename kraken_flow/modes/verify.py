"""Mode `verify`: make a past run again from its folder, and hold what comes out to what stands there."""

from typing import TYPE_CHECKING, Any

from rich.console import Console

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.node import node
from kraken_flow.core.redact import redact
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.console import print_json
from kraken_flow.runs.past import LATEST, PastRun
from kraken_flow.runs.progress import Work, stages_again

if TYPE_CHECKING:
    from kraken_flow.modes.verification import Verification

_SHOWN = 20
"""Notes that are printed; report=json has all."""


@node
class Verify(Mode):
    """Make a run again from its folder alone, and name what changed where it does not come out equal."""

    needs_graph = False
    run: str = LATEST
    """Folder of the run, wherever it lies now."""

    def drive(self, call: Call) -> int:
        """Print a line per hash. Raises `CheckFailed` with all that changed."""
        from kraken_flow.modes.rerun import engine_for, refuse_other
        from kraken_flow.modes.verification import Verification

        refuse_other(call, ("mode.run", "engine"))
        past = PastRun.at("mode.run", self.run)
        engine, warning = engine_for(call, past)
        work = Work(stages=stages_again(engine))
        found = Verification(past, engine, work)
        if warning:
            found.notes.append(warning)
        with work:
            found.look()
        if found.stopped and not found.changed:
            raise UserError(found.stopped)
        if call.choices.get("report") == "json":
            print_json(_content(found))
            return int(bool(found.changed))
        _show(found, self.run)
        return 0


def _show(found: "Verification", run: str) -> None:
    """Print what was found. Raises `CheckFailed` where something changed."""
    console = Console(highlight=False, soft_wrap=True)
    for note in found.notes[:_SHOWN]:
        console.print(redact(f"note: {note}"), markup=False)
    if len(found.notes) > _SHOWN:
        console.print(f"note: and {len(found.notes) - _SHOWN} more; report=json shows all", markup=False)
    for what, (before, now) in found.hashes.items():
        console.print(f"{what:<9} {'equal' if before == now else 'DIFFERS'} {now}", markup=False)
    if found.journal:
        console.print(f"{'journal':<9} folded, every command came out again", markup=False)
    if not found.changed:
        console.print(f"verified: {run}, made again with engine {found.engine}", markup=False)
        return
    stopped = [f"it cannot be made again: {line}" for line in found.stopped.splitlines()]
    raise CheckFailed("\n".join([f"mode.run={run}: not what it was", *found.changed, *stopped]))


def _content(found: "Verification") -> dict[str, Any]:
    """Return what was found as JSON holds it."""
    return {
        "run": str(found.past.folder),
        "equal": not found.changed,
        "engine": found.engine,
        "hashes": {what: {"before": before, "now": now} for what, (before, now) in found.hashes.items()},
        "changed": [*map(redact, found.changed)],
        "stopped": redact(found.stopped) or None,
        "notes": [*map(redact, found.notes)],
    }

"""Mode `status`: how a running session stands, from its journal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from kraken_flow.core.errors import UserError
from kraken_flow.core.node import node
from kraken_flow.core.orders import Side
from kraken_flow.core.plan import Algo, way
from kraken_flow.core.result import Result
from kraken_flow.core.session import Session
from kraken_flow.core.units import text
from kraken_flow.modes import Call, Mode
from kraken_flow.modes.control import session_in
from kraken_flow.modes.driver import graph_of_run
from kraken_flow.modes.live_console import drawn
from kraken_flow.runs.directory import read_manifest
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.lock import is_held
from kraken_flow.runs.past import LATEST
from kraken_flow.runs.session_journal import begin, recover


@node
class Status(Mode):
    """Show how a running session stands: prices, positions, orders, profit."""

    needs_graph = False
    run: str = LATEST
    """Folder of the session."""

    def drive(self, call: Call) -> int:
        """Fold the journal and show where it ends."""
        folder = session_in(self.run)
        if not is_held(folder):
            status = (read_manifest(folder) or {}).get("status")
            how = "it has finished" if status == "finished" else "it stopped; its own command continues it"
            raise UserError(f"mode.run={self.run}: the session there is not running: {how}")
        console = Console(highlight=False)
        session = folded(folder)
        if session is None:
            console.print(f"{self.run}: running, before its first instant", markup=False, soft_wrap=True)
            return 0
        result = session.account.result()
        head = f"{self.run}: running{', paused' if session.paused else ''}"
        console.print(drawn(session, head, len(result.orders["pair"]), len(result.fills["pair"])))
        for line in under_way(result, session.tape.pairs):
            console.print(line, markup=False, soft_wrap=True)
        return 0


def under_way(result: Result, pairs: Sequence[str]) -> Iterator[str]:
    """Yield a line for each parent order that is still worked."""
    names = ("pair", "side", "qty", "filled", "algo", "bars", "manual", "end_row")
    for pair, side, qty, filled, algo, bars, manual, end in zip(
        *(result.parents[n].tolist() for n in names), strict=True
    ):
        if end < 0:
            whose = "yours" if manual else "the strategy's"
            how = way(Algo(algo), bars)
            yield f"{Side(side).word} {text(qty)} {pairs[pair]} by {how}, {whose}: {text(filled)} filled"


def folded(folder: Path) -> Session | None:
    """Return a session as its journal leaves it; None before its first instant."""
    tape, _, _ = begin(folder / JOURNAL)
    if tape is None:
        return None
    session = recover(Session(graph_of_run(folder), tape), folder / JOURNAL).session
    return session if session.rows else None

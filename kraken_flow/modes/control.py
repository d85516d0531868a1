"""Modes `pause`, `resume`, `flatten` and `reset`: what a user tells a running session from outside."""

import time
from pathlib import Path
from typing import ClassVar

from rich.console import Console

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.node import node
from kraken_flow.core.orders import Control
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.control import ask
from kraken_flow.runs.directory import SESSIONS, damage, kind_of, read_manifest
from kraken_flow.runs.lock import is_held
from kraken_flow.runs.past import LATEST

_PATIENCE_S = 20.0
_DONE = {
    Control.PAUSE: "paused: positions are only reduced until mode=resume",
    Control.RESUME: "resumed: new signals are traded again",
    Control.RESET: "reset: losses and peaks count anew from now on",
    Control.FLATTEN: "flattened: closing orders are sent; each pair stays out until its forecast changes",
}


def session_in(run: str) -> Path:
    """Return the folder of a session. Raises `UserError` where there is none."""
    # Settled once: runs/latest may come to name another run while somebody waits.
    folder = Path(run).resolve()
    manifest = read_manifest(folder)
    if manifest is None and (damaged := damage(folder)) is not None:
        raise UserError(f"mode.run={run}: {damaged}")
    if manifest is None:
        raise UserError(f"mode.run={run}: there is no run of ours; give the folder of a paper session")
    if manifest.get("mode") not in SESSIONS:
        raise UserError(
            f"mode.run={run}: this is {kind_of(manifest)}, no session that goes on; give the folder of a paper session"
        )
    return folder


def running(run: str) -> Path:
    """Return the folder of a session that runs. Raises `UserError` where none does."""
    folder = session_in(run)
    if not is_held(folder):
        raise UserError(f"mode.run={run}: the session there is not running; its own command continues it")
    return folder


def deliver(run: str, folder: Path, what: Control, content: bytes = b"") -> None:
    """Leave a request and wait until the session has taken it. Raises `CheckFailed` where it does not."""
    request = ask(folder, what, content)
    until = time.monotonic() + _PATIENCE_S
    while request.exists():
        time.sleep(0.05)
        if time.monotonic() > until or not is_held(folder):
            try:
                request.unlink()
            except FileNotFoundError:
                break  # taken at the last moment
            raise CheckFailed(f"mode.run={run}: the session ended, or did not take the request in time")


class Command(Mode):
    """Base of the modes that tell a running session something."""

    needs_graph = False
    what: ClassVar[Control]
    run: str

    def drive(self, call: Call) -> int:
        """Leave the request and wait until the session has taken it."""
        deliver(self.run, running(self.run), self.what)
        Console(highlight=False).print(f"{self.run}: {_DONE[self.what]}", markup=False, soft_wrap=True)
        return 0


@node
class Pause(Command):
    """Tell a running session to open and enlarge no position; protection and exits go on."""

    what = Control.PAUSE
    run: str = LATEST
    """Folder of the session."""


@node
class Resume(Command):
    """Tell a paused session to trade again."""

    what = Control.RESUME
    run: str = LATEST
    """Folder of the session."""


@node
class Flatten(Command):
    """Tell a running session to close every position at the market."""

    what = Control.FLATTEN
    run: str = LATEST
    """Folder of the session."""


@node
class Reset(Command):
    """Tell a session that a limit of the account stopped, or killed, to trade again; losses count from now on."""

    what = Control.RESET
    run: str = LATEST
    """Folder of the session."""

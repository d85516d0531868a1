"""The record of a run: its folder and manifest, from before the first bar is read until after the last file."""

import contextlib
import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.blame import exits_refused, users_fault
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.redact import redact
from kraken_flow.core.whole import write_whole
from kraken_flow.runs.directory import (
    AGAIN,
    LOST,
    MADE_BY,
    MANIFEST,
    TRADES,
    Claim,
    check_no_latest,
    claim,
    explained,
    new_folder,
    overwrite_json,
    point_latest,
    unfinished_session,
    write_json,
)
from kraken_flow.runs.log import attached, run_log
from kraken_flow.runs.sources import git_commit, loaded_sources, program_commit, versions

logger = logging.getLogger(__name__)

ROOT = Path("runs")
"""Where runs go that name no folder, relative to the working directory."""
FORMAT = 1
"""Version of the manifest's layout."""


@dataclass(frozen=True)
class Declared:
    """What a run was asked to do.

    Parameters
    ----------
    mode, strategy
        The options chosen; they name the folder.
    config
        The composed configuration as YAML.
    overrides
        The arguments as typed, with the flags that say where the configuration is.
    run_dir
        The folder the user named, None for a new one under `runs/`.
    """

    mode: str
    strategy: str
    config: str
    overrides: Sequence[str] = ()
    run_dir: str | Path | None = None
    root: Path = ROOT
    resume: Callable[[Path], None] | None = None
    """For a session: raises `UserError` where the unfinished one in a folder cannot be continued."""

    @property
    def config_hash(self) -> str:
        """SHA-256 of `config.yaml`."""
        return sha256(self.config.encode()).hexdigest()


@dataclass
class Run:
    """A run under way: its folder, and its manifest, to which the mode adds what it learns."""

    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    continues: bool = False
    """Whether the folder holds a session that stopped before its end."""
    session: bool = False
    """Whether a restart continues it, so that what it needs has to be on the disk."""

    @property
    def then(self) -> str:
        """What a full disk leaves of the run, and what to do."""
        if not self.session:
            return AGAIN
        where = shlex.quote(f"run_dir={self.folder}")
        return f"nothing that was traded is lost: make room there, and the same command with {where} goes on"

    def save(self) -> None:
        """Write the manifest."""
        with explained(self.folder, self.then):
            write_json(self.folder / MANIFEST, self.manifest, self.session)

    def add(self, facts: Mapping[str, Any]) -> None:
        """Add to the manifest and write it."""
        self.manifest.update(facts)
        self.save()


@contextmanager
def recorded(declared: Declared) -> Iterator[Run]:
    """Hold a folder for a run; its manifest says running, then finished, failed or interrupted.

    `runs/latest` names a run of these once there is something to look at: a session from its beginning, for it is shown
    and told what to do while it runs, any other when it is finished.
    """
    folder, held = _take(declared)
    named = declared.root if declared.mode in TRADES else None
    try:
        run = Run(folder, _first_manifest(declared), held.continues, declared.resume is not None)
        if held.continues:
            run.manifest |= _continued(folder)
        run.save()
        handler = _described(run, declared)
        with attached(handler), _ending(run):
            logger.info("%s of %s starts", declared.mode, declared.strategy)
            if run.session and named is not None:
                point_latest(named, folder)
            yield run
        if not run.session and named is not None:
            point_latest(named, folder)
    finally:
        held.release()


def _described(run: Run, declared: Declared) -> logging.Handler:
    """Write what the run was asked to do; return the handler of its log."""
    try:
        with explained(run.folder, run.then):
            # A restart compares itself with it: a kill here may not leave half of it.
            write_whole(run.folder / "config.yaml", declared.config.encode(), run.session)
            lines = [f"- {orjson.dumps(redact(word)).decode()}\n" for word in declared.overrides]
            write_whole(run.folder / "overrides.yaml", ("".join(lines) or "[]\n").encode())
            return run_log(run.folder / "run.log")
    except BaseException as error:
        with attached(logging.NullHandler()):  # there is no log yet, and the terminal is told in a sentence
            _end(run, "failed", error)
        raise


def _take(declared: Declared) -> tuple[Path, Claim]:
    if declared.run_dir is not None:
        folder = Path(declared.run_dir)
        check_no_latest(declared.root, folder)
        held = claim(folder, declared.resume)
    else:
        folder = new_folder(declared.root, declared.mode, declared.strategy, declared.config_hash)
        held = claim(folder)
    return folder, held


def _first_manifest(declared: Declared) -> dict[str, Any]:
    return {
        "made_by": MADE_BY,
        "format": FORMAT,
        "status": "running",
        "mode": declared.mode,
        "strategy": declared.strategy,
        "started": _now(),
        "config_sha256": declared.config_hash,
        "config": declared.config,
        "working_directory": redact(str(Path.cwd())),
        "versions": versions(),
        "git_commit": program_commit(),
        "project_git_commit": git_commit(Path.cwd()),
        "command": command_line(declared.overrides),
    }


def _continued(folder: Path) -> dict[str, Any]:
    """Return what stays of the manifest of a session that is continued, and when it is."""
    before, now = unfinished_session(folder) or {}, _now()
    lost = {LOST: before[LOST] or now} if LOST in before else {}
    return {"started": before.get("started", now), "continued": [*before.get("continued", []), now], **lost}


def redacted_paths(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is known of files that were read as it is written, secrets in their paths replaced by their names."""
    return [{**record, "path": redact(str(record["path"]))} for record in records]


def command_line(words: Sequence[str]) -> list[str]:
    """Return the command that runs this program again with the words given, secrets replaced by their names."""
    program = Path(sys.argv[0])
    module = program.name == "__main__.py" and program.parent.name == "kraken_flow"
    return [*(("python", "-m", "kraken_flow") if module else (program.name,)), *map(redact, words)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def _ending(run: Run) -> Iterator[None]:
    """Write how the run ended; what stopped it goes on to the caller."""
    try:
        with exits_refused():
            yield
        run.add({"status": "finished", "finished": _now(), "sources": loaded_sources()})
    except KeyboardInterrupt:
        _end(run, "interrupted", None)
        raise
    except BaseException as error:
        _end(run, "failed", error)
        raise


def _end(run: Run, status: str, error: BaseException | None) -> None:
    run.manifest |= {"status": status, "finished": _now(), "sources": loaded_sources()}
    if error is not None:
        said = isinstance(error, UserError | CheckFailed)
        message = str(error) if said else users_fault(error) or str(error)
        run.manifest["error"] = {"type": type(error).__name__, "message": redact(message)}
    with contextlib.suppress(OSError):
        logger.error("the run %s", status, exc_info=error)
        try:
            run.save()
        except (UserError, CheckFailed):
            # A full disk is often why the run ended: then the least that has to be said takes the manifest's place.
            least = {key: run.manifest[key] for key in ("made_by", "format", "status", "mode", "strategy", "finished")}
            overwrite_json(run.folder / MANIFEST, least | {"error": run.manifest.get("error")})

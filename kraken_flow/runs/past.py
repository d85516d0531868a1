"""A run that is done, read back from its folder."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.errors import UserError
from kraken_flow.core.instrument import currency_of
from kraken_flow.core.redact import revealed
from kraken_flow.nearest import nearest
from kraken_flow.runs.directory import MANIFEST, SESSIONS, TRADES, damage, kind_of, read_manifest
from kraken_flow.runs.journal import JOURNAL
from kraken_flow.runs.members import ranked
from kraken_flow.runs.sources import of_program, source_file

LATEST = "runs/latest"
"""The run that is meant where none is named."""
LOGS = {"orders.log": "order_log_sha256", "ledger.log": "ledger_sha256"}
"""The hashed texts, and where `metrics.json` has their hashes."""
TABLES = ("orders", "fills", "trades", "equity", "risk")
"""The tables of a run, each a parquet file."""
IN_MEMORY = "memory"
"""The path of candles that a program gave."""
_NOT_FILES = ("sample:", IN_MEMORY)
"""How the paths of data begin that was read from no file."""
_NEEDED = ("config.yaml", "metrics.json", *LOGS, *(f"{name}.parquet" for name in TABLES if name != "risk"))


@dataclass(frozen=True)
class PastRun:
    """One run that is done.

    Parameters
    ----------
    name
        The argument that named it, for messages: `mode.run=runs/latest`.
    folder
        Where it lies now, as an absolute path.
    manifest
        What its manifest says.
    """

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    finished: bool = True
    """Whether it has results; a session without has a journal."""

    @staticmethod
    def at(key: str, path: str, unfinished: bool = False) -> "PastRun":
        """Read the run that `key=path` names. Raises `UserError` where there is none, or where it is not finished.

        Parameters: `unfinished` takes a session that is not, of which there is a journal alone.
        """
        name, folder = f"{key}={path}", Path(path).expanduser()
        if folder.is_file():
            raise UserError(f"{name}: this is a file; name its folder, as in {key}={Path(path).parent}")
        if not folder.is_dir():
            raise UserError(f"{name}: there is no such folder{_missing(folder)}")
        manifest = read_manifest(folder)
        if manifest is None:
            inside = next((place for place in (folder / "latest", folder / LATEST) if read_manifest(place)), None)
            if (damaged := damage(folder)) is not None:
                raise UserError(f"{name}: {damaged}")
            near = f"; did you mean {key}={inside}?" if inside else ""
            raise UserError(f"{name}: the folder holds no run of ours, which has a {MANIFEST}{near}")
        if manifest.get("kind") == "sweep":
            best = next(iter(ranked(folder)), None)
            near = "none of them is finished" if best is None else f"name one, as in {key}={best}, its best"
            raise UserError(f"{name}: this is a sweep of runs; {near}")
        if manifest.get("mode", "backtest" if manifest.get("status") == "failed" else None) not in TRADES:
            raise UserError(f"{name}: this is {kind_of(manifest)}, which trades nothing; name a run that does")
        status = manifest.get("status")
        stopped = status == "interrupted" and manifest.get("mode") in SESSIONS and (folder / "metrics.json").is_file()
        if status != "finished" and not stopped:
            run = PastRun(name, folder.absolute(), manifest, finished=False)
            if unfinished and run.journal is not None and run.journal.is_file():
                return run
            told = f"{name}: the run is not finished, its manifest says {status}{_why(manifest)}"
            raise UserError(
                told if run.journal is None else f"{told}, or mode=replay mode.run={path} to see it as it is"
            )
        lacking = [file for file in _NEEDED if not (folder / file).is_file()]
        if lacking:
            raise UserError(f"{name}: the run is not complete: it has no {', '.join(lacking)}")
        run = PastRun(name, folder.absolute(), manifest)
        if not isinstance(run.metrics, dict):
            raise UserError(f"{name}: its metrics.json holds no object")
        return run

    @property
    def mode(self) -> str:
        """The mode that made it."""
        return str(self.manifest.get("mode"))

    @property
    def strategy(self) -> str:
        """The strategy's name, part of its client ids."""
        return str(self.manifest.get("strategy"))

    @property
    def currency(self) -> str:
        """The currency of its account, empty where its manifest does not say."""
        pair = str(next(iter(self.manifest.get("pairs") or [""])))
        return currency_of(pair) if "/" in pair else ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the manifest says of each file that was read; values of secrets in paths come from the environment."""
        found = self.manifest.get("data") or []
        return [{**record, "path": revealed(str(record.get("path")))[0]} for record in found]

    @property
    def journal(self) -> Path | None:
        """Its journal, None where a run of its kind has none."""
        return self.folder / JOURNAL if self.mode in SESSIONS else None

    @property
    def files(self) -> list[dict[str, Any]]:
        """The records of what was read from files."""
        return [record for record in self.records if not str(record.get("path")).startswith(_NOT_FILES)]

    @property
    def session(self) -> Path | None:
        """For the replay of a session: that session's folder, as it was named."""
        replayed = self.manifest.get("replays")
        return Path(revealed(replayed)[0]) if isinstance(replayed, str) else None

    @property
    def modules(self) -> dict[str, str]:
        """The hashes of the sources that are the user's, by module."""
        found = self.manifest.get("sources") or {}
        return {name: known for name, known in found.items() if not of_program(name) and name != "__main__"}

    def homes(self) -> list[Path]:
        """Return the folders that its relative paths may mean: the working directory, and that of the run.

        Raises `UserError` where no folder is left. A relative one, and one inside the run's folder, is none that we
        wrote: code that came with a run would be loaded from there.
        """
        made_in = self.manifest.get("working_directory")
        named = Path(revealed(made_in)[0]) if isinstance(made_in, str) else None
        places = [Path.cwd(), *([named] if named is not None and named.is_absolute() else [])]
        found = [place for place in dict.fromkeys(places) if place.is_dir() and not self._holds(place)]
        if not found:
            raise UserError(f"{self.name}: its folder is the working directory; call that from outside of it")
        return found

    def _holds(self, place: Path) -> bool:
        return place.resolve().is_relative_to(self.folder.resolve())

    @contextmanager
    def at_home(self) -> Iterator[Path]:
        """Stand, for as long as the context lasts, where its relative paths lead to most of what it read.

        That is the working directory where nothing is missing there, or no more than where the run was made. Modules
        are not looked for inside the run's own folder.
        """
        wanted = [Path(str(record["path"])) for record in self.files] + ([self.session] if self.session else [])
        before = list(sys.path)
        outside = [entry for entry in before if not self._holds(Path(entry))]

        def lacking(place: Path) -> int:
            without_file = sum(not (place / path).exists() for path in wanted)
            return without_file + sum(source_file(module, [str(place), *outside]) is None for module in self.modules)

        home = min(self.homes(), key=lacking)
        sys.path[:] = outside if outside[:1] == [str(home)] else [str(home), *outside]
        try:
            with chdir(home):
                yield home
        finally:
            sys.path[:] = before

    @cached_property
    def config(self) -> str:
        """Its `config.yaml` as it stands."""
        return self.text("config.yaml")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Its `metrics.json`."""
        try:
            content: dict[str, Any] = orjson.loads(self.text("metrics.json"))
        except orjson.JSONDecodeError as error:
            raise UserError(f"{self.name}: its metrics.json cannot be read ({error})") from None
        return content

    def text(self, file: str) -> str:
        """Return one of its files as text."""
        try:
            return (self.folder / file).read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is not UTF-8"
            raise UserError(f"{self.name}: its {file} cannot be read ({why})") from None


def _missing(folder: Path) -> str:
    if folder == Path(LATEST):
        return "; no run has been made in this working directory: make one, or name one"
    if not folder.parent.is_dir():
        return f"; {folder.parent} does not exist either"
    found = nearest(folder.name, (path.name for path in folder.parent.iterdir() if path.is_dir()))
    return f"; did you mean {folder.parent / found}?" if found else ""


def _why(manifest: Mapping[str, Any]) -> str:
    error = manifest.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    told = f" ({message})" if message else ""
    if manifest.get("mode") in SESSIONS:
        return f"{told}; repeat its own command to go on with it"
    return told or "; make it anew"

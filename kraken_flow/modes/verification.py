"""Whether a past run comes out again, and what changed where it does not."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import ArrowException

from kraken_flow.config import compose
from kraken_flow.config.composition import read_yaml
from kraken_flow.config.differences import changed_keys
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.redact import revealed
from kraken_flow.modes.rerun import Again, again, graph_of
from kraken_flow.runs.differences import beyond_rounding, by_source, first_difference, metric_changes, version_changes
from kraken_flow.runs.logs import ledger_log, order_log, text_hash
from kraken_flow.runs.past import LOGS, PastRun
from kraken_flow.runs.progress import COMPARING, Work
from kraken_flow.runs.sources import changed_sources, of_program, program_commit, source_file, versions
from kraken_flow.runs.tables import Tables
from kraken_flow.runs.write import full_metrics

HASHES = {"order log": "order_log_sha256", "ledger": "ledger_sha256", "data": "data_sha256"}
"""The hashes of a run by what they are of."""
CANDLES = ("bars", "detail", "mark", "funding")
"""Roles of files of which a run reads a span; any other is read whole."""
_COMMANDS = (["python", "-m", "kraken_flow"], ["kraken-flow"])
_WHAT = {"orders.log": "order", "ledger.log": "line of the ledger"}


@dataclass
class Verification:
    """What a verification found.

    Parameters
    ----------
    past
        The run.
    engine
        Which engine makes it again.
    work
        Is told what is being done.
    """

    past: PastRun
    engine: str
    work: Work = field(default_factory=lambda: Work(quiet=True))
    changed: list[str] = field(default_factory=list)
    """What is not as it was, a sentence each: the run is not verified."""
    notes: list[str] = field(default_factory=list)
    """What is not as it was and changed nothing."""
    hashes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The hashes by what they are of: those of the run, and those that came out now."""
    stopped: str = ""
    """Why it could not be made again; empty where it could."""
    journal: bool = False
    """Whether a journal was folded, and came to what stands in it."""
    edited: list[str] = field(default_factory=list)
    """Files of candles that are not what they were; the bars that the run read may be."""

    @property
    def same_hashes(self) -> bool:
        """Whether the run was made again and every hash is what it was."""
        return bool(self.hashes) and all(before == now for before, now in self.hashes.values())

    def look(self) -> None:
        """Check everything; what is found goes into the fields."""
        past = self.past
        near = {module: source_file(module) for module in past.modules}
        with past.at_home() as home:
            far = list(self._far(near))
            self.changed += self._configuration(tell_keys=not far)
            for name, of in LOGS.items():
                if text_hash(past.text(name)) != past.metrics.get(of):
                    self.changed.append(f"{name}: was edited; its hash is not the one in metrics.json")
            self.changed += self._files(home)
            self.stopped = "\n".join([*self.stopped.splitlines(), *far])
            if not self.stopped:
                self._make()
            self._judge_files()
            self._sources()
            if not far:
                self.notes += self._command()
        self.notes += [f"version: {text}" for text in version_changes(past.manifest.get("versions") or {}, versions())]

    def _configuration(self, tell_keys: bool) -> Iterator[str]:
        """Name the keys of `config.yaml` that are not what ran.

        Parameters: `tell_keys` whether the modules that it names may be loaded, which know the defaults.
        """
        past = self.past
        known, original = past.manifest.get("config_sha256"), past.manifest.get("config")
        if text_hash(past.config) == known:
            return
        if not isinstance(original, str) or sha256(original.encode()).hexdigest() != known:
            yield "config.yaml: was edited (its hash is not the manifest's); the manifest does not tell which key"
            return
        if not tell_keys:
            yield "config.yaml: was edited; its hash is not the manifest's"
            return
        try:
            keys = changed_keys(read_yaml(original), read_yaml(past.config), free=())
        except UserError as error:
            yield f"config.yaml: was edited, and cannot be read: {error}"
            return
        if keys:
            yield from (f"config.yaml: {key}" for key in keys)
        else:
            self.notes.append("config.yaml: was rewritten; every value is what it was")

    def _files(self, home: Path) -> Iterator[str]:
        """Name the files of data that are not what was read; those that are missing stop the run."""
        missing = []
        for record in {str(record["path"]): record for record in self.past.files}.values():
            path = Path(str(record["path"]))
            if revealed(str(path))[1]:
                continue  # the configuration holds the place of the same secret, and says so with its key
            if not path.is_file() and record.get("part"):
                # Files of a store do not change; one that is gone gave way to another, which may hold the same span.
                self.notes.append(f"data: {path}{_of(record)} is not there any more; the bars are read anew")
            elif not path.is_file():
                places = "" if path.is_absolute() else f" below {' or '.join(map(str, self.past.homes()))}"
                missing.append(f"{self.past.name}: the file {path}{_of(record)} is not there{places}")
            elif (now := file_hash(path)) != record.get("sha256"):
                told = (
                    f"data: {home / path}{_of(record)} was {_short(record.get('sha256'))}, is {_short(now)} (SHA-256)"
                )
                if record.get("role") not in CANDLES or record.get("part"):
                    yield told
                else:
                    self.edited.append(told)
        # The replay of a session reads its journal, not the files that the session read.
        if missing and self.past.session is None:
            self.stopped = "\n".join(missing)

    def _judge_files(self) -> None:
        """A file that was edited is a change, unless what the run read of it is what it was: later bars were added."""
        before, now = self.hashes.get("data", ("", "other"))
        if before == now:
            self.notes += [f"{told}; what the run read of it is as it was" for told in self.edited]
        else:
            self.changed[:0] = self.edited

    def _far(self, near: Mapping[str, Path | None]) -> Iterator[str]:
        """Name the changed modules that are not found from where the user stands: they may not be loaded.

        Parameters: `near` the files of the user's modules as they are found from there.
        """
        for module, path in changed_sources(self.past.modules).items():
            if path is not None and path != near.get(module):
                yield (
                    f"{self.past.name}: {path} is not the {module} that ran, and not in the working directory; "
                    "look at it, and call that from the folder it is in"
                )

    def _make(self) -> None:
        """Make the run again and compare what comes out."""
        past = self.past
        try:
            made = again(past, graph_of(past), self.engine, self.work)
        except UserError as error:
            self.stopped = str(error)
            return
        except CheckFailed as error:
            self.changed.append(f"journal: {error}")
            return
        self.work.now(COMPARING)
        self.journal = made.journal
        tables = Tables(made.done.finished, past.strategy)
        texts = {"orders.log": order_log(tables), "ledger.log": ledger_log(tables)}
        metrics = full_metrics(tables, texts["orders.log"], texts["ledger.log"])
        self.hashes = {what: (str(past.metrics.get(of)), metrics[of]) for what, of in HASHES.items()}
        self.changed += self._data(made)
        self.changed += [f"data: {what}" for _, what in made.other]
        self.changed += [f"journal: {problem}" for problem in made.problems]
        for what, (before, now) in self.hashes.items():
            if before != now:
                self.changed.append(f"{what}: was {before}, is {now} (SHA-256)")
        for name, text in texts.items():
            if parted := first_difference(past.text(name), text):
                self.changed.append(
                    f"{name}: the first {_WHAT[name]} that differs is line {parted.line}\n"
                    f"  was {parted.before}\n  is  {parted.now}"
                )
        if self.same_hashes and (results := [*self._results(tables, metrics)]):
            self.changed += [*results, *self._program()]

    def _data(self, made: Again) -> Iterator[str]:
        """Name the data that was read from no file and is not what it was."""
        now = by_source(made.done.finished.market.files)
        files = by_source(self.past.files)
        for source, record in by_source(self.past.records).items():
            other = now.get(source)
            if source not in files and other is not None and other.get("sha256") != record.get("sha256"):
                hashes = f"was {_short(record.get('sha256'))}, is {_short(other.get('sha256'))}"
                yield f"data: {record.get('path')}{_of(record)} {hashes} (SHA-256)"

    def _results(self, tables: Tables, metrics: dict[str, Any]) -> Iterator[str]:
        """Name the metrics and tables in the folder that are not what the run makes."""
        known = {name: metrics[name] for name in self.past.metrics if name in metrics}
        for change in metric_changes(self.past.metrics, known):
            if change.name.partition(".")[0] in known and beyond_rounding(change):
                yield f"metrics.json: {change.name} was {change.before}, is {change.now}"
        for name in tables.names:
            if name == "risk" and not (self.past.folder / "risk.parquet").exists() and not len(tables.risk):
                continue  # the run was made before there were limits to record
            try:
                same = pq.read_table(self.past.folder / f"{name}.parquet").equals(getattr(tables, name))
            except (OSError, ArrowException) as error:
                yield f"{name}.parquet: cannot be read ({str(error).splitlines()[0]})"
                continue
            if not same:
                yield f"{name}.parquet: is not the table that the run makes"

    def _program(self) -> Iterator[str]:
        """Say where another version of the program measured what is the same by every hash."""
        manifest = self.past.manifest
        both = [
            ((manifest.get("versions") or {}).get("kraken-flow"), versions()["kraken-flow"]),
            (manifest.get("git_commit"), program_commit()),
        ]
        files = sum(map(of_program, changed_sources(manifest.get("sources") or {})))
        if not files and both[0][0] == both[0][1]:
            return
        told = [
            f"{what} was {str(before or 'unknown')[:12]}, is {str(now or 'unknown')[:12]}"
            for what, (before, now) in zip(("version", "commit"), both, strict=True)
            if before != now
        ]
        told += [f"{files} of its files changed"] * bool(files)
        yield (
            f"program: another version of Kraken Flow made this run ({'; '.join(told)}); orders, ledger and data are "
            "what they were, so that it may only have measured otherwise"
        )

    def _sources(self) -> None:
        """Name the source files that are not what ran."""
        for module, path in changed_sources(self.past.manifest.get("sources") or {}).items():
            text = f"source: {module} {'is gone' if path is None else f'changed: {path}'}"
            # A newer program that makes the same of the same is what one hopes for; and the process of the run may have
            # loaded what was for others, as that of a sweep over strategies does.
            harmless = self.same_hashes and (of_program(module) or module not in sys.modules)
            (self.notes if harmless else self.changed).append(text)

    def _command(self) -> Iterator[str]:
        """Say where the run's command would be another configuration today: the run is what its `config.yaml` says."""
        command = list(self.past.manifest.get("command") or [])
        program = next((words for words in _COMMANDS if command[: len(words)] == words), None)
        original = self.past.manifest.get("config")
        if program is None or not isinstance(original, str):
            return
        try:
            now = compose([revealed(word)[0] for word in command[len(program) :]])
            keys = changed_keys(read_yaml(revealed(original)[0]), now)
        except UserError as error:
            yield f"command: it would be refused today: {'; '.join(str(error).splitlines())}"
            return
        yield from (f"command: it would be another configuration today: {key}" for key in keys)


def _of(record: Any) -> str:
    pair = record.get("pair")
    return f" ({pair})" if pair else ""


def _short(digest: Any) -> str:
    return str(digest)[:12]

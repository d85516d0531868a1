"""Modes `import` and `data`: fill the data store, list it, check it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kraken_flow.config.nodes import FAILED, build_node, node_class
from kraken_flow.config.paths import options, target_of
from kraken_flow.core.catalogue import Catalogue, Entry, Taken, Wanted
from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.node import node
from kraken_flow.core.redact import redact
from kraken_flow.core.times import iso
from kraken_flow.modes import Call, Mode
from kraken_flow.runs.console import print_json
from kraken_flow.runs.lock import HeldError, hold

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_GROUP = "data"
_OPTION = "store"
_PROMISED = ("folder", "expect", "fill", "entries")
"""What tells the class of a catalogue; its fields are not known before it is built."""


@node
class Import(Mode):
    """Fill the data store from candle files, a folder, or Kraken's zip; what is there already is not read again."""

    needs_graph = False
    source: str
    """A candle file, a folder (sub-folders too), or a zip of CSV files, which is not unpacked."""
    exchange: str = "kraken"
    """The exchange that the candles are of."""
    pair: str | None = None
    """The pair of a single file whose name does not say it."""
    timeframe: str | None = None
    """The timeframe, for files whose names do not say it; null: as they say, else the distance of their bars."""
    on_bad: Literal["error", "drop"] = "error"
    """What to do with a file that has a bad row: refuse it and name the row, or leave such rows out and count them."""
    on_conflict: Literal["error", "keep", "replace"] = "error"
    """Where a bar is there with other values: refuse the file and name both, keep what is there, or replace it."""

    def drive(self, call: Call) -> int:
        """Import, and say at the end what was refused. Raises `UserError` where anything was."""
        store = catalogue(call)
        wanted = Wanted(
            Path(self.source).expanduser(), self.exchange, self.pair, self.timeframe, self.on_bad, self.on_conflict
        )
        expected = store.expect(wanted)
        tally = _Tally()
        with _filling(store.folder, tally):
            progress = Progress(console=Console(stderr=True), transient=True)
            progress.disable = not progress.console.is_terminal
            with progress:
                task = progress.add_task("importing", total=expected)
                for taken in store.fill(wanted):
                    tally.count(taken)
                    progress.advance(task)
        if call.choices.get("report") == "json":
            print_json(tally.content() | {"store": redact(str(store.folder))})
        else:
            Console(highlight=False, soft_wrap=True).print(tally.said(store.folder), markup=False)
        if tally.refused:
            what = "1 file was refused" if len(tally.refused) == 1 else f"{len(tally.refused)} files were refused"
            raise UserError("\n".join([*tally.refused, f"mode.source={self.source}: {what}; the others are imported"]))
        return 0


@dataclass
class _Tally:
    """What became of the files of an import."""

    read: int = 0
    already: int = 0
    bars: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("added", "same", "kept", "replaced"), 0))
    dropped: int = 0
    refused: list[str] = field(default_factory=list)

    def count(self, taken: Taken) -> None:
        """Add a file."""
        if taken.problem:
            self.refused.append(taken.problem)
            return
        self.already += taken.already
        self.read += not taken.already
        self.dropped += taken.dropped
        for name in self.bars:
            self.bars[name] += getattr(taken, name)

    def content(self) -> dict[str, Any]:
        """Return the numbers as JSON holds them."""
        files = {"read": self.read, "already": self.already, "refused": len(self.refused)}
        return {"files": files, "bars": self.bars, "dropped_rows": self.dropped, "problems": self.refused}

    def said(self, folder: Path) -> str:
        """Say the numbers in a line; those that are 0 and unusual are left out."""
        words = [f"bars added {self.bars['added']:,}", f"there already {self.bars['same']:,}"]
        words += [f"{name} {self.bars[name]:,}" for name in ("kept", "replaced") if self.bars[name]]
        words += [f"bad rows left out {self.dropped:,}"] if self.dropped else []
        files = [f"files read {self.read:,}", f"imported before {self.already:,}"]
        files += [f"refused {len(self.refused):,}"] if self.refused else []
        return redact(f"{folder}: {', '.join(files)}; {', '.join(words)}")


@contextmanager
def _filling(folder: Path, tally: _Tally) -> Iterator[None]:
    """Hold a store for one import, and turn what the file system refuses into a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = hold(folder)
    except HeldError:
        raise UserError(f"data.path={folder}: another import is filling this store; wait until it is done") from None
    except OSError as error:
        raise UserError(f"data.path={folder}: cannot be written ({error.strerror}); choose another data.path") from None
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            why = "the disk is full"
        elif error.errno is not None:
            why = f"the store cannot be written ({error.strerror})"
        else:
            why = f"the store cannot be written ({error})"
        if error.errno in _FORBIDDEN:
            raise UserError(
                f"{error.filename or folder}: {why}; what was imported until then (files: {tally.read}) is safe in the "
                "store: make it writable and repeat the command, or choose another data.path"
            ) from error
        raise CheckFailed(
            f"{error.filename or folder}: {why}; what was imported until then (files: {tally.read}) is safe in the "
            "store, and the same command goes on with the rest"
        ) from error
    finally:
        if lock is not None:
            os.close(lock)


@node
class Data(Mode):
    """List the series of the data store, what they cover and miss, and check their hashes."""

    needs_graph = False
    check: bool = True
    """Whether every file is read and its hash compared with the manifest; false lists in no time."""

    def drive(self, call: Call) -> int:
        """Print a line per series. Raises `CheckFailed` naming each damaged file."""
        store = catalogue(call)
        if store.folder.exists() and not store.folder.is_dir():
            raise UserError(f"data.path={store.folder}: is a file, no store; give the folder that mode=import filled")
        if not store.folder.is_dir():
            raise UserError(
                f"data.path={store.folder}: there is no store; fill it with mode=import mode.source=PATH "
                "mode.exchange=kraken"
            )
        entries = list(store.entries(self.check))
        if call.choices.get("report") == "json":
            print_json({"store": redact(str(store.folder)), "series": [_content(entry) for entry in entries]})
        else:
            Console(highlight=False).print(_table(entries))
        damage = [text for entry in entries for text in entry.damage or ()]
        if damage:
            raise CheckFailed("\n".join([*damage, "remove the folder of such a series and import its sources again"]))
        return 0


def _table(entries: list[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for head in ("Exchange", "Pair", "Time\nframe", "From", "To"):
        table.add_column(head, overflow="fold")
    for head in ("Bars", "Gaps", "Missing"):
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("Hash", overflow="fold")
    for entry in entries:
        numbers = (entry.bars, entry.gaps, entry.missing)
        table.add_row(
            entry.exchange,
            entry.pair,
            entry.timeframe,
            *((_short(entry.first), _short(entry.last)) if entry.bars else ("-", "-")),
            *(f"{number:,}" for number in numbers),
            "-" if entry.damage is None else ("DAMAGED" if entry.damage else "ok"),
        )
    return table


def _short(moment: int) -> str:
    return iso(moment)[:10]


def _content(entry: Entry) -> dict[str, Any]:
    times = {"first": iso(entry.first), "last": iso(entry.last)} if entry.bars else {"first": None, "last": None}
    return asdict(entry) | times | {"hash_ok": None if entry.damage is None else not entry.damage}


def catalogue(call: Call) -> Catalogue:
    """Return the data store of a call: `data=store`, which need not be said, with the `data.` keys that were given.

    Raises `UserError` for keys that it does not have, and for arguments that filling and listing a store do not take.
    """
    words = {word.lstrip("+").partition("=")[0] for word in call.overrides if not word.startswith("-")}
    other = sorted(word for word in words if word.partition(".")[0] not in {"mode", "report", _GROUP})
    if other:
        raise UserError(f"{', '.join(other)}: leave that out; this mode takes keys of mode, data and report")
    chosen = dict(call.cfg.get(_GROUP) or {})
    problems: list[str] = []
    target = node_class(chosen.get("_target_"), _GROUP, _GROUP, problems)
    if target is None or not all(hasattr(target, name) for name in _PROMISED):
        if _GROUP in words:
            raise UserError(f"data={call.choices.get(_GROUP)}: is no data store; write data={_OPTION}")
        given = {word.removeprefix(f"{_GROUP}.") for word in words if word.startswith(f"{_GROUP}.")}
        ours = target_of(options(_GROUP)[_OPTION])
        chosen = {"_target_": ours} | {key: value for key, value in chosen.items() if key in given}
        problems = []
    store = build_node(chosen, _GROUP, _GROUP, problems)
    if problems or store is FAILED or not isinstance(store, Catalogue):
        raise UserError("\n".join(problems) or f"data: {chosen.get('_target_')} is no data store")
    return store

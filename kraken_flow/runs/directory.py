"""A run's folder: taken by one run at a time, made before anything else, its manifest written first."""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.whole import write_whole
from kraken_flow.runs import lock

MANIFEST = "manifest.json"
JOURNAL = "journal"
"""Name of a session's journal."""
MAGIC = b"KFJRNL1\n"
"""The first bytes of a journal."""
MADE_BY = "kraken-flow"
COMPARISON = "comparison.html"
"""Name of the page that lays runs side by side."""
FILES = (
    *("config.yaml", "overrides.yaml", "metrics.json", "orders.parquet", "fills.parquet", "trades.parquet"),
    *("equity.parquet", "risk.parquet", "parents.parquet", "orders.log", "ledger.log", JOURNAL, "report.html"),
    *("leaderboard.csv", "leaderboard.json", COMPARISON, "stress.json", "crosscheck.json"),
    *("frontier.csv", "frontier.json", "frontier.html"),
    *("audit.json", MANIFEST),
)
"""What we may have written into a folder, besides `run.log` with its rotations and the numbered members of a sweep."""
SESSIONS = ("paper",)
"""Modes whose runs are continued where they stopped."""
TRADES = ("backtest", "replay", *SESSIONS)
"""Modes whose runs trade: the newest of theirs, or a sweep of them, is the latest run."""
LATEST = "latest"
"""Name of the link to the newest run below a root."""
LOST = "manifest_lost"
"""Key of the manifest under which stands when it was written anew, because the one before was lost or damaged."""
STREAMED = "stream"
"""Key of the manifest under which a session on live data says what it met."""
AGAIN = "the run is not complete: make room there and repeat the command"
"""What a full disk means for a run that is made anew."""
_LEFT_OVER = re.compile(rf"\.({'|'.join(map(re.escape, FILES))})\.\d+")
"""Files whose writer was killed before it could give them their name."""
_OURS = re.compile(rf"run\.log(\.\d+)?|{_LEFT_OVER.pattern}")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder that holds a run of ours, else None."""
    try:
        content = orjson.loads((folder / MANIFEST).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return content if isinstance(content, dict) and content.get("made_by") == MADE_BY else None


def damage(folder: Path) -> str | None:
    """Say what is wrong with a folder's manifest; None where there is none, and where it can be read."""
    try:
        content = orjson.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"its {MANIFEST} cannot be read ({os.strerror(error.errno or 0)})"
    except orjson.JSONDecodeError as error:
        told = f"its {MANIFEST} is damaged ({str(error).replace(':', ',')})"
        if _outlived(folder):
            return f"{told}: its journal is there, and its own command with run_dir={folder} goes on and writes it anew"
        return f"{told}: put a copy of it back, or make the run anew in another folder"
    ours = isinstance(content, dict) and content.get("made_by") == MADE_BY
    return None if ours else f"its {MANIFEST} is not one of ours"


def holds_run(folder: str | Path | None) -> bool:
    """Return whether a folder holds a run of ours, which a new run there would replace."""
    return folder is not None and read_manifest(Path(folder)) is not None


def unfinished_session(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder that holds a session which can be continued, else None.

    A session is its journal and its `config.yaml`: where these lie and the manifest is lost or damaged, one stands for
    it that says so.
    """
    manifest = read_manifest(folder)
    if manifest is None and _outlived(folder):
        return {"made_by": MADE_BY, "status": "interrupted", "mode": SESSIONS[0], LOST: None}
    can = manifest is not None and manifest.get("mode") in SESSIONS and manifest.get("status") != "finished"
    return manifest if can else None


def _outlived(folder: Path) -> bool:
    """Return whether a session's journal and configuration lie in a folder whose manifest is lost or damaged."""
    try:
        with (folder / JOURNAL).open("rb") as file:
            begun = file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
    if not begun or not (folder / "config.yaml").is_file():
        return False
    try:
        orjson.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return True
    except OSError:
        pass
    return False


def kind_of(manifest: Mapping[str, Any]) -> str:
    """Return in words what a run is: a backtest, an audit, a sweep."""
    word = str(manifest.get("kind") or manifest.get("mode") or "run")
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def check_replaceable(folder: Path) -> None:
    """Refuse to replace a session on live data: what it saw cannot be had again. Raises `UserError`."""
    manifest = read_manifest(folder)
    if manifest is not None and manifest.get("mode") in SESSIONS and STREAMED in manifest:
        raise UserError(
            f"run_dir={folder}: a finished session on live data is there, and its journal cannot be made again; "
            "choose another run_dir, or leave run_dir out for a new folder"
        )


def write_json(path: Path, content: Any, sync: bool = False) -> None:
    """Write JSON as `write_whole` does."""
    write_whole(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), sync)


def overwrite_json(path: Path, content: Any) -> None:
    """Write JSON into the very blocks of a file, for a disk that has no room for a second copy; blanks fill it up."""
    text = orjson.dumps(content)
    with path.open("r+b") as file:
        file.write(text.ljust(path.stat().st_size - 1) + b"\n")
        file.truncate()


@contextmanager
def explained(folder: Path, then: str = AGAIN, key: str = "run_dir") -> Iterator[None]:
    """Turn what a file system refuses into a sentence: the input is wrong (exit 2), or the disk is full (exit 1).

    Parameters: `then` what a full disk leaves and what to do; `key` of the configuration by which another place is
    chosen.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise CheckFailed(f"{place}: the disk is full; {then}") from error
        if error.errno in {
            errno.EACCES,
            errno.EPERM,
            errno.EROFS,
            errno.ENOTDIR,
            errno.EISDIR,
            errno.EEXIST,
            errno.ENOENT,
        }:
            raise UserError(f"{place}: cannot be written ({os.strerror(error.errno)}); choose another {key}") from error
        raise


def new_folder(root: Path, mode: str, strategy: str, config_hash: str) -> Path:
    """Make `root/<mode>/<strategy>/<UTC time with microseconds>-<hash8>`, exclusively, and return it."""
    parent = root / mode / strategy.replace("/", "_")
    with explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{config_hash[:8]}"
            try:
                (parent / name).mkdir()
            except FileExistsError:
                continue
            return parent / name


def point_latest(root: Path, folder: Path) -> None:
    """Let `root/latest` name a folder below the root; a file system without symbolic links goes without.

    A folder elsewhere, and a member of a sweep, which the link names as a whole, leave it where it is.
    """
    real, top = folder.resolve(), root.resolve()
    if top not in real.parents or (read_manifest(real.parent) or {}).get("kind") == "sweep":
        return
    fresh = top / f".latest.{os.getpid()}"
    with contextlib.suppress(OSError):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(real, top), target_is_directory=True)
        fresh.replace(top / LATEST)


def check_no_latest(root: Path, folder: Path) -> None:
    """Refuse to make a folder where the link to the newest run is to be. Raises `UserError`."""
    if folder.name == LATEST and folder.parent.resolve() == root.resolve() and not folder.exists():
        raise UserError(f"run_dir={folder}: that is the link to the newest run, and there is none; choose another name")


class Claim:
    """The hold on a folder, until it is released or the process ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.continues = False
        """Whether the folder holds a session that is to be continued."""
        try:
            self._handle = lock.hold(folder)
        except lock.HeldError:
            raise UserError(f"run_dir={folder}: another run is writing there; choose another folder") from None

    @property
    def locks(self) -> bool:
        """Whether the file system can keep others out; without, the manifest alone guards the folder."""
        return self._handle is not None

    def release(self) -> None:
        """Let others take the folder."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None


def claim(folder: Path, resume: Callable[[Path], None] | None = None) -> Claim:
    """Take a folder for a run: make it, or clear the earlier run of ours that it holds.

    Files that we did not write stay. A session there that is not finished is never cleared: `resume` says (by raising)
    why it cannot be continued. Nor is a finished one on live data. Raises `UserError` where the folder holds something
    else, or where another run is writing.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = Claim(folder)
        try:
            if resume is not None and not held.locks:
                raise UserError(
                    f"run_dir={folder}: this file system has no locks, so that two sessions could write one journal; "
                    "choose a folder on another disk"
                )
            if unfinished_session(folder) is not None:
                if resume is None:
                    raise UserError(
                        f"run_dir={folder}: a session there is not finished; continue it with its own command, "
                        "or choose another folder"
                    )
                resume(folder)
                held.continues = True
            elif read_manifest(folder) is not None:
                check_replaceable(folder)
                _clear(folder)
            elif any(path.name != lock.LOCK and not _LEFT_OVER.fullmatch(path.name) for path in folder.iterdir()):
                found = damage(folder)
                if found is None and (below := _run_below(folder)) is not None:
                    raise UserError(
                        f"run_dir={folder}: runs of ours lie in folders below it ({below.relative_to(folder)}), so "
                        f"that it cannot be a run's own; choose another folder, for example run_dir={_beside(folder)}"
                    )
                why = f" ({found.partition(':')[0]})" if found else ""
                raise UserError(
                    f"run_dir={folder}: the folder is not empty and holds no earlier run of ours{why}; "
                    "choose an empty or a new folder"
                )
        except BaseException:
            held.release()
            raise
    return held


def _run_below(folder: Path) -> Path | None:
    """Return a folder below that holds a run of ours, as those of `runs/<mode>` do; None without one."""
    found = (path.parent for depth in ("*", "*/*", "*/*/*") for path in sorted(folder.glob(f"{depth}/{MANIFEST}")))
    return next((path for path in found if read_manifest(path) is not None), None)


def _beside(folder: Path) -> Path:
    """Return a name like a folder's that is free."""
    return next(path for n in count(1) if not (path := folder.with_name(f"{folder.name}_{n}")).exists())


def drop_empty(folder: Path, top: Path) -> None:
    """Remove a folder and those above it, up to `top`, as far as they are empty."""
    with contextlib.suppress(OSError):
        while folder != top:
            folder.rmdir()
            folder = folder.parent


def discard(folder: Path) -> None:
    """Remove a run of ours, or an empty folder; files that we did not write stay, and then the folder does too."""
    if read_manifest(folder) is not None:
        _clear(folder)
        (folder / MANIFEST).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _clear(folder: Path) -> None:
    """Remove what an earlier run wrote, its manifest last, so that the folder stays ours if interrupted.

    A session is no member of a sweep: one inside the folder stays.
    """
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_dir():
            if path.name != MANIFEST and (path.name in FILES or _OURS.fullmatch(path.name)):
                path.unlink()
        elif path.name.isdecimal():
            member = read_manifest(path)
            if member is not None and member.get("mode") not in SESSIONS:
                discard(path)

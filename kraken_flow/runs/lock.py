"""The lock on a run's folder: advisory, and gone with the process that holds it, however that ends."""

import errno
import fcntl
import os
import time
from pathlib import Path

LOCK = ".lock"
"""Locked in place of the folder on network file systems, which lock nothing that is not open for writing."""
_HELD = {errno.EWOULDBLOCK, errno.EACCES}
_PATIENCE_S = 0.3
"""How long a new holder waits: whoever only looks whether a folder is held lets go at once."""


class HeldError(Exception):
    """Another process holds the folder."""


def hold(folder: Path) -> int | None:
    """Lock a folder; return a handle to close, None where the file system knows no locks.

    Raises `HeldError` where another process holds it.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return _locked(folder, fcntl.LOCK_EX)
        except HeldError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def is_held(folder: Path) -> bool:
    """Return whether a process holds a folder."""
    try:
        handle = _locked(folder, fcntl.LOCK_SH)
    except HeldError:
        return True
    except OSError:
        return False
    if handle is not None:
        os.close(handle)
    return False


def _locked(folder: Path, kind: int) -> int | None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in _HELD:
            raise HeldError from None
        return _locked_file(folder / LOCK, kind)
    return handle


def _locked_file(path: Path, kind: int) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in _HELD:
            raise HeldError from None
        return None
    return handle

"""Files that a reader sees whole, the old one or the new one, never half of one."""

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, data: bytes, sync: bool = False) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of one.

    Parameters: `sync` holds that also where the machine stops, not only the program.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(data)
        if sync:
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        error.filename = str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, so that what is renamed next is never there without them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

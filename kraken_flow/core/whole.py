"""Files that a reader sees whole, the old one or the new one, never half of one."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path, sync: bool = False) -> Iterator[Path]:
    """Give the path at which to write what becomes the file `path` when the block is through; else nothing stays of it.

    Parameters: `sync` holds that also where the machine stops, not only the program. An `OSError` names `path`.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield fresh
        if sync:
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


def write_whole(path: Path, data: bytes, sync: bool = False) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of one.

    Parameters: `sync` as in `whole`.
    """
    with whole(path, sync) as fresh:
        fresh.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, so that what is renamed next is never there without them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

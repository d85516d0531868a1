"""The hash by which a run names the files that it read."""

import hashlib
from pathlib import Path


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hex, read in pieces; `sha256sum` prints the same."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

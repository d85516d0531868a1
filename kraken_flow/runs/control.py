"""What users tell a running session: requests in its folder, which it takes between two instants and journals.

A request is a file of its own, written under another name first, so that it is there whole or not at all. The session
removes it once it stands in the journal; its name stands there too, so that no restart does it twice.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from kraken_flow.core.orders import Control
from kraken_flow.runs.directory import explained

FOLDER = "control"
"""Folder of the requests, in the session's."""


def ask(folder: Path, what: Control) -> Path:
    """Leave a request; return its file, which is gone once the session has journalled it."""
    place = folder / FOLDER
    with explained(place):
        place.mkdir(exist_ok=True)
        request = place / f"{time.time_ns()}-{os.getpid()}.{what.word}"
        fresh = request.with_name(f".{request.name}")
        fresh.touch()
        fresh.replace(request)
    return request


def requests(folder: Path) -> Iterator[tuple[Path, Control]]:
    """Yield the requests that wait, in the order in which they were made; other files are left alone."""
    try:
        names = sorted(path.name for path in (folder / FOLDER).iterdir())
    except FileNotFoundError:
        return
    words = {what.word: what for what in Control}
    for name in names:
        stamp, _, word = name.partition(".")
        if word in words and stamp.replace("-", "").isdecimal():
            yield folder / FOLDER / name, words[word]

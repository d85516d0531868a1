"""What users tell a running session: requests in its folder, which it takes between two instants and journals.

A request is a file of its own, written under another name first, so that it is there whole or not at all. The session
removes it once it stands in the journal; its name stands there too, so that no restart does it twice.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from kraken_flow.core.orders import Control, Side
from kraken_flow.core.parents import ManualOrder
from kraken_flow.core.plan import Algo, Plan, Remainder
from kraken_flow.core.units import parse, text
from kraken_flow.runs.directory import explained

FOLDER = "control"
"""Folder of the requests, in the session's."""


def ask(folder: Path, what: Control, content: bytes = b"") -> Path:
    """Leave a request and what it says; return its file, which is gone once the session has journalled it."""
    place = folder / FOLDER
    with explained(place):
        place.mkdir(exist_ok=True)
        request = place / f"{time.time_ns()}-{os.getpid()}.{what.word}"
        fresh = request.with_name(f".{request.name}")
        fresh.write_bytes(content)
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


def order_content(order: ManualOrder, pairs: Sequence[str]) -> bytes:
    """Return a user's order as a request and a journal hold it: words and exact decimals."""
    plan = {
        name: value.word if isinstance(value, Algo | Remainder) else value for name, value in vars(order.plan).items()
    }
    content = {"pair": pairs[order.pair], "side": order.side.word, "quantity": text(order.qty), "plan": plan}
    return orjson.dumps(content)


def order_of(content: dict[str, Any], pairs: Sequence[str]) -> ManualOrder:
    """Read a user's order. Raises `ValueError` or `UserError` where it is none, or of a pair that the session lacks."""
    try:
        plan = dict(content["plan"])
        plan |= {"algo": Algo[plan["algo"].upper()], "remainder": Remainder[plan["remainder"].upper()]}
        side, qty = Side[content["side"].upper()], parse(content["quantity"], what="quantity")
        order = ManualOrder(pairs.index(content["pair"]), side, qty, Plan(**plan))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no order: {error}") from None
    if order.qty <= 0:
        raise ValueError("an order needs a quantity")
    return order

"""A run's tables and journal as CSV or JSON: exact decimals as text, times in UTC; no file of a user's is touched."""

import csv
import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from kraken_flow.core.errors import CheckFailed, UserError
from kraken_flow.core.hashes import file_hash
from kraken_flow.core.market import FIELDS
from kraken_flow.core.orders import LogKind, OrderType, Reason, Side, Tif
from kraken_flow.core.plan import Algo, way
from kraken_flow.core.tape import Bars, Tape
from kraken_flow.core.times import iso, timeframe_name
from kraken_flow.core.units import text
from kraken_flow.runs import arrow
from kraken_flow.runs.directory import MADE_BY, write_json
from kraken_flow.runs.past import TABLES, PastRun
from kraken_flow.runs.session_journal import SENT, begin, instant_of
from kraken_flow.runs.tables import PARENTS

NOTE = "export.json"
"""Says which files an export wrote, so that the next one replaces those and no others."""
Row = Sequence[Any]
_PRICES = ("limit_price", "stop_price", "trail", "trail_rate")
_COMMAND = (
    *("time", "kind", "order_id", "pair", "side", "type", "qty", *_PRICES),
    *("tif", "expire_time", "post_only", "reduce_only", "tag", "reason"),
)


@dataclass(frozen=True)
class Sheet:
    """One file to be: its name without ending, its columns, and its rows of text, numbers, truth values and None."""

    name: str
    columns: Sequence[str]
    rows: Callable[[], Iterator[Row]]


def export(past: PastRun, form: str, folder: Path) -> dict[str, Path]:
    """Write a run's tables, and its journal where it has one; return the files by table.

    Of a session that is not finished there is the journal alone.

    Parameters: `form` csv or json. Raises `UserError` before anything is written where a file of that name is there
    that no export wrote, or that was edited since.
    """
    sheets = [*(_table(past, name) for name in _tables(past)), *_journal(past)]
    targets = {sheet.name: folder / f"{sheet.name}.{form}" for sheet in sheets}
    known = _written_before(folder)
    taken = [str(path) for path in targets.values() if path.exists() and _foreign(path, known)]
    if taken:
        raise UserError(
            f"mode.out={folder}: {', '.join(taken)} {'is' if len(taken) == 1 else 'are'} there, and not as an export "
            "left it; move that away, or choose another folder with mode.out=DIR"
        )
    write = _write_csv if form == "csv" else _write_json
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for sheet in sheets:
            path = targets[sheet.name]
            fresh = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                with fresh.open("w", encoding="utf-8", newline="") as file:
                    write(file, sheet)
                fresh.replace(path)
            except OSError as error:
                error.filename = str(path)
                raise
            finally:
                fresh.unlink(missing_ok=True)
            known[path.name] = file_hash(path)
            about = {"made_by": MADE_BY, "kind": "export", "run": str(past.folder), "metrics": _identity(past)}
            write_json(folder / NOTE, about | {"files": known})
    return targets


def _identity(past: PastRun) -> dict[str, Any]:
    metrics = past.metrics if past.finished else {}
    return {name: metrics.get(name) for name in ("order_log_sha256", "ledger_sha256", "data_sha256")}


def _written_before(folder: Path) -> dict[str, str]:
    """Return the files of earlier exports into a folder with their hashes."""
    path = folder / NOTE
    if not path.exists():
        return {}
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        content = None
    if not isinstance(content, dict) or (content.get("made_by"), content.get("kind")) != (MADE_BY, "export"):
        raise UserError(f"mode.out={folder}: {path} is there, and no export wrote it; choose another folder")
    return dict(content.get("files") or {})


def _foreign(path: Path, known: Mapping[str, str]) -> bool:
    return not path.is_file() or file_hash(path) != known.get(path.name)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise CheckFailed(f"{place}: the disk is full; the export is not complete") from error
        why = os.strerror(error.errno or 0)
        raise UserError(f"{place}: cannot be written ({why}); choose another folder with mode.out=DIR") from error


def _tables(past: PastRun) -> tuple[str, ...]:
    """Return the tables of a run; older runs, and those without parent orders, have none of those."""
    if not past.finished:
        return ()
    often = (name for name in ("risk", PARENTS) if (past.folder / f"{name}.parquet").is_file())
    return (*(name for name in TABLES if name != "risk"), *often)


def _table(past: PastRun, name: str) -> Sheet:
    """Return one of the run's tables."""
    path = past.folder / f"{name}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{past.name}: {path} cannot be read ({str(error).splitlines()[0]})") from None

    def rows() -> Iterator[Row]:
        for batch in table.to_batches():
            yield from zip(*(_plain(column) for column in batch.columns), strict=True)

    return Sheet(name, table.column_names, rows)


def _plain(column: pa.Array) -> Iterable[Any]:
    """Return a column's values: decimals and times as text, floats and integers as numbers, None where undefined."""
    if pa.types.is_decimal(column.type):
        exact: list[str] = arrow.decimal_text(column).to_pylist()
        return (value or None for value in exact)
    if pa.types.is_timestamp(column.type):
        return (None if ns is None else iso(ns) for ns in column.cast(pa.int64()).to_pylist())
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        return (value if finite else None for value, finite in zip(values.tolist(), np.isfinite(values), strict=True))
    plain: list[Any] = column.to_pylist()
    return plain


def _journal(past: PastRun) -> Iterator[Sheet]:
    """Yield what a session's journal holds: the instants it took, what it commanded, what users told it."""
    path = past.journal
    if path is None:
        return
    tape, _, _ = begin(path)
    if tape is None:
        raise UserError(f"{past.name}: {path} is missing or empty; there is nothing to export")
    known = tape
    tags = _tags(past)

    def contents() -> Iterator[dict[str, Any]]:
        return (frame.content for frame in begin(path)[1])

    bars = ("time", "timeframe", "pair", *FIELDS, "missed")
    yield Sheet("instants", bars, lambda: _bars(known, contents()))
    yield Sheet("commands", _COMMAND, lambda: _commands(known, contents(), tags))
    yield Sheet("controls", ("time", "control", "order"), lambda: _controls(contents()))


def _bars(tape: Tape, contents: Iterator[dict[str, Any]]) -> Iterator[Row]:
    """Yield a row per bar, by its open; a missing bar has no prices, a missed one came too late to decide on."""
    for content in contents:
        if "instant" in content:
            instant, missed = instant_of(content), bool(content.get("missed"))
            slots = [(instant.time, tape.timeframe_ns, instant.bars)]
            slots += [(instant.time + n * tape.detail_ns, tape.detail_ns, slot) for n, slot in enumerate(instant.finer)]
            for slot in slots:
                yield from ((*row, missed) for row in _slot(tape, *slot))


def _slot(tape: Tape, time: int, length_ns: int, bars: Bars) -> Iterator[Row]:
    for pair, bar in zip(tape.pairs, bars, strict=True):
        yield (iso(time), timeframe_name(length_ns), pair, *([None] * len(FIELDS) if bar is None else map(text, bar)))


def _commands(tape: Tape, contents: Iterator[dict[str, Any]], tags: Sequence[str]) -> Iterator[Row]:
    """Yield a row per submit, amend and cancel; an amend's and a cancel's quantity is that of the line."""
    orders: list[dict[str, Any]] = []
    for content in contents:
        if "log" not in content:
            continue
        orders += (dict(zip(SENT, order, strict=True)) for order in content["orders"])
        for kind, number, time, qty, reason in content["log"]:
            sent = orders[number]
            prices = {name: text(sent[name]) if sent[name] else None for name in _PRICES}
            row = prices | {
                "time": iso(time),
                "kind": LogKind(kind).word,
                "order_id": number,
                "pair": tape.pairs[sent["pair"]],
                "side": Side(sent["side"]).word,
                "type": OrderType(sent["type"]).word,
                "qty": text(qty or sent["qty"]),
                "tif": Tif(sent["tif"]).word,
                "expire_time": iso(sent["expire_time"]) if sent["expire_time"] else None,
                "post_only": bool(sent["post_only"]),
                "reduce_only": bool(sent["reduce_only"]),
                "tag": tags[number] if number < len(tags) else "",
                "reason": Reason(reason).word,
            }
            yield [row[name] for name in _COMMAND]


def _controls(contents: Iterator[dict[str, Any]]) -> Iterator[Row]:
    return (
        (iso(content["at"]), content["control"], _said(content.get("order")))
        for content in contents
        if "control" in content
    )


def _said(order: dict[str, Any] | None) -> str | None:
    """Write a user's order in words."""
    if order is None:
        return None
    plan = order["plan"]
    return f"{order['side']} {order['quantity']} {order['pair']} {way(Algo[plan['algo'].upper()], plan['bars'])}"


def _tags(past: PastRun) -> list[str]:
    """Return each order's tag: a journal has its number, the table of orders its words."""
    try:
        tags: list[str] = pq.read_table(past.folder / "orders.parquet", columns=["tag"]).column("tag").to_pylist()
    except (OSError, pa.ArrowException):
        return []
    return tags


def _write_csv(file: TextIO, sheet: Sheet) -> None:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(sheet.columns)
    for row in sheet.rows():
        table.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in row])


def _write_json(file: TextIO, sheet: Sheet) -> None:
    """Write a list of objects, one to a line."""
    file.write("[")
    for number, row in enumerate(sheet.rows()):
        file.write(",\n" if number else "\n")
        file.write(json.dumps(dict(zip(sheet.columns, row, strict=True)), ensure_ascii=False))
    file.write("\n]\n")

"""The order log and the ledger log: the very text that is hashed. No ids, no wall clock, no mode, no engine."""

from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kraken_flow.analysis.metrics import balances
from kraken_flow.core.market import FIELDS, Market, PairColumns
from kraken_flow.core.orders import Liquidity, LogKind, OrderType, Reason, Side, Tif
from kraken_flow.runs import arrow
from kraken_flow.runs.tables import Tables


def _named(name: str, column: pa.Array) -> pa.Array:
    """Return ` name=value`, and nothing where the value is empty."""
    return pc.if_else(pc.equal(column, ""), "", pc.binary_join_element_wise(f" {name}=", column, ""))


def _flag(name: str, on: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.Array:
    return pc.if_else(arrow.booleans(on), f" {name}", "")


def _lines(*columns: pa.Array | str) -> str:
    """Join columns row by row, a line each."""
    joined = pc.binary_join_element_wise(*columns, "\n", "")
    return "".join(joined.to_pylist())


def order_log(tables: Tables) -> str:
    """Return submits, amends and cancels in order, a line each.

    A line is: decision time, kind, pair, side, type, quantity (of an amend the new open quantity), then what is set of
    limit, stop, trail, tif, expire, post_only, reduce_only, tag, reason.
    """
    result = tables.outcome.result
    log, number = result.log, result.log["order"]
    if len(number) == 0:
        return ""
    orders = {name: column[number] for name, column in result.orders.items()}
    qty = np.where(log["qty"] > 0, log["qty"], orders["qty"])
    return _lines(
        arrow.time_text(log["time"]),
        " ",
        arrow.words(LogKind, log["kind"]),
        " ",
        arrow.pick(tables.outcome.market.names, orders["pair"]),
        " ",
        arrow.words(Side, orders["side"]),
        " ",
        arrow.words(OrderType, orders["type"]),
        " ",
        arrow.decimal_text(arrow.decimals(qty)),
        *(
            _named(name, arrow.decimal_text(arrow.decimals(orders[column], zero_is_null=True)))
            for name, column in (("limit", "limit_price"), ("stop", "stop_price"), ("trail", "trail"))
        ),
        " ",
        arrow.words(Tif, orders["tif"]),
        _named("expire", arrow.time_text(orders["expire_time"])),
        _flag("post_only", orders["post_only"] != 0),
        _flag("reduce_only", orders["reduce_only"] != 0),
        _named("tag", _quoted(result.tags).take(arrow.integers(orders["tag"]))),
        " ",
        arrow.words(Reason, log["reason"]),
    )


def _quoted(tags: tuple[str, ...]) -> pa.Array:
    """Write a tag of several words, or with an odd character, so that a line stays one line."""
    return arrow.strings([tag if tag.isprintable() and " " not in tag else ascii(tag) for tag in tags])


def ledger_log(tables: Tables) -> str:
    """Return fills with their fees in the order they happened, then the closing balances, a line each."""
    outcome, fills = tables.outcome, tables.outcome.result.fills
    closing = "".join(f"balance {asset} {amount}\n" for asset, amount in balances(outcome).items())
    if len(fills["pair"]) == 0:
        return closing
    orders = outcome.result.orders
    booked = _lines(
        arrow.time_text(outcome.fill_times),
        " fill ",
        arrow.pick(outcome.market.names, fills["pair"]),
        " ",
        arrow.words(Side, fills["side"]),
        " ",
        arrow.decimal_text(arrow.decimals(fills["qty"])),
        " @ ",
        arrow.decimal_text(arrow.decimals(fills["price"])),
        " ",
        arrow.words(Liquidity, fills["liquidity"]),
        " fee ",
        arrow.decimal_text(tables.fee_amounts),
        " ",
        tables.fee_currencies,
        " ",
        arrow.words(Reason, orders["reason"][fills["order"]]),
    )
    return booked + closing


def text_hash(text: str) -> str:
    """Return the SHA-256 of a log as `sha256sum` prints it for the file."""
    return sha256(text.encode()).hexdigest()


def data_hash(market: Market) -> str:
    """Return the SHA-256 of the input columns, pairs in name order: the same data in any file format has one hash."""
    digest = sha256()

    def feed(pair: PairColumns) -> None:
        digest.update(pair.pair.encode())
        digest.update(np.ascontiguousarray(pair.state).data)
        for field in FIELDS:
            digest.update(np.ascontiguousarray(getattr(pair, field), "<i8").data)

    digest.update(f"{market.timeframe_ns} {market.first_row} ".encode())
    digest.update(np.ascontiguousarray(market.times, "<i8").data)
    for pair in sorted(market.pairs, key=lambda p: p.pair):
        feed(pair)
    if market.detail is not None:
        digest.update(f"{market.detail.timeframe_ns} ".encode())
        for pair in sorted(market.detail.pairs, key=lambda p: p.pair):
            feed(pair)
    return digest.hexdigest()

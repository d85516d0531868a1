"""The order log and the ledger log: the very text that is hashed. No ids, no wall clock, no mode, no engine."""

from hashlib import sha256

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kraken_flow.analysis.flows import amounts
from kraken_flow.analysis.metrics import balances
from kraken_flow.core.contract import RATE_DECIMALS, FlowKind
from kraken_flow.core.market import FIELDS, Market, PairColumns
from kraken_flow.core.orders import Liquidity, LogKind, OrderType, Reason, Side, Tif
from kraken_flow.core.units import text
from kraken_flow.runs import arrow
from kraken_flow.runs.tables import Tables


def _named(name: str, value: pa.Array, given: NDArray[np.bool_]) -> pa.Array:
    """Return ` name=value`, and nothing where it is not given."""
    return arrow.when(given, arrow.join(f" {name}=", value))


def _lines(*columns: pa.Array | str) -> str:
    """Join columns row by row, a line each."""
    return "".join(arrow.join(*columns, "\n").to_pylist())


def order_log(tables: Tables) -> str:
    """Return submits, amends and cancels in order, a line each.

    A line is: decision time, kind, pair, side, type, quantity (of an amend the new open quantity), then what is set of
    limit, stop, trail, tif, expire, post_only, reduce_only, tag, reason.
    """
    result = tables.run.result
    log, number = result.log, result.log["order"]
    if len(number) == 0:
        return ""
    orders = {name: column[number] for name, column in result.orders.items()}
    # A tag of several words, or with an odd character, is quoted, so that a line stays one line.
    tags = [tag if tag.isprintable() and " " not in tag else ascii(tag) for tag in result.tags]
    written = np.array([bool(tag) for tag in tags], np.bool_)
    qty = np.where(log["qty"] > 0, log["qty"], orders["qty"])
    return _lines(
        arrow.time_text(log["time"]),
        " ",
        arrow.words(LogKind, log["kind"]),
        " ",
        arrow.pick(tables.run.market.names, orders["pair"]),
        " ",
        arrow.words(Side, orders["side"]),
        " ",
        arrow.words(OrderType, orders["type"]),
        " ",
        arrow.decimal_text(arrow.decimals(qty)),
        *(
            _named(name, arrow.decimal_text(arrow.decimals(orders[column])), orders[column] != 0)
            for name, column in (("limit", "limit_price"), ("stop", "stop_price"), ("trail", "trail"))
        ),
        " ",
        arrow.words(Tif, orders["tif"]),
        _named("expire", arrow.time_text(orders["expire_time"]), orders["expire_time"] != 0),
        arrow.when(orders["post_only"] != 0, " post_only"),
        arrow.when(orders["reduce_only"] != 0, " reduce_only"),
        _named("tag", arrow.pick(tags, orders["tag"]), written[orders["tag"]]),
        " ",
        arrow.words(Reason, log["reason"]),
    )


def ledger_log(tables: Tables) -> str:
    """Return fills with their fees in order, then funding and borrowing, then the closing balances, a line each."""
    run, fills = tables.run, tables.run.result.fills
    closing = "".join(f"balance {asset} {amount}\n" for asset, amount in balances(run).items())
    moved = _flow_lines(tables)
    if len(fills["pair"]) == 0:
        return moved + closing
    orders = run.result.orders
    booked = _lines(
        arrow.time_text(run.fill_times),
        " fill ",
        arrow.pick(run.market.names, fills["pair"]),
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
    return booked + moved + closing


def _flow_lines(tables: Tables) -> str:
    """Return cash that moved without a fill in the order it did: time, kind, pair, position, mark, rate, amount."""
    run, flows = tables.run, tables.run.result.flows
    if not flows or len(flows["pair"]) == 0:
        return ""
    currencies = [instrument.currency for instrument in run.instruments]
    rates = [text(rate, RATE_DECIMALS) for rate in flows["rate"].tolist()]
    return _lines(
        arrow.time_text(flows["time"]),
        " ",
        arrow.words(FlowKind, flows["kind"]),
        " ",
        arrow.pick(run.market.names, flows["pair"]),
        " ",
        arrow.decimal_text(arrow.decimals(flows["qty"])),
        " @ ",
        arrow.decimal_text(arrow.decimals(flows["price"])),
        " rate ",
        arrow.strings(rates),
        " ",
        arrow.decimal_text(arrow.wide(amounts(flows))),
        " ",
        arrow.pick(currencies, flows["pair"]),
    )


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
    for pair in sorted(market.marks, key=lambda p: p.pair):
        feed(pair)
    for events in sorted(market.funding, key=lambda f: f.pair):
        digest.update(f"funding {events.pair} ".encode())
        for column in (events.time, events.known, events.rate):
            digest.update(np.ascontiguousarray(column, "<i8").data)
    return digest.hexdigest()

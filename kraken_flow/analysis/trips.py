"""Round trips: fills joined flat to flat, per pair, in exact integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kraken_flow.analysis.flows import fill_flow
from kraken_flow.analysis.wide import Wide, segment_sums
from kraken_flow.core.result import Columns
from kraken_flow.core.units import CASH_UNIT, Int64Array

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Trips:
    """Round trips as columns, in the order of their last fill; open ones carry `closed` False.

    Parameters
    ----------
    pair, side, qty, entry_price, exit_price
        int64; side +1 for a long trip, quantity the sum of its entries, prices volume-weighted and rounded half-even
        to 10^-8. The exit price of an open trip without exits is 0.
    first, last
        Row of the entry and of the last fill in the fills columns.
    pnl, fees
        Money of 10^-16: pnl net of all fees; fees paid in the base currency are valued at their fill's price.
        An open trip's pnl includes its position at `mark`.
    closed
        bool: the position ended flat (below one lot).
    """

    pair: Int64Array
    side: Int64Array
    qty: Int64Array
    entry_price: Int64Array
    exit_price: Int64Array
    first: Index
    last: Index
    pnl: Wide
    fees: Wide
    closed: Mask

    def __len__(self) -> int:
        return len(self.pair)

    def take(self, rows: Index) -> "Trips":
        """Return the trips of an index, in its order."""
        return Trips(
            pair=self.pair[rows],
            side=self.side[rows],
            qty=self.qty[rows],
            entry_price=self.entry_price[rows],
            exit_price=self.exit_price[rows],
            first=self.first[rows],
            last=self.last[rows],
            pnl=self.pnl.take(rows),
            fees=self.fees.take(rows),
            closed=self.closed[rows],
        )

    def where(self, mask: Mask) -> "Trips":
        """Return the trips of a mask."""
        return self.take(np.flatnonzero(mask))


@dataclass(frozen=True)
class _Rows:
    """Fills grouped by pair; a fill that reverses a position stands as two rows, its closing and its opening part."""

    fill: Index
    pair: Int64Array
    side: Int64Array
    qty: Int64Array
    price: Int64Array
    after: Int64Array
    flow: Wide
    """Cash received, net of fees in the quote currency."""
    fees: Wide
    ends: Mask


def base_fees(fills: Columns) -> Int64Array:
    """Return every fill's fee in its base currency, units of 10^-8; 0 where it was paid in the quote currency.

    A rebate is negative: then the high half of the split number is -1, not 0.
    """
    fees: Int64Array = np.where(fills["fee_is_base"] != 0, (fills["fee_hi"] << 62) + fills["fee_lo"], 0)
    return fees


def fee_values(fills: Columns) -> Wide:
    """Return every fill's fee in the quote currency, a fee in base valued at the fill's price."""
    cash = Wide.of_split(fills["fee_hi"], fills["fee_lo"])
    in_base = fills["fee_is_base"] != 0
    if not in_base.any():
        return cash
    base = Wide.product(base_fees(fills), fills["price"])
    return Wide(np.where(in_base, base.hi, cash.hi), np.where(in_base, base.lo, cash.lo))


def _rows(fills: Columns, lots: Int64Array, inverse: Mask) -> _Rows:
    # Numbers of 16 bits are sorted by counting, which is far faster.
    narrow = fills["pair"].astype(np.uint16) if len(lots) <= 2**16 else fills["pair"]
    order: Index = np.argsort(narrow, kind="stable") if len(lots) > 1 else np.arange(len(narrow))
    pair, side, qty, price = (fills[name][order] for name in ("pair", "side", "qty", "price"))
    in_base = fills["fee_is_base"][order] != 0
    any_in_base = bool(in_base.any())
    change = side * qty - base_fees(fills)[order] if any_in_base else side * qty
    new_pair = np.ones(len(order), np.bool_)
    new_pair[1:] = pair[1:] != pair[:-1]
    running = np.cumsum(change)
    heads = np.flatnonzero(new_pair)
    after = running - np.repeat(running[heads] - change[heads], np.diff(heads, append=len(order)))
    before = after - change
    lot = lots[pair]
    flat_before, flat = np.abs(before) < lot, np.abs(after) < lot
    reversal = ~flat_before & ~flat & ((after > 0) != (before > 0))
    fees = fee_values(fills).take(order)
    charged = Wide(np.where(in_base, 0, fees.hi), np.where(in_base, 0, fees.lo)) if any_in_base else fees
    flow = fill_flow(price, side * qty, inverse[pair]) - charged
    ends = flat & ~flat_before
    if not reversal.any():
        return _Rows(order, pair, side, qty, price, after, flow, fees, ends)
    copies = np.repeat(np.arange(len(order)), 1 + reversal)
    opening = np.zeros(len(copies), np.bool_)
    opening[1:] = copies[1:] == copies[:-1]
    closing = reversal[copies] & ~opening
    part = np.where(closing, np.abs(before)[copies], qty[copies])
    part = np.where(opening, qty[copies] - np.abs(before)[copies], part)
    shares = _share_fees(fees, reversal, np.abs(before), qty, in_base)
    row_fees = fees.take(copies)
    row_fees.hi[closing], row_fees.lo[closing] = shares.hi, shares.lo
    rest = fees.take(reversal) - shares
    row_fees.hi[opening], row_fees.lo[opening] = rest.hi, rest.lo
    base = in_base[copies]
    charged = Wide(np.where(base, 0, row_fees.hi), np.where(base, 0, row_fees.lo))
    return _Rows(
        order[copies],
        pair[copies],
        side[copies],
        part,
        price[copies],
        np.where(closing, 0, after[copies]),
        fill_flow(price[copies], side[copies] * part, inverse[pair[copies]]) - charged,
        row_fees,
        np.where(closing, True, ends[copies]),
    )


def _share_fees(fees: Wide, reversal: Mask, before: Int64Array, qty: Int64Array, in_base: Mask) -> Wide:
    """Return the closing part's share of each reversal's fee; a fee in base comes out of what the opening part got."""
    rows = np.flatnonzero(reversal)
    parts = zip(fees.take(rows).ints(), before[rows].tolist(), qty[rows].tolist(), in_base[rows].tolist(), strict=True)
    return Wide.of_ints(0 if base else fee * closed // whole for fee, closed, whole, base in parts)


def _mean_price(notional: Wide, qty: Int64Array, inverse: Mask) -> Int64Array:
    """Divide money by quantity, half to even; 0 where the quantity is 0.

    The money of an inverse contract is in base: the quantity is divided by it, so that profit is n (1/E - 1/X).
    """
    quotients = []
    for money, units, turned in zip(notional.ints(), qty.tolist(), inverse.tolist(), strict=True):
        if turned and units:
            money, units = units * CASH_UNIT, money
        whole, rest = divmod(money, units) if units else (0, 0)
        quotients.append(whole + (2 * rest > units or (2 * rest == units > 0 and whole % 2 == 1)))
    return np.array(quotients, np.int64)


def _weighted(rows: _Rows, starts: Index, chosen: Mask, inverse: Mask) -> tuple[Int64Array, Int64Array]:
    """Return each segment's quantity and volume-weighted price over the chosen rows; `inverse` is by pair."""
    # A product with 0 or 1 is far faster than `np.where` on sides that change from row to row.
    qty = rows.qty * chosen
    total = segment_sums(qty, starts)
    count = segment_sums(chosen.astype(np.int64), starts)
    price = segment_sums(rows.price * chosen, starts)
    several = np.flatnonzero(count > 1)
    if len(several):
        turned = inverse[rows.pair]
        money = fill_flow(rows.price, np.where(turned, qty, -qty), turned).sums(starts).take(several)
        price[several] = _mean_price(money, total[several], turned[starts[several]])
    return total, price


def _carry_dust(pnl: Wide, rows: _Rows, starts: Index, stops: Index, closed: Mask, inverse: Mask) -> Wide:
    """Value what a closed trip left (less than a lot) at its last price, and hand it to the pair's next trip."""
    dust = np.where(closed, rows.after[stops], 0)
    if not dust.any():
        return pnl
    left = fill_flow(rows.price[stops], -dust, inverse[rows.pair[stops]])
    got = Wide(np.zeros_like(left.hi), np.zeros_like(left.lo))
    same = np.flatnonzero(rows.pair[starts][1:] == rows.pair[starts][:-1])
    got.hi[same + 1], got.lo[same + 1] = left.hi[same], left.lo[same]
    return pnl + left - got


def _alternating(fills: Columns, lots: Int64Array, mark: Int64Array) -> Trips | None:
    """Join the fills of one pair that open and close in turn, each in one go: then a trip is two rows, side by side.

    Returns None for any other fills. Most runs over one pair are of this kind, and this takes a seventh of the time.
    """
    n = len(fills["pair"])
    if len(lots) != 1 or fills["fee_is_base"].any():
        return None
    side, price = fills["side"], fills["price"]
    change = side * fills["qty"]
    opened, closing = change[0::2], change[1::2]
    whole = len(closing)
    if (opened[:whole] + closing).any() or np.abs(opened).min() < lots[0]:
        return None
    fees = fee_values(fills)
    flow = Wide.product(price, -change) - fees
    if n > 2 * whole:
        # The last trip is open: what it holds, at `mark`, stands where its closing fill would.
        held = Wide.product(change[-1:], mark[:1])
        flow = Wide(np.append(flow.hi, held.hi), np.append(flow.lo, held.lo))
        fees = Wide(np.append(fees.hi, 0), np.append(fees.lo, np.uint64(0)))
        price = np.append(price, 0)
    first, second = slice(0, None, 2), slice(1, None, 2)
    rows = np.arange(0, n, 2)
    return Trips(
        pair=fills["pair"][first],
        side=side[first],
        qty=np.abs(opened),
        entry_price=price[first],
        exit_price=price[second],
        first=rows,
        last=np.minimum(rows + 1, n - 1),
        pnl=flow.take(first) + flow.take(second),
        fees=fees.take(first) + fees.take(second),
        closed=rows + 1 < n,
    )


def round_trips(fills: Columns, lots: Int64Array, mark: Int64Array, inverse: Mask | None = None) -> Trips:
    """Join fills to round trips, flat to flat per pair.

    A reversal closes one trip and opens the next; partial exits belong to the same trip. A position smaller than one
    lot counts as flat; that remainder is valued at the price of the fill that left it and carried to the next trip.

    Parameters: `fills` the engine's columns; `lots` int64 of shape (n_pairs,), units of 10^-8; `mark` int64 of shape
    (n_pairs,), the price that open trips are valued at; `inverse` bool of that shape, which pairs are settled in their
    base.
    """
    none = np.zeros(0, np.int64)
    if len(fills["pair"]) == 0:
        wide = Wide.of(none)
        empty = np.zeros(0, np.intp)
        return Trips(none, none, none, none, none, empty, empty, wide, wide, np.zeros(0, np.bool_))
    turned = np.zeros(len(lots), np.bool_) if inverse is None else inverse
    alternating = None if turned.any() else _alternating(fills, lots, mark)
    if alternating is not None:
        return alternating
    rows = _rows(fills, lots, turned)
    begins = np.ones(len(rows.pair), np.bool_)
    begins[1:] = rows.ends[:-1] | (rows.pair[1:] != rows.pair[:-1])
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(begins)) - 1
    closed = rows.ends[stops]
    after = rows.after[stops]
    side = np.where(closed, -rows.side[stops], np.where(after < 0, -1, 1))
    pair = rows.pair[stops]
    entering = rows.side == np.repeat(side, stops - starts + 1)
    qty, entry_price = _weighted(rows, starts, entering, turned)
    _, exit_price = _weighted(rows, starts, ~entering, turned)
    pnl = _carry_dust(rows.flow.sums(starts), rows, starts, stops, closed, turned)
    held = np.where(closed, 0, after)
    if held.any():
        pnl = pnl + fill_flow(mark[pair], -held, turned[pair])
    trips = Trips(
        pair=pair,
        side=side,
        qty=qty,
        entry_price=entry_price,
        exit_price=exit_price,
        first=rows.fill[starts],
        last=rows.fill[stops],
        pnl=pnl,
        fees=rows.fees.sums(starts),
        closed=closed,
    )
    in_order = np.argsort(trips.last, kind="stable")
    # A remainder below one lot that was itself traded is no trade of its own.
    real = closed | (np.abs(after) >= lots[pair])
    return trips.take(in_order[real[in_order]])

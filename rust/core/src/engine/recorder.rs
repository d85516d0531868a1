//! What the engine writes down while it runs: fills, the order log, counters; integer columns at the end.

use super::codes::{Liquidity, LogKind, Reason};
use super::contract::FlowKind;

/// Fields of a fill, as `core/recorder.py` names them.
pub const FILL_FIELDS: [&str; 14] = [
    "row",
    "open_phase",
    "pair",
    "side",
    "qty",
    "price",
    "fee_is_base",
    "fee_hi",
    "fee_lo",
    "slip_hi",
    "slip_lo",
    "liquidity",
    "order",
    "ambiguous",
];
/// Fields of a log line.
pub const LOG_FIELDS: [&str; 5] = ["kind", "order", "time", "qty", "reason"];
/// Fields of a flow of cash without a fill.
pub const FLOW_FIELDS: [&str; 9] = ["row", "kind", "pair", "time", "qty", "price", "rate", "amount_hi", "amount_lo"];
/// Fields of an order.
pub const ORDER_FIELDS: [&str; 18] = [
    "pair",
    "side",
    "type",
    "tif",
    "qty",
    "filled",
    "limit_price",
    "stop_price",
    "trail",
    "trail_rate",
    "expire_time",
    "post_only",
    "reduce_only",
    "state",
    "reason",
    "end_reason",
    "time",
    "tag",
];

/// One fill.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// Grid row of its bar.
    pub row: u32,
    /// Whether it happened at that bar's open.
    pub open_phase: bool,
    /// Pair index.
    pub pair: u32,
    /// +1 bought, -1 sold.
    pub side: i8,
    /// Quantity.
    pub qty: i64,
    /// Price.
    pub price: i64,
    /// Whether the fee is in base.
    pub fee_is_base: bool,
    /// Fee in 10^-16 of quote or 10^-8 of base.
    pub fee: i128,
    /// Cash given to slippage.
    pub slip: i128,
    /// Side of the book.
    pub liquidity: Liquidity,
    /// Order number.
    pub order: u32,
    /// Whether the bar did not tell the order of events.
    pub ambiguous: bool,
}

impl Fill {
    /// The fill as a row of [`FILL_FIELDS`].
    pub fn values(&self) -> [i64; 14] {
        let ((fee_hi, fee_lo), (slip_hi, slip_lo)) = (split(self.fee), split(self.slip));
        [
            i64::from(self.row),
            i64::from(self.open_phase),
            i64::from(self.pair),
            i64::from(self.side),
            self.qty,
            self.price,
            i64::from(self.fee_is_base),
            fee_hi,
            fee_lo,
            slip_hi,
            slip_lo,
            self.liquidity.code(),
            i64::from(self.order),
            i64::from(self.ambiguous),
        ]
    }
}

/// One line of the order log.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Submit, amend or cancel.
    pub kind: LogKind,
    /// Order number.
    pub order: u32,
    /// Decision time, ns.
    pub time: i64,
    /// Quantity.
    pub qty: i64,
    /// Why.
    pub reason: Reason,
}

impl Line {
    /// The line as a row of [`LOG_FIELDS`].
    pub fn values(&self) -> [i64; 5] {
        [self.kind.code(), i64::from(self.order), self.time, self.qty, self.reason.code()]
    }
}

/// Cash that moved without a fill.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Grid row.
    pub row: u32,
    /// Why.
    pub kind: FlowKind,
    /// Pair index.
    pub pair: u32,
    /// When, ns.
    pub time: i64,
    /// The signed position.
    pub qty: i64,
    /// Its mark, 0 where none counts.
    pub price: i64,
    /// 10^-12.
    pub rate: i64,
    /// Cash received, 10^-16, negative where it was paid.
    pub amount: i128,
}

impl Flow {
    /// The flow as a row of [`FLOW_FIELDS`].
    pub fn values(&self) -> [i64; 9] {
        let (hi, lo) = split(self.amount);
        let Flow { row, kind, pair, time, qty, price, rate, .. } = *self;
        [i64::from(row), kind.code(), i64::from(pair), time, qty, price, rate, hi, lo]
    }
}

/// (hi, lo) with value = hi 2^62 + lo and 0 <= lo < 2^62.
#[inline]
pub fn split(value: i128) -> (i64, i64) {
    ((value >> 62) as i64, (value & ((1 << 62) - 1)) as i64)
}

/// Append-only record of one run.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Fills in the order they happened.
    pub fills: Vec<Fill>,
    /// Lines of the order log.
    pub lines: Vec<Line>,
    /// Cash that moved without a fill.
    pub flows: Vec<Flow>,
    /// Wallet and gross at each row's close, where fills alone do not tell them.
    pub accounts: Vec<(f64, f64)>,
    /// Positions that the venue closed.
    pub liquidations: i64,
    /// Orders cut because funds did not cover them.
    pub funds_cuts: i64,
    /// Fills whose impact model had no estimate.
    pub impact_without_estimate: i64,
    /// Real bars without finer bars inside, where the fill path uses those.
    pub detail_fallback_bars: i64,
    /// Parents whose volume curve had no past.
    pub vwap_without_curve: i64,
}

impl Recorder {
    /// Counters that are not zero, by name.
    pub fn counts(&self) -> Vec<(&'static str, i64)> {
        let all = [
            ("funds_cuts", self.funds_cuts),
            ("impact_without_estimate", self.impact_without_estimate),
            ("detail_fallback_bars", self.detail_fallback_bars),
            ("vwap_without_curve", self.vwap_without_curve),
            ("liquidations", self.liquidations),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// A table of integers, one contiguous column per field.
pub fn columns<const N: usize>(rows: impl ExactSizeIterator<Item = [i64; N]>) -> Vec<i64> {
    let n = rows.len();
    let mut table = vec![0; N * n];
    for (i, row) in rows.enumerate() {
        for (k, value) in row.into_iter().enumerate() {
            table[k * n + i] = value;
        }
    }
    table
}

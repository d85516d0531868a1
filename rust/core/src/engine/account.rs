//! The account's float columns, made from the fills when somebody asks for them.

use super::batch::{BLOCK, mark};
use super::ledger::Ledger;
use super::market::PairColumns;

/// What one fill did to the account.
#[derive(Clone, Copy, Debug)]
pub struct Booking {
    /// Row of its bar, counted from the first decision row.
    pub row: usize,
    /// Pair index.
    pub pair: usize,
    /// +1 bought, -1 sold.
    pub side: i64,
    /// Quantity.
    pub qty: i64,
    /// Price.
    pub price: i64,
    /// Fee in cash units, 0 where it was paid in base.
    pub fee: i128,
    /// Fee in base units, 0 where it was paid in quote.
    pub fee_base: i64,
}

/// Writes cash and gross at each row's close. `pairs` begin at the first decision row; bookings come in row order.
pub fn columns(
    cash: i128,
    bookings: impl IntoIterator<Item = Booking>,
    pairs: &[PairColumns<'_>],
    cash_out: &mut [f64],
    gross_out: &mut [f64],
) {
    let mut ledger = Ledger::new(cash, pairs.len());
    let mut row = 0;
    for booking in bookings {
        fill(&ledger, pairs, row, booking.row, cash_out, gross_out);
        row = booking.row;
        ledger.book(booking.pair, booking.side, booking.qty, booking.price, booking.fee, booking.fee_base);
    }
    fill(&ledger, pairs, row, cash_out.len(), cash_out, gross_out);
}

fn fill(
    ledger: &Ledger,
    pairs: &[PairColumns<'_>],
    from: usize,
    to: usize,
    cash_out: &mut [f64],
    gross_out: &mut [f64],
) {
    let mut equity = [0.0; BLOCK];
    cash_out[from..to].fill(ledger.cash_mark());
    for start in (from..to).step_by(BLOCK) {
        let stop = to.min(start + BLOCK);
        mark(ledger, pairs, start, &mut equity[..stop - start], &mut gross_out[start..stop]);
    }
}

//! Marks of a lone position over many rows: equity, and exposure added up in row order, in one pass.

use super::ledger::{Exposure, value_mark};

/// Rows taken at once.
const SPAN: usize = 4;
/// An integer below 2^52 in the fraction of 2^52 is that float plus 2^52: exact, and quicker than converting.
const MAGIC: f64 = 4_503_599_627_370_496.0;

/// Writes equity at `closes` and counts exposure: the operations of `Ledger::marks` and [`Exposure::add`].
///
/// `ahead` are the closes from the same row on, as far as they are known: a last group of rows is filled up from them
/// and counts for nothing.
pub(super) fn mark(position: i64, cash: f64, ahead: &[i64], equity: &mut [f64], exposure: &mut Exposure) {
    let held = position as f64;
    let rows = equity.len();
    let mut row = 0;
    while row < rows {
        let valid = (rows - row).min(SPAN);
        let known = ahead[row..].first_chunk::<SPAN>().filter(|closes| exact(closes));
        let marked = known.map(|closes| marks(held, cash, closes));
        match marked {
            Some((totals, shares, true)) => {
                if let Some(out) = equity[row..].first_chunk_mut::<SPAN>() {
                    *out = totals;
                    exposure.add_shares(&shares);
                } else {
                    equity[row..].copy_from_slice(&totals[..valid]);
                    exposure.add_shares(&shares[..valid]);
                }
            }
            _ => {
                for (equity, &close) in equity[row..row + valid].iter_mut().zip(&ahead[row..]) {
                    let value = value_mark(held, close);
                    *equity = cash + value;
                    exposure.add(*equity, value.abs());
                }
            }
        }
        row += SPAN;
    }
}

#[inline]
fn exact(closes: &[i64; SPAN]) -> bool {
    (closes.iter().fold(0, |all, close| all | close) as u64) >> 52 == 0
}

/// Equity and gross over equity per row, and whether equity is above 0 in all.
#[inline]
fn marks(held: f64, cash: f64, closes: &[i64; SPAN]) -> ([f64; SPAN], [f64; SPAN], bool) {
    let (mut totals, mut shares, mut sound) = ([0.0; SPAN], [0.0; SPAN], true);
    for i in 0..SPAN {
        let value = held * (f64::from_bits(closes[i] as u64 | MAGIC.to_bits()) - MAGIC) / 1e16;
        totals[i] = cash + value;
        shares[i] = value.abs() / totals[i];
        sound &= totals[i] > 0.0;
    }
    (totals, shares, sound)
}

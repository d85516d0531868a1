//! Prices and quantities as floats: the float nearest to the decimal.

/// Units in one.
const UNIT: f64 = 1e8;

/// Rows converted together.
pub(super) const BLOCK: usize = 64;

/// Numbers below 2^51, written into the low bits of 1.5 x 2^52, become that float plus themselves.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const EXACT: u64 = 1 << 51;

/// Writes units as floats: `units / 1e8`, rounded once where the units are exact in a float.
#[inline]
pub(super) fn convert(units: &[i64], out: &mut [f64]) {
    if units.iter().fold(0, |all, &x| all | x as u64) < EXACT {
        for (slot, &x) in out.iter_mut().zip(units) {
            *slot = (f64::from_bits(ROUNDER.to_bits() + x as u64) - ROUNDER) / UNIT;
        }
    } else {
        for (slot, &x) in out.iter_mut().zip(units) {
            *slot = x as f64 / UNIT;
        }
    }
}

/// A column of units as floats.
pub(super) fn floats(units: &[i64]) -> Vec<f64> {
    let mut out = vec![0.0; units.len()];
    for (units, out) in units.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        convert(units, out);
    }
    out
}

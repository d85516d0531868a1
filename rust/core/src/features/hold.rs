//! Holding a forecast between the rows that say something.

/// A value left its range: the row and the value.
#[derive(Debug, PartialEq)]
pub struct OutOfRange {
    /// Index of the row.
    pub row: usize,
    /// What stood there.
    pub value: f64,
}

/// Rows that are held, checked or converted together.
const BLOCK: usize = 512;

/// Fills rows that are NaN, and rows that are not `live`, with the value before (`start` before the first), in place.
/// A value of a live row outside [low, 1] stops it.
pub fn hold(values: &mut [f64], live: Option<&[bool]>, low: f64, start: f64) -> Result<(), OutOfRange> {
    let mut last = start;
    for (index, block) in values.chunks_mut(BLOCK).enumerate() {
        let first = index * BLOCK;
        if let Some(live) = live {
            for (slot, &live) in block.iter_mut().zip(&live[first..]) {
                *slot = if live { *slot } else { f64::NAN };
            }
        }
        for slot in block.iter_mut() {
            last = if slot.is_nan() { last } else { *slot };
            *slot = last;
        }
        let outside = |value: &f64| *value < low || *value > 1.0;
        if block.iter().fold(false, |any, value| any | outside(value)) {
            let row = first + block.iter().position(outside).unwrap_or(0);
            return Err(OutOfRange { row, value: values[row] });
        }
    }
    Ok(())
}

/// Holds a forecast that depends on a column of few values only: `answers[k]` where the column is `levels[k]`, and the
/// last of `answers` where it is anything else; NaN keeps, and so do rows that are not `live`.
pub fn hold_levels(x: &[f64], levels: [f64; 3], answers: [f64; 4], live: Option<&[bool]>, out: &mut [f64]) {
    let mut last = 0.0;
    for (index, (x, block)) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)).enumerate() {
        for (slot, &x) in block.iter_mut().zip(x) {
            let other = if x == levels[2] { answers[2] } else { answers[3] };
            let other = if x == levels[1] { answers[1] } else { other };
            *slot = if x == levels[0] { answers[0] } else { other };
        }
        if let Some(live) = live {
            for (slot, &live) in block.iter_mut().zip(&live[index * BLOCK..]) {
                *slot = if live { *slot } else { f64::NAN };
            }
        }
        for slot in block.iter_mut() {
            last = if slot.is_nan() { last } else { *slot };
            *slot = last;
        }
    }
}

/// Adding and taking off 1.5 x 2^52 rounds a number below 2^51 to a whole one, half to even.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const EXACT: f64 = 2_251_799_813_685_248.0;

/// Writes values as integers of 10^-9, half to even; NaN becomes the smallest integer.
pub fn fix(values: &[f64], out: &mut [i64]) {
    for (values, slots) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        if values.iter().fold(true, |all, value| all & ((value * 1e9).abs() < EXACT)) {
            for (value, slot) in values.iter().zip(slots) {
                *slot = ((value * 1e9 + ROUNDER).to_bits() as i64).wrapping_sub(ROUNDER.to_bits() as i64);
            }
        } else {
            for (value, slot) in values.iter().zip(slots) {
                *slot = if value.is_nan() { i64::MIN } else { (value * 1e9).round_ties_even() as i64 };
            }
        }
    }
}

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
const BLOCK: usize = 64;

/// Rows that are passed over together where a column says nothing.
const RUN: usize = 8;

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

/// Turns a column of few values into the held forecast of a strategy that reads nothing else, in place: `answers[k]`
/// where it is `levels[k]`, the last of `answers` where it is anything else; NaN keeps, and so do rows that are not
/// `live`.
pub fn hold_levels(values: &mut [f64], levels: [f64; 3], answers: [f64; 4], live: Option<&[bool]>) {
    let mut last = 0.0;
    let quiet = answers[0].is_nan();
    for (index, run) in values.chunks_mut(RUN).enumerate() {
        if quiet && run.iter().fold(true, |all, &x| all & (x == levels[0])) {
            run.fill(last);
            continue;
        }
        for (offset, slot) in run.iter_mut().enumerate() {
            let which = levels.iter().position(|level| slot == level).unwrap_or(3);
            let heard = live.is_none_or(|live| live[index * RUN + offset]);
            if heard && !answers[which].is_nan() {
                last = answers[which];
            }
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

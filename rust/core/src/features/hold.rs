//! Holding a forecast between the rows that say something.

/// A value left its range: the row and the value.
#[derive(Debug, PartialEq)]
pub struct OutOfRange {
    /// Index of the row.
    pub row: usize,
    /// What stood there.
    pub value: f64,
}

/// Fills rows that are NaN, and rows that are not `live`, with the value before (`start` before the first), in place.
/// A value of a live row outside [low, 1] stops it.
pub fn hold(values: &mut [f64], live: Option<&[bool]>, low: f64, start: f64) -> Result<(), OutOfRange> {
    let mut last = start;
    match live {
        None => {
            for (row, slot) in values.iter_mut().enumerate() {
                step(row, slot, true, low, &mut last)?;
            }
        }
        Some(live) => {
            for (row, (slot, &live)) in values.iter_mut().zip(live).enumerate() {
                step(row, slot, live, low, &mut last)?;
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn step(row: usize, slot: &mut f64, live: bool, low: f64, last: &mut f64) -> Result<(), OutOfRange> {
    let value = *slot;
    if live && !value.is_nan() {
        if !(low..=1.0).contains(&value) {
            return Err(OutOfRange { row, value });
        }
        *last = value;
    }
    *slot = *last;
    Ok(())
}

/// Writes values as integers of 10^-9, half to even; NaN becomes the smallest integer.
pub fn fix(values: &[f64], out: &mut [i64]) {
    for (value, slot) in values.iter().zip(out) {
        *slot = if value.is_nan() { i64::MIN } else { (value * 1e9).round_ties_even() as i64 };
    }
}

//! Changes over some bars.

use super::logarithm::{ln, ln_all};
use super::{Kernel, Ring};

/// The newest value over the one some bars before.
pub(crate) struct Change {
    bars: usize,
    log: bool,
    percent: bool,
    ring: Ring,
}

impl Change {
    pub(crate) fn new(bars: usize, log: bool, percent: bool) -> Self {
        Self { bars, log, percent, ring: Ring::new() }
    }
}

#[inline(always)]
fn ratio(x: f64, before: f64) -> f64 {
    if x > 0.0 && before > 0.0 { x / before } else { f64::NAN }
}

#[inline(always)]
fn change(x: f64, before: f64, percent: bool) -> f64 {
    if before == 0.0 {
        return f64::NAN;
    }
    let simple = x / before - 1.0;
    if percent { 100.0 * simple } else { simple }
}

impl Kernel for Change {
    fn reset(&mut self) {
        self.ring.clear();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        out[0] = match self.ring.push(x[0], self.bars) {
            Some(before) if self.log => ln(ratio(x[0], before)),
            Some(before) => change(x[0], before, self.percent),
            None => f64::NAN,
        };
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (x, out) = (x[0], &mut *out[0]);
        let head = self.bars.min(x.len());
        out[..head].fill(f64::NAN);
        let pairs = x[head..].iter().zip(x).zip(&mut out[head..]);
        if self.log {
            pairs.for_each(|((&new, &before), slot)| *slot = ratio(new, before));
            ln_all(&mut out[head..]);
        } else {
            pairs.for_each(|((&new, &before), slot)| *slot = change(new, before, self.percent));
        }
    }
}

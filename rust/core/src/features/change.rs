//! Changes over some bars.

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
fn change(x: f64, before: f64, log: bool, percent: bool) -> f64 {
    if log {
        return if x > 0.0 && before > 0.0 { (x / before).ln() } else { f64::NAN };
    }
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
            Some(before) => change(x[0], before, self.log, self.percent),
            None => f64::NAN,
        };
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (x, out) = (x[0], &mut *out[0]);
        let head = self.bars.min(x.len());
        out[..head].fill(f64::NAN);
        for ((new, before), slot) in x[head..].iter().zip(x).zip(&mut out[head..]) {
            *slot = change(*new, *before, self.log, self.percent);
        }
    }
}

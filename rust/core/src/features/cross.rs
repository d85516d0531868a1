//! Crossings of two lines.

use super::Kernel;
use super::average::Sma;

/// No row has been seen yet.
const NONE: i8 = 2;

/// The side of the last unequal row.
pub(crate) struct Cross {
    sign: i8,
}

impl Cross {
    pub(crate) fn new() -> Self {
        Self { sign: NONE }
    }

    #[inline(always)]
    fn next(&mut self, fast: f64, slow: f64) -> f64 {
        let now = (fast > slow) as i8 - (fast < slow) as i8;
        if self.sign == NONE {
            self.sign = now;
            return f64::NAN;
        }
        let crossed = now != 0 && now != self.sign;
        if crossed {
            self.sign = now;
            f64::from(now)
        } else {
            0.0
        }
    }
}

impl Kernel for Cross {
    fn inputs(&self) -> usize {
        2
    }

    fn reset(&mut self) {
        self.sign = NONE;
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        out[0] = self.next(x[0], x[1]);
    }
}

/// The crossings of two simple averages of one column, in one pass.
pub(crate) struct SmaCross {
    windows: [usize; 2],
    averages: [Sma; 2],
    cross: Cross,
}

impl SmaCross {
    pub(crate) fn new(fast: usize, slow: usize) -> Self {
        Self { windows: [fast, slow], averages: [Sma::new(fast), Sma::new(slow)], cross: Cross::new() }
    }
}

impl Kernel for SmaCross {
    fn reset(&mut self) {
        self.averages.iter_mut().for_each(Kernel::reset);
        self.cross.reset();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        let fast = self.averages[0].next(x[0]);
        let slow = self.averages[1].next(x[0]);
        out[0] = if fast.is_nan() || slow.is_nan() { f64::NAN } else { self.cross.next(fast, slow) };
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (x, out) = (x[0], &mut *out[0]);
        let longest = self.windows[0].max(self.windows[1]);
        let head = longest.min(x.len());
        for i in 0..head {
            self.update(&x[i..=i], &mut out[i..=i]);
        }
        if head < longest {
            return;
        }
        let sizes = self.windows.map(|w| w as f64);
        let mut totals = [self.averages[0].total(), self.averages[1].total()];
        let (left_fast, left_slow) = (&x[longest - self.windows[0]..], &x[longest - self.windows[1]..]);
        for (((new, fast), slow), slot) in x[longest..].iter().zip(left_fast).zip(left_slow).zip(&mut out[longest..]) {
            totals[0] += new;
            totals[1] += new;
            totals[0] -= fast;
            totals[1] -= slow;
            *slot = self.cross.next(totals[0] / sizes[0], totals[1] / sizes[1]);
        }
    }
}

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

/// Rows whose averages are compared together.
const BLOCK: usize = 32;

/// Turns sums of two windows into the side of the averages: 1 above, -1 below, 0 equal.
fn sides(fasts: &mut [f64; BLOCK], slows: &[f64; BLOCK], windows: [usize; 2]) {
    let [fast_size, slow_size] = windows.map(|w| w as f64);
    for (fast, slow) in fasts.iter_mut().zip(slows) {
        let (a, b) = (*fast / fast_size, slow / slow_size);
        let (above, below) = (if a > b { 1.0 } else { 0.0 }, if a < b { 1.0 } else { 0.0 });
        *fast = above - below;
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
        let [fast, slow] = self.windows;
        let mut totals = [self.averages[0].total(), self.averages[1].total()];
        let (left_fast, left_slow) = (&x[longest - fast..], &x[longest - slow..]);
        let (mut fasts, mut slows) = ([0.0; BLOCK], [0.0; BLOCK]);
        let mut side = f64::from(self.cross.sign);
        let blocks = x[longest..].chunks(BLOCK).zip(left_fast.chunks(BLOCK)).zip(left_slow.chunks(BLOCK));
        for (((new, left_fast), left_slow), slots) in blocks.zip(out[longest..].chunks_mut(BLOCK)) {
            let leaving = left_fast.iter().zip(left_slow);
            for (((new, left), fast), slow) in new.iter().zip(leaving).zip(&mut fasts).zip(&mut slows) {
                totals[0] += new;
                totals[1] += new;
                totals[0] -= left.0;
                totals[1] -= left.1;
                (*fast, *slow) = (totals[0], totals[1]);
            }
            sides(&mut fasts, &slows, self.windows);
            let now = &fasts[..slots.len()];
            if side != 0.0 && now.iter().fold(true, |all, &side| all & (side != 0.0)) {
                slots[0] = if now[0] != side { now[0] } else { 0.0 };
                for ((slot, &now), &before) in slots[1..].iter_mut().zip(&now[1..]).zip(now) {
                    *slot = if now != before { now } else { 0.0 };
                }
                side = now[now.len() - 1];
            } else {
                for (slot, &now) in slots.iter_mut().zip(now) {
                    let crossed = now != 0.0 && now != side;
                    *slot = if crossed { now } else { 0.0 };
                    side = if crossed { now } else { side };
                }
            }
        }
    }
}

//! Moving averages.

use super::{Kernel, Ring};

/// A running sum over a window.
pub(crate) struct Sma {
    window: usize,
    ring: Ring,
    total: f64,
}

impl Sma {
    pub(crate) fn new(window: usize) -> Self {
        Self { window, ring: Ring::new(), total: 0.0 }
    }

    /// The sum of the window.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    pub(crate) fn next(&mut self, x: f64) -> f64 {
        self.total += x;
        if let Some(old) = self.ring.push(x, self.window) {
            self.total -= old;
        }
        if self.ring.len() == self.window { self.total / self.window as f64 } else { f64::NAN }
    }
}

impl Kernel for Sma {
    fn reset(&mut self) {
        self.ring.clear();
        self.total = 0.0;
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        out[0] = self.next(x[0]);
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (x, out, window) = (x[0], &mut *out[0], self.window);
        let size = window as f64;
        let head = (window - 1).min(x.len());
        let mut total = 0.0;
        for (value, slot) in x[..head].iter().zip(&mut out[..head]) {
            total += value;
            *slot = f64::NAN;
        }
        if x.len() < window {
            return;
        }
        total += x[window - 1];
        out[window - 1] = total / size;
        for ((new, old), slot) in x[window..].iter().zip(x).zip(&mut out[window..]) {
            total += new;
            total -= old;
            *slot = total / size;
        }
    }
}

/// y = (1 - alpha) y + alpha x, seeded with the mean of the first window.
pub(crate) struct Filter {
    window: usize,
    alpha: f64,
    keep: f64,
    seen: usize,
    value: f64,
}

impl Filter {
    pub(crate) fn new(window: usize, alpha: f64) -> Self {
        Self { window, alpha, keep: 1.0 - alpha, seen: 0, value: 0.0 }
    }
}

impl Kernel for Filter {
    fn reset(&mut self) {
        self.seen = 0;
        self.value = 0.0;
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        if self.seen >= self.window {
            self.value = self.keep * self.value + self.alpha * x[0];
        } else {
            self.value += x[0];
            self.seen += 1;
            if self.seen < self.window {
                out[0] = f64::NAN;
                return;
            }
            self.value /= self.window as f64;
        }
        out[0] = self.value;
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (x, out) = (x[0], &mut *out[0]);
        let head = self.window.min(x.len());
        for i in 0..head {
            self.update(&x[i..=i], &mut out[i..=i]);
        }
        let (alpha, keep, mut value) = (self.alpha, self.keep, self.value);
        for (x, slot) in x[head..].iter().zip(&mut out[head..]) {
            value = keep * value + alpha * x;
            *slot = value;
        }
        self.value = value;
    }
}

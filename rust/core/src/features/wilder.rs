//! Wilder's RSI and ATR.

use super::Kernel;

/// Averages of gains and losses.
pub(crate) struct Rsi {
    window: usize,
    alpha: f64,
    keep: f64,
    before: f64,
    gain: f64,
    loss: f64,
    /// Changes seen, plus one once there is a first price.
    seen: usize,
}

impl Rsi {
    pub(crate) fn new(window: usize) -> Self {
        let alpha = 1.0 / window as f64;
        Self { window, alpha, keep: 1.0 - alpha, before: 0.0, gain: 0.0, loss: 0.0, seen: 0 }
    }
}

#[inline(always)]
fn ratio(gain: f64, loss: f64) -> f64 {
    let both = gain + loss;
    if both > 0.0 { 100.0 * gain / both } else { 50.0 }
}

#[inline(always)]
fn split(change: f64) -> (f64, f64) {
    (if change > 0.0 { change } else { 0.0 }, if change < 0.0 { -change } else { 0.0 })
}

impl Kernel for Rsi {
    fn reset(&mut self) {
        (self.gain, self.loss, self.seen) = (0.0, 0.0, 0);
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        let (up, down) = split(x[0] - self.before);
        self.before = x[0];
        self.seen += 1;
        out[0] = f64::NAN;
        if self.seen == 1 {
            return;
        }
        if self.seen > self.window + 1 {
            self.gain = self.keep * self.gain + self.alpha * up;
            self.loss = self.keep * self.loss + self.alpha * down;
        } else {
            self.gain += up;
            self.loss += down;
            if self.seen <= self.window {
                return;
            }
            self.gain *= self.alpha;
            self.loss *= self.alpha;
        }
        out[0] = ratio(self.gain, self.loss);
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (x, out) = (x[0], &mut *out[0]);
        let head = (self.window + 1).min(x.len());
        for i in 0..head {
            self.update(&x[i..=i], &mut out[i..=i]);
        }
        let (alpha, keep, mut gain, mut loss) = (self.alpha, self.keep, self.gain, self.loss);
        for ((new, old), slot) in x[head..].iter().zip(&x[head - 1..]).zip(&mut out[head..]) {
            let (up, down) = split(new - old);
            gain = keep * gain + alpha * up;
            loss = keep * loss + alpha * down;
            *slot = ratio(gain, loss);
        }
    }
}

/// Bars whose true ranges are computed together; even, so that no pair of bars is split.
const BLOCK: usize = 32;

/// Average of the true range, two bars to a step.
pub(crate) struct Atr {
    window: usize,
    alpha: f64,
    keep: f64,
    keep2: f64,
    before: f64,
    anchor: f64,
    first: f64,
    odd: bool,
    seen: usize,
}

impl Atr {
    pub(crate) fn new(window: usize) -> Self {
        let alpha = 1.0 / window as f64;
        let keep = 1.0 - alpha;
        Self { window, alpha, keep, keep2: keep * keep, before: 0.0, anchor: 0.0, first: 0.0, odd: false, seen: 0 }
    }
}

#[inline(always)]
fn true_range(high: f64, low: f64, before: f64) -> f64 {
    let top = if high > before { high } else { before };
    let bottom = if low < before { low } else { before };
    top - bottom
}

impl Kernel for Atr {
    fn inputs(&self) -> usize {
        3
    }

    fn reset(&mut self) {
        (self.anchor, self.odd, self.seen) = (0.0, false, 0);
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        let range = true_range(x[0], x[1], self.before);
        self.before = x[2];
        self.seen += 1;
        out[0] = f64::NAN;
        if self.seen == 1 {
            return;
        }
        if self.seen <= self.window + 1 {
            self.anchor += range;
            if self.seen <= self.window {
                return;
            }
            self.anchor *= self.alpha;
            out[0] = self.anchor;
            return;
        }
        let step = self.alpha * range;
        self.odd = !self.odd;
        if self.odd {
            self.first = step;
            out[0] = self.keep * self.anchor + step;
        } else {
            self.anchor = self.keep2 * self.anchor + (self.keep * self.first + step);
            out[0] = self.anchor;
        }
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let (high, low, close, out) = (x[0], x[1], x[2], &mut *out[0]);
        let rows = high.len();
        let head = (self.window + 1).min(rows);
        for i in 0..head {
            self.update(&[high[i], low[i], close[i]], &mut out[i..=i]);
        }
        let (alpha, keep, keep2, mut anchor) = (self.alpha, self.keep, self.keep2, self.anchor);
        let before = &close[head - 1..rows - 1];
        let mut ranges = [0.0; BLOCK];
        let blocks = high[head..].chunks(BLOCK).zip(low[head..].chunks(BLOCK)).zip(before.chunks(BLOCK));
        for (((high, low), before), slots) in blocks.zip(out[head..].chunks_mut(BLOCK)) {
            for (((slot, &high), &low), &before) in ranges.iter_mut().zip(high).zip(low).zip(before) {
                *slot = alpha * true_range(high, low, before);
            }
            for (slot, step) in slots.chunks_exact_mut(2).zip(ranges.chunks_exact(2)) {
                slot[0] = keep * anchor + step[0];
                anchor = keep2 * anchor + (keep * step[0] + step[1]);
                slot[1] = anchor;
            }
        }
        if (rows - head) % 2 == 1 {
            let first = alpha * true_range(high[rows - 1], low[rows - 1], close[rows - 2]);
            out[rows - 1] = keep * anchor + first;
        }
    }
}

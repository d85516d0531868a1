//! Price channels.

use super::Kernel;
use std::collections::VecDeque;

/// Falling highs and rising lows of the window, so that the extremes are always in front.
pub(crate) struct Donchian {
    window: usize,
    row: usize,
    highs: VecDeque<(usize, f64)>,
    lows: VecDeque<(usize, f64)>,
}

impl Donchian {
    pub(crate) fn new(window: usize) -> Self {
        Self { window, row: 0, highs: VecDeque::new(), lows: VecDeque::new() }
    }
}

impl Kernel for Donchian {
    fn inputs(&self) -> usize {
        2
    }

    fn outputs(&self) -> usize {
        2
    }

    fn reset(&mut self) {
        self.row = 0;
        self.highs.clear();
        self.lows.clear();
    }

    fn update(&mut self, x: &[f64], out: &mut [f64]) {
        let row = self.row;
        self.row += 1;
        out.fill(f64::NAN);
        if row >= self.window {
            let oldest = row - self.window;
            while self.highs.front().is_some_and(|&(at, _)| at < oldest) {
                self.highs.pop_front();
            }
            while self.lows.front().is_some_and(|&(at, _)| at < oldest) {
                self.lows.pop_front();
            }
            if let (Some(high), Some(low)) = (self.highs.front(), self.lows.front()) {
                (out[0], out[1]) = (high.1, low.1);
            }
        }
        let (high, low) = (x[0], x[1]);
        while self.highs.back().is_some_and(|&(_, value)| value <= high) {
            self.highs.pop_back();
        }
        while self.lows.back().is_some_and(|&(_, value)| value >= low) {
            self.lows.pop_back();
        }
        self.highs.push_back((row, high));
        self.lows.push_back((row, low));
    }

    fn segment(&mut self, x: &[&[f64]], out: &mut [&mut [f64]]) {
        let [upper, lower] = out else { return };
        previous_extremes(x[0], self.window, upper, |a, b| if b > a { b } else { a });
        previous_extremes(x[1], self.window, lower, |a, b| if b < a { b } else { a });
    }
}

/// Writes the extreme of the `window` values before each one. The values are cut into blocks of `window`: the window
/// before row i is the end of one block, whose extremes are kept from each row to the block's end, and the beginning of
/// the next, whose extreme is kept as it grows.
fn previous_extremes(x: &[f64], window: usize, out: &mut [f64], extreme: impl Fn(f64, f64) -> f64) {
    let head = window.min(x.len());
    out[..head].fill(f64::NAN);
    let mut to_end = vec![0.0; window];
    for start in (window..x.len()).step_by(window) {
        let block = &x[start - window..start];
        let mut best = block[window - 1];
        for (slot, &value) in to_end.iter_mut().zip(block).rev() {
            best = extreme(best, value);
            *slot = best;
        }
        let end = (start + window).min(x.len());
        out[start] = to_end[0];
        let mut grown = x[start];
        for i in start + 1..end {
            out[i] = extreme(to_end[i - start], grown);
            grown = extreme(grown, x[i]);
        }
    }
}
